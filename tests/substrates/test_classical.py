"""Items, positions, units, bundles and lotteries: feasibility, and the exact maximum against enumeration."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from auctionsim.substrates import (
    Bundles,
    Items,
    Lottery,
    Positions,
    QuadraticSubstrate,
    Substrate,
    Units,
    allocation_shape,
    is_finite,
)


def quarters(seed: int, *shape: int) -> Tensor:
    """Weights of any sign."""
    return torch.randint(-6, 9, shape, generator=torch.Generator().manual_seed(seed)).double() / 4


def item_allocations(n: int, m: int) -> Tensor:
    winners = itertools.product(range(n + 1), repeat=m)  # n means nobody
    return torch.stack([torch.eye(n + 1)[:n, list(w)] for w in winners]).double()


def position_allocations(n: int, s: int) -> Tensor:
    every = torch.tensor(list(itertools.product([0.0, 1.0], repeat=n * s)), dtype=torch.float64).view(-1, n, s)
    return every[(every.sum(1) <= 1).all(1) & (every.sum(2) <= 1).all(1)]


def unit_allocations(n: int, u: int) -> Tensor:
    counts = torch.tensor([c for c in itertools.product(range(u + 1), repeat=n) if sum(c) <= u])
    return (torch.arange(u) < counts.unsqueeze(2)).double()


def check_maximum(substrate: Substrate, every: Tensor, weights: Tensor, user_weight: float = 0.0) -> None:
    x = substrate.maximise(weights, user_weight)
    assert x.shape == (len(weights), *allocation_shape(substrate))
    assert bool(substrate.feasible(x).all())
    assert bool(substrate.feasible(every).all())

    def value(allocation: Tensor) -> Tensor:
        gain = torch.einsum("bif,kif->bk", weights, substrate.exposure(allocation))
        return gain - user_weight * substrate.user_loss(allocation)

    own = (weights * substrate.exposure(x)).sum((1, 2)) - user_weight * substrate.user_loss(x)
    assert torch.allclose(own, value(every).amax(1), atol=1e-12)
    null = substrate.null_allocation(1, dtype=torch.float64)
    idle = own <= value(null).squeeze(1)
    assert bool((x[idle] == null).all())  # ties go to the null


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 2))
def test_items(seed: int, n: int, m: int) -> None:
    check_maximum(Items(n, m), item_allocations(n, m), quarters(seed, 4, n, m))


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_positions(seed: int, n: int, s: int) -> None:
    substrate = Positions(n, tuple(1 - k / 4 for k in range(s)))
    check_maximum(substrate, position_allocations(n, s), quarters(seed, 4, n, 1))


@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_units(seed: int, n: int, u: int) -> None:
    check_maximum(Units(n, u), unit_allocations(n, u), quarters(seed, 4, n, u))


@given(st.integers(0, 10**6))
def test_bundles(seed: int) -> None:
    for wanted in (((0,), (1,), (0, 1)), ((0, 1), (1, 2), (2, 0)), ((0,), (1,))):
        substrate = Bundles(wanted)
        every = substrate.finite_range().allocations.double()
        check_maximum(substrate, every, quarters(seed, 4, len(wanted), 1))
    assert len(Bundles.llg().finite_range().allocations) == 5  # nobody, each alone, both locals


def test_overlapping_bundles_have_no_fractional_allocations() -> None:
    triangle = Bundles(((0, 1), (1, 2), (2, 0)))
    assert not bool(triangle.feasible(torch.full((1, 3, 1), 0.5)))
    assert float(triangle.maximise(torch.ones(1, 3, 1), 0.0).sum()) == 1


@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0.0, 0.5, 2.0]))
def test_lotteries(seed: int, replies: int, n: int, user_weight: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    exposures = torch.randint(0, 5, (replies, n, 2), generator=generator).double() / 4
    losses = torch.randint(0, 5, (replies,), generator=generator).double() / 4
    substrate = Lottery(exposures, losses)
    check_maximum(substrate, substrate.finite_range().allocations, quarters(seed, 4, n, 2), user_weight)


@pytest.mark.parametrize(
    ("substrate", "bad"),
    [
        (Items(2), torch.ones(1, 2, 1)),
        (Items(2), -torch.ones(1, 2, 1)),
        (Positions(2, (1.0, 0.5)), torch.ones(1, 2, 2)),
        (Positions(2, (1.0, 0.5)), torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])),
        (Units(2, 2), torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])),
        (Units(2, 2), torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])),
        (Units(2, 2), torch.full((1, 2, 2), 0.5)),
        (Bundles.llg(), torch.tensor([[[1.0], [0.0], [1.0]]])),
        (Lottery(torch.ones(2, 1, 1), torch.ones(2)), torch.tensor([[0.5, 0.6]])),
        (Lottery(torch.ones(2, 1, 1), torch.ones(2)), torch.tensor([[1.5, -0.5]])),
        (QuadraticSubstrate(1), torch.full((1, 1, 1), 1.1)),
    ],
    ids=lambda part: type(part).__name__,
)
def test_infeasible_allocations_are_told(substrate: Substrate, bad: Tensor) -> None:
    assert not bool(substrate.feasible(bad).any())
    assert bool(substrate.feasible(substrate.null_allocation(3)).all())
    with pytest.raises(ValueError, match="was it made for another substrate"):
        substrate.exposure(bad.unsqueeze(-1))


def test_protocols_are_met() -> None:
    for substrate in (Items(2), Positions(2, (1.0,)), Units(2, 2), Bundles.llg(), QuadraticSubstrate(2)):
        assert isinstance(substrate, Substrate)
    for substrate in (Bundles.llg(), Lottery(torch.ones(2, 1, 1), torch.ones(2))):
        assert is_finite(substrate)
    assert not is_finite(Items(2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Positions(2, (0.5, 1.0)), "nonincreasing"),
        (lambda: Positions(2, ()), "nonincreasing"),
        (lambda: Units(0, 1), "num_bidders must be an integer"),
        (lambda: Bundles(()), "wanted must list"),
        (lambda: Bundles(((0,), ())), "wanted must list"),
        (lambda: Lottery(torch.ones(2, 1), torch.ones(2)), "a lottery needs exposures"),
        (lambda: Lottery(-torch.ones(2, 1, 1), torch.ones(2)), "exposures must be finite"),
        (lambda: Lottery(torch.ones(2, 1, 1), torch.ones(2), torch.tensor([0.5, 0.6])), "sum to 1"),
    ],
)
def test_bad_substrates_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
