"""Carriers that keep all their promises, one a door, from which broken ones inherit."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers import Carrier
from auctionsim.language_models.change import Change, ShownPage
from auctionsim.language_models.framing import Framing, Framings
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import Lever
from auctionsim.storage import Stored
from auctionsim.testing.carrier_cases import Made

BRANDS = parse_brands("Nike,Puma")


@dataclass(frozen=True)
class Pulled:
    """A law of the next token in which each brand's token is more probable: logits rise by (row, token)."""

    rise: Tensor
    companions: tuple[Framing, ...] = ()
    remembers: bool = False

    @property
    def num_rows(self) -> int:
        return len(self.rise)

    @property
    def null(self) -> Tensor:
        return (self.rise == 0).all(1)

    def select(self, rows: Tensor | slice) -> "Pulled":
        return self if self.num_rows == 1 else replace(self, rise=self.rise[rows])

    def repeat(self, times: int) -> "Pulled":
        return replace(self, rise=self.rise.repeat_interleave(times, dim=0))

    def logits(self, own: Tensor, companions: Tensor, temperature: float, seen: Tensor | None) -> Tensor:
        return own + torch.nn.functional.pad(self.rise, (0, own.shape[2] - self.rise.shape[1])).unsqueeze(1)


@dataclass(frozen=True)
class Shown:
    """A page with an ad behind the first of `candidates` replies; with two the tilt, a share, prefers the second."""

    ads: tuple[str, ...]
    tilts: Tensor
    candidates: int = 1

    @property
    def num_rows(self) -> int:
        return len(self.ads)

    @property
    def null(self) -> Tensor:
        return torch.tensor([not ad for ad in self.ads]) & (self.tilts == 0)

    def select(self, rows: Tensor | slice) -> "Shown":
        kept = torch.arange(self.num_rows)[rows].tolist()
        return (
            self if self.num_rows == 1 else replace(self, ads=tuple(self.ads[k] for k in kept), tilts=self.tilts[rows])
        )

    def repeat(self, times: int) -> "Shown":
        ads = tuple(ad for ad in self.ads for _ in range(times))
        return replace(self, ads=ads, tilts=self.tilts.repeat_interleave(times))

    def shown(self, texts: Sequence[Sequence[str]], uniforms: Tensor, pools: Any) -> list[ShownPage]:
        ads = self.ads * (len(texts) if self.num_rows == 1 else 1)
        tilts = self.tilts.expand(len(texts)).tolist()
        return [self.page(*row) for row in zip(texts, ads, tilts, uniforms.tolist(), strict=True)]

    def page(self, texts: Sequence[str], ad: str, tilt: float, number: float) -> ShownPage:
        best = int(number < tilt) if self.candidates > 1 else 0
        nats = self.nats(tilt) if self.candidates > 1 else None
        text = texts[best] + ad
        return ShownPage(best, text, ((len(texts[best]), len(text)),) if ad else (), nats)

    def nats(self, tilt: float) -> float:
        return tilt * math.log(2)


@dataclass(frozen=True)
class Added:
    """Hidden states of the last block that are moved by (row, width)."""

    shift: Tensor
    cleans: Callable[[Any], Any] = field(default=lambda handle: handle.remove())

    @property
    def num_rows(self) -> int:
        return len(self.shift)

    @property
    def null(self) -> Tensor:
        return (self.shift == 0).all(1)

    def select(self, rows: Tensor | slice) -> "Added":
        return self if self.num_rows == 1 else replace(self, shift=self.shift[rows])

    def repeat(self, times: int) -> "Added":
        return replace(self, shift=self.shift.repeat_interleave(times, dim=0))

    def keep(self, rows: Tensor) -> None:
        object.__setattr__(self, "shift", self.shift[rows] if len(self.shift) > 1 else self.shift)

    @contextmanager
    def applied(self, model: LanguageModel) -> Iterator["Added"]:
        force = replace(self)
        head = model.network.get_output_embeddings()
        handle = head.register_forward_pre_hook(lambda _, inputs: (inputs[0] + force.shift.unsqueeze(1),))
        try:
            yield force
        finally:
            self.cleans(handle)


class Sound(Carrier):
    """Pulls the replies' tokens to each brand's own, at the door of next tokens."""

    name = "sound"
    levers = (Lever("pull", 0.0, 3.0, 0.0),)

    def __init__(self, brands: tuple[Brand, ...] = BRANDS, gains: Tensor | None = None) -> None:
        self.brands = brands
        self.gains = torch.ones(len(brands)) if gains is None else gains

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        x = self.checked(allocation)
        return Change(len(x), at=self.at(x[:, :, 0].float()))

    def at(self, pulls: Tensor) -> Pulled:
        return Pulled(self.rise(pulls))

    def rise(self, pulls: Tensor) -> Tensor:
        tokens = [5 + sum(map(ord, brand.name)) % 300 for brand in self.brands]
        return torch.zeros(len(pulls), 400).index_add(1, torch.tensor(tokens), pulls * self.gains)

    def ladder(self) -> Tensor:
        return torch.tensor([[0.5], [2.0], [3.0]])

    def stored(self) -> Stored:
        return Stored({"rule": "none: gains are given"}, {"gains": self.gains.clone()})


class SoundTexts(Sound):
    """Puts an ad behind the reply, and from 2 on hints at the brand in the prompt; the order of brands is no part."""

    whole = ("ads",)
    levers = (Lever("ads", 0.0, 2.0, 0.0),)

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        counts = self.checked(allocation)[:, :, 0]
        return Change(len(counts), before=self.before(counts), after=self.after(counts))

    def before(self, counts: Tensor) -> Framings:
        hints = ["".join(f" {name}?" for name in self.names(row > 1)) for row in counts]
        return Framings(tuple(Framing(after=hint) for hint in hints))

    def after(self, counts: Tensor) -> Shown:
        ads = ["".join(f" Ad: {name}." for name in self.names(row > 0)) for row in counts]
        return Shown(tuple(ads), torch.zeros(len(ads)))

    def names(self, those: Tensor) -> list[str]:
        return sorted(brand.name for brand, there in zip(self.brands, those.tolist(), strict=True) if there)

    def ladder(self) -> Tensor:
        return torch.tensor([[1.0], [2.0]])


class SoundChoice(Sound):
    """Shows the second of two replies with a probability of a third of the highest pull."""

    without = ("kl", "slot_probability", "intent")

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        pulls = self.checked(allocation)[:, :, 0].float()
        return Change(len(pulls), after=self.after(pulls))

    def after(self, pulls: Tensor) -> Shown:
        return Shown(("",) * len(pulls), pulls.amax(1) / 3, candidates=2)


class SoundInside(Sound):
    """Moves the hidden states before the output layer along a direction of each brand."""

    levers = (Lever("shift", 0.0, 2.0, 0.0),)
    cleans = staticmethod(lambda handle: handle.remove())

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        x = self.checked(allocation)
        return Change(len(x), inside=Added(self.shift(x[:, :, 0].float()), self.cleans))

    def shift(self, x: Tensor) -> Tensor:
        ways = torch.stack([torch.sin(torch.arange(32.0) * (1 + len(brand.name))) for brand in self.brands])
        return x @ (self.gains.unsqueeze(1) * ways)

    def ladder(self) -> Tensor:
        return torch.tensor([[0.5], [1.0], [2.0]])


def makes(kind: type[Sound]) -> Made:
    """Return what makes carriers of a class from their files."""
    return lambda brands, stored: kind(brands, stored.array("gains", (len(brands),)))
