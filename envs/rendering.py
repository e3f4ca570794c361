"""Pictures of a round: a table in text, bars in an image, and on a live model the reply that the user gets."""

import textwrap
from typing import Any

import numpy as np
import torch
from torch import Tensor

from auctionsim.envs.game import AuctionGame
from auctionsim.envs.rounds import GameState, PlayedRound, Round
from auctionsim.errors import InputError
from auctionsim.substrates.protocol import speaks
from auctionsim.substrates.view import live_model

RENDER_MODES = ["ansi", "rgb_array"]

COLOURS = {  # of the bars, from the top: after Okabe and Ito, told apart by everybody
    "valuation": (0, 114, 178),
    "bid": (230, 159, 0),
    "exposure": (0, 158, 115),
    "payment": (213, 94, 0),
}
BAR, GAP, LABEL, WIDTH = 13, 10, 180, 500
WORDS, COLUMNS = 12, 78  # lines of a reply in a picture, and letters in a line


def checked_render_mode(mode: str | None) -> str | None:
    """Return a render mode that there is, or None.

    Raises:
        ValueError: Another.
    """
    if mode is not None and mode not in RENDER_MODES:
        raise InputError(f"render_mode must be one of {RENDER_MODES} or None, got {mode!r}")
    return mode


def frame(mode: str | None, game: AuctionGame, state: GameState | None, played: PlayedRound | None) -> Any:
    """Return one episode's round as its render mode has it: text, a picture, or None."""
    if mode == "ansi":
        return text(game, state, played)
    return None if mode is None else picture(game, state, played)


def frames(
    mode: str | None, game: AuctionGame, states: GameState | None, played: PlayedRound | None, size: int
) -> tuple[Any, ...] | None:
    """Return every row's round, None without a render mode; a row that has just begun shows its bidders."""
    if mode is None:
        return None
    shown = []
    for row in range(size):
        state = None if states is None else states.rows(torch.tensor([row]))
        shown.append(frame(mode, game, state, None if played is None else played.row(row)))
    return tuple(shown)


def text(game: AuctionGame, state: GameState | None, played: PlayedRound | None) -> str:
    """Return the round as a table, one line a bidder; on a live model, with a reply under the allocation."""
    if state is None:
        return "no episode is running\n"
    if played is None:
        lines = [f"round 0 of {game.rounds}"]
        lines += [f"  bidder {i}: valuation {_numbers(v)}" for i, v in enumerate(game.valuations(state)[0])]
        return "\n".join(lines) + "\n"
    happened, valuations = played.round, game.valuations(played.before)[0]
    context = game.context(played.before)
    where = "" if context is None else f", context {game.contexts[int(context[0])]}"
    loss = "" if happened.user_loss is None else f", user loss {float(happened.user_loss[0]):.3f}"
    lines = [f"round {int(played.before.round[0]) + 1} of {game.rounds}{where}{loss}"]
    for i in range(game.num_bidders):
        levers = _numbers(happened.outcome.allocation[0, i].flatten())
        lines.append(
            f"  bidder {i}: valuation {_numbers(valuations[i])}, bid {_numbers(happened.bids[0, i])}"
            f"{_asked(happened, i)}, levers {levers}, exposure {_numbers(happened.exposure[0, i])}, "
            f"pays {float(happened.outcome.payments[0, i]):.3f}, utility {float(happened.rewards[0, i]):.3f}"
        )
    reply = _reply(game, happened.outcome.allocation, context)
    return "\n".join([*lines, *reply]) + "\n"


def picture(game: AuctionGame, state: GameState | None, played: PlayedRound | None) -> np.ndarray:
    """Return a (height, width, 3) uint8 picture: per bidder one labelled bar each of `COLOURS`, features summed.

    A full bar is the largest valuation, or the largest exposure; negative payments show as none. On a live model the
    prompt and a reply under the allocation stand below. All pictures of one game have the same size.

    Raises:
        ModuleNotFoundError: Pillow is not installed.
    """
    from PIL import Image, ImageDraw

    block = len(COLOURS) * BAR + GAP
    spoken = speaks(game.substrate)
    height = game.num_bidders * block + GAP + spoken * (WORDS * BAR + GAP)
    image = Image.new("RGB", (WIDTH, height), "white")
    if state is None:
        return np.array(image)
    pen = ImageDraw.Draw(image)
    shares, amounts = _shares(game, state, played), _amounts(game, state, played)
    for bidder in range(game.num_bidders):
        top = GAP + bidder * block
        pen.text((GAP, top), f"bidder {bidder}", fill="black")
        for place, (name, colour) in enumerate(COLOURS.items()):
            y = top + place * BAR
            width = round(float(shares[name][bidder].clamp(0, 1)) * (WIDTH - LABEL - 2 * GAP))
            pen.text((LABEL // 3 + GAP, y), f"{name} {float(amounts[name][bidder]):.3g}", fill="black")
            if width:
                pen.rectangle((LABEL + GAP, y, LABEL + GAP + width - 1, y + BAR - 3), fill=colour)
    if spoken and played is not None:
        words = _reply(game, played.round.outcome.allocation, game.context(played.before))
        lines = [line for part in words for line in textwrap.wrap(part.strip(), COLUMNS)]
        pen.text((GAP, game.num_bidders * block + GAP), "\n".join(lines[:WORDS]), fill="black", spacing=2)
    return np.array(image)


def _amounts(game: AuctionGame, state: GameState, played: PlayedRound | None) -> dict[str, Tensor]:
    nothing = torch.zeros(game.num_bidders)
    if played is None:
        return {"valuation": game.valuations(state)[0].sum(1), **dict.fromkeys(("bid", "exposure", "payment"), nothing)}
    happened = played.round
    return {
        "valuation": game.valuations(played.before)[0].sum(1),
        "bid": happened.bids[0].sum(1),
        "exposure": happened.exposure[0].sum(1),
        "payment": happened.outcome.payments[0],
    }


def _shares(game: AuctionGame, state: GameState, played: PlayedRound | None) -> dict[str, Tensor]:
    nothing = torch.zeros(game.num_bidders)
    before = state if played is None else played.before
    money = game.bid_high.sum(1).amax()
    shares = {"valuation": game.valuations(before)[0].sum(1) / money, "bid": nothing, "exposure": nothing}
    if played is None:
        return {**shares, "payment": nothing}
    happened = played.round
    largest = game.exposure_high.sum(1).amax()
    exposure = happened.exposure[0].sum(1)
    return {
        **shares,
        "bid": happened.bids[0].sum(1) / money,
        "exposure": exposure / (largest if torch.isfinite(largest) else exposure.amax().clamp_min(1)),
        "payment": happened.outcome.payments[0] / money,
    }


def _reply(game: AuctionGame, allocation: Tensor, context: Tensor | None) -> list[str]:
    """Return one sampled reply, where the substrate is a model that can give it."""
    if not speaks(game.substrate):
        return []
    model = live_model(game.substrate)
    group = 0 if context is None else int(context[0])
    prompt = model.prompts.prompts[group][0]
    return [f"  {prompt}", f"  {model.replies(prompt, allocation, (group, 0), 1).texts[0]}"]


def _asked(happened: Round, bidder: int) -> str:
    """Return what a bidder asked for, where that was lowered."""
    return f" (asked {_numbers(happened.asked[0, bidder])})" if bool(happened.throttled[0, bidder]) else ""


def _numbers(values: Tensor) -> str:
    return " ".join(f"{value:.3g}" for value in values.flatten().tolist())
