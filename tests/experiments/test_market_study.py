"""The market study: verdicts from rows by rule, and the whole on the smallest markets, stopped and gone on with."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from auctionsim.experiments.running.market_questions import PACED, POPULATIONS, TRUTH
from auctionsim.experiments.running.market_worlds import FIRST, MENU, OPTIMUM, TRUTHFUL
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.studies.market_study import MarketStudySettings, main
from auctionsim.experiments.tables.market_study import (
    over_seeds,
    regret_answer,
    retention_answer,
    revenue_answer,
    survival_answer,
)


def gains(rule: str, shortlist: str, truth: float, paced: tuple[float, float, float]) -> list[Row]:
    """Rows of three seeds: what truth and paced bids gain, of a value of 10."""
    every = {"category": "shoes", "rule": rule, "shortlist": shortlist, "value": 10.0}
    every |= {"frozen_gain": 0.5, "frozen_value": 5.0, "frozen_exact": False}
    rows = [every | {"seed": seed, "population": TRUTH.name, "gain": truth} for seed in range(3)]
    return rows + [every | {"seed": seed, "population": PACED.name, "gain": gain} for seed, gain in enumerate(paced)]


def test_pacing_matters_where_the_paired_interval_says_so() -> None:
    answer = regret_answer(
        gains(MENU, "free", 2.0, (1.0, 1.1, 1.2))
        + gains(MENU, "priced", 1.0, (2.0, 2.1, 1.9))
        + gains(TRUTHFUL, "free", 1.0, (0.0, 2.0, 1.1))
        + gains(TRUTHFUL, "priced", 0.0, (0.0, 0.0, 0.0))
    )
    verdicts = answer.verdicts
    assert "**less** (-9.00 [" in verdicts[0]
    assert "**more** (10.00 [" in verdicts[1]
    assert all("**neither more nor less**" in verdict for verdict in verdicts[2:])
    assert answer.lines[0]["change"] == pytest.approx(-0.09)


def revenues(**by_rule: float) -> list[Row]:
    """Rows of two seeds, the second with twice the money, the same against all populations."""
    return [
        {
            "seed": seed,
            "population": one.name,
            "rule": name,
            "revenue": (1 + seed) * revenue,
            "liquid_welfare": 1.0,
            "short_of_target": 0.0,
        }
        for seed in range(2)
        for one in POPULATIONS
        for name, revenue in zip((TRUTHFUL, MENU, OPTIMUM, FIRST), by_rule.values(), strict=True)
    ]


def test_revenue_is_compared_in_pairs() -> None:
    answer = revenue_answer(revenues(vcg=1.0, menu=0.8, optimum=1.6, first=2.0))
    assert "VCG **earns less than** pay-as-bid (50.0 [50.0, 50.0] %)" in answer.verdicts[0]
    assert "VCG **earns more than** the paper's menu (125.0 [125.0, 125.0] %)" in answer.verdicts[0]
    assert "the optimum **earns less than** pay-as-bid (80.0 [80.0, 80.0] %)" in answer.verdicts[0]


def test_the_user_weight_may_fall_until_revenue_is_less_for_sure() -> None:
    revenue = {0.0: (5.0, 5.1, 5.2), 0.1: (9.8, 10.3, 9.9), 0.2: (10.0, 10.1, 10.2)}
    rows = [
        {
            "seed": seed,
            "sensitivity": 0.5,
            "user_weight": weight,
            "revenue": money,
            "users_left": 0.5,
            "first_day": 1.0,
            "last_day": 0.5,
            "user_loss": 2.0,
        }
        for weight, each in revenue.items()
        for seed, money in enumerate(each)
    ]
    answer = retention_answer(rows, 30)
    assert "the most is earned at a user weight of 0.2; it may fall to 0.1 before" in answer.verdicts[0]
    assert "at 0 it is less by 49.5 [" in answer.verdicts[0]


SET = ", ".join((TRUTHFUL, MENU, OPTIMUM))


def test_a_learned_rule_survives_where_it_loses_little() -> None:
    fixed = revenues(vcg=1.0, menu=0.99, optimum=0.5, first=0.2)
    learned = [
        {"seed": seed, "rules": SET, "learned_against": one.name, "rule": MENU if one is TRUTH else OPTIMUM}
        for seed in range(2)
        for one in POPULATIONS
    ]
    answer = survival_answer(learned, fixed)
    verdicts = {(line["learned_against"], line["met"]): line["verdict"] for line in answer.lines}
    assert verdicts[TRUTH.name, PACED.name] == "survives"
    assert verdicts[PACED.name, TRUTH.name] == "fails"
    others = len(POPULATIONS) - 1
    assert f"survives in {others} of {others * (others + 1)} cases, fails in {others * others}" in answer.verdicts[0]


def test_an_interval_is_over_seeds() -> None:
    assert over_seeds([1.0, 3.0]).mean == 2
    assert over_seeds([1.0, 3.0]).low == pytest.approx(2 - 12.7062, abs=1e-3)


SMALLEST = {
    "markets": 2,
    "regret_markets": 2,
    "user_weights": (0.0, 0.05),
    "sensitivities": (0.02,),
    "days": 2,
    "learned_days": 6,
    "regret_days": 2,
    "retention_days": 2,
    "query_types": 2,
    "campaigns": 2,
    "signals": 2,
    "ticks": 2,
}


def gone_on_with(settings: MarketStudySettings) -> str:
    """Ask, lose a part, ask again, and return the section; what was kept is not made again."""
    console = Console(file=io.StringIO())
    first = main(settings, "here", console)
    parts = sorted((settings.folder / "parts").rglob("*.json"))
    assert len(parts) == 2 * len(settings.questions)
    kept = parts[0].stat().st_mtime_ns
    parts[1].unlink()
    assert main(settings, "here", console) == first
    assert parts[0].stat().st_mtime_ns == kept
    text = (settings.folder / "section.md").read_text()
    assert all(answer.question in text for answer in first)
    return text


def test_one_question_goes_on_and_says_the_same(tmp_path: Path) -> None:
    settings = MarketStudySettings(tmp_path / "study", **SMALLEST, questions=("retention",))
    assert "How far may the user weight fall" in gone_on_with(settings)
    written = {path.name for path in settings.folder.glob("*.parquet")}
    assert written == {"retention.parquet", "retention_markets.parquet"}


@pytest.mark.deep
def test_the_smallest_study_goes_on_and_says_the_same(tmp_path: Path) -> None:
    text = gone_on_with(MarketStudySettings(tmp_path / "study", **SMALLEST))
    assert text.count("The rule: ") == 4


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"questions": ("everything",)}, "questions must be some of regret, revenue, retention, learned"),
        ({"questions": ("learned",)}, 'the question "learned" needs "revenue"'),
        ({"markets": 1}, r"regret_markets must lie within \[2, markets=1\]"),
    ],
)
def test_bad_settings_are_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MarketStudySettings(Path("nowhere"), **changed)  # type: ignore[arg-type]
