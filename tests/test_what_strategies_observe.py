"""What strategies are told: what they declare, nothing else, and a clear refusal of what is not there."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from auctionsim.observation_layout import ObservationLayout
from auctionsim.strategies import OBSERVED, Situation, bids_of, observed_by, played

V = torch.tensor([[0.5, 1.0], [0.25, 0.75]])
FULL = Situation(
    context=torch.tensor([1, 0]),
    budget_left=torch.tensor([2.0, 0.5]),
    round=torch.tensor([3, 3]),
    last_exposure=torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
    last_payment=torch.tensor([0.25, 0.0]),
)


def watching(*names: str) -> tuple[Callable[..., Tensor], list[Situation]]:
    """Return a truthful strategy that observes `names`, and the list of what it was told."""
    told: list[Situation] = []

    def watcher(valuations: Tensor, situation: Situation) -> Tensor:
        told.append(situation)
        return valuations

    watcher.observes = names  # type: ignore[attr-defined]
    return watcher, told


@pytest.mark.parametrize("names", [OBSERVED, ("context",), ("round", "budget_left"), ("last_payment",)])
def test_a_strategy_is_told_what_it_declares_and_nothing_else(names: tuple[str, ...]) -> None:
    strategy, told = watching(*names)
    assert torch.equal(bids_of(strategy, V, FULL), V)
    for name in OBSERVED:
        seen = getattr(told[0], name)
        assert (seen is None) == (name not in names)
        assert seen is None or torch.equal(seen, getattr(FULL, name))


def test_a_plain_callable_gets_its_valuations_alone_and_none_is_truth() -> None:
    assert torch.equal(bids_of(lambda v: v / 2, V, FULL), V / 2)
    assert torch.equal(bids_of(None, V, FULL), V)
    assert observed_by(None) == observed_by(lambda v: v) == ()


@pytest.mark.parametrize("names", ["context", ("budget",), ("round", "round"), ("context", "price")])
def test_what_nobody_can_tell_is_refused(names: object) -> None:
    strategy, _ = watching()
    strategy.observes = names  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"watcher\.observes must name some of"):
        bids_of(strategy, V, FULL)


@pytest.mark.parametrize("name", ["budget_left", "round", "last_exposure", "last_payment"])
def test_a_single_round_has_neither_a_budget_nor_a_round_before(name: str) -> None:
    strategy, told = watching("context", name)
    with pytest.raises(ValueError, match=f"watcher observes {name}, which a single round does not have"):
        played([strategy, strategy], V.unsqueeze(2), torch.tensor([0, 1]))
    assert not told


def test_rows_of_mixed_contexts_each_get_their_own() -> None:
    def by_context(valuations: Tensor, situation: Situation) -> Tensor:
        assert situation.context is not None
        return valuations * (1 + situation.context).unsqueeze(1)

    by_context.observes = ("context",)  # type: ignore[attr-defined]
    v = torch.ones(3, 2, 1)
    bids = played([by_context, lambda x: x], v, torch.tensor([2, 0, 1]))
    assert bids.squeeze(2).tolist() == [[3.0, 1.0], [1.0, 1.0], [2.0, 1.0]]


@pytest.mark.parametrize("strategy", [lambda v: v[:, :1], lambda v: -v, lambda v: v / 0 * 0, lambda v: v.unsqueeze(0)])
def test_bad_bids_are_refused(strategy: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"shape of valuations|finite and >= 0"):
        played([strategy, strategy], torch.zeros(4, 2, 2) + 0.5)


def test_a_layout_reads_an_observation_back() -> None:
    layout = ObservationLayout(
        ("valuation", "last_payment", "context", "menu", "round", "budget", "last_exposure"),
        (2, 1, 3, 2, 1, 1, 2),
        rounds=8,
        has_contexts=True,
        has_budgets=True,
    )
    seen = torch.tensor([[0.5, 0.75, 0.25, 0.0, 1.0, 0.0, 9.0, 9.0, 0.375, 1.5, 0.1, 0.2]])
    told = layout.situation(seen)
    assert layout.valuations(seen).tolist() == [[0.5, 0.75]]
    assert (told.context, told.round) == (torch.tensor([1]), torch.tensor([3]))
    assert told.budget_left is not None
    assert told.budget_left.tolist() == [1.5]
    assert told.last_payment is not None
    assert told.last_payment.tolist() == [0.25]
    assert told.last_exposure is not None
    torch.testing.assert_close(told.last_exposure, torch.tensor([[0.1, 0.2]]))
    assert layout.tells == ("last_payment", "context", "round", "budget_left", "last_exposure")
    high = torch.tensor([1.0, 1.0, 4.0, 1.0, 1.0, 1.0, 9.0, 9.0, 1.0, 6.0, 0.5, 0.25])
    assert layout.scales(high).tolist() == [4.0, 1.0, 1.0, 1.0, 8.0, 6.0, 0.5, 0.25]


def test_a_layout_refuses_what_it_does_not_show_but_not_what_the_game_has_not() -> None:
    plain = ObservationLayout(("valuation",), (1,), rounds=4, has_contexts=True, has_budgets=True)
    seen = torch.tensor([[0.5]])
    for name in OBSERVED:
        with pytest.raises(ValueError, match=f"watcher bids on valuation, {name}; this observation shows valuation"):
            plain.bids(watching(name)[0], seen)
    strategy, told = watching("context", "budget_left")
    bare = plain._replace(has_contexts=False, has_budgets=False)
    assert bare.bids(strategy, seen).tolist() == [[0.5]]
    assert told[0].context is None
    assert told[0].budget_left is not None
    assert told[0].budget_left.tolist() == [float("inf")]
    with pytest.raises(ValueError, match="bids on valuation"):
        plain._replace(names=("round",)).bids(None, seen)
