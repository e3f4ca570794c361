"""Settings of regret: what ex-post regret claims beside its search, and which deviations ex-interim regret tries."""

from dataclasses import dataclass

from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.regret.confidence import checked_miss
from auctionsim.regret.estimate import UtilityRule, quasi_linear
from auctionsim.regret.lipschitz import Rate


@dataclass(frozen=True)
class BoundSettings:
    """Settings of the bounds of ex-post regret: which are computed beside the search.

    Attributes:
        use_structure: Proofs and exact answers are used; False searches even where there is one.
        confidence: Of the interval for the mean over rows, right where rows are independent draws that gain at most
            `largest_gain`, which the answer states.
        lipschitz: A promise that buys an upper bound where structure gives none: how fast a bidder's utility can change
            per unit of its own bid in each feature. A number or a tensor that broadcasts to (batch, bidder, feature);
            default what the mechanism declares as `own_bid_lipschitz(substrate, valuations, context)`, if it does.
        budget: Misreports scored for that bound or for the certificate, beyond the search's.
        certificate: Where nothing else gives an upper bound, that of a `regret_certificate`, a proof for a class of
            rules only; the answer's `method` names the class, or says why there is none.
    Raises:
        TypeError, ValueError: A budget that is no whole number above 0; a confidence outside (0, 1).
    """

    use_structure: bool = True
    confidence: float = 0.95
    lipschitz: Rate | None = None
    budget: int = 2048
    certificate: bool = False

    def __post_init__(self) -> None:
        checked_count(self.budget, "budget of a bound")
        checked_miss(self.confidence)


@dataclass(frozen=True)
class InterimSettings:
    """Settings of ex-interim regret: which deviations are tried, from what, and what is claimed of them.

    Attributes:
        reports: (batch, bidder, feature), what bidders submit at `valuations` instead of their strategy's bid, in every
            context.
        budget: Bids among which a bidder's best response is chosen.
        types: Valuations drawn where none are given.
        high: Largest deviation considered; default the largest valuation of the priors, doubled until it holds the
            type's own valuation and report.
        utility: From value and payment to utility; anything but quasi-linear switches proofs and bounds off.
        use_structure: False searches even where a proof or a bound exists.
    Raises:
        TypeError, ValueError: Fewer than 8 bids or 2 types, or no whole numbers.
    """

    reports: Tensor | None = None
    budget: int = 256
    types: int = 64
    high: float | None = None
    utility: UtilityRule = quasi_linear
    use_structure: bool = True

    def __post_init__(self) -> None:
        checked_count(self.budget, "budget", 8)
        checked_count(self.types, "types", 2)
