"""Deployed regret: how much a mechanism has where it is used, beyond what it has where it was designed.

Estimand. A mechanism chooses and charges by its own model of exposure, `designed_on` (replicate A of a measured
surface); bidders get what `deployed_on` pays (replicate B, or the live model). With the same valuations and reports,

    gap = mean regret when paid by `deployed_on` − mean regret when paid by `designed_on`.

A rule that is exactly truthful on its own model has regret 0 there, so its gap is the incentive that estimation error
opens. Assumption: rows are independent draws of valuations; the interval is about them, paired. It is `betting.py`'s, a
row's difference lying between minus the largest gain that is possible where the mechanism was designed and plus the
largest where it is used: rare gains that no row shows are covered. It is conditional on the two substrates: what
another replicate would give is not in it.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.metrics import Interval
from auctionsim.regret.betting import betting_interval
from auctionsim.regret.estimate import AnyMechanism, RegretEstimate
from auctionsim.regret.ex_post import DEFAULT_BUDGET, ex_post_regret
from auctionsim.regret.settings import BoundSettings
from auctionsim.substrates.protocol import Substrate, allocation_shape


class DeployedRegret(NamedTuple):
    """Regret of one mechanism on the substrate it was designed on and on the one it is used on.

    Attributes:
        designed: Ex-post regret where exposure is what the mechanism assumed.
        deployed: Ex-post regret where exposure is paid by the other substrate.
        gap: Mean of deployed.lower − designed.lower, in money.
        interval: For the gap over draws of valuations; None for one row, and where one of the two has none.
    """

    designed: RegretEstimate
    deployed: RegretEstimate
    gap: float
    interval: Interval | None


def deployed_regret(
    mechanism: AnyMechanism,
    designed_on: Substrate,
    deployed_on: Substrate,
    valuations: Tensor,
    *,
    context: Tensor | None = None,
    reports: Tensor | None = None,
    budget: int = DEFAULT_BUDGET,
    generator: torch.Generator | None = None,
    high: float | Tensor | None = None,
    confidence: float = 0.95,
) -> DeployedRegret:
    """Measure the incentive gap between where a mechanism was designed and where it is used.

    Args:
        mechanism: Designed on `designed_on`; it never sees `deployed_on` before it is used, and one that charges for
            what is delivered charges for what each place delivers (`Mechanism.delivered`).
        designed_on: The substrate in its model of the world.
        deployed_on: The substrate that pays; same bidders, features and allocations. A live model is wrapped,
            `AskedOnce(live, ("slot_probability",))`: it is asked about each distinct allocation once.
        valuations: (batch, bidder, feature), independent draws.
        context: (batch,), or None: one auction for all contexts, on the mean surface, as in `ex_post_regret`.
        reports: (batch, bidder, feature), default the truth.
        budget: Misreports scored for each row and bidder, in each place.
        generator: Scrambles both searches.
        high: Largest misreport considered, as in `ex_post_regret`.
        confidence: Of the intervals.
    Raises:
        ValueError: The two substrates do not fit each other.
    """
    shapes = [
        (place.num_bidders, tuple(place.features), allocation_shape(place)) for place in (designed_on, deployed_on)
    ]
    if shapes[0] != shapes[1]:
        raise InputError(f"both substrates must have the same bidders, features and allocations: {shapes}")
    designed, deployed = (
        ex_post_regret(
            mechanism.delivered(place) if isinstance(mechanism, Mechanism) else mechanism,
            place,
            valuations,
            context=context,
            reports=reports,
            budget=budget,
            generator=generator,
            high=high,
            bounds=BoundSettings(confidence=confidence),
        )
        for place in (designed_on, deployed_on)
    )
    rows = (deployed.lower - designed.lower).mean(1)
    interval = None
    if designed.largest_gain is not None and deployed.largest_gain is not None:
        low = -designed.largest_gain
        ends = betting_interval(rows - low, deployed.largest_gain - low, confidence)
        interval = Interval(ends.low + low, ends.high + low)
    return DeployedRegret(designed, deployed, float(rows.mean()), interval)
