"""The quadratic substrate: its exact maximum against a fine grid, with and without crosstalk."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim.substrates import QuadraticSubstrate


@settings(max_examples=30)
@given(
    st.integers(0, 10**6), st.integers(1, 3), st.sampled_from([0.0, 0.2, 0.5, 1.0]), st.sampled_from([0.0, 0.25, 1.0])
)
def test_maximum_beats_every_grid_point(seed: int, n: int, share: float, user_weight: float) -> None:
    substrate = QuadraticSubstrate(n, share / max(n - 1, 1))
    weights = torch.randint(-6, 9, (5, n, 1), generator=torch.Generator().manual_seed(seed)).double() / 4
    x = substrate.maximise(weights, user_weight)
    assert bool(substrate.feasible(x).all())
    own = (weights * substrate.exposure(x)).sum((1, 2)) - user_weight * substrate.user_loss(x)
    axis = torch.linspace(0, 1, 21, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * n).view(-1, n, 1)
    value = torch.einsum("bif,kif->bk", weights, substrate.exposure(grid)) - user_weight * substrate.user_loss(grid)
    assert bool((own.unsqueeze(1) >= value - 1e-12).all())
    assert bool((substrate.exposure(grid) >= 0).all())


def test_by_hand() -> None:
    x = torch.tensor([[[0.5], [1.0]]])
    assert QuadraticSubstrate(2, 0.5).exposure(x).flatten().tolist() == [0.25, 0.75]
    assert QuadraticSubstrate(2, 0.5).user_loss(x).tolist() == [0.625]
    # Two lovers of exposure at full crosstalk and no user: one of them alone, the first on ties.
    assert QuadraticSubstrate(2, 1.0).maximise(torch.ones(1, 2, 1), 0.0).flatten().tolist() in ([0.0, 1.0], [1.0, 0.0])
    assert QuadraticSubstrate(2, 0.5).separable is False
    assert QuadraticSubstrate(1, 0.5).separable is True


@pytest.mark.parametrize("crosstalk", [-0.1, 1.1])
def test_crosstalk_out_of_range_is_refused(crosstalk: float) -> None:
    with pytest.raises(ValueError, match="crosstalk must be a number in"):
        QuadraticSubstrate(2, crosstalk)


def test_too_many_bidders_are_refused() -> None:
    with pytest.raises(NotImplementedError, match="at most 8 bidders"):
        QuadraticSubstrate(9, 0.1).maximise(torch.ones(1, 9, 1), 0.0)
