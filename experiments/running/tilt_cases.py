"""Rewards of real replies to tilt by, and what they are truly worth: settings on A and B, judges against labels."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.data import scores_folder, surfaces_folder, values_beside
from auctionsim.errors import InputError
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.stored_by_name import stored_replies_of
from auctionsim.measurement.reply_values import ReadingValues, read_reply_values
from auctionsim.measurement.stored_lotteries import setting_weights, stored_lottery
from auctionsim.measurement.stored_replies import Asked, StoredReplies
from auctionsim.readings.protocol import LOWER, TextReading, Unscored
from auctionsim.readings.registry import reading
from auctionsim.readings.values import read_texts
from auctionsim.substrates import Lottery
from auctionsim.trust import GoldLabel, GoldLabels, ScoreStore, candidates
from auctionsim.trust.scores import score_labels


class PromptCase(NamedTuple):
    """A prompt's replies, or the settings that it was answered under, with both rewards.

    Attributes:
        stratum: Its category or context; prompts are drawn anew within it.
        p: The reference: (reply,).
        proxies: What is tilted by: (reply,).
        rewards: What it is truly worth: (reply,).
        good: Share of good replies, (reply,), where labels say so; else None.
        answers: Which answer each reply gives: (reply,).
    """

    stratum: str
    p: Tensor
    proxies: Tensor
    rewards: Tensor
    good: Tensor | None
    answers: Tensor


class PromptLottery(NamedTuple):
    """The stored replies to one prompt as a lottery.

    Attributes:
        asked: The prompt.
        lottery: Over all its replies, whatever they were drawn under.
        settings: Which intervention each was drawn under: (reply,).
    """

    asked: Asked
    lottery: Lottery
    settings: Tensor


class StoredList(NamedTuple):
    """A measured list's replies, with values of single ones.

    Attributes:
        stored: The replies.
        values: By reading.
        digest: Of what was measured.
    """

    stored: StoredReplies
    values: dict[str, ReadingValues]
    digest: str


def stored_list(name: str) -> StoredList:
    """Read a packaged measurement's replies, or those beside a file, with the values that were kept of them.

    Raises:
        ValueError: A damaged file, or no replies.
    """
    measured = measured_named(name)
    stored = stored_replies_of(name, measured)
    if stored is None:
        raise InputError(f"{name} has no stored replies: measure it with this auctionsim")
    path = Path(name) if name.endswith(".safetensors") else surfaces_folder() / f"{name}.safetensors"
    beside = values_beside(path)
    values = read_reply_values(beside, stored) if beside.exists() else {}
    return StoredList(stored, values, measured.digest)


def prompt_lotteries(
    found: StoredList, replicate: str, exposure: str, loss: str, untouched: float | None = None
) -> list[PromptLottery]:
    """Return the lottery over all replies to each prompt of a replicate.

    Args:
        found: The replies.
        replicate: "A" or "B".
        exposure: What is sold.
        loss: What the user loses by.
        untouched: Share of the untouched model's replies in the reference, the other settings alike; None: all alike.
    """
    count = len(found.stored.interventions)
    made = []
    for asked, numbers in found.stored.by_prompt().items():
        if asked.replicate != replicate:
            continue
        weights = None
        if untouched is not None:
            shares = torch.full((count,), (1 - untouched) / (count - 1), dtype=torch.float64)
            shares[0] = untouched
            weights = setting_weights(found.stored, numbers, shares)
        lottery = stored_lottery(
            found.stored, numbers, exposure=exposure, loss=loss, values=found.values, weights=weights
        )
        settings = torch.tensor([found.stored.kept.replies[k].intervention for k in numbers])
        made.append(PromptLottery(asked, lottery, settings))
    return made


def named(exposures: Tensor) -> Tensor:
    """Return which bidders each reply exposes, one number for each set of them: (reply,)."""
    return ((exposures > 0).long() * 2 ** torch.arange(exposures.shape[1])).sum(1)


def worth(lottery: Lottery, bid: float, user_weight: float) -> Tensor:
    """Return Σ_i b e_i(y) − λ L(y) of each reply: (reply,)."""
    return bid * lottery.exposures.sum((1, 2)) - user_weight * lottery.user_losses


def setting_cases(
    found: StoredList, exposure: str, loss: str, money: tuple[float, float], designed_on: int | None = None
) -> list[PromptCase]:
    """Return B's prompts, settings as what is chosen: the proxy is A's mean over prompts, the truth each prompt's own.

    The reference is every setting alike. Losses count from their mean over a prompt's replies, so a prompt's own level
    moves no difference.

    Args:
        found: The replies.
        exposure: What is sold.
        loss: What the user loses by.
        money: Bid of each brand, and λ.
        designed_on: So many of A's prompts, the first ones; None: all.
    """
    count = len(found.stored.interventions)
    by_replicate: dict[str, list[tuple[Asked, Tensor]]] = {"A": [], "B": []}
    for replicate, means in by_replicate.items():
        for one in prompt_lotteries(found, replicate, exposure, loss):
            worths = worth(one.lottery, *money)
            total = torch.zeros(count, dtype=torch.float64).index_add(0, one.settings, worths)
            means.append((one.asked, total / torch.bincount(one.settings, minlength=count)))
    proxies = torch.stack([values for _, values in by_replicate["A"][:designed_on]]).mean(0)
    p = torch.full_like(proxies, 1 / count)
    return [
        PromptCase(f"context {asked.context}", p, proxies, values, None, torch.arange(count))
        for asked, values in by_replicate["B"]
    ]


def label_cases(labels: GoldLabels, judge: str) -> list[PromptCase]:
    """Return the prompts of the gold labels of which two replies or more have a score.

    The proxy is a judge's score, or what bids of 1 on a reading per brand pay for the reply; the truth is the labels'
    rating. Both are in standard deviations over the labelled replies. The reference weighs a reply by how many stored
    ones it stands for.

    Raises:
        ValueError: The score is none that the trust table knows.
        NotImplementedError: Its values do not ship, and none are taken here.
    """
    kept = _bid_for(labels, judge) if reading(judge).per == "brand" else _scored(labels, judge)
    proxies = _standardised([value for _, value in kept])
    ratings = _standardised([label.rating for label, _ in kept])
    by_prompt: dict[tuple[str, str], list[int]] = {}
    for k, (label, _) in enumerate(kept):
        by_prompt.setdefault((label.category, label.prompt), []).append(k)
    return [
        _prompt_case(category, [kept[k][0] for k in places], proxies[places], ratings[places])
        for (category, _), places in by_prompt.items()
        if len(places) > 1
    ]


def _scored(labels: GoldLabels, judge: str) -> list[tuple[GoldLabel, float]]:
    """Return the labelled replies that a judge scored, high where it says good."""
    known = {one.reading: one for one in candidates()}
    if judge not in known:
        raise InputError(f"a judge's score is one of {', '.join(known)}, got {judge!r}")
    store = ScoreStore(None, scores_folder(), takes=False)
    scored = score_labels(reading(judge), labels.labels, store, (), known[judge].sample)
    sign = -1.0 if known[judge].better == LOWER else 1.0
    pairs = zip(scored.labels, scored.values, strict=True)
    return [(label, sign * value) for label, value in pairs if not isinstance(value, Unscored | list)]


def _bid_for(labels: GoldLabels, exposure: str) -> list[tuple[GoldLabel, float]]:
    """Return the labelled replies with what bids of 1 pay for each: the sum of a reading over brands."""
    one = reading(exposure)
    if not isinstance(one, TextReading):
        raise InputError(f"labelled replies are texts, and {exposure} needs more")
    kept = []
    for label in labels.labels:
        value = read_texts(one, [label.reply], label.brands)[0]
        if isinstance(value, list):
            kept.append((label, math.fsum(value)))
    return kept


def _prompt_case(category: str, labels: Sequence[GoldLabel], proxies: Tensor, ratings: Tensor) -> PromptCase:
    weights = torch.tensor([label.weight for label in labels], dtype=torch.float64)
    good = torch.tensor([float(not label.bad) for label in labels], dtype=torch.float64)
    exposed = torch.tensor([[float(bool(brand.spans(one.text))) for brand in one.brands] for one in labels])
    return PromptCase(category, weights / weights.sum(), proxies, ratings, good, named(exposed))


def _standardised(values: Sequence[float]) -> Tensor:
    numbers = torch.tensor(values, dtype=torch.float64)
    return (numbers - numbers.mean()) / numbers.std(correction=0)
