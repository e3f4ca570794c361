"""Replies on the page: the model is loaded once, and writes one pair of replies at a time, token by token."""

import itertools
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers import Carrier, load_carrier
from auctionsim.carriers.neurons import Neurons
from auctionsim.data import carrier_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.language_models import Change, LanguageModel, Prefix, prefill_under, token_steps
from auctionsim.neurons.behind import measured_neurons
from auctionsim.play.catalogue import PlayedSurface
from auctionsim.substrates.drawing import uniforms

UNTOUCHED, BOOSTED = 0, 1
"""The rows of a pair of replies."""
_UNFINISHED = "\ufffd"
"""What stands at the end for a letter whose bytes have not all come yet; it is held back."""


class Mention(NamedTuple):
    """Where a text names a brand, in the units that JavaScript counts letters in (UTF-16).

    Attributes:
        start: First unit.
        stop: Behind the last.
        brand: Index of the brand.
    """

    start: int
    stop: int
    brand: int


class ReplyAsk(NamedTuple):
    """One pair of replies.

    Attributes:
        prompt: What the user asks.
        allocation: (bidder, lever), of the boosted reply.
        place: What keys the random numbers beside the seed: context and prompt.
        seed: Of the random numbers.
    """

    prompt: str
    allocation: Tensor
    place: tuple[int, ...]
    seed: int


class Writer:
    """A language model that writes replies beside each other: untouched, and under an allocation.

    Args:
        load: Loads the model, when the first reply is asked for.
    """

    def __init__(self, load: Callable[[], LanguageModel]) -> None:
        self._load = load
        self._model: LanguageModel | None = None
        self._carriers: dict[str, Carrier] = {}

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._model is not None

    @property
    def model(self) -> LanguageModel:
        """The model, loaded once."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def events(self, played: PlayedSurface, ask: ReplyAsk) -> Generator[dict[str, Any], None, None]:
        """Write a pair of replies; take every step in one thread, and close what is not read to its end.

        Yields:
            JSON: the row, its text so far and where it names brands; then which replies ended by themselves.
        Raises:
            ValueError: Another model than the surface was measured on, or a carrier that no reply can be written by.
        """
        reason = silence(played)
        if reason:
            raise InputError(reason)
        if not self.is_loaded:
            yield {"stage": "loading the model"}
        model = self.model
        played.measurement.require_model(model.identity)
        carrier = self._carrier(played)
        settings = played.settings
        nothing = torch.tensor([[lever.null for lever in carrier.levers]] * len(carrier.brands), dtype=torch.float64)
        change = carrier.change(torch.stack([nothing, ask.allocation]))
        count = int(str(settings["max_new_tokens"]))
        prefix = prefill_under(model, [ask.prompt], count, change, whole_prompt=settings.get("positions") == "all")
        numbers = uniforms(ask.seed, (*ask.place, 0), count).repeat(2, 1)
        temperature = float(str(settings["temperature"]))
        ids: list[list[int]] = [[], []]
        ended = [False, False]
        for rows, own, begun in _parts(change, prefix):
            steps = token_steps(model, begun, own, numbers[rows], temperature=temperature)
            with closing(steps):
                for step in steps:
                    for row, token, live, end in _said(step, rows):
                        if live:
                            ids[row].append(token)
                            ended[row] |= end
                            yield _text_event(row, model.text(ids[row]).rstrip(_UNFINISHED), played.brands)
        for row in (UNTOUCHED, BOOSTED):
            yield _text_event(row, model.text(ids[row]), played.brands)
        yield {"done": True, "ended": ended}

    def _carrier(self, played: PlayedSurface) -> Carrier:
        if played.name not in self._carriers:
            carrier = carrier_of(played)
            carrier.check_model(self.model)
            self._carriers[played.name] = carrier
        return self._carriers[played.name]


def silence(played: PlayedSurface) -> str:
    """Return why no reply can be written on a surface, "" where one can."""
    if played.carrier is not None and str(played.carrier["name"]) in _AFTER:
        return f"Replies are not written here for {played.sold}: it changes the page after the reply."
    there = played.path is None and carrier_beside(surfaces_folder() / f"{played.name}.safetensors").is_file()
    if not there and _neurons_of(played) is None:
        return "Replies are not written here for this surface: the neurons behind it do not ship with auctionsim."
    return ""


_AFTER = ("choice", "insertion", "slots")
"""Carriers that change the page after the reply."""


def carrier_of(played: PlayedSurface) -> Carrier:
    """Return what moves replies on a surface.

    Raises:
        ValueError: It is not here.
    """
    beside = carrier_beside(surfaces_folder() / f"{played.name}.safetensors")
    if played.path is None and beside.is_file():
        return load_carrier(beside)
    neurons = _neurons_of(played)
    if neurons is None:
        raise InputError(silence(played))
    levers = {lever.name: lever for lever in played.measurement.levers}
    mode = str(played.settings.get("mode") or "multiply")
    most = {name: lever.high for name, lever in levers.items()}
    return Neurons(neurons, num_neurons=int(most["num_neurons"]), amplification=most["amplification"], mode=mode)


def mentions_in(text: str, brands: Sequence[Brand]) -> list[Mention]:
    """Return where a text names brands, in order; of two that overlap the first.

    Example:
        >>> mentions_in("😀 Nike", [Brand("Nike")])
        [Mention(start=3, stop=7, brand=0)]
    """
    found = [(*span, index) for index, brand in enumerate(brands) for span in brand.spans(text)]
    units = [0, *itertools.accumulate(1 + (ord(letter) > 0xFFFF) for letter in text)]
    kept: list[Mention] = []
    end = 0
    for start, stop, index in sorted(found, key=lambda one: (one[0], -one[1])):
        if start >= end:
            kept.append(Mention(units[start], units[stop], index))
            end = stop
    return kept


def _neurons_of(played: PlayedSurface) -> Any:
    name = played.name if played.path is None else str(played.path)
    return measured_neurons(name, played.measurement.provenance.get("neurons"))


def _parts(change: Change, prefix: Prefix) -> Iterator[tuple[list[int], Change, Prefix]]:
    """Yield which rows are decoded together: both, or the untouched one apart from a longer prompt or companions."""
    if change.before is None and not change.companions:
        yield [UNTOUCHED, BOOSTED], change, prefix
        return
    for row in (UNTOUCHED, BOOSTED):
        own = torch.tensor([row])
        if bool(change.null.expand(2)[row]):
            yield [row], Change(1), prefix.alone(own)
        else:
            rest = prefix if prefix.num_rows == 1 else prefix.serving(prefix.owner[:, own.to(prefix.owner.device)])
            yield [row], change.select(own), rest


def _said(step: Any, rows: list[int]) -> Iterator[tuple[int, int, bool, bool]]:
    columns = (part.tolist() for part in (step.rows, step.tokens, step.live, step.ends))
    for row, token, live, end in zip(*columns, strict=True):
        yield rows[row], token, live, end


def _text_event(row: int, text: str, brands: Sequence[Brand]) -> dict[str, Any]:
    """Return one row's text so far, and where it names brands."""
    return {"row": row, "text": text, "mentions": mentions_in(text, brands)}
