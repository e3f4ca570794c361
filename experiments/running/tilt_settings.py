"""What the study of tilts compares."""

from dataclasses import dataclass
from pathlib import Path

from auctionsim.checks import checked_number
from auctionsim.errors import InputError
from auctionsim.experiments.running.tilt_policies import PolicyGrid


@dataclass(frozen=True)
class TiltsSettings:
    """What is tilted, and by how much.

    Attributes:
        folder: Run folder.
        lists: Measured lists with stored replies, for settings on A and B.
        varied: Those of the lists whose single replies are auctioned and read for diversity.
        judges: Scores of labelled replies, and readings per brand that bids of 1 pay for.
        exposure: What is sold on lists.
        loss: What the user loses by.
        bid: Bid of each brand, money per unit of exposure.
        user_weight: λ, money per unit of loss.
        betas: β of tilts, smallest first.
        draws: n of best-of draws.
        share: Of draws that an answer must have for best-of-majority to keep it.
        kl: Nats at which families are compared.
        untouched: Share of the untouched model in a second reference of stored replies.
        tables: Number of random tables.
        resamples: Bootstrap resamples of prompts, for intervals.
        sets: Sets that are drawn from a tilt of stored replies.
        set_size: Replies in a set.
        seed: Of tables, resamples and sets.
    """

    folder: Path
    lists: tuple[str, ...] = ("running-shoes-2-neurons@1", "charities-2-neurons@1")
    varied: tuple[str, ...] = ("running-shoes-2-neurons@1", "charities-2-neurons@1")
    judges: tuple[str, ...] = ("relevance", "mutual_information", "judged_rating", "judged_yes", "hits")
    exposure: str = "mention_probability"
    loss: str = "quality"
    bid: float = 1.0
    user_weight: float = 1.0
    betas: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
    draws: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    share: float = 0.25
    kl: float = 0.5
    untouched: float = 0.5
    tables: int = 400
    resamples: int = 1000
    sets: int = 8
    set_size: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        checked_number(self.untouched, "untouched", 0, 1)
        if list(self.betas) != sorted(set(self.betas)) or not self.betas or self.betas[0] <= 0:
            raise InputError(f"betas must be above 0 and rise, got {self.betas}")
        if list(self.draws) != sorted(set(self.draws)) or not self.draws or self.draws[0] < 1:
            raise InputError(f"draws must be at least 1 and rise, got {self.draws}")
        if not set(self.varied) <= set(self.lists):
            raise InputError(f"varied must be among the lists {self.lists}, got {self.varied}")

    @property
    def grid(self) -> PolicyGrid:
        """Which policies are compared."""
        return PolicyGrid(self.betas, self.draws, self.share)

    @property
    def money(self) -> tuple[float, float]:
        """Bid of each brand, and λ."""
        return self.bid, self.user_weight
