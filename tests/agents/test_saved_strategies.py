"""Bidders in a file bid what they bid before; known equilibria are what the books say."""

from pathlib import Path

import pytest
import torch

from auctionsim.agents import (
    RiskAverse,
    Shading,
    TableStrategy,
    Truthful,
    closed_form_equilibrium,
    load_strategies,
    save_strategies,
)
from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, NetworkStrategy
from auctionsim.mechanisms import VCG, AllPay, FirstPrice, NearestBid, PayAsBid, SecondPrice, ThirdPrice
from auctionsim.priors import Beta, Exponential, Uniform
from auctionsim.regret import quasi_linear
from auctionsim.substrates import Bundles, Items, QuadraticSubstrate


def network(features: int, seed: int) -> BiddingNetwork:
    generator = torch.Generator().manual_seed(seed)
    high = torch.full((features,), 2.0)
    return BiddingNetwork(high, 8, generator, start=0.5, centre=high / 3, reach=high / 5)


def test_every_kind_comes_back(tmp_path: Path) -> None:
    v = torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) * 3
    table = TableStrategy(torch.tensor([0.0, 1.0, 2.0]), torch.rand(3, 2))
    all_of_them = [
        NetworkStrategy(network(2, 1)),
        CappedStrategy(network(2, 2)),
        table,
        Shading(0.25),
        Truthful(),
    ]
    save_strategies(tmp_path / "b.safetensors", all_of_them, {"seed": 3})
    strategies, record = load_strategies(tmp_path / "b.safetensors")
    assert record == {"seed": 3}
    for before, after in zip(all_of_them, strategies, strict=True):
        assert torch.equal(before(v), after(v))
        assert type(before) is type(after)
    assert float((strategies[0](v) - strategies[1](v)).abs().max()) > 1e-4
    with pytest.raises(TypeError, match="no file form"):
        save_strategies(tmp_path / "c.safetensors", [lambda v: v], {})
    (tmp_path / "b.safetensors").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"b\.safetensors"):
        load_strategies(tmp_path / "b.safetensors")


V = torch.linspace(0.05, 0.999, 60, dtype=torch.float64).unsqueeze(1)
UNIT = Uniform(0, 1)


def test_known_equilibria_of_one_item() -> None:
    crra = RiskAverse(0.5)
    for mechanism, n, utility, formula in (
        (FirstPrice(), 2, quasi_linear, lambda v: v / 2),
        (FirstPrice(), 5, quasi_linear, lambda v: 4 * v / 5),
        (FirstPrice(), 2, crra, lambda v: v / 1.5),
        (FirstPrice(), 3, RiskAverse(0.3), lambda v: 2 * v / 2.3),
        (AllPay(), 3, quasi_linear, lambda v: 2 * v**3 / 3),
        (ThirdPrice(), 3, quasi_linear, lambda v: 2 * v),
        (SecondPrice(), 3, quasi_linear, lambda v: v),
    ):
        found = closed_form_equilibrium(mechanism, Items(n), UNIT, utility)
        assert found is not None
        assert len(found) == n
        torch.testing.assert_close(found[0](V), formula(V), atol=1e-5, rtol=0)
    (shifted, _) = closed_form_equilibrium(FirstPrice(), Items(2), Uniform(1, 2)) or [None, None]
    torch.testing.assert_close(shifted(1 + V), 1 + V / 2, atol=1e-5, rtol=0)
    exponential = (closed_form_equilibrium(FirstPrice(), Items(2), Exponential(1.0)) or [None])[0]
    below = 1 - torch.exp(-V)  # E[Y | Y < v] of one rival
    torch.testing.assert_close(exponential(V), (1 - torch.exp(-V) * (1 + V)) / below, atol=1e-4, rtol=0)


def test_a_table_for_any_prior_leaves_no_better_bid() -> None:
    """The definition: no bid of a grid earns more than the table's against the table's, by integration over Beta."""
    prior = Beta(2, 5)
    bid = (closed_form_equilibrium(FirstPrice(), Items(3), prior) or [None])[0]
    levels = (torch.arange(20000, dtype=torch.float64) + 0.5) / 20000
    rivals = bid(prior.quantile(levels).unsqueeze(1)).squeeze(1)
    for v in (0.1, 0.3, 0.6):
        grid = torch.linspace(0, v, 400, dtype=torch.float64)
        wins = (torch.searchsorted(rivals, grid) / 20000.0) ** 2
        own = float(bid(torch.tensor([[v]], dtype=torch.float64)))
        at_own = float((v - own) * (torch.searchsorted(rivals, torch.tensor([own])) / 20000.0) ** 2)
        assert float(((v - grid) * wins).max()) <= at_own + 1e-4


def test_known_equilibria_beside() -> None:
    weak, strong = closed_form_equilibrium(FirstPrice(), Items(2), [UNIT, Uniform(0, 2)]) or [None, None]
    k = 1 - 1 / 4
    torch.testing.assert_close(weak(V), (1 - (1 - k * V**2).sqrt()) / (k * V))
    top = torch.tensor([[1.0], [2.0]], dtype=torch.float64)
    torch.testing.assert_close(weak(top[:1]), strong(top[1:]))  # both stop at the same bid
    priors = [UNIT, UNIT, Uniform(0, 2)]
    local, _, whole = closed_form_equilibrium(NearestBid(), Bundles.llg(), priors) or [None] * 3
    torch.testing.assert_close(local(V), torch.log(2 / (2 - V)))
    assert torch.equal(whole(V), V)
    quadratic = QuadraticSubstrate(2, 0.5)
    assert closed_form_equilibrium(VCG(quadratic), quadratic, UNIT) is not None
    for unknown in (
        (PayAsBid(quadratic), quadratic, UNIT, quasi_linear),
        (FirstPrice(reserve=0.25), Items(2), UNIT, quasi_linear),
        (FirstPrice(), Items(2), [Beta(2, 5), Beta(5, 2)], quasi_linear),
        (AllPay(), Items(2), UNIT, RiskAverse(0.5)),
        (SecondPrice(), Items(2), UNIT, RiskAverse(0.5)),
    ):
        assert closed_form_equilibrium(*unknown) is None
    with pytest.raises(ValueError, match="exponent"):
        RiskAverse(0.0)
