"""Which option is best, from a confounded log, a small experiment and a simulator, and which estimator finds it.

auctionsim logs study
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from auctionsim.checks import checked_count
from auctionsim.data import surfaces_folder, values_beside
from auctionsim.errors import InputError
from auctionsim.experiments.figures.logs_study import draw_sizes
from auctionsim.experiments.running.logs_questions import (
    drift_regimes,
    grid_regimes,
    raw_regimes,
    sweep_regimes,
    violation_regimes,
    wrong_model_regimes,
)
from auctionsim.experiments.running.logs_regimes import SETUPS, LogRegime, regime_rows
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.tables.logs_regime_tables import (
    drift_answer,
    grid_answer,
    sweep_answer,
    violation_answer,
    wrong_model_answer,
)
from auctionsim.experiments.tables.logs_study import (
    LogAnswer,
    dominance_answer,
    help_answer,
    raw_answer,
    winner_rows,
)
from auctionsim.kept import file_digest
from auctionsim.logs.worlds import MeasuredReplies, Programmes
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.surface import ResponseSurface

NAME, SHOWS = "logs-study", "Logs: the best option from a confounded log, an experiment and a simulator"
TITLE = "Logs, an experiment and a simulator: which option is best"
QUESTIONS = ("raw", "sweep", "grid", "wrong-model", "violations", "drift")
"""In the order in which they are asked."""
SIZES = "regret_over_sizes.png"


@dataclass(frozen=True)
class LogsStudySettings:
    """What the study of logs compares.

    Attributes:
        folder: Run folder.
        draws: Independent logs and experiments per regime, ≥ 10: intervals are over them.
        logged: Sessions of a log.
        experiments: Sessions of an experiment, swept.
        kappas: How strongly the hidden U chooses options in the log, swept.
        levels: Levels of the reward's nonlinearity and of the labels' alignment, each in [0, 1], crossed.
        grid_sessions: Sessions of an experiment in that grid.
        checked_sessions: Sessions of an experiment in which an assumption is violated.
        drifts: How far the simulator of the linear world is off.
        questions: Which are asked: raw, sweep, grid, wrong-model, violations, drift.
        seed: Seed of all draws.
    """

    folder: Path
    draws: int = 120
    logged: int = 1500
    experiments: tuple[int, ...] = (40, 160, 640)
    kappas: tuple[float, ...] = (0.0, 1.0, 2.0)
    levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    grid_sessions: int = 40
    checked_sessions: int = 1000
    drifts: tuple[float, ...] = (0.0, 0.1, 0.3, 0.6)
    questions: tuple[str, ...] = QUESTIONS
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.questions if name not in QUESTIONS]
        if unknown or not self.questions:
            raise InputError(f"questions must be some of {', '.join(QUESTIONS)}, got {unknown or 'none'}")
        checked_count(self.draws, "draws", 10)
        for name in ("logged", "grid_sessions", "checked_sessions"):
            checked_count(getattr(self, name), name, 10)
        if not self.experiments or min(self.experiments) < 10:
            raise InputError(f"experiments must have 10 sessions at least, got {self.experiments}")
        for name in ("kappas", "levels", "drifts"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InputError(f"{name} must be different numbers, one at least, got {values}")


def main(settings: LogsStudySettings, command: str, console: Console) -> tuple[LogAnswer, ...]:
    """Estimate in every regime, and write tables, a figure and the section; a stopped run goes on.

    Args:
        settings: What to compare.
        command: What the user typed, for run.json.
        console: Where progress is shown.
    """
    run = Run(settings.folder, settings, inputs_of())
    run.begin(command)
    rows: dict[str, list[Row]] = {}
    with Stages(console) as stages:
        for question, regimes in _asked(settings).items():
            rows[question] = []
            with stages.stage(question, len(regimes)) as advance:
                for regime in regimes:
                    rows[question] += run.part(regime.name, partial(regime_rows, regime, settings.draws, settings.seed))
                    advance()
    answers = answers_of(rows)
    every = [row for part in rows.values() for row in part]
    tables = {f"{kind}s": _kind(every, kind) for kind in ("estimator", "pair", "test")}
    compared = rows.get("sweep", []) + rows.get("grid", [])
    tables["winners"] = winner_rows(compared) if compared else []
    figures = {}
    if rows.get("sweep"):
        draw_sizes(rows["sweep"], settings.folder / SIZES)
        figures[SIZES] = "Mean regret over the experiment's size, a panel a world and κ; bands are 95 %."
    about = section(settings, answers, figures)
    run.finish({name: part for name, part in tables.items() if part}, about, command=command, console=console)
    return answers


def inputs_of() -> dict[str, str]:
    """Return the digests of what the measured worlds read."""
    found: dict[str, str] = {}
    for one in SETUPS.values():
        if isinstance(one, MeasuredReplies):
            name = one.parameters.measured
            found[name] = MeasuredList.packaged(name).digest
            found[f"{name} values"] = file_digest(values_beside(surfaces_folder() / f"{name}.safetensors"))
        if isinstance(one, Programmes):
            found[one.parameters.surface] = ResponseSurface.packaged(one.parameters.surface).digest
    return found


def answers_of(rows: Mapping[str, list[Row]]) -> tuple[LogAnswer, ...]:
    """Return the answers to the questions whose rows there are."""
    of: dict[str, Callable[[list[Row]], LogAnswer]] = {
        "raw": raw_answer,
        "sweep": sweep_answer,
        "grid": grid_answer,
        "wrong-model": wrong_model_answer,
        "violations": violation_answer,
        "drift": drift_answer,
    }
    answers = {name: of[name](rows[name]) for name in QUESTIONS if name in rows}
    compared = rows.get("sweep", []) + rows.get("grid", [])
    between = (help_answer(compared), dominance_answer(compared)) if compared else ()
    first = tuple(answer for name, answer in answers.items() if name == "raw")
    return (*first, *between, *(answer for name, answer in answers.items() if name != "raw"))


def _kind(rows: list[Row], kind: str) -> list[Row]:
    """Return a kind's rows without the fields of other kinds."""
    return [{key: value for key, value in row.items() if key != "kind"} for row in rows if row["kind"] == kind]


def _asked(settings: LogsStudySettings) -> dict[str, list[LogRegime]]:
    """Return the regimes of each question."""
    logged, sizes = settings.logged, settings.experiments
    regimes = {
        "raw": raw_regimes(logged, 200),
        "sweep": sweep_regimes(logged, sizes, settings.kappas),
        "grid": grid_regimes(logged, settings.grid_sessions, settings.levels),
        "wrong-model": wrong_model_regimes(logged, sizes),
        "violations": violation_regimes(logged, settings.checked_sessions),
        "drift": drift_regimes(logged, settings.checked_sessions, settings.drifts),
    }
    return {name: regimes[name] for name in QUESTIONS if name in settings.questions}


def section(settings: LogsStudySettings, answers: tuple[LogAnswer, ...], figures: Mapping[str, str]) -> Section:
    """Return what was found."""
    about = (
        "Each world yields four things: a log (OBS) in which a hidden U chose the options and moved the outcome; an "
        "experiment (EXP) in which options were drawn at random; a simulator (SIM) that replays what every option "
        "does; and the true value of each option. A regime is one world with its knobs. In each, "
        f"{settings.draws} independent logs of {settings.logged} sessions and experiments are drawn. Every estimator "
        "sees the same ones, so that differences are paired. The measured worlds draw stored replies of "
        "`running-shoes-2-neurons@1` (options: settings of Nike's neurons; the outcome falls with `kl`) and of "
        "`running-shoes-2-slots@1` (it falls with `quality`). Programmes are mechanisms on `running-shoes-2@1`. CVCI, "
        "Grounded, Representation-EXP and Rosenman are our reconstructions of families that Jin and Syrgkanis (2026) "
        "name or count; EXP-Only is the estimator of their theorem. Families are by the direct method where nothing "
        "else is said. docs/logs.md explains the terms."
    )
    parts = [about]
    for answer in answers:
        parts += [f"**{answer.question}** {answer.verdict}", f"The rule: {answer.rule}", answer.tables]
    return Section(TITLE, "\n\n".join(parts), figures)
