"""Learners where bidders see the context: they learn each context's auction, and files keep what they observe."""

from pathlib import Path
from typing import Any

import pytest
import torch

from auctionsim.agents import (
    BestResponse,
    ByContext,
    EquilibriumLearner,
    ExponentialWeights,
    HedgeSettings,
    Shading,
    TableStrategy,
    Truthful,
    learn_by_context,
    load_strategies,
    save_strategies,
)
from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, NetworkStrategy, Sight
from auctionsim.mechanisms import FirstPrice, PayAsBid
from auctionsim.priors import Uniform
from auctionsim.regret import InterimSettings, ex_interim_regret
from auctionsim.strategies import OBSERVED, Situation, bids_of, observed_by, played
from auctionsim.substrates import Items
from tests.two_contexts import TwoContexts

PLACE = TwoContexts()
RULE = PayAsBid(PLACE)
UNIT = Uniform(0, 1)
V = torch.linspace(0.1, 1, 10).unsqueeze(1)


def told(context: int, like: torch.Tensor = V) -> Situation:
    return Situation(context=torch.full((len(like),), context))


def test_the_equilibrium_learner_learns_each_context() -> None:
    learner = EquilibriumLearner(RULE, PLACE, UNIT, seed=0, batch=128, observe=("context",))
    first, second = learner.train(80)
    assert observed_by(first) == ("context",)
    assert float(bids_of(first, V, told(0)).max()) < 0.15  # alone, any bid wins
    for one in (first, second):
        assert float((bids_of(one, V, told(1)) - V / 2).abs().mean()) < 0.05
    few: dict[str, Any] = {"draws": 128, "settings": InterimSettings(types=8, budget=32)}
    seeing = ex_interim_regret(RULE, PLACE, UNIT, strategies=[first, second], **few)
    assert seeing.mean < ex_interim_regret(RULE, PLACE, UNIT, strategies=Shading(0.5), **few).mean / 2
    assert observed_by(EquilibriumLearner(RULE, PLACE, UNIT, seed=0).strategies[0]) == ()


def test_what_a_single_round_does_not_have_is_refused_by_the_learner() -> None:
    with pytest.raises(ValueError, match=r"plays single rounds: observe must be \(\) or \('context',\), got"):
        EquilibriumLearner(RULE, PLACE, UNIT, seed=0, observe=("budget_left",))
    with pytest.raises(ValueError, match=r"got .'context', 'context'."):
        EquilibriumLearner(RULE, PLACE, UNIT, seed=0, observe=("context", "context"))
    with pytest.raises(ValueError, match="got 'context'"):
        EquilibriumLearner(RULE, PLACE, UNIT, seed=0, observe="context")
    with pytest.raises(ValueError, match="has no contexts"):
        EquilibriumLearner(FirstPrice(), Items(2), UNIT, seed=0, observe=("context",))
    seeing = EquilibriumLearner(RULE, PLACE, UNIT, seed=0, observe=("context",)).strategies[0]
    with pytest.raises(ValueError, match="bids by context, one of 2: none is told here"):
        bids_of(seeing, V, Situation())


def test_exponential_weights_learn_one_context_or_each() -> None:
    first, second = learn_by_context(RULE, PLACE, UNIT, 100, seed=0, settings=HedgeSettings(bids=21, bins=10, batch=32))
    assert float(bids_of(first, V, told(0)).max()) < 0.2
    assert float((bids_of(first, V, told(1)) - V / 2).abs().mean()) < 0.08
    alone = ExponentialWeights(
        RULE, PLACE, UNIT, seed=1, settings=HedgeSettings(bids=21, bins=10, batch=32), context=1
    ).train(100)
    assert torch.equal(bids_of(second, V, told(1)), alone[1](V))
    with pytest.raises(ValueError, match="context must index 2 contexts, got 2"):
        ExponentialWeights(RULE, PLACE, UNIT, seed=0, context=2)
    with pytest.raises(ValueError, match="has no contexts"):
        learn_by_context(FirstPrice(), Items(2), UNIT, 2, seed=0)


def test_a_best_response_answers_a_field_that_sees_the_context() -> None:
    """Rivals bid ¼ for certain where both meet and nothing where bidder 0 is alone."""
    quarter = TableStrategy(torch.tensor([0.0, 1.0]), torch.tensor([0.25, 0.25]))
    field = ByContext([Shading(0.0), quarter])
    each = [
        BestResponse(
            RULE, PLACE, UNIT, 0, field, generator=torch.Generator().manual_seed(0), context=k, candidates=101, draws=64
        )
        for k in range(2)
    ]
    v = torch.tensor([[0.2], [1.0]])
    seeing = ByContext(each)
    torch.testing.assert_close(bids_of(seeing, v, told(0, v)), torch.tensor([[0.01], [0.01]]))
    assert torch.allclose(bids_of(seeing, v, told(1, v)), torch.tensor([[0.0], [0.25]]))  # index 0 wins ties
    blind = BestResponse(
        RULE, PLACE, UNIT, 0, field, generator=torch.Generator().manual_seed(0), candidates=101, draws=512
    )
    assert float(blind(v)[1]) in (pytest.approx(0.01), pytest.approx(0.25))
    with pytest.raises(ValueError, match="context must index 2 contexts, got -1"):
        BestResponse(RULE, PLACE, UNIT, 0, generator=torch.Generator(), context=-1)


def test_one_strategy_a_context_mixes_rows_and_refuses_others() -> None:
    strategy = ByContext([Truthful(), Shading(0.5), ByContext([Truthful()] * 2 + [Shading(2.0)])])
    v = torch.ones(4, 2, 1)
    bids = played([strategy, Truthful()], v, torch.tensor([2, 1, 0, 1]))
    assert bids[:, 0, 0].tolist() == [2.0, 0.5, 1.0, 0.5]
    assert observed_by(strategy) == ("context",)
    with pytest.raises(ValueError, match=r"for contexts 0 … 2, told: \[3\]"):
        bids_of(strategy, V, told(3))
    with pytest.raises(ValueError, match="told: none"):
        bids_of(strategy, V, Situation())
    with pytest.raises(ValueError, match="one strategy a context"):
        ByContext([])


def test_files_keep_what_strategies_observe(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    sight = Sight(("last_exposure", "context", "budget_left", "round", "last_payment"), torch.rand(2 + 3 + 3) + 0.5)
    networks = [BiddingNetwork(torch.ones(2), 8, generator, sight=sight) for _ in range(2)]
    table = TableStrategy(torch.tensor([0.0, 1.0]), torch.rand(2, 2))
    seeing = NetworkStrategy(networks[0])
    several = [seeing, CappedStrategy(networks[1]), ByContext([table, Shading(0.5), seeing])]
    save_strategies(tmp_path / "b.safetensors", several, {})
    again = load_strategies(tmp_path / "b.safetensors").strategies
    v = torch.rand(6, 2)
    situation = Situation(
        torch.tensor([0, 1, 2, 0, 1, 2]), torch.rand(6), torch.arange(6), torch.rand(6, 2), torch.rand(6)
    )
    for before, after in zip(several, again, strict=True):
        assert observed_by(before) == observed_by(after)
        assert set(observed_by(after)) == set(OBSERVED)
        assert torch.equal(bids_of(before, v, situation), bids_of(after, v, situation))
    moved = situation._replace(budget_left=situation.budget_left * 0)  # type: ignore[operator]
    assert not torch.equal(bids_of(again[0], v, situation), bids_of(again[0], v, moved))
    unlimited = situation._replace(budget_left=torch.full((6,), torch.inf))
    assert bool(bids_of(again[0], v, unlimited).isfinite().all())


@pytest.mark.parametrize(
    ("observes", "scales"),
    [(("context",), []), (("round",), [1.0, 1.0]), (("last_exposure", "context"), [1.0, 1.0]), (("round",), [-1.0])],
)
def test_scales_must_fit_what_is_seen(observes: tuple[str, ...], scales: list[float]) -> None:
    with pytest.raises(ValueError, match=r"a network that sees|scales must be >= 0"):
        BiddingNetwork(torch.ones(2), 4, torch.Generator(), sight=Sight(observes, torch.tensor(scales)))
