"""Time sharing between listed entries: the linear program, its corners, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from auctionsim.substrates import best_mixture

F64 = torch.float64


def programme(exposures: torch.Tensor, losses: torch.Tensor, cap: float) -> float:
    """Return the same maximum by a general solver of linear programs."""
    entries = len(exposures)
    solution = linprog(
        -exposures.numpy(), losses.numpy()[None], [cap], np.ones((1, entries)), [1.0], (0, None), method="highs"
    )
    assert solution.success
    return float(-solution.fun)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(-4, 8)), min_size=1, max_size=12),
    st.integers(0, 40),
)
def test_it_solves_the_linear_program(entries: list[tuple[int, int]], above: int) -> None:
    """On quarters, so that ties and entries on one line are common; the cap starts at the least loss."""
    exposures, losses = (torch.tensor(part, dtype=F64) / 4 for part in zip(*entries, strict=True))
    cap = float(losses.min()) + above / 10
    found = best_mixture(exposures, losses, cap)
    assert found.exposure == pytest.approx(programme(exposures, losses, cap), abs=1e-9)
    assert found.loss <= cap + 1e-12
    assert float(found.shares.sum()) == pytest.approx(1, abs=1e-12)
    assert bool((found.shares >= 0).all())
    assert int((found.shares > 0).sum()) <= 2
    assert found.exposure == pytest.approx(float(found.shares @ exposures), abs=1e-12)
    assert found.loss == pytest.approx(float(found.shares @ losses), abs=1e-12)


def test_two_neighbours_are_mixed_and_what_is_bought_too_dear_is_left_out() -> None:
    """(loss, exposure): (0, 0), (1, .1), (2, .8), (4, .9), (5, .9): at a cap of 1 the null and the third."""
    losses, exposures = torch.tensor([0.0, 1, 2, 4, 5]), torch.tensor([0.0, 0.1, 0.8, 0.9, 0.9])
    half = best_mixture(exposures, losses, 1.0)
    torch.testing.assert_close(half.shares, torch.tensor([0.5, 0, 0.5, 0, 0], dtype=F64))
    assert (half.exposure, half.loss) == (pytest.approx(0.4), pytest.approx(1.0))
    assert best_mixture(exposures, losses, 0.0).shares.tolist() == [1, 0, 0, 0, 0]
    for cap in (4.0, 100.0, float("inf")):
        assert best_mixture(exposures, losses, cap).shares.tolist() == [0, 0, 0, 1, 0]  # the last costs more


def test_an_entry_of_its_own_is_not_made_of_others_and_equal_ones_give_the_first() -> None:
    on_a_line = torch.tensor([0.0, 1.0, 2.0])
    assert best_mixture(on_a_line, on_a_line, 1.0).shares.tolist() == [0, 1, 0]
    twice = torch.tensor([0.0, 0.5, 0.5])
    assert best_mixture(twice, twice, 0.5).shares.tolist() == [0, 1, 0]
    better_than_untouched = best_mixture(torch.tensor([0.2, 0.7]), torch.tensor([0.0, -1.0]), 0.0)
    assert better_than_untouched.shares.tolist() == [0, 1]


def test_shares_of_one_replicate_score_another() -> None:
    found = best_mixture(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 4.0]), 1.0)
    other = torch.tensor([[0.1, 0.0], [0.7, 0.2]], dtype=F64)  # (entry, quantity)
    torch.testing.assert_close(found.shares @ other, torch.tensor([0.25, 0.05], dtype=F64))


@pytest.mark.parametrize(
    ("exposures", "losses", "cap", "message"),
    [
        (torch.ones(2), torch.ones(3), 1.0, r"one shape \(entry,\), got \(2,\) and \(3,\)"),
        (torch.ones(2, 1), torch.ones(2, 1), 1.0, "one shape"),
        (torch.ones(0), torch.ones(0), 1.0, "one shape"),
        (torch.ones(2), torch.tensor([0.5, 0.75]), 0.25, "the least loss of an entry, 0.5, got 0.25"),
        (torch.tensor([0.0, torch.nan]), torch.ones(2), 1.0, "exposures must be finite"),
        (torch.ones(2), torch.tensor([0.0, torch.inf]), 1.0, "losses must be finite"),
        (torch.ones(2), torch.ones(2), float("nan"), "cap must be a number"),
    ],
)
def test_what_is_no_program_is_refused(exposures: torch.Tensor, losses: torch.Tensor, cap: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_mixture(exposures, losses, cap)
