"""Four questions of markets: pacing and regret, autobidders and revenue, retention, and a platform that learns.

auctionsim market study
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from auctionsim.errors import InputError
from auctionsim.experiments.running.market_questions import (
    POPULATIONS,
    learned_rows,
    regret_rows,
    retention_rows,
    revenue_rows,
)
from auctionsim.experiments.running.market_worlds import LISTS, WorldSizes
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.run import Row, Run, Section, markdown_table
from auctionsim.experiments.tables.market_study import (
    MarketAnswer,
    regret_answer,
    retention_answer,
    revenue_answer,
    survival_answer,
)
from auctionsim.substrates import MeasuredList

NAME, SHOWS = "market-study", "Markets: pacing and regret, autobidders, retention, a platform that learns"
TITLE = "Markets: four questions"
QUESTIONS = ("regret", "revenue", "retention", "learned")
"""By the names of their tables."""


@dataclass(frozen=True)
class MarketStudySettings:
    """What is asked.

    Attributes:
        folder: Run folder.
        markets: Markets drawn for each question, ≥ 2; intervals are over them.
        seed: Seed of the first market; the others' seeds follow from it.
        user_weight: User weight λ of the rules, money per unit of reply_kl, where it is not swept.
        user_weights: λ, swept for retention.
        sensitivities: Hazards of leaving for good per unit of reply_kl, swept for retention.
        days: Days of a run; where bidders learn, the second half counts.
        learned_days: Days of a run in which the platform learns, ≥ 3.
        regret_days: Days of a run in which one campaign deviates.
        retention_days: Days over which revenue is summed where users leave.
        query_types: Query types per category.
        campaigns: Campaigns per brand.
        signals: Profiles of valuations per query type.
        ticks: Ticks per day.
        regret_markets: Number of markets in which campaigns deviate, each by itself; ≥ 2.
        questions: Which are asked, some of `QUESTIONS`; "learned" needs "revenue".
    """

    folder: Path
    markets: int = 8
    seed: int = 0
    user_weight: float = 0.02
    user_weights: tuple[float, ...] = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05)
    sensitivities: tuple[float, ...] = (0.001, 0.005, 0.02)
    days: int = 40
    learned_days: int = 60
    regret_days: int = 8
    retention_days: int = 60
    query_types: int = 12
    campaigns: int = 3
    signals: int = 8
    ticks: int = 4
    regret_markets: int = 4
    questions: tuple[str, ...] = QUESTIONS

    def __post_init__(self) -> None:
        unknown = [name for name in self.questions if name not in QUESTIONS]
        if unknown or not self.questions:
            raise InputError(f"questions must be some of {', '.join(QUESTIONS)}, got {unknown or 'none'}")
        if "learned" in self.questions and "revenue" not in self.questions:
            raise InputError('the question "learned" needs "revenue", what fixed rules earn')
        if "regret" in self.questions and not 2 <= self.regret_markets <= self.markets:
            raise InputError(f"regret_markets must lie within [2, markets={self.markets}], got {self.regret_markets}")


def main(settings: MarketStudySettings, command: str, console: Console) -> tuple[MarketAnswer, ...]:
    """Answer the four questions, and write tables and the section; a stopped run goes on.

    Args:
        settings: What to ask.
        command: What the user typed, for run.json.
        console: Where progress is shown.
    """
    run = Run(settings.folder, settings, inputs_of())
    run.begin(command)
    asked = _asked(settings)
    found: dict[str, list[Row]] = {}
    with Stages(console) as stages:
        for question, make in asked.items():
            markets = settings.regret_markets if question == "regret" else settings.markets
            with stages.stage(question, markets) as advance:
                found[question] = []
                for seed in range(settings.seed, settings.seed + markets):
                    found[question] += run.part(f"{question} {seed}", partial(make, seed))
                    advance()
    answered: dict[str, Callable[[], MarketAnswer]] = {
        "regret": lambda: regret_answer(found["regret"]),
        "revenue": lambda: revenue_answer(found["revenue"]),
        "retention": lambda: retention_answer(found["retention"], settings.retention_days),
        "learned": lambda: survival_answer(found["learned"], found["revenue"]),
    }
    answers = tuple(answered[name]() for name in asked)
    tables = {f"{name}_markets": rows for name, rows in found.items()}
    tables |= {name: answer.lines for name, answer in zip(asked, answers, strict=True)}
    run.finish(tables, section(settings, answers), command=command, console=console)
    return answers


def inputs_of() -> dict[str, str]:
    """Return the digests of the lists that queries are sold on."""
    return {name: MeasuredList.packaged(name).digest for name in LISTS.values()}


def _asked(settings: MarketStudySettings) -> dict[str, Callable[[int], list[Row]]]:
    """Return what makes each question's rows of a seed."""
    sizes = WorldSizes(settings.query_types, settings.campaigns, settings.signals, settings.ticks)
    half = replace(sizes, query_types=max(sizes.query_types // 2, 1))
    weight = settings.user_weight
    every: dict[str, Callable[[int], list[Row]]] = {
        "regret": lambda seed: regret_rows(half, weight, settings.regret_days, seed),
        "revenue": lambda seed: revenue_rows(sizes, weight, settings.days, seed),
        "retention": lambda seed: retention_rows(
            sizes, settings.user_weights, settings.sensitivities, settings.retention_days, seed
        ),
        "learned": lambda seed: learned_rows(replace(sizes, ticks=2), weight, settings.learned_days, seed),
    }
    return {name: every[name] for name in QUESTIONS if name in settings.questions}


def section(settings: MarketStudySettings, answers: tuple[MarketAnswer, ...]) -> Section:
    """Return what was found."""
    populations = [
        {
            "bidders": one.name,
            "controller": one.controller,
            "budget": f"{one.budget_share:g} of what truth spends under VCG" if one.budget_share < 1 else "none",
            "target": f"{one.target:g} of value per money" if one.target else "none",
        }
        for one in POPULATIONS
    ]
    about = (
        f"Markets on {' and '.join(f'`{name}`' for name in LISTS.values())} ({', '.join(LISTS)}), sold feature "
        f"`mention_probability`, loss `reply_kl`, rules and exposures of replicate A, contexts pooled. "
        f"{settings.campaigns} campaigns per brand with valuations U[0, 1], {settings.query_types} query types per "
        f"category, {settings.ticks} ticks per day, expected mode; rules at user weight {settings.user_weight:g} per "
        f"unit of it, designed for the best of a brand's campaigns. Intervals are over {settings.markets} drawn "
        f"markets ({settings.regret_markets} for the first question), 95 %, Student's; each table is of its markets "
        "alone."
    )
    parts = [about, markdown_table(populations)]
    for answer in answers:
        found = "\n".join(f"- {sentence}." for sentence in answer.verdicts)
        parts += [f"**{answer.question}**", found, f"The rule: {answer.rule}", answer.table]
    return Section(TITLE, "\n\n".join(parts), {})
