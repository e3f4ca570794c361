"""Choice among replies: several are drawn from the untouched model, and one is shown, rather one that names a brand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import Carrier, checked_brands
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.checks import checked_count, checked_finite
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change, ShownPage
from auctionsim.language_models.choice_law import pooled_divergence
from auctionsim.levers import Lever, checked_high
from auctionsim.storage import Stored

_CANDIDATES = 8  # the fewest, of powers of two, whose best diverges by up to a nat: log M − (M − 1)/M
_MOST = 8.0  # nats
MOST_CANDIDATES = 1024
"""Replies that are decoded for a page."""


@dataclass(frozen=True)
class TiltedChoice:
    """One reply of several on the page, drawn with probability ∝ exp(Σ tilts of the brands that it names), a row each.

    Attributes:
        brands: Whose names count.
        tilts: (row, brand) nats.
        candidates: Replies that are drawn for a page.
    Raises:
        TypeError, ValueError: Tilts that are not finite, or as many brands as there are not.
    """

    brands: tuple[Brand, ...]
    tilts: Float[Tensor, "row brand"]
    candidates: int

    def __post_init__(self) -> None:
        checked_finite(self.tilts, "tilts")
        checked_count(self.candidates, "candidates")
        if self.tilts.shape[1] != len(self.brands):
            raise InputError(f"{len(self.brands)} brands need a tilt each, got {self.tilts.shape[1]}")

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return len(self.tilts)

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows show the first candidate."""
        return (self.tilts == 0).all(1)

    def select(self, rows: Tensor | slice) -> "TiltedChoice":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        return replace(self, tilts=self.tilts[rows if isinstance(rows, slice) else rows.to(self.tilts.device)])

    def repeat(self, times: int) -> "TiltedChoice":
        """Return every row `times` times, one after the other."""
        return replace(self, tilts=self.tilts.repeat_interleave(times, dim=0))

    def shown(
        self, texts: Sequence[Sequence[str]], uniforms: Float[Tensor, " row"], pools: Sequence[Sequence[str]]
    ) -> list[ShownPage]:
        """Return each row's page, see `Page.shown`.

        Its divergence is that of the shown reply's law, KL(π_x ‖ π_0), the same for every page of a row and pool: how
        probable it is that a reply names which brands comes from the pool, see `pooled_divergence`.

        Raises:
            ValueError: Another number of rows or of candidates, or a pool of fewer than two.
        """
        if self.num_rows not in (1, len(texts)):
            raise InputError(f"a choice of {self.num_rows} rows for {len(texts)} pages")
        named, divergences = _Naming(self.brands), dict[tuple[int, tuple[float, ...]], float]()
        tilts = self.tilts.double().cpu().expand(len(texts), -1)
        pages = []
        for own, tilt, uniform, pool in zip(texts, tilts, uniforms.double().tolist(), pools, strict=True):
            if len(own) != self.candidates or len(pool) < 2:
                counts = f"{len(own)} and {len(pool)}"
                raise InputError(f"a choice among {self.candidates} takes as many candidates and a pool, got {counts}")
            if not bool(tilt.any()):
                pages.append(ShownPage(0, own[0], divergence=0.0))
                continue
            key = (id(pool), tuple(tilt.tolist()))
            if key not in divergences:
                kinds, drawn = torch.unique(named(pool), dim=0, return_counts=True)
                divergences[key] = pooled_divergence(drawn.double(), kinds @ tilt, self.candidates)
            chances = torch.softmax(named(own) @ tilt, 0).cumsum(0)
            chosen = int(torch.searchsorted(chances, uniform * chances[-1], right=True).clamp_max(len(own) - 1))
            pages.append(ShownPage(chosen, own[chosen], divergence=divergences[key]))
        return pages


class _Naming:
    """Which brands texts name; each text is read once."""

    def __init__(self, brands: tuple[Brand, ...]) -> None:
        self.brands = brands
        self._read: dict[str, list[float]] = {}

    def __call__(self, texts: Sequence[str]) -> Float[Tensor, "text brand"]:
        """Tell which brands each text names, 1 or 0."""
        for text in texts:
            if text not in self._read:
                self._read[text] = [float(bool(brand.spans(text))) for brand in self.brands]
        return torch.tensor([self._read[text] for text in texts], dtype=torch.float64)


class ReplyChoice(Carrier):
    """Which of several untouched replies is shown: those that name a brand gain its tilt; lever (tilt), in nats.

    A reply's law moves only by which brands it names. With one brand tilted, all of the divergence is about its being
    named (η = 1); no tilt moves a brand that the untouched model never names. A page costs as many replies as there are
    candidates.

    Args:
        brands: The bidders.
        candidates: M, drawn independently from the untouched model.
        tilt: Highest value of the lever.
    Raises:
        ValueError: Fewer than two candidates, among which there is nothing to choose, or more than `MOST_CANDIDATES`; a
            tilt that float32 does not tell from 0 or infinity.
    """

    name = "choice"
    without = ("kl", "slot_probability", "intent")

    def __init__(self, brands: tuple[Brand, ...], candidates: int = _CANDIDATES, tilt: float = _MOST) -> None:
        self.brands, self.candidates = checked_brands(brands, self.name), checked_count(candidates, "candidates", 2)
        if self.candidates > MOST_CANDIDATES:
            raise InputError(f"a page takes at most {MOST_CANDIDATES} candidates, got {self.candidates}")
        self.levers = (Lever("tilt", 0.0, checked_high(tilt, "tilt"), 0.0),)

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the choices, a row each."""
        del context
        page = TiltedChoice(self.brands, self.checked(allocation)[:, :, 0], self.candidates)
        return Change(page.num_rows, after=page)

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return tilts up to where almost the best of all is shown."""
        high = self.levers[0].high
        return torch.tensor([[high * share] for share in (0.0625, 0.125, 0.25, 0.375, 0.5, 1.0)])

    def stored(self) -> Stored:
        """Return the number of candidates and the lever's bound."""
        return Stored({"candidates": self.candidates, "tilt": self.levers[0].high}, {})


def _fitted(inputs: FittingInputs) -> ReplyChoice:
    return ReplyChoice(inputs.brands)


def _made(brands: tuple[Brand, ...], stored: Stored) -> ReplyChoice:
    fields = stored.fields
    return ReplyChoice(brands, fields.whole("candidates", 2), fields.number("tilt"))


register(
    CarrierEntry(
        "choice",
        "choice among replies",
        "By how much rather a reply that names the brand is shown, of several that the untouched model wrote.",
        'Soumalias, Curry and Seuken (2024), "Truthful aggregation of LLMs with an application to online advertising"',
        _fitted,
        _made,
    )
)
