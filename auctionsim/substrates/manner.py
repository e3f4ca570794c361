"""How a live model is touched, sampled and read, apart from its carrier and counts."""

from dataclasses import dataclass

from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.readings.intent import LEADS, Lead
from auctionsim.readings.standard import STANDARD

POSITIONS = ("reply", "all")


@dataclass(frozen=True)
class Manner:
    """The settings of a live model beside its carrier and counts: where it is touched, how it is sampled and read.

    Attributes:
        positions: "reply" touches activations at the prompt's last token and all that follow, so that allocations share
            the tokens before; "all" touches the whole prompt, too.
        top_p: In (0, 1]: replies are sampled from each token's nucleus of this probability; 1 leaves every token in.
        leads: What `intent` is read after; none: `intent` is not measured, and is no feature.
        readings: Names of readings besides the standard ones (`auctionsim.readings`).
        rows: Replies that `observe` decodes in one batch; more take several.
    """

    positions: str = "reply"
    top_p: float = 1.0
    leads: tuple[Lead, ...] = LEADS
    readings: tuple[str, ...] = ()
    rows: int = 128

    def __post_init__(self) -> None:
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must lie in (0, 1], got {self.top_p}")
        if self.positions not in POSITIONS:
            raise InputError(f"positions must be one of {', '.join(POSITIONS)}, got {self.positions!r}")
        checked_count(self.rows, "rows")
        if len(set(self.readings)) < len(self.readings):
            raise InputError(f"readings must be named once, got {self.readings}")

    @property
    def names(self) -> tuple[str, ...]:
        """All readings: the standard ones, then those besides."""
        standard = tuple(name for name in STANDARD if self.leads or name != "intent")
        return (*standard, *(name for name in self.readings if name not in standard))


STANDARD_MANNER = Manner()
"""Activations are changed from the prompt's last token on, and the standard readings are taken."""
