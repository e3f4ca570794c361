"""The fuzz of public entries: right arguments with one or a few values bent, and what was built is then used.

Tensors, numbers, texts and lists become anything; substrates, mechanisms, priors and strategies become others of their
kind. Counts that ask for work (rows, draws, steps) stay small: who asks for a year's work waits a year.
Run by `test_fuzz.py` in a process of its own: `python tests/fuzz/entries.py COUNT SEED`.
"""

import os
import random
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from bending import NUMBERS, bent, bent_tensor, value
from small_carriers import (
    BRANDS,
    COMPANIONS,
    MODEL,
    TEXTS,
    check_numbers,
    small_carriers,
    small_neurons,
    use_carrier,
)
from torch import Tensor
from trying import Target, run

from auctionsim import agents, envs, metrics, regret
from auctionsim import mechanisms as m
from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers import Neurons, carrier_entry, register
from auctionsim.carriers.choice import ReplyChoice
from auctionsim.carriers.displayed_bids import DisplayedBids
from auctionsim.carriers.insertion import Insertion
from auctionsim.carriers.logit_bias import BrandTokens
from auctionsim.carriers.low_rank import LowRankUpdates
from auctionsim.carriers.prompt_ad import PromptAd
from auctionsim.carriers.residual_vector import ResidualVectors
from auctionsim.carriers.segments import Segments
from auctionsim.carriers.slots import Slots
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.cli.options import numbers, whole_numbers
from auctionsim.experiments.studies.say import parse_boosts
from auctionsim.language_models.low_rank import LowRankFactors
from auctionsim.levers import null_levers
from auctionsim.measurement import MeasurementSettings
from auctionsim.mechanisms.showings import Showings
from auctionsim.neurons import BrandNeurons
from auctionsim.outcome import Outcome
from auctionsim.priors import (
    Beta,
    Empirical,
    Exponential,
    Mixture,
    Prior,
    TruncatedNormal,
    Uniform,
    parse_priors,
    product,
)
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.record_keywords import record_fields
from auctionsim.scoring import ScoringSettings, compare
from auctionsim.substrates import (
    Bundles,
    Items,
    Lever,
    LeverGrid,
    Lottery,
    MeasuredList,
    Measurement,
    MNLPositions,
    Positions,
    Prominence,
    QuadraticSubstrate,
    Randomised,
    ResponseSurface,
    Substrate,
    TokenMixtureReplies,
    Units,
)

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "substrates"), str(ROOT / "mechanisms")]

from measured_fakes import CONTEXTS, FEATURES, PROVENANCE, fake_list, fake_replicates, fake_surface  # noqa: E402
from shown_list import shown_list  # noqa: E402
from test_every_mechanism import REGISTERED, good_bids, named  # noqa: E402

DOCUMENTED = (NotImplementedError,)  # `maximise` where no exact maximum is known


class Count(int):
    """A number that asks for work: bent, but never to more work than a test has time for."""


class One:
    """An object of a role: bent to another of its role.

    Args:
        owner: What is passed.
        others: What may stand in its place.
    """

    def __init__(self, owner: Any, *others: Any) -> None:
        self.owner, self.others = owner, others


def changed(given: Any, draw: random.Random) -> Any:
    """Return another value in the place of an argument."""
    if isinstance(given, One):
        return draw.choice(given.others) if given.others else given.owner
    if isinstance(given, Count):
        return draw.choice((0, -1, 1, 2, 3, 2.5, "x", None, True, float("nan"), [2], "2"))
    if isinstance(given, Tensor):
        return (
            bent_tensor(given, draw)
            if draw.random() < 0.85
            else draw.choice((None, given.tolist(), given.numpy(), value(draw)))
        )
    if isinstance(given, tuple) and any(isinstance(part, (One, Count, Tensor)) for part in given):
        place = draw.randrange(len(given))
        parts = tuple(changed(part, draw) if k == place else plain(part) for k, part in enumerate(given))
        return draw.choice((parts, parts, parts, parts[:-1], value(draw)))
    if isinstance(given, (list, dict, tuple)):
        made = bent(list(given) if isinstance(given, tuple) else given, draw)
        return tuple(made) if isinstance(given, tuple) and isinstance(made, list) else made
    if isinstance(given, (int, float)) and not isinstance(given, bool):
        return draw.choice((draw.choice(NUMBERS), value(draw)))
    return value(draw)


def plain(given: Any) -> Any:
    """Return an argument as it is passed."""
    if isinstance(given, One):
        return given.owner
    if isinstance(given, tuple):
        return tuple(map(plain, given))
    return int(given) if isinstance(given, Count) else given


def target(call: Callable[..., Any], *given: Any, **named_: Any) -> Target:
    """Return a target that calls with one argument bent, sometimes two, or none."""

    def attempt(draw: random.Random) -> Any:
        every = [*range(len(given)), *named_]
        chosen = set(draw.sample(every, k=min(len(every), draw.choice((0, 1, 1, 1, 1, 1, 2)))))
        first = [changed(one, draw) if k in chosen else plain(one) for k, one in enumerate(given)]
        more = {name: changed(one, draw) if name in chosen else plain(one) for name, one in named_.items()}
        return call(*first, **more)

    return attempt, DOCUMENTED


def finite(*parts: Any) -> None:
    """Refuse an answer that holds a number that is none."""
    for part in parts:
        if isinstance(part, Tensor) and part.is_floating_point() and not bool(part.isfinite().all()):
            raise AssertionError(f"answers {part[~part.isfinite()][0].item()}")


def use_substrate(substrate: Substrate) -> None:
    """Ask a substrate all that a mechanism asks."""
    x = substrate.null_allocation(2)
    weights = torch.ones(2, substrate.num_bidders, len(substrate.features))
    finite(substrate.exposure(x), substrate.user_loss(x), substrate.maximise(weights, 0.5))
    assert bool(substrate.feasible(x).all())


def use_rule(rule: m.Mechanism) -> None:
    """Clear an auction."""
    bids = torch.full((2, rule.num_bidders or 3, rule.num_features or 1), 0.5)
    finite(*rule(bids))


def use_prior(prior: Prior) -> None:
    """Ask a prior for its numbers."""
    v = torch.tensor([0.0, 0.5, 1.0, 3.0], dtype=torch.float64)
    finite(prior.cdf(v), prior.curve.inverse(v))
    assert not bool(prior.virtual_value(v).isnan().any())  # infinite where nothing is left above
    finite(prior.sample((5,), torch.Generator().manual_seed(0), torch.float64))
    assert 0 <= float(prior.cdf(prior.mean)) <= 1
    repr(prior)


def then(build: Callable[..., Any], use: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a call that builds and uses."""
    return lambda *given, **more: use(build(*given, **more))


SUBSTRATES: list[Substrate] = [
    Items(2),
    Items(3, 2),
    Positions(3, (1.0, 0.5)),
    Units(2, 3),
    Bundles.llg(),
    Lottery(torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0)), torch.rand(3)),
    QuadraticSubstrate(2, 0.5),
    fake_surface(),
    fake_list(3),
    Randomised(fake_list(3)),
    Prominence(3, 0.5),
    MNLPositions(((1.5, 0.8), (1.2, 0.9))),
    TokenMixtureReplies(torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0.25, 0.75])),
]
PRIORS = (Uniform(0, 1), Exponential(1), Beta(2, 5), Mixture([Uniform(0, 1), Uniform(1, 2)]), Empirical([1.0, 2.0]))
QUADRATIC, SURFACE = QuadraticSubstrate(2, 0.5), fake_surface().sell("slot_probability")
SHOWN = Randomised(shown_list(5, bidders=2))
PRIOR = One(Uniform(0, 1), *PRIORS, [Uniform(0, 1)] * 2, [Uniform(0, 1)] * 3, [[Uniform(0, 1)], [Exponential(1)]], [])
V = torch.rand(4, 2, 1, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
CONTEXT = torch.tensor([0, 1, 2, 0])


def of_substrates() -> dict[str, Target]:
    """Return every substrate's constructor and methods."""
    found: dict[str, Target] = {}
    for number, place in enumerate(SUBSTRATES):
        name = f"{type(place).__name__} {number}"
        x = place.null_allocation(2)
        weights = torch.rand(2, place.num_bidders, len(place.features))
        contexts = torch.tensor([0, 1]) if getattr(place, "contexts", ()) else None
        found |= {
            f"{name} exposure": target(place.exposure, x, contexts),
            f"{name} user_loss": target(place.user_loss, x, contexts),
            f"{name} feasible": target(place.feasible, x),
            f"{name} maximise": target(place.maximise, weights, 0.5, contexts),
            f"{name} null_allocation": target(place.null_allocation, Count(2)),
        }
    gains, losses = torch.rand(3, 2, 1), torch.rand(3)
    allocations = torch.tensor([[[0.0, 1.0]] * 2, [[64.0, 2.0], [0.0, 1.0]]], dtype=torch.float64)
    levers = (Lever("num_neurons", 0.0, 256.0, 0.0), Lever("amplification", 1.0, 3.0, 1.0))
    listed = fake_replicates(allocations, (2,), levers)

    def surface(name: Any, values: Any, null: Any, bidders: Any, features: Any, contexts: Any, mean: Any) -> Any:
        replicates = fake_surface(1, (LeverGrid("a", (0.0, 1.0), 0.0),)).replicates
        a = replicates["A"]
        part = a._replace(losses={"kl": Measurement(mean, *a.losses["kl"][1:])})
        return ResponseSurface(
            grids=[LeverGrid(name, values, null)],
            num_bidders=bidders,
            features=features,
            contexts=contexts,
            replicates={**replicates, "A": part},
            provenance=PROVENANCE,
        )

    def measured(given: Any, features: Any, contexts: Any, low: Any, null: Any) -> Any:
        return MeasuredList(
            levers=(Lever("num_neurons", low, 256.0, null), levers[1]),
            allocations=given,
            features=features,
            contexts=contexts,
            replicates=listed,
            provenance=PROVENANCE,
        )

    loss = fake_surface(1, (LeverGrid("a", (0.0, 1.0), 0.0),)).replicates["A"].losses["kl"].mean
    return found | {
        "Items": target(then(Items, use_substrate), Count(2), Count(2)),
        "Positions": target(then(Positions, use_substrate), Count(2), [1.0, 0.5]),
        "Prominence": target(then(Prominence, use_substrate), Count(2), 0.5),
        "MNLPositions": target(then(MNLPositions, use_substrate), ((1.5, 0.8), (1.2, 0.9))),
        "TokenMixtureReplies": target(
            then(TokenMixtureReplies, use_substrate),
            torch.tensor([[0.75, 0.25], [0.5, 0.5]]),
            torch.tensor([0.25, 0.75]),
            "linear",
            "named",
            ((0,), (1,)),
            Count(2),
        ),
        "Units": target(then(Units, use_substrate), Count(2), Count(2)),
        "Bundles": target(then(Bundles, use_substrate), ((0,), (1,), (0, 1))),
        "Lottery": target(then(Lottery, use_substrate), gains, losses, torch.tensor([0.25, 0.25, 0.5])),
        "Randomised": target(
            then(Randomised, use_substrate), One(Bundles.llg(), *SUBSTRATES), torch.tensor([0.5, 0.25, 0.25, 0.0, 0.0])
        ),
        "QuadraticSubstrate": target(then(QuadraticSubstrate, use_substrate), Count(2), 0.5),
        "ResponseSurface": target(
            then(surface, use_substrate), "a", [0.0, 1.0], 0.0, Count(1), list(FEATURES), list(CONTEXTS), loss
        ),
        "MeasuredList": target(then(measured, use_substrate), allocations, list(FEATURES), list(CONTEXTS), 0.0, 0.0),
        "sell": target(fake_surface().sell, "hits"),
        "replicate": target(fake_surface().replicate, "A"),
        "fewest_draws": target(fake_surface().fewest_draws, "hits"),
        "packaged": target(ResponseSurface.packaged, "nosuch@1"),
    }


def of_mechanisms() -> dict[str, Target]:
    """Return every mechanism, called and built."""
    found: dict[str, Target] = {
        f"{named(rule)} {k}": target(lambda *g, rule=rule: finite(*rule(*g)), good_bids(rule), None)
        for k, rule in enumerate(REGISTERED)
    }
    place = One(QUADRATIC, *SUBSTRATES)
    levers, prices = torch.tensor([[[0.5], [1.0]]] * 2), torch.tensor([[0.1, 0.3]] * 2)
    listed = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]], [[0.0], [1.0]]])
    for kind in (m.FirstPrice, m.SecondPrice, m.ThirdPrice, m.AllPay):
        found[f"{kind.__name__} built"] = target(then(kind, use_rule), 0.25)
    return found | {
        "PostedPrice built": target(then(m.PostedPrice, use_rule), torch.tensor([0.5])),
        "VCG built": target(then(m.VCG, use_rule), place, 0.5),
        "PayAsBid built": target(then(m.PayAsBid, use_rule), place, 0.5),
        "virtual built": target(
            then(m.VirtualWelfareMaximizer, use_rule), One(QUADRATIC, SURFACE, Items(2)), PRIOR, 0.5
        ),
        "virtual options": target(
            lambda below, suppress: use_rule(
                m.VirtualWelfareMaximizer(SURFACE, Uniform(1, 2), below_support=below, no_suppression=suppress)
            ),
            "ignored",
            True,
        ),
        "MenuAuction built": target(
            lambda p, x, t, reference: use_rule(m.MenuAuction(p, m.Menu(x, t), reference=reference)),
            place,
            levers,
            prices,
            torch.zeros(2, 1),
        ),
        "BayesianMenu built": target(
            lambda p, x, t, expected: use_rule(m.BayesianMenu(p, Uniform(0, 1), m.Menu(x, t), expected)),
            place,
            levers,
            prices,
            torch.tensor([[[0.0, 0.5, 1.0]] * 2]),
        ),
        "MenuNetwork built": target(
            lambda n, hidden: use_rule(m.MenuAuction(QUADRATIC, m.MenuNetwork(QUADRATIC, entries=n, hidden=hidden))),
            Count(3),
            Count(4),
        ),
        "AffineMaximizer built": target(
            then(m.AffineMaximizer, use_rule), place, listed, torch.tensor([0.0, -0.5, -0.25]), torch.ones(2)
        ),
        "KLTilt built": target(
            then(m.KLTilt, use_rule),
            One(SUBSTRATES[5], SUBSTRATES[9]),
            0.5,
            One(None, m.ChiSquared(), m.Alpha(0.5), m.JensenShannon()),
            0.25,
        ),
        "TiltFirstPrice built": target(
            then(m.TiltFirstPrice, use_rule), SUBSTRATES[5], 0.5, None, 0.25, torch.tensor([0.5, 0.25, 0.25])
        ),
        "DeliveredVCG built": target(then(m.DeliveredVCG, use_rule), place, 0.5, torch.ones(2)),
        "TokenSecondPrice built": target(then(m.TokenSecondPrice, use_rule), One(SUBSTRATES[-1], SUBSTRATES[5])),
        "PosteriorMixtureAuction built": target(
            lambda *given: use_rule(m.PosteriorMixtureAuction(SUBSTRATES[5], Showings(0, (1, 2), {}), *given)),
            0.5,
            torch.tensor([0.5, 0.25, 0.25]),
        ),
        "ProportionalProminence built": target(
            lambda exponent, *shown: (
                use_rule(m.ProportionalProminence(Prominence(3, exponent))),
                use_rule(m.ProportionalProminence(SHOWN, Showings(*shown))),
            ),
            0.5,
            0,
            (1, 2),
            {frozenset((0, 1)): 3},
        ),
        "RegretNet built": target(
            lambda scale, user_weight: use_rule(m.RegretNet(SHOWN, None, scale, user_weight)), 0.5, 0.25
        ),
        "BidPerceptron built": target(
            lambda width, seed: use_rule(m.RegretNet(SHOWN, m.BidPerceptron((1, 4, 2, 1), width, seed))),
            Count(4),
            Count(1),
        ),
        "BidTransformer built": target(
            lambda width, seed: use_rule(m.RegretNet(SHOWN, m.BidTransformer((1, 4, 2, 1), width, seed))),
            Count(4),
            Count(1),
        ),
        "SegmentAuction built": target(
            lambda segments, *shown, **more: use_rule(m.SegmentAuction(SHOWN, Showings(*shown), segments, **more)),
            Count(2),
            0,
            (1, 2),
            {frozenset((0, 1)): 3},
            replacement=One(True, False),
            relevance=torch.tensor([0.5, 0.25]),
            reserve=0.25,
        ),
        "TwoStage built": target(
            lambda passing, *shown, **more: use_rule(m.TwoStage(SHOWN, Showings(*shown), passing, **more)),
            Count(1),
            0,
            (1, 2),
            {},
            retrieval=torch.tensor([0.5, 0.25]),
            relevance=torch.tensor([0.75, 0.5]),
            reserve=0.25,
        ),
        "winners built": target(
            lambda place, reserve, *shown: (
                use_rule(m.WinnerSecondPrice(place, Showings(*shown), reserve)),
                use_rule(m.WinnerFirstPrice(place, Showings(*shown), reserve)),
            ),
            One(SHOWN, *SUBSTRATES),
            0.25,
            0,
            (1, 2),
            {},
        ),
        "PostedShowings built": target(
            lambda *given: use_rule(m.PostedShowings(SHOWN, Showings(0, (1, 2), {frozenset((0, 1)): 3}), *given)),
            torch.tensor([0.25, 0.5]),
        ),
        "posted thresholds": target(
            lambda *given: m.design("posted-showings", SHOWN, *given), PRIOR, One(0.5, 0.0, 1e30, -1.0)
        ),
        "ShownBids built": target(then(m.ShownBids, use_rule), One(SHOWN, *SUBSTRATES), 0.5),
        "Generalized built": target(then(m.GeneralizedSecondPrice, use_rule), One(Positions(3, (1.0, 0.5))), 0.1),
        "train_menu": target(
            lambda *given, **more: use_rule(with_record(m.train_menu, "schedule", m.Schedule)(*given, **more)),
            QUADRATIC and One(QUADRATIC),
            PRIOR,
            0.5,
            entries=Count(2),
            steps=Count(2),
            batch=Count(8),
            learning_rate=0.02,
            inverse_temperatures=[20.0, 300.0],
            seed=Count(0),
        ),
        "train_affine": target(
            lambda *given, **more: use_rule(
                with_record(m.train_affine_maximizer, "schedule", m.Schedule)(*given, **more)
            ),
            One(QUADRATIC),
            PRIOR,
            0.5,
            entries=Count(2),
            steps=Count(2),
            batch=Count(8),
            learning_rate=0.02,
            inverse_temperatures=[20.0, 300.0],
            seed=Count(0),
        ),
    }


def with_record(
    function: Callable[..., Any], parameter: str, record: type, keep: tuple[str, ...] = ()
) -> Callable[..., Any]:
    """Return a function that takes a record's fields as keywords; those in `keep` are its own."""

    def called(*given: Any, **more: Any) -> Any:
        names = [name for name in record_fields(record) if name in more and name not in keep]
        return function(*given, **{parameter: record(**{name: more.pop(name) for name in names})}, **more)

    return called


def of_priors() -> dict[str, Target]:
    """Return every prior, built and asked."""
    found: dict[str, Target] = {}
    for k, prior in enumerate(PRIORS):
        v = torch.tensor([0.25, 0.5], dtype=torch.float64)
        for name in ("cdf", "quantile", "virtual_value"):
            found[f"prior {k} {name}"] = target(getattr(prior, name), v)
    return found | {
        "Uniform": target(then(Uniform, use_prior), 0.0, 1.0),
        "Exponential": target(then(Exponential, use_prior), 1.0),
        "Beta": target(then(Beta, use_prior), 2.0, 5.0, 0.0, 1.0),
        "TruncatedNormal": target(then(TruncatedNormal, use_prior), 0.5, 0.2, 0.0, 1.0),
        "Mixture": target(
            then(Mixture, use_prior), One([Uniform(0, 1), Uniform(1, 2)], [], [Uniform(0, 1)]), [0.5, 0.5]
        ),
        "Empirical": target(then(Empirical, use_prior), [0.5, 1.0, 1.0], [1.0, 2.0, 1.0]),
        "product": target(lambda *g: finite(product(*g).sample(3, torch.Generator())), PRIOR, Count(2), Count(1)),
        "parse_priors": target(parse_priors, "uniform:0,1"),
    }


def of_scores() -> dict[str, Target]:
    """Return the metrics and evaluators."""
    rule = m.SecondPrice()
    outcome = rule(V)
    found: dict[str, Target] = {}
    for name in ("utility", "revenue", "welfare", "efficiency", "ir_violation", "participation_gain", "user_loss"):
        metric = getattr(metrics, name)
        found[name] = target(lambda x, p, v, c, k=metric: finite(k(Outcome(x, p), Items(2), v, c)), *outcome, V, None)
    generator = One(torch.Generator())
    small = {"draws": Count(64), "confidence": 0.95, "generator": generator}
    plays = One(None, agents.Shading(0.5), [agents.Truthful()] * 2, [agents.Truthful()] * 3, [])
    return found | {
        "mean_interval": target(metrics.mean_interval, torch.rand(9), 0.95),
        "bootstrap_interval": target(metrics.bootstrap_interval, torch.rand(9), generator, 0.95, Count(20)),
        "bounded_mean_interval": target(regret.bounded_mean_interval, torch.rand(9), 0.95, 1.0),
        "ex_post_regret": target(
            lambda *g, **k: finite(
                with_record(regret.ex_post_regret, "bounds", regret.BoundSettings, keep=("budget",))(*g, **k).lower
            ),
            One(rule, m.FirstPrice(), m.VCG(Items(2))),
            One(Items(2)),
            V,
            context=None,
            reports=V / 2,
            budget=Count(32),
            generator=generator,
            high=1.0,
            confidence=0.95,
            use_structure=One(True, False),
        ),
        "ex_post_regret surface": target(
            lambda *g, **k: finite(regret.ex_post_regret(*g, **k).lower),
            One(m.PayAsBid(SURFACE, 0.5)),
            One(SURFACE, SURFACE.replicate("B")),
            V,
            context=CONTEXT,
            budget=Count(32),
        ),
        "ex_interim_regret": target(
            lambda *g, **k: finite(
                with_record(regret.ex_interim_regret, "settings", regret.InterimSettings)(*g, **k).lower
            ),
            One(m.FirstPrice(), rule),
            One(Items(2)),
            PRIOR,
            valuations=V,
            strategies=plays,
            budget=Count(16),
            high=1.0,
            **small,
        ),
        "exploitability": target(
            regret.exploitability, One(m.FirstPrice()), One(Items(2)), PRIOR, strategies=plays, **small
        ),
        "nash_conv": target(regret.nash_conv, One(m.FirstPrice()), One(Items(2)), PRIOR, strategies=plays, **small),
        "corner_regret": target(
            regret.corner_regret,
            One(m.FirstPrice()),
            One(Items(2)),
            PRIOR,
            torch.tensor([0.0, 0.5, 1.0]),
            torch.tensor([[0.0, 0.25]] * 2),
            budget=Count(16),
            **small,
        ),
        "deployed_regret": target(
            regret.deployed_regret,
            One(m.PayAsBid(SURFACE)),
            One(SURFACE),
            One(SURFACE.replicate("B")),
            V,
            context=CONTEXT,
            budget=Count(16),
        ),
        "compare": target(
            with_record(partial(compare, {"pay as bid": m.PayAsBid(SURFACE)}), "settings", ScoringSettings),
            One(SURFACE),
            PRIOR,
            0.5,
            seed=Count(0),
            draws=Count(16),
            regret_draws=Count(2),
            regret_budget=Count(8),
        ),
    }


def of_agents() -> dict[str, Target]:
    """Return who bids."""

    def learn(setting: Any, **more: Any) -> None:
        learner = with_record(agents.EquilibriumLearner, "ascent", agents.AscentSettings)(
            m.FirstPrice(), Items(2), setting, **more
        )
        finite(*(strategy(V[:, 0].float()) for strategy in learner.train(1)))

    def bid(strategy: Any) -> None:
        finite(strategy(V[:, 0]))

    def weigh(setting: Any, **more: Any) -> None:
        learner = with_record(agents.ExponentialWeights, "settings", agents.HedgeSettings)(
            m.FirstPrice(), Items(2), setting, **more
        )
        finite(*(strategy(V[:, 0]) for strategy in learner.train(1)))

    return {
        "Shading": target(then(agents.Shading, bid), 0.5),
        "TableStrategy": target(then(agents.TableStrategy, bid), torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.5])),
        "UniformBids": target(then(agents.UniformBids, bid), 0.0, 1.0, One(torch.Generator())),
        "RiskAverse": target(then(agents.RiskAverse, lambda u: finite(u(torch.ones(3), torch.zeros(3)))), 0.5),
        "closed_form": target(agents.closed_form_equilibrium, One(m.FirstPrice(), m.AllPay()), One(Items(2)), PRIOR),
        "EquilibriumLearner": target(
            learn, PRIOR, seed=Count(0), batch=Count(64), hidden=Count(4), learning_rate=0.03, smoothing=0.05
        ),
        "ExponentialWeights": target(
            weigh, PRIOR, seed=Count(0), bids=Count(5), bins=Count(4), batch=Count(8), step=8.0
        ),
        "BestResponse": target(
            lambda *g, **k: finite(agents.BestResponse(m.FirstPrice(), Items(2), *g, **k)(V[:, 0])),
            PRIOR,
            Count(0),
            generator=One(torch.Generator()),
            candidates=Count(5),
            draws=Count(16),
        ),
    }


def of_envs() -> dict[str, Target]:
    """Return the game and its faces."""
    options = {"rounds": Count(3), "budgets": [0.5, 0.25], "roi_targets": [0.5, 0.0], "persistent": True}

    def play(setting: Any, **more: Any) -> None:
        game = envs.build_game(setting, **more)
        state = game.draw(3, torch.Generator().manual_seed(0))
        while True:
            state, told = game.step(state, game.valuations(state))
            finite(told.rewards, told.exposure, *told.outcome)
            if bool(told.over.all()):
                return

    game = envs.build_game("first-price", rounds=2)
    state = game.draw(3, torch.Generator().manual_seed(0))

    def one(seed: Any, action: Any, learner: Any, render: Any, **more: Any) -> None:
        env = gym.make(
            "auctionsim/FirstPrice-v0", learner=learner, render_mode=render, disable_env_checker=True, **more
        ).unwrapped
        observation, _ = env.reset(seed=seed)
        assert env.observation_space.contains(observation)
        observation, reward, *_ = env.step(action)
        assert np.isfinite(reward)

    def many(rows: Any, seed: Any, action: Any, **more: Any) -> None:
        env = envs.NeuronAuctionVectorEnv(rows, "first-price", **more)
        env.reset(seed=seed)
        _, reward, *_ = env.step(action)
        assert np.isfinite(reward).all()

    def parallel(seed: Any, action: Any, **more: Any) -> None:
        env = envs.parallel_env("first-price", **more)
        env.reset(seed=seed)
        env.step({"bidder_0": action, "bidder_1": np.array([0.5], np.float32)})

    bid, bids = np.array([0.5], np.float32), np.full((2, 1), 0.5, np.float32)
    actions = (np.array([np.nan]), np.array([-1.0]), np.zeros((3, 3)), np.array(["x"]), 0.5, None, "x", np.array([2.0]))
    setting = One("first-price", "neuron-auction", "crosstalk", "nosuch", None, 5)
    return {
        "play": target(play, setting, **options),
        "step": target(lambda bids: finite(game.step(state, bids)[1].rewards), game.valuations(state)),
        "draw": target(lambda rows: game.draw(rows, torch.Generator()), Count(2)),
        "env": target(one, 3, One(bid, *actions), Count(0), One(None, "ansi"), **options),
        "vector env": target(many, Count(2), 3, One(bids, *actions), autoreset_mode="NextStep", **options),
        "parallel env": target(parallel, 3, One(bid, *actions), **options),
    }


def of_text() -> dict[str, Target]:
    """Return brands, prompts, settings and what the command line reads."""
    neurons = BrandNeurons(
        parse_brands("Nike,Adidas"),
        torch.tensor([[0, 3], [5, 2]]),
        torch.ones(2, 2),
        torch.ones(2, 2, 4),
        "r",
        "f:0",
        "0",
    )
    whole = build_prompts("shoes")
    settings = {
        "num_neurons": (0.0, 8.0),
        "amplification": (1.0, 2.0),
        "samples": 2,
        "max_new_tokens": 4,
        "temperature": 0.7,
        "top_p": 0.9,
        "seed": 0,
        "rows": 8,
        "mode": "multiply",
        "positions": "reply",
        "half_width": 0.1,
        "interval": "wilson",
        "confidence": 0.9,
        "min_replies": 16,
        "max_replies": 64,
    }
    return {
        "Brand": target(then(Brand, lambda b: b.hits("Nike shoes.")), "Nike", ("nike.com",), ("Nike",)),
        "hits": target(Brand("Nike").hits, "I like Nike. You too?"),
        "parse_brands": target(parse_brands, "Nike,Adidas|adi"),
        "build_prompts": target(build_prompts, "shoes"),
        "PromptSet": target(
            then(PromptSet, lambda p: p.digest), list(whole.contexts), [list(p) for p in whole.prompts]
        ),
        "split": target(whole.split, "A"),
        "intervention": target(
            lambda *g: finite(neurons.intervention(*g).scale),
            torch.ones(1, 2, 2),
            "multiply",
        ),
        "layers": target(neurons.layers, Count(0), Count(1)),
        "overlap": target(neurons.overlap, Count(1)),
        "MeasurementSettings": target(MeasurementSettings, **settings),
        "numbers": target(lambda text: numbers(str(text)), "0,1"),
        "whole_numbers": target(lambda text: whole_numbers(str(text)), "0,1"),
        "parse_boosts": target(lambda text: parse_boosts([str(text)]), "Nike=64x2"),
    }


def of_carriers() -> dict[str, Target]:
    """Return every carrier, built and sold."""
    found: dict[str, Target] = {}
    for name, carrier in small_carriers().items():
        x = torch.stack([null_levers(carrier.levers, len(carrier.brands))] * 2)
        x[1, 0] = carrier.ladder()[0]
        found[f"{name} change"] = target(lambda *g, carrier=carrier: check_numbers(carrier.change(*g)), x, CONTEXT[:2])
        found[f"{name} feasible"] = target(carrier.feasible, x)
    brands = One(BRANDS, (), BRANDS[:1], BRANDS * 2, None, "Nike")
    vectors, factors = torch.ones(2, 3), (torch.ones(2, 2, 1, 4), torch.ones(2, 2, 3, 1))
    return found | {
        "Neurons": target(
            then(Neurons, use_carrier), One(small_neurons()), num_neurons=Count(2), amplification=2.0, mode="add"
        ),
        "logit-bias": target(then(BrandTokens, use_carrier), brands, ((1, 5), (2, 3)), Count(20), 8.0),
        "choice": target(then(ReplyChoice, use_carrier), brands, Count(4), 8.0),
        "prompt-ad": target(then(PromptAd, use_carrier), brands, "shoes", list(TEXTS)),
        "segments": target(then(Segments, use_carrier), brands, "shoes", list(TEXTS)),
        "slots": target(then(Slots, use_carrier), brands, "shoes", list(TEXTS)),
        "insertion": target(then(Insertion, use_carrier), brands, "shoes", list(TEXTS)),
        "displayed-bids": target(then(DisplayedBids, use_carrier), brands, "shoes", "For {category}:", most=Count(3)),
        "token-mixture": target(then(TokenMixture, use_carrier), brands, One(COMPANIONS, COMPANIONS[:1], ())),
        "residual-vector": target(then(ResidualVectors, use_carrier), brands, (0, 2), vectors, One(MODEL)),
        "low-rank": target(
            lambda some, layers, *parts: use_carrier(LowRankUpdates(some, LowRankFactors(layers, *parts), MODEL)),
            brands,
            (0, 2),
            *factors,
        ),
        "carrier_entry": target(carrier_entry, "slots"),
        "register": target(register, One(carrier_entry("slots"), None, "slots", 5)),
    }


def targets() -> dict[str, Target]:
    """Return every entry."""
    of_play = of_scores() | of_agents() | of_envs()
    return of_substrates() | of_carriers() | of_mechanisms() | of_priors() | of_play | of_text()


if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp(prefix="auctionsim-fuzz-"))
    run("entries", targets(), (ValueError, TypeError))
