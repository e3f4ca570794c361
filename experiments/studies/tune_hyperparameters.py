"""Hyperparameters of the menu's and of the bidders' training: Optuna proposes, ASHA stops early what falls behind.

Every trial has the same seed, so that they differ by their hyperparameters alone. For comparing mechanisms use
`tune_grid`, where nothing is stopped. With several trials at a time, what Optuna proposes depends on which finishes
first; one at a time (`concurrent=1`) it is reproducible.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from auctionsim.agents import AscentSettings, EquilibriumLearner, LearningStep
from auctionsim.checks import checked_count, checked_number
from auctionsim.console import table_console
from auctionsim.envs import SETTINGS, AuctionGame, build_game
from auctionsim.errors import InputError
from auctionsim.experiments.running.plan import FORMAT, Plan, as_format_2, defaults_of, identity
from auctionsim.experiments.running.run_folder import begin, finish, is_finished, run_record
from auctionsim.experiments.running.tuning import (
    FINISHED,
    TABLES,
    Cluster,
    TuneStudy,
    claim,
    plain_settings,
    provenance,
    run_study,
)
from auctionsim.experiments.tables.bidder_scores import evaluate
from auctionsim.experiments.tables.compare import flat
from auctionsim.experiments.tables.mechanisms import MENU
from auctionsim.kept import key_digest
from auctionsim.mechanisms import Schedule, TrainingPoint, train_menu
from auctionsim.mechanisms.menu_training import EVALUATIONS
from auctionsim.priors import parse_priors, product
from auctionsim.scoring import ScoringSettings, compare
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.quantities import DEFAULT_LOSS

SPACES: dict[str, tuple[str, ...]] = {
    "menu": ("entries", "learning_rate", "batch", "first_inverse_temperature", "inverse_temperature_growth"),
    "bidders": ("learning_rate", "smoothing", "hidden", "batch"),
}
"""What is tuned, by target."""
METRICS = {"menu": ("objective", "max"), "bidders": ("exploitability", "min")}
REPORTS = 20  # of a bidder trial, while it learns
QUICK = 1 << 11  # auctions for the exploitability on the way


@dataclass(frozen=True)
class TuningSettings:
    """What is tuned.

    Attributes:
        target: "menu": the hard objective on replicate A under truthful bids is maximised (with crosstalk it can exceed
            what honest mechanisms reach: regret and IR violation stand beside it in the table); "bidders": the
            exploitability of what equilibrium learners learned is minimised.
        folder: Run folder.
        steps: Length of a trial's training: menu steps, or updates of the bidders.
        trials: Number of trials.
        seed: Of every training, the profiles, and Optuna.
        surface: The menu's, its name.
        feature: What the menu sells.
        prior: Valuations of the menu's bidders.
        user_weight: User weight λ of the menu: money per unit of the user loss.
        setting: Named auction that the bidders play.
        draws: Profiles or auctions that a finished trial is scored on.
        regret_draws: Profiles among them on which the menu's regret is looked for.
        reduction: At each rung ASHA continues one of so many trials.
        grace: Reports before ASHA may stop a trial; a menu makes 42, bidders 22.
        concurrent: Trials at a time; 1 is reproducible. none: as many as there are CPUs for.
        cluster: Where trials run.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    target: str
    folder: Path
    steps: int = 1200
    trials: int = 24
    seed: int = 0
    surface: str = "running-shoes-2@1"
    feature: str = "slot_probability"
    prior: str = "uniform:0,1"
    user_weight: float = 1.0
    setting: str = "first-price"
    draws: int = 4096
    regret_draws: int = 128
    reduction: int = 3
    grace: int = 10
    concurrent: int | None = None
    cluster: Cluster = field(default_factory=Cluster)
    loss: str = "kl"

    def __post_init__(self) -> None:
        if self.target not in SPACES:
            raise InputError(f"target must be one of {', '.join(SPACES)}, got {self.target!r}")
        if self.setting not in SETTINGS:
            raise InputError(f"setting must be one of {', '.join(SETTINGS)}, got {self.setting!r}")
        for name in ("steps", "trials", "grace"):
            checked_count(getattr(self, name), name)
        checked_count(self.reduction, "reduction", 2)
        checked_number(self.user_weight, "user_weight")

    @property
    def reports(self) -> int:
        """How often a trial reports at most, the last time when it is scored."""
        return 2 + (EVALUATIONS if self.target == "menu" else REPORTS)


def main(
    settings: TuningSettings, surface: ResponseSurface | None, command: str, console: Console
) -> list[dict[str, Any]]:
    """Run the unfinished trials, print the best, write trials.parquet, trials.csv and run.json.

    Args:
        settings: What to do.
        surface: The menu's, all features; None for bidders.
        command: What the user typed, for run.json.
        console: Where progress and the table go.
    Returns:
        One record a trial, best first; those stopped early have `finished` False and no final scores.
    Raises:
        ValueError: Settings that do not fit, before anything is computed; see `run_study` for the rest.
    """
    shared: dict[str, Any] = {"settings": settings}
    inputs: dict[str, str] = {}
    if settings.target == "menu":
        if surface is None:
            raise InputError("a menu needs a surface to be designed on")
        shared["surface"] = surface.sell(settings.feature, loss=settings.loss)
        inputs["surface"] = shared["surface"].digest
        product(parse_priors(settings.prior), shared["surface"].num_bidders)
    else:
        auction_of(settings)  # one that cannot be made is refused before any trial
    metric, mode = METRICS[settings.target]
    study = TuneStudy(
        settings.folder,
        {**plain_settings(settings, "folder", "cluster", "concurrent"), "inputs": inputs},
        defaults_of(TuningSettings),
        menu_trial if settings.target == "menu" else bidder_trial,
        shared,
        _space(settings),
        settings.trials,
        metric,
    )
    claim(study.folder, study.settings, study.usual)
    plan = _plan(settings, inputs)
    made = is_finished(run_record(study.folder), plan)
    if not made:
        begin(study.folder, plan, command, study.settings)
    records = run_study(study, lambda: _options(settings), settings.cluster, console)
    best_first = sorted(records, key=lambda one: (not _done(one), -one[metric] if mode == "max" else one[metric]))
    table_console(console).print(best_table(best_first, settings))
    if not made:
        finish(study.folder, plan, command, TABLES, {"settings": study.settings})
    console.print(f"trials: {settings.folder / 'trials.csv'}", soft_wrap=True)
    return best_first


def _plan(settings: TuningSettings, inputs: Mapping[str, str]) -> Plan:
    """Return what run.json calls the study, and called it when every setting was written out."""
    apart = ("cluster", "concurrent")
    chosen = {name: value for name, value in identity(settings).items() if name not in apart}
    then = as_format_2(settings)
    written = None if then is None else {name: value for name, value in then.items() if name not in apart}
    earlier = () if written is None else (key_digest({**written, "inputs": inputs}),)
    return Plan(key_digest({"format": FORMAT, "settings": chosen, "inputs": inputs}), earlier)


def _done(record: Mapping[str, Any]) -> bool:
    return record.get(FINISHED) is True


def _space(settings: TuningSettings) -> dict[str, Any]:
    from ray import tune

    if settings.target == "menu":
        return {
            "entries": tune.lograndint(2, 41),
            "learning_rate": tune.loguniform(3e-3, 1e-1),
            "batch": tune.choice([256, 1024, 4096]),
            "first_inverse_temperature": tune.loguniform(5.0, 60.0),
            "inverse_temperature_growth": tune.loguniform(5.0, 50.0),
        }
    return {
        "learning_rate": tune.loguniform(3e-3, 1e-1),
        "smoothing": tune.loguniform(0.01, 0.2),
        "hidden": tune.choice([16, 24, 48]),
        "batch": tune.choice([1024, 4096, 8192]),
    }


def _options(settings: TuningSettings) -> dict[str, Any]:
    import optuna
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search.optuna import OptunaSearch

    metric, mode = METRICS[settings.target]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return {
        "metric": metric,
        "mode": mode,
        "num_samples": settings.trials,
        "max_concurrent_trials": settings.concurrent,
        "search_alg": OptunaSearch(sampler=optuna.samplers.TPESampler(seed=settings.seed)),
        "scheduler": ASHAScheduler(
            time_attr="training_iteration",
            max_t=settings.reports + 1,  # nobody gets there: a trial ends by itself, scored
            grace_period=min(settings.grace, settings.reports),
            reduction_factor=settings.reduction,
        ),
    }


def menu_trial(config: Mapping[str, Any], surface: ResponseSurface, settings: TuningSettings) -> None:
    """Train one menu, reporting its hard objective on the way; score it on both replicates."""
    from ray import tune

    torch.set_num_threads(1)
    tune.report(menu_score(config, surface, settings, tune.report))


def menu_score(
    config: Mapping[str, Any],
    surface: ResponseSurface,
    settings: TuningSettings,
    report: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Return the objective of a trained menu and `MechanismRow`'s numbers on A and B; tell of progress by `report`."""
    priors = parse_priors(settings.prior)
    first = float(config["first_inverse_temperature"])

    def tell(point: TrainingPoint, _: int) -> None:
        report({"objective": point.objective, "step": point.step, FINISHED: False})

    menu = train_menu(
        surface,
        priors,
        settings.user_weight,
        entries=int(config["entries"]),
        steps=settings.steps,
        batch=int(config["batch"]),
        schedule=Schedule(
            learning_rate=float(config["learning_rate"]),
            inverse_temperatures=(first, first * float(config["inverse_temperature_growth"])),
        ),
        seed=settings.seed,
        progress=tell,
    )
    rows = compare(
        {MENU: menu},
        surface,
        priors,
        settings.user_weight,
        ScoringSettings(settings.draws, settings.regret_draws),
        seed=settings.seed,
    )
    last = {"objective": menu.history[-1].objective, "step": settings.steps, FINISHED: True}
    return {**last, "seed": settings.seed, **flat(rows), **provenance()}


def bidder_trial(config: Mapping[str, Any], settings: TuningSettings) -> None:
    """Let bidders learn, reporting how exploitable they are on the way; score them at the end."""
    from ray import tune

    torch.set_num_threads(1)
    tune.report(bidder_score(config, settings, tune.report))


def auction_of(settings: TuningSettings) -> AuctionGame:
    """Return the named auction that bidders are tuned in, under the loss that is named.

    Raises:
        ValueError: A loss that it does not have.
    """
    keywords: dict[str, Any] = {} if settings.loss == DEFAULT_LOSS else {"loss": settings.loss}
    return build_game(settings.setting, **keywords)


def bidder_score(
    config: Mapping[str, Any], settings: TuningSettings, report: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Return what learned strategies are worth; tell of progress by `report`."""
    game = auction_of(settings)
    learner = EquilibriumLearner(
        game.mechanism,
        game.substrate,
        game.prior,
        seed=settings.seed,
        batch=int(config["batch"]),
        ascent=AscentSettings(
            hidden=int(config["hidden"]),
            learning_rate=float(config["learning_rate"]),
            smoothing=float(config["smoothing"]),
        ),
    )

    def tell(step: LearningStep) -> None:
        exploited = evaluate(game, learner.strategies, draws=QUICK, seed=settings.seed).exploitability
        report({"exploitability": exploited.value, "step": step.iteration, FINISHED: False})

    every = max(-(-settings.steps // REPORTS), 1)  # rounded up, so that there are never more reports
    strategies = learner.train(settings.steps, tell, report_every=every)
    evaluation = evaluate(game, strategies, draws=settings.draws, seed=settings.seed)
    learned = evaluation.plays[0]
    record: dict[str, Any] = {
        "exploitability": evaluation.exploitability.value,
        "exploitability_low": evaluation.exploitability.interval.low,
        "exploitability_high": evaluation.exploitability.interval.high,
        "revenue": learned.revenue.value,
        "user_loss": learned.user_loss.value,
        "step": settings.steps,
        "seed": settings.seed,
    }
    for i, score in enumerate(evaluation.bidders):
        record |= {f"bid_ratio_{i}": score.bid_ratio, f"lost_by_bids_{i}": score.lost_by_bids.value}
        if score.from_equilibrium is not None:
            record[f"from_equilibrium_{i}"] = score.from_equilibrium
    return {**record, **provenance(), FINISHED: True}


def best_table(records: list[dict[str, Any]], settings: TuningSettings) -> Table:
    """Return the ten best trials."""
    metric, mode = METRICS[settings.target]
    done = sum(map(_done, records))
    table = Table(title=f"{settings.target}: {metric} ({mode}), {done} of {len(records)} trials ran to their end")
    beside = {"menu": ("objective_B", "regret_A", "ir_violation_A"), "bidders": ("exploitability_high", "revenue")}
    names = (*SPACES[settings.target], metric, *beside[settings.target])
    for name in ("step", *names):
        table.add_column(name.replace("_", " "), justify="right")
    for record in records[:10]:
        table.add_row(str(record["step"]), *(_shown(record.get(name)) for name in names))
    return table


def _shown(value: Any) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:.4g}"  # a stopped trial lacks final scores
