"""What is measured and how often: the levers' grid, the counts, and when a measurement has seen enough replies."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from auctionsim.checks import checked_count, checked_number
from auctionsim.errors import InputError
from auctionsim.neurons.brand_neurons import MODES
from auctionsim.readings.intent import LEADS, Lead
from auctionsim.readings.passes import SamplingLaw
from auctionsim.readings.registry import reading
from auctionsim.readings.standard import STANDARD
from auctionsim.substrates.manner import Manner
from auctionsim.substrates.surface import LeverGrid


class LeverSetting(NamedTuple):
    """A setting of one brand's levers."""

    num_neurons: float
    amplification: float


NULL = LeverSetting(0.0, 1.0)


@dataclass(frozen=True)
class MeasurementSettings:
    """Settings of a measurement: the levers' grid, counts of replies, sampling.

    A lever with one value is fixed: it is no lever of the surface, and the provenance names it with its value.

    Attributes:
        num_neurons: Values of this lever, 0 among them; or one value > 0, at which it is fixed.
        amplification: Values of this lever, 1 among them; or one value other than 1, at which it is fixed.
        samples: Replies per prompt and intervention, in each round.
        max_new_tokens: Longest reply, in tokens.
        temperature: Temperature of sampling.
        top_p: Top-p of sampling, in (0, 1]; 1 draws from all tokens.
        seed: Seed of the replies; replicates A and B draw from different streams of it.
        rows: Most replies sampled in one batch.
        mode: What an amplification does to an activation: multiply, add or clamp, see `BrandNeurons.intervention`.
        positions: Which tokens are changed: reply or all, see `LanguageModelSubstrate`.
        leads: What `intent` is read off after, see `auctionsim.readings.intent`; none: it is not read.
        half_width: Rounds are added until the interval of each brand's mention probability, under each intervention of
            a shard, reaches at most so far to either side (see `auctionsim.measurement.rounds`); none: one round.
        interval: Kind of interval of a mention probability: wilson or jeffreys.
        confidence: Confidence of that interval.
        min_replies: Fewest replies per intervention and context before a shard stops; 16 or more with --half-width.
        max_replies: No round begins that would go beyond so many; the first round is always measured.
        readings: Names of readings besides the standard ones, see `auctionsim.readings`. They are no part of a folder's
            identity: replies do not depend on them.
    """

    num_neurons: tuple[float, ...] = (0.0, 256.0, 512.0)
    amplification: tuple[float, ...] = (1.0, 1.5, 2.0)
    samples: int = 4
    max_new_tokens: int = 48
    temperature: float = 0.7
    top_p: float = 1.0
    seed: int = 0
    rows: int = 80
    mode: str = "multiply"
    positions: str = "reply"
    leads: tuple[Lead, ...] = LEADS
    half_width: float | None = None
    interval: str = "wilson"
    confidence: float = 0.95
    min_replies: int = 16
    max_replies: int = 128
    readings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, values, null in (
            ("num_neurons", self.num_neurons, NULL.num_neurons),
            ("amplification", self.amplification, NULL.amplification),
        ):
            try:
                object.__setattr__(self, name, tuple(map(float, values)))  # 64 and 64.0 are one plan
            except OverflowError as error:
                raise InputError(f"{name} must be numbers that a float can hold, got {values!r}") from error
            _check_lever(name, values, null)
        if not self.grids:
            raise InputError(
                f"a lever must vary: num_neurons is fixed at {self.num_neurons[0]:g} and amplification "
                f"at {self.amplification[0]:g}"
            )
        if not all(lead.text.strip() and lead.calls for lead in self.leads):
            raise InputError(f"leads must be texts with calls, got {self.leads}")
        checked_count(self.samples, "samples")
        checked_count(self.max_new_tokens, "max_new_tokens")
        checked_number(self.temperature, "temperature")
        checked_count(self.seed, "seed", 0)
        checked_count(self.rows, "rows")
        if self.mode not in MODES:
            raise InputError(f"mode must be one of {', '.join(MODES)}, got {self.mode!r}")
        law = SamplingLaw(self.temperature, self.manner.top_p)
        for name in self.readings:
            reading(name).refuse(law)
        if set(self.readings) & set(STANDARD) or len(set(self.readings)) < len(self.readings):
            raise InputError(f"readings must be named once, besides {', '.join(STANDARD)}, got {self.readings}")
        self._check_stopping()

    def _check_stopping(self) -> None:
        if self.interval not in ("wilson", "jeffreys"):
            raise InputError(f"interval must be wilson or jeffreys, got {self.interval!r}")
        if not 0 < self.confidence < 1:
            raise InputError(f"confidence must lie in (0, 1), got {self.confidence!r}")
        if self.half_width is not None and not 0 < self.half_width < 0.5:
            raise InputError(f"half_width must lie in (0, 0.5), got {self.half_width!r}")
        checked_count(self.min_replies, "min_replies", 16)
        checked_count(self.max_replies, "max_replies", self.min_replies)

    @property
    def manner(self) -> Manner:
        """Where the model is touched, how replies are drawn and read, as the live model takes it."""
        return Manner(self.positions, self.top_p, self.leads, self.readings)

    @property
    def grids(self) -> tuple[LeverGrid, ...]:
        """The grids of the levers that vary, as a surface takes them."""
        both = (
            LeverGrid("num_neurons", self.num_neurons, NULL.num_neurons),
            LeverGrid("amplification", self.amplification, NULL.amplification),
        )
        return tuple(grid for grid in both if len(grid.values) > 1)

    @property
    def fixed_levers(self) -> dict[str, float]:
        """The levers that do not vary, with their values."""
        both = {"num_neurons": self.num_neurons, "amplification": self.amplification}
        return {name: values[0] for name, values in both.items() if len(values) == 1}

    @property
    def most_neurons(self) -> int:
        """How many neurons a brand's ranking needs."""
        return math.ceil(self.num_neurons[-1])


def _check_lever(name: str, values: tuple[float, ...], null: float) -> None:
    ascending = all(math.isfinite(v) and v >= 0 for v in values) and list(values) == sorted(set(values))
    fixed = len(values) == 1 and values[0] != null
    if not ascending or not values or not (fixed or (len(values) > 1 and null in values)):
        raise InputError(
            f"{name} must be two or more ascending values >= 0 with {null:g} among them, or one other value at which "
            f"it is fixed, got {values}"
        )
