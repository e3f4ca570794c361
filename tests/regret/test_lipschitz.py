"""Upper bounds from Lipschitz cells: never below the certified regret, close where rates are modest, checked."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from auctionsim.mechanisms import FirstPrice, PayAsBid
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, QuadraticSubstrate
from tests.regret.certified import PiecewiseLinearAuction, certified_regret


def rates(net: PiecewiseLinearAuction, v: Tensor) -> Tensor:
    """|∂u_i/∂b_if| ≤ Σ_items v_i · |path weights to the share| + |path weights to the payment|."""
    paths = [w.double().abs() for w in net.weights]
    reach = (paths[2] @ paths[1] @ paths[0]).view(4, 2, 2)  # output, bidder, feature
    share = torch.einsum("kij,jif->kif", v.double(), reach[:2])
    return share + torch.stack([reach[2 + i, i] for i in range(2)])


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_lies_above_the_certified_regret(seed: int) -> None:
    net = PiecewiseLinearAuction(seed, gain=0.6).requires_grad_(False)
    v = torch.rand(6, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    certified = certified_regret(net, v)
    bounds = []
    for budget in (1, 64, 512, 4096):
        found = ex_post_regret(
            net, Items(2, 2), v, bounds=BoundSettings(lipschitz=rates(net, v), budget=budget), high=1.0
        )
        assert (found.lower <= certified + 1e-6).all()
        assert (found.upper >= certified - 1e-6).all()
        assert found.method.endswith("upper from Lipschitz cells")
        assert found.budget <= 448 + budget
        bounds.append(found.upper)
    for loose, tight in pairwise(bounds):
        assert (tight <= loose + 1e-9).all()
    assert (bounds[-1] - certified).mean() < 0.1 * (bounds[0] - certified).mean()


def test_a_closed_form_is_met_within_a_thousandth(generator: torch.Generator) -> None:
    """Pay-as-bid on the quadratic lever: u = (v − b) b, slope at most 2 in [0, 1], best v/2, worth v²/4."""
    place = QuadraticSubstrate(2)

    class Declaring(PayAsBid):
        def own_bid_lipschitz(self, substrate, valuations: Tensor, context: Tensor | None) -> float | None:
            return 2.0 if substrate == place else None

    v = torch.rand(20, 2, 1, generator=generator, dtype=torch.float64)
    found = ex_post_regret(Declaring(place, 1.0), place, v)
    exact = v[..., 0] ** 2 / 4
    assert (found.upper >= exact - 1e-12).all()
    assert (found.upper - exact).max() < 1e-3
    alone = torch.cat([ex_post_regret(Declaring(place, 1.0), place, v[k : k + 1]).upper for k in range(3)])
    torch.testing.assert_close(alone, found.upper[:3], rtol=0, atol=1e-6)
    assert ex_post_regret(Declaring(place, 1.0), QuadraticSubstrate(2, 0.5), v).upper is None


def test_a_broken_promise_is_told() -> None:
    v = torch.tensor([[[0.9], [0.4]]])
    with pytest.raises(ValueError, match="lipschitz is broken: utility moves by"):
        ex_post_regret(FirstPrice(), Items(2), v, bounds=BoundSettings(lipschitz=0.5, use_structure=False))
    with pytest.raises(ValueError, match="lipschitz must be finite and >= 0"):
        ex_post_regret(FirstPrice(), Items(2), v, bounds=BoundSettings(lipschitz=-1.0, use_structure=False))
    with pytest.raises(ValueError, match="lipschitz must broadcast"):
        ex_post_regret(FirstPrice(), Items(2), v, bounds=BoundSettings(lipschitz=torch.ones(3), use_structure=False))
