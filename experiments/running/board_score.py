"""What one row of the board brings: designed on replicate A, scored on replicate B, with bootstrap draws of both.

Draw r of the bootstrap takes B's prompts anew within their contexts, and the profiles anew; it takes the same ones for
every row of a category, so that rows are compared in pairs. Designs stay as they are: what is said is how sure B's
numbers are of these designs.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.errors import InputError
from auctionsim.experiments.running.board_cell import BoardCell, Price, RowName
from auctionsim.experiments.running.board_range import Contexts, PromptValues, prompt_values, view_of
from auctionsim.experiments.running.carrier_cell import AD_WORDS, COLUMNS, FEWEST, CarrierCell
from auctionsim.experiments.running.prompt_intervals import Array
from auctionsim.mechanisms import Mechanism, VirtualWelfareMaximizer
from auctionsim.mechanisms.table import Entry, Problem
from auctionsim.mechanisms.tuned import tuned
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform, product
from auctionsim.regret import RegretEstimate, ex_post_regret
from auctionsim.scoring.profiles import Profiles
from auctionsim.scoring.scorer import REACHED, ROUNDING, ScoringSettings, case_of, nature_of
from auctionsim.seeds import seeded
from auctionsim.substrates import Randomised

HIGH = 1.0
"""The largest valuation: the prior is U[0, 1], and misreports are looked for up to it."""
PRIOR = Uniform(0, HIGH)
_OFF = 1e-6
"""By which shares of settings may miss 1 in all: a rule that computes in float32 rounds."""
_SCORED = 1 << 20
"""What is added to a seed for the profiles that are scored."""


class BoardSettings(NamedTuple):
    """How much is computed for a cell.

    Attributes:
        profiles: Truthful ones, for the means.
        regret_profiles: The first of them, on which regret is looked for.
        regret_budget: Misreports tried for each and bidder where regret is searched.
        draws: Of the bootstrap.
        seed: Of the profiles and the draws.
        quick: Whether learned mechanisms are trained by the quick recipe.
    """

    profiles: int = 2048
    regret_profiles: int = 128
    regret_budget: int = 512
    draws: int = 400
    seed: int = 0
    quick: bool = False


def board_cell(row: RowName, entry: Entry, cell: CarrierCell, price: Price, settings: BoardSettings) -> BoardCell:
    """Design a mechanism on a carrier's replicate A and score it on B.

    Args:
        row: What the row is.
        entry: Of the mechanism.
        cell: The carrier's list in a category.
        price: Of the user's loss.
        settings: How much is computed.
    Raises:
        ValueError: The loss was not read, a context has one prompt only, the mechanism cannot be designed on the list,
            or it allocates no distributions.
    """
    values = {replicate: prompt_values(cell, replicate, price) for replicate in ("A", "B")}
    counts = np.unique(values["B"].context, return_counts=True)[1]
    if counts.min() < FEWEST:
        raise InputError(f"{cell.measured}: {FEWEST} prompts or more of each context are needed, got {counts.min()}")
    views = {replicate: view_of(cell, one, price) for replicate, one in values.items()}
    problem = Problem(views["A"], PRIOR, price.user_weight, settings.seed, settings.quick, dict(row.settings))
    design = tuned(entry, problem)
    own = tuned(entry, problem._replace(view=views["B"]))
    profiles = _profiles(views["B"], settings)
    rules = {replicate: design.mechanism.delivered(views[replicate]) for replicate in ("A", "B")}
    outcome = _distributions(rules["B"](profiles, None), row)
    regrets = {one: _regret(rules[one], views[one], profiles, price, settings) for one in ("A", "B")}
    draws = _draws(rules["B"], design.mechanism, outcome, cell, price, values["B"], profiles, settings)
    return BoardCell(
        row=row,
        category=cell.category,
        price=price,
        acts_after=cell.acts_after,
        settings=design.settings,
        tried=design.tried,
        scores={
            **_means(outcome, views["B"], profiles, price.user_weight),
            **_user_side(outcome, values["B"]),
            "rows": None if cell.rows is None else float(_shares(outcome).mean(0) @ np.array(cell.rows, float)),
            "objective_A": _objective(rules["A"](profiles, None), views["A"], profiles, price.user_weight),
            "optimum": _optimum(views["B"], profiles, price.user_weight),
            "own_design": _objective(
                own.mechanism.delivered(views["B"])(profiles, None), views["B"], profiles, price.user_weight
            ),
            "objective_best_response": _best_responses(
                rules["B"], outcome, regrets["B"].estimate, views["B"], profiles, price
            ),
            **regrets["B"].columns(""),
            **regrets["A"].columns("_A"),
            **_losses_of_bidders(rules["B"], outcome, views["B"], profiles),
        },
        regret_is=regrets["B"].nature,
        regret_is_A=regrets["A"].nature,
        draws=tuple(draws.objective.tolist()),
        revenue_draws=tuple(draws.revenue.tolist()),
        influences=_by_context(draws.influences, values["B"].context),
        revenue_influences=_by_context(draws.revenue_influences, values["B"].context),
        cost_draws=tuple(draws.cost.tolist()),
        cost_influences=_by_context(draws.cost_influences, values["B"].context),
        spread=float(np.sqrt(counts.min() / (counts.min() - 1))),
    )


def _distributions(outcome: Outcome, row: RowName) -> Outcome:
    """Return an outcome unchanged if each row's allocation is a distribution over the list."""
    share = outcome.allocation
    if not bool(((share >= -_OFF).all(1) & ((share.sum(1) - 1).abs() <= _OFF)).all()):
        raise InputError(f"{row.mechanism} allocates what is no distribution over the carrier's settings")
    return outcome


class _Regret(NamedTuple):
    estimate: RegretEstimate
    nature: str

    def columns(self, where: str) -> dict[str, float]:
        return {f"regret{where}": float(self.estimate.lower.amax(1).mean()), f"regret_max{where}": self.estimate.max}


def _profiles(view: Randomised, settings: BoardSettings) -> Tensor:
    """Return truthful profiles, others than those that settings were tried on (`tuned`)."""
    priors = product(PRIOR, view.num_bidders, 1)
    return priors.sample(settings.profiles, seeded(settings.seed + _SCORED), torch.float64)


def _regret(rule: Mechanism, view: Randomised, profiles: Tensor, price: Price, settings: BoardSettings) -> _Regret:
    few = profiles[: settings.regret_profiles]
    found = ex_post_regret(rule, view, few, budget=settings.regret_budget, high=HIGH)
    scoring = ScoringSettings(len(few), len(few), settings.regret_budget)
    case = case_of(view, PRIOR, price.user_weight, scoring, seed=settings.seed, profiles=Profiles(few, None))
    return _Regret(found, nature_of(found, rule, case))


def _means(outcome: Outcome, view: Randomised, profiles: Tensor, user_weight: float) -> dict[str, float]:
    return {
        "revenue": float(metrics.revenue(outcome, view, profiles).mean()),
        "welfare": float(metrics.welfare(outcome, view, profiles).mean()),
        "user_loss": float(metrics.user_loss(outcome, view, profiles).mean()),
        "objective": float(_brought(outcome, view, profiles, user_weight).mean()),
    }


def _brought(outcome: Outcome, view: Randomised, profiles: Tensor, user_weight: float) -> Tensor:
    loss = metrics.user_loss(outcome, view, profiles)
    return metrics.revenue(outcome, view, profiles) - user_weight * loss


def _objective(outcome: Outcome, view: Randomised, profiles: Tensor, user_weight: float) -> float:
    return float(_brought(outcome, view, profiles, user_weight).mean())


def _optimum(view: Randomised, profiles: Tensor, user_weight: float) -> float:
    return _objective(VirtualWelfareMaximizer(view, PRIOR, user_weight)(profiles, None), view, profiles, user_weight)


def _shares(outcome: Outcome) -> Array:
    return np.asarray(outcome.allocation.double().numpy())


def _user_side(outcome: Outcome, values: PromptValues) -> dict[str, float | None]:
    """Return the means of the user's columns over profiles, every context alike."""
    shares, weights = _shares(outcome).mean(0), values.weights()
    found: dict[str, float | None] = {}
    for name in (*COLUMNS, AD_WORDS):
        column = values.columns.get(name)
        mean = None if column is None else float(shares @ (column @ weights))
        found[name] = None if mean is None or not np.isfinite(mean) else mean
    return found


def _losses_of_bidders(rule: Mechanism, outcome: Outcome, view: Randomised, profiles: Tensor) -> dict[str, float]:
    """Return what truthful bidders lose, in expectation and in the worst entry that can be drawn."""
    utility = metrics.utility(outcome, view, profiles)
    expected = (-utility).clamp_min(0).amax(1)
    value = profiles[:, None, :, 0] * view.exposures[:, :, 0]  # (profile, entry, bidder)
    charged = rule.drawn_payments(profiles, outcome)
    paid = outcome.payments[:, None, :].expand_as(value) if charged is None else charged
    possible = (outcome.allocation > 0).unsqueeze(2)
    drawn = torch.where(possible, paid - value, 0.0).clamp_min(0).amax((1, 2))
    return {
        "ir": float(expected.mean()),
        "ir_max": _rounded(float(expected.max())),
        "ir_draw": float(drawn.mean()),
        "ir_draw_max": _rounded(float(drawn.max())),
    }


def _rounded(value: float) -> float:
    return 0.0 if value <= ROUNDING * HIGH else value


def _best_responses(
    rule: Mechanism, outcome: Outcome, regret: RegretEstimate, view: Randomised, profiles: Tensor, price: Price
) -> float | None:
    """Return the objective when every bidder answers the truthful others best, None where nobody gains.

    Best answers are known on the first profiles only: what they change there is added to the mean over all profiles.
    """
    if regret.max <= REACHED * HIGH:
        return None
    few = profiles[: len(regret.lower)]
    truth = _brought(outcome, view, profiles, price.user_weight)
    answered = _objective(rule(regret.best_misreports.to(few), None), view, few, price.user_weight)
    return float(truth.mean()) + answered - float(truth[: len(few)].mean())


class _Draws(NamedTuple):
    objective: Array
    revenue: Array
    influences: Array
    revenue_influences: Array
    cost: Array
    cost_influences: Array


def _draws(
    rule: Mechanism,
    designed: Mechanism,
    outcome: Outcome,
    cell: CarrierCell,
    price: Price,
    values: PromptValues,
    profiles: Tensor,
    settings: BoardSettings,
) -> _Draws:
    """Return objective and revenue under bootstrap draws of prompts and profiles, and what prompts count as in them.

    Losses are means over prompts. What is charged on what is delivered is taken for one, too, by least squares.
    """
    generator = np.random.default_rng([settings.seed, 1])
    prompts = _prompt_weights(values.context, settings.draws, generator)
    counts = generator.multinomial(len(profiles), np.full(len(profiles), 1 / len(profiles)), settings.draws)
    shares = counts / len(profiles)  # (draw, profile)
    drawn, mean = shares @ _shares(outcome), _shares(outcome).mean(0)  # (draw, setting), (setting,)
    loss, moved = values.loss - values.loss[:1], values.columns["reply_kl"]
    lost, cost = (np.einsum("rk,rk->r", drawn, prompts @ one.T) for one in (loss, moved))
    if rule is designed:
        revenue = shares @ outcome.payments.sum(1).double().numpy()
        charged = np.zeros(prompts.shape[1])
    else:  # what is charged depends on what is delivered
        rules = (designed.delivered(view_of(cell, values, price, one)) for one in prompts)
        paid = np.stack([rule(profiles, None).payments.sum(1).double().numpy() for rule in rules])
        revenue = np.einsum("rp,rp->r", shares, paid)
        charged = np.linalg.lstsq(prompts, paid.mean(1), rcond=None)[0]
    objective, counted = revenue - price.user_weight * lost, charged - price.user_weight * (mean @ loss)
    return _Draws(objective, revenue, counted, charged, cost, mean @ moved)


def _by_context(values: Array, context: Contexts) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(values[context == one].tolist()) for one in np.unique(context))


def _prompt_weights(context: Contexts, draws: int, generator: np.random.Generator) -> Array:
    """Return how much each prompt counts in each draw, (draw, prompt): prompts drawn anew within their contexts."""
    found = np.zeros((draws, len(context)))
    names = np.unique(context)
    for one in names:
        where = np.flatnonzero(context == one)
        counts = generator.multinomial(len(where), np.full(len(where), 1 / len(where)), draws)
        found[:, where] = counts / (len(where) * len(names))
    return found
