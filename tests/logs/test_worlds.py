"""Worlds (b), (c), (d): their closed forms, their truth, and what raw logs say of it."""

from dataclasses import replace

import numpy as np
import pytest

from auctionsim.errors import InputError
from auctionsim.logs import STANDARD_ESTIMATION, LogColumns, Sources, World
from auctionsim.logs.estimators import estimator
from auctionsim.logs.worlds import (
    LinearGaussian,
    LinearGaussianParameters,
    MeasuredParameters,
    MeasuredReplies,
    PostedPrices,
    ProgrammeParameters,
    Programmes,
    hidden_means,
    world,
    world_names,
)
from auctionsim.priors import parse_priors
from auctionsim.scoring import ScoringSettings, case_of, score

VIOLATIONS = [
    LinearGaussian(LinearGaussianParameters(past_mediator=0.4, hidden_in_mediator=0.5)),
    MeasuredReplies(MeasuredParameters(past_mediator=0.1, hidden_in_mediator=0.6, nonlinearity=0.5, real="B")),
    MeasuredReplies(MeasuredParameters(measured="charities-2-slots@1", brand=1, loss="quality")),
    Programmes(ProgrammeParameters(profiles=64, past_mediator=0.02, hidden_in_mediator=0.3, real="B")),
]


def test_every_world_is_a_world() -> None:
    assert {"linear-gaussian", "measured-replies", "posted-prices", "programmes"} <= set(world_names())
    for name in world_names():
        assert isinstance(world(name), World)
        assert world(name).name == name
    with pytest.raises(InputError, match="linear-gaussian"):
        world("mars")


@pytest.mark.parametrize("one", [*map(world, world_names()), *VIOLATIONS], ids=lambda one: one.name)
def test_the_truth_is_what_a_large_experiment_finds(one: World) -> None:
    """The mean outcome by option, within 4.5 standard errors of the values that a world states."""
    exp = one.draw_exp(6_000, np.random.default_rng(0))
    assert exp.columns == one.columns
    assert isinstance(one.columns, LogColumns)
    found = estimator("exp_means").estimate(Sources(None, exp), STANDARD_ESTIMATION, np.random.default_rng(0))
    assert (np.abs(found.values - one.values()) < 4.5 * found.standard_errors).all()


@pytest.mark.parametrize("one", [*map(world, world_names()), *VIOLATIONS], ids=lambda one: one.name)
def test_propensities_are_those_that_options_are_chosen_by(one: World) -> None:
    """1[M = m]/p has the mean 1 under every option, in logs and experiments."""
    for draw in (one.draw_obs, one.draw_exp):
        log = draw(6_000, np.random.default_rng(1))
        assert log.propensity is not None
        weights = log.indicators / log.propensity[:, None]
        assert (np.abs(weights.mean(0) - 1) < 4.5 * weights.std(0) / 6_000**0.5).all()
    assert not one.draw_obs(2, np.random.default_rng(0)).randomised


def test_steered_bidders_make_the_dearer_programme_look_better() -> None:
    one = PostedPrices()
    assert one.values() == pytest.approx([0.16, 0.24])
    assert one.raw_values() == pytest.approx([0.342857, 0.151724], abs=5e-7)
    choice = int(one.raw_values().argmax())
    assert one.values().max() - one.values()[choice] == pytest.approx(0.08)


@pytest.mark.parametrize(
    "one", [PostedPrices(), PostedPrices(prices=(0.9, 0.3), threshold=0.2, steering=0.7), PostedPrices((0.3, 0.5))]
)
def test_true_propensities_make_inverse_weights_unbiased(one: PostedPrices) -> None:
    """The mean of 1,000 logs of 200 bidders; and raw means are where the formula puts them."""
    obs = one.draw_obs(200, np.random.default_rng(2), (1000,))
    sources = Sources(obs, None, one.replays(obs))
    means = {}
    for name in ("ips_obs", "raw_means"):
        found = estimator(name).estimate(sources, STANDARD_ESTIMATION, np.random.default_rng(0)).values
        means[name] = found.mean(0), found.std(0) / np.sqrt(1000)
    assert (np.abs(means["ips_obs"][0] - one.values()) < 4 * means["ips_obs"][1]).all()
    assert (np.abs(means["raw_means"][0] - one.raw_values()) < 4 * means["raw_means"][1] + 1e-3).all()


def test_heat_chooses_settings_as_its_law_says() -> None:
    assert hidden_means(1.0, 5) == pytest.approx([-0.8959, -0.4199, 0, 0.4199, 0.8959], abs=5e-5)
    assert hidden_means(0.0, 3) == pytest.approx([0, 0, 0])
    log = MeasuredReplies(MeasuredParameters(heat=100.0, loss_weight=0.0)).draw_obs(20_000, np.random.default_rng(3))
    heat = (log.outcome - 1) / 100  # nearly U alone
    found = [heat[log.option == k].mean() for k in range(5)]
    assert found == pytest.approx(hidden_means(1.0, 5), abs=0.06)


def test_raw_logs_of_replies_mislead_and_a_small_experiment_with_replays_does_not() -> None:
    """500 draws of 200 randomised sessions."""
    one, rng = MeasuredReplies(), np.random.default_rng(4)
    obs, exp = one.draw_obs(6_000, rng), one.draw_exp(200, rng, (500,))
    raw = estimator("raw_means").estimate(Sources(obs, None), STANDARD_ESTIMATION, rng).values
    best = int(one.values().argmax())
    assert raw.argmax() != best
    found = estimator("exp_only_direct").estimate(Sources(None, exp, one.replays(exp)), STANDARD_ESTIMATION, rng)
    assert (found.values.argmax(-1) == best).mean() >= 0.95


def test_replays_of_replies_are_the_stored_ones() -> None:
    """A replayed law's means are those of the replies that sessions of that context and setting see."""
    one = MeasuredReplies(MeasuredParameters(hidden_in_mediator=0.5))
    exp = one.draw_exp(30_000, np.random.default_rng(5))
    replays = one.replays(exp)
    means = (replays.weights[..., None] * replays.mediators).sum(-2)
    for kind in range(3):
        for option in range(5):
            rows = exp.mediators[(replays.kind == kind) & (exp.option == option)]
            error = rows.std(0) / np.sqrt(len(rows))
            assert (np.abs(rows.mean(0) - means[kind, option]) < 5 * error + 1e-12).all()


def test_a_programme_is_worth_what_the_scorer_says() -> None:
    one = Programmes(ProgrammeParameters(profiles=48, shading=1.0))
    view = one._view
    case = case_of(view, parse_priors("uniform:0,1"), 1.0, ScoringSettings(2, 1, 2), seed=0, profiles=one.profiles)
    for name, mechanism, value in zip(one.columns.options, one.mechanisms, one.values(), strict=True):
        assert score(name, mechanism, case).objective.mean == pytest.approx(value, abs=1e-9), name


def test_strong_advertisers_make_their_programme_look_better() -> None:
    one = Programmes(ProgrammeParameters(profiles=256))
    obs = one.draw_obs(20_000, np.random.default_rng(6))
    raw = estimator("raw_means").estimate(Sources(obs, None), STANDARD_ESTIMATION, np.random.default_rng(0)).values
    assert one.columns.options[int(raw.argmax())] == "pay-as-bid"
    assert one.columns.options[int(one.values().argmax())] != "pay-as-bid"


def test_what_no_world_is_made_of_is_refused() -> None:
    with pytest.raises(InputError, match="without values of single replies"):
        _ = MeasuredReplies(MeasuredParameters(measured="charities-3-subsets@2")).columns
    with pytest.raises(InputError, match="loss must be one of"):
        _ = MeasuredReplies(MeasuredParameters(loss="boredom")).columns
    with pytest.raises(InputError, match="real must be replicate A or B"):
        ProgrammeParameters(real="C")
    with pytest.raises(InputError, match="ships for slot_probability"):
        _ = Programmes(ProgrammeParameters(surface="running-shoes-2-attribution@2")).mechanisms
    one = Programmes(ProgrammeParameters(profiles=16))
    log = one.draw_exp(3, np.random.default_rng(0))
    with pytest.raises(InputError, match="this world's profiles"):
        one.replays(replace(log, context=log.context + 0.001))
