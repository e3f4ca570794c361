"""Where a substrate has contexts, each is a game: regret is the mean over them, by hand and against one at a time."""

from typing import Any

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import VCG, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.regret import InterimSettings, corner_regret, ex_interim_regret, exploitability, nash_conv
from auctionsim.strategies import Situation
from auctionsim.substrates import ResponseSurface
from tests.regret.test_ex_interim_regret import seeded
from tests.two_contexts import TwoContexts

PLACE = TwoContexts()
RULE = PayAsBid(PLACE)
UNIT = Uniform(0, 1)
SETTINGS: dict[str, Any] = {"draws": 2**10, "settings": InterimSettings(types=16, budget=64)}
DRAWS: dict[str, Any] = {"draws": 2**9}


def shading(share: float) -> Any:
    return lambda v: share * v


def equilibrium(valuations: Tensor, situation: Situation) -> Tensor:
    """Bid next to nothing where bidder 0 is alone, half where two meet: no better reply in either context."""
    assert situation.context is not None
    share = torch.where(situation.context == 0, 1e-4, 0.5).to(valuations)
    return valuations * share.unsqueeze(1)


equilibrium.observes = ("context",)  # type: ignore[attr-defined]


def test_regret_is_the_mean_over_contexts_by_hand() -> None:
    """Shading by half: bidder 0 gains v/2 where it is alone, nobody where two meet; so v/4 and 0."""
    v = torch.tensor([0.2, 0.6, 1.0]).view(-1, 1, 1).expand(3, 2, 1).contiguous()
    found = ex_interim_regret(
        RULE, PLACE, UNIT, valuations=v, strategies=shading(0.5), draws=2**11, settings=InterimSettings(budget=128)
    )
    torch.testing.assert_close(found.lower[:, 0], (v[:, 0, 0] / 4).double(), atol=0.01, rtol=0)
    torch.testing.assert_close(found.lower[:, 1], torch.zeros(3, dtype=torch.float64), atol=0.01, rtol=0)
    assert found.context_gains is not None
    assert found.context_misreports is not None
    torch.testing.assert_close(found.context_gains.mean(0), found.lower)
    torch.testing.assert_close(found.context_gains[0, :, 0], (v[:, 0, 0] / 2).double(), atol=0.005, rtol=0)
    assert torch.equal(found.best_misreports[:, 0], found.context_misreports[0, :, 0])  # there it gains most
    assert float(found.best_misreports[:, 0].max()) < 0.01


@pytest.mark.parametrize(("share", "alone", "both"), [(0.5, 0.25, 0.0), (1.0, 0.5, 1 / 12), (0.75, 0.375, 1 / 36)])
def test_exploitability_of_shading_by_hand(share: float, alone: float, both: float) -> None:
    """At share a ≥ 1/2: alone E[a v] = a/2; where two meet E[v²/4a − (1 − a) v²], (1/4a − 1 + a) / 3."""
    assert alone == share / 2
    assert both == pytest.approx((1 / (4 * share) - 1 + share) / 3)
    found = exploitability(RULE, PLACE, UNIT, strategies=shading(share), generator=seeded(1), **DRAWS)
    value = ((alone + both) + both) / 2 / 2
    assert found.interval.low <= value <= found.interval.high
    assert found.value == pytest.approx(value, abs=0.02)
    each = [exploitability(RULE, PLACE, UNIT, strategies=shading(share), context=k, **DRAWS).value for k in (0, 1)]
    assert found.value == pytest.approx(sum(each) / 2, abs=0.02)
    assert each[0] == pytest.approx(alone / 2, abs=0.02)


def test_a_strategy_that_sees_the_context_can_be_an_equilibrium_where_none_that_does_not_can() -> None:
    seeing = nash_conv(RULE, PLACE, UNIT, strategies=equilibrium, generator=seeded(2), **DRAWS)
    assert abs(seeing.value) < 0.01
    assert seeing.interval.low <= 1e-4
    assert seeing.interval.high < 0.15
    for share in (0.2, 0.5):
        blind = nash_conv(RULE, PLACE, UNIT, strategies=shading(share), generator=seeded(2), **DRAWS)
        assert blind.value > seeing.value + 0.04
    mixed = nash_conv(RULE, PLACE, UNIT, strategies=[equilibrium, shading(0.5)], generator=seeded(2), **DRAWS)
    assert abs(mixed.value) < 0.01  # half is what bidder 1 bids where it can win


def test_more_than_the_context_is_refused() -> None:
    def pacing(valuations: Tensor, situation: Situation) -> Tensor:
        raise AssertionError("never called")

    pacing.observes = ("budget_left",)  # type: ignore[attr-defined]
    for evaluate in (nash_conv, exploitability, ex_interim_regret):
        with pytest.raises(ValueError, match="pacing observes budget_left, which a single round does not have"):
            evaluate(RULE, PLACE, UNIT, strategies=pacing)
    with pytest.raises(ValueError, match="context must index 2 contexts, got 2"):
        nash_conv(RULE, PLACE, UNIT, context=2)


def test_intervals_of_the_mean_hold_what_they_should() -> None:
    """The value of shading by 3/4 lies in the 95 % intervals of all seeds; none is wider than one context's alone."""
    value = ((0.375 + 1 / 36) + 1 / 36) / 4
    for seed in range(5):
        found = exploitability(RULE, PLACE, UNIT, strategies=shading(0.75), draws=128, generator=seeded(seed))
        assert found.interval.low <= value <= found.interval.high
    alone = [exploitability(RULE, PLACE, UNIT, strategies=shading(0.75), draws=128, context=k) for k in (0, 1)]
    widths = [one.interval.high - one.interval.low for one in alone]
    assert found.interval.high - found.interval.low <= max(widths)


def test_a_proof_covers_every_context() -> None:
    proved = ex_interim_regret(VCG(PLACE), PLACE, UNIT, draws=64, settings=InterimSettings(types=4))
    assert proved.method.startswith("proof")
    assert proved.upper is not None
    assert float(proved.upper.max()) == float(proved.lower.abs().max()) == 0
    shaded = ex_interim_regret(VCG(PLACE), PLACE, UNIT, strategies=shading(0.5), **SETTINGS)
    each = [ex_interim_regret(VCG(PLACE), PLACE, UNIT, strategies=shading(0.5), context=k, **SETTINGS) for k in (0, 1)]
    assert shaded.mean == pytest.approx(sum(one.mean for one in each) / 2, abs=0.01)
    assert shaded.context_gains is not None
    assert float(shaded.context_gains[0].abs().max()) == 0  # alone, the price is 0 whatever is bid
    assert float(shaded.context_gains[1].mean()) == pytest.approx(each[1].mean, abs=0.02)


@pytest.mark.parametrize("name", ["running-shoes-2@3", "running-shoes-3@2"])
def test_on_measured_surfaces_it_is_the_mean_too(name: str) -> None:
    surface = ResponseSurface.packaged(name).sell("slot_probability")
    rule = PayAsBid(surface, 1.0)
    few: dict[str, Any] = {"draws": 128, "settings": InterimSettings(types=4, budget=32), "strategies": shading(0.6)}
    found = ex_interim_regret(rule, surface, UNIT, generator=seeded(3), **few)
    each = [
        ex_interim_regret(rule, surface, UNIT, generator=seeded(3), context=k, **few).mean
        for k in range(len(surface.contexts))
    ]
    assert found.interval is not None
    reach = (found.interval.high - found.interval.low) / 2
    assert found.mean == pytest.approx(sum(each) / len(each), abs=reach)

    assert found.context_gains is not None
    assert len(found.context_gains) == len(surface.contexts)
    assert float(found.context_gains.mean((1, 2)).std()) > 1e-4  # contexts are different games


def test_corners_bound_cells_over_contexts_too() -> None:
    edges, bids = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.1, 0.2], [0.4, 0.3]])
    cells = corner_regret(RULE, PLACE, UNIT, edges, bids, draws=128, budget=32, generator=seeded(4))
    corners = torch.tensor([0.0, 0.5, 0.5, 1.0]).view(4, 1, 1).expand(4, 2, 1).contiguous()
    step = [lambda v, i=i: torch.where(v < 0.5, bids[0, i], bids[1, i]) for i in range(2)]
    direct = ex_interim_regret(
        RULE,
        PLACE,
        UNIT,
        valuations=corners,
        settings=InterimSettings(reports=bids[[0, 1, 0, 1]].unsqueeze(2), budget=32),
        strategies=step,
        draws=128,
        generator=seeded(4),
    )
    torch.testing.assert_close(cells.lower[0], direct.lower[[0, 2]].amax(0))
