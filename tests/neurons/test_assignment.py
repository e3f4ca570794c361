"""Turns are fair and sets disjoint: properties of the assignment on any scores."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.neurons import assign_disjoint


@st.composite
def cases(draw: st.DrawFn) -> tuple[Tensor, int]:
    brands, count = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    neurons = draw(st.integers(brands * count, brands * count + 6))
    row = st.lists(st.sampled_from([0.25, 0.5, 1.0, 2.0]), min_size=neurons, max_size=neurons)
    return torch.tensor(draw(st.lists(row, min_size=brands, max_size=brands))), count


@given(cases())
def test_sets_are_disjoint_best_first_and_complete(case: tuple[Tensor, int]) -> None:
    scores, count = case
    chosen = assign_disjoint(scores, count)
    assert chosen.shape == (len(scores), count)
    assert chosen.dtype == torch.int64
    assert chosen.unique().numel() == chosen.numel()
    own = scores.gather(1, chosen)
    assert (own.diff(dim=1) <= 0).all()
    free = torch.ones(scores.shape[1], dtype=torch.bool)
    free[chosen.flatten()] = False
    if free.any():  # nobody leaves a better neuron lying
        assert (own[:, -1] >= scores[:, free].max(1).values).all()


@given(cases())
def test_a_longer_ranking_begins_with_the_shorter(case: tuple[Tensor, int]) -> None:
    scores, count = case
    for shorter in range(1, count):
        assert torch.equal(assign_disjoint(scores, shorter), assign_disjoint(scores, count)[:, :shorter])


@given(cases())
def test_a_brand_alone_gets_its_top(case: tuple[Tensor, int]) -> None:
    scores, count = case
    expected = scores[0].sort(descending=True, stable=True).indices[:count]
    assert torch.equal(assign_disjoint(scores[:1], count)[0], expected)


def test_the_first_turn_goes_round() -> None:
    """Everybody wants the same neurons in the same order: brand 0 begins round 0, brand 1 round 1."""
    scores = torch.tensor([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]] * 2)
    assert assign_disjoint(scores, 3).tolist() == [[0, 3, 4], [1, 2, 5]]
    three = torch.arange(9.0, 0, -1).expand(3, 9)
    assert assign_disjoint(three, 3).tolist() == [[0, 5, 7], [1, 3, 8], [2, 4, 6]]


def test_no_neuron_without_a_positive_score_is_sold() -> None:
    scores = torch.tensor([[1.0, 0.0, -1.0, 2.0], [3.0, 3.0, 3.0, 3.0]])
    assert assign_disjoint(scores, 1).tolist() == [[3], [0]]
    with pytest.raises(ValueError, match="brand 0 has only 1 free neurons of positive score, 2 needed"):
        assign_disjoint(scores, 2)
    with pytest.raises(ValueError, match="brand 0 has only 1 free neurons of positive score, 2 needed"):
        assign_disjoint(torch.ones(2, 3), 2)
