"""Bidders that do not learn, and the best response to a field: closed forms."""

import pytest
import torch

from auctionsim.agents import BestResponse, Shading, TableStrategy, Truthful, UniformBids
from auctionsim.mechanisms import VCG, FirstPrice, SecondPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items, QuadraticSubstrate


def test_fixed_strategies(generator: torch.Generator) -> None:
    v = torch.rand(50, 2, generator=generator)
    assert torch.equal(Truthful()(v), v)
    assert torch.equal(Shading(0.5)(v), v / 2)
    noise = UniformBids(0.25, 0.75, torch.Generator().manual_seed(1))
    bids = noise(v)
    assert bids.shape == v.shape
    assert bool(((bids >= 0.25) & (bids <= 0.75)).all())
    assert not torch.equal(bids, noise(v))
    for bad in (lambda: Shading(-1.0), lambda: UniformBids(1.0, 0.5, generator)):
        with pytest.raises(ValueError, match="must be a number"):
            bad()


def test_a_table_interpolates_and_stays_constant_beyond() -> None:
    table = TableStrategy(torch.tensor([0.25, 0.5, 1.0]), torch.tensor([[0.0, 1.0], [0.5, 1.0], [0.75, 3.0]]))
    v = torch.tensor([[0.0, 0.0], [0.25, 0.25], [0.375, 0.75], [0.75, 1.0], [2.0, 2.0]])
    expected = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.25, 2.0], [0.625, 3.0], [0.75, 3.0]])
    assert torch.equal(table(v), expected)
    assert table(v.double()).dtype == torch.float64
    with pytest.raises(ValueError, match="increasing"):
        TableStrategy(torch.tensor([0.5, 0.5]), torch.zeros(2))
    with pytest.raises(ValueError, match="one row of bids"):
        TableStrategy(torch.tensor([0.25, 0.5]), torch.zeros(3))


def test_against_truth_first_price_is_answered_with_half_and_second_with_truth() -> None:
    v = torch.linspace(0.05, 1, 20, dtype=torch.float64).unsqueeze(1)
    half = BestResponse(
        FirstPrice(), Items(2), Uniform(0, 1), 0, generator=torch.Generator().manual_seed(0), draws=8192
    )
    assert float((half(v) - v / 2).abs().max()) < 0.03
    assert float((half.utility(v) - v.squeeze(1) ** 2 / 4).abs().max()) < 0.01
    truth = BestResponse(SecondPrice(), Items(3), Uniform(0, 1), 2, generator=torch.Generator().manual_seed(0))
    lost = v.squeeze(1) ** 3 / 3 - truth.utility(v)  # the truthful utility is v³/3
    assert float(lost.abs().max()) < 0.015


def test_the_field_is_what_is_answered() -> None:
    """Against rivals that bid 1/4 for certain, a first price is won with a whisker more."""
    flat = TableStrategy(torch.tensor([0.0, 1.0]), torch.tensor([0.25, 0.25]))
    response = BestResponse(
        FirstPrice(),
        Items(2),
        Uniform(0, 1),
        1,
        [flat, Truthful()],
        generator=torch.Generator().manual_seed(0),
        candidates=101,
    )
    v = torch.tensor([[0.2], [0.3], [1.0]])
    assert torch.allclose(response(v), torch.tensor([[0.0], [0.26], [0.26]]))


def test_under_a_truthful_mechanism_nothing_beats_truth_with_crosstalk() -> None:
    substrate = QuadraticSubstrate(2, 0.5)
    response = BestResponse(
        VCG(substrate, 0.5), substrate, Uniform(0, 1), 0, generator=torch.Generator().manual_seed(3), draws=512
    )
    grid = response.bids[::10]  # valuations that are candidates themselves
    own = (grid * response.exposure[::10]).sum(1) - response.payment[::10]
    assert float((response.utility(grid) - own).max()) < 1e-12


def test_two_features_are_searched_jointly() -> None:
    response = BestResponse(
        SecondPrice(), Items(2, 2), Uniform(0, 1), 0, generator=torch.Generator().manual_seed(0), candidates=21
    )
    assert response.bids.shape == (441, 2)
    v = torch.tensor([[0.9, 0.2]], dtype=torch.float64)
    assert float((response(v) - v).abs().max()) < 0.11
