"""The study of deployed designs: rows against the scorer, the verdict's rule, the frontier."""

from pathlib import Path

from measured_fakes import fake_subsets

from auctionsim.experiments.running.run import Row
from auctionsim.experiments.studies.deployed import DeployedSettings, feature_rows, reaches, section
from auctionsim.mechanisms import design
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.scoring import draw_profiles


def row(mechanism: str, objective: float, share: float | None) -> Row:
    return {
        "surface": "s",
        "feature": "f",
        "mechanism": mechanism,
        "objective": objective,
        "revenue": 1.0,
        "regret": 0.0,
        "regret_is": "exact",
        "regret_share": share,
        "ir_violation": 0.0,
    }


def test_rows_are_of_designs_on_a_paid_by_b(tmp_path: Path) -> None:
    view = fake_subsets(2)
    names = ("optimum", "optimum-per-mention")
    settings = DeployedSettings(tmp_path, mechanisms=names, profiles=64, regret_draws=16)
    rows = feature_rows(settings, "fake", view, "hits")
    assert [one["mechanism"] for one in rows] == list(names)
    sold = view.sell("hits")
    few = draw_profiles(sold.replicate("B"), Uniform(0, 1), 64, 1000).first(16)
    rule = design("optimum-per-mention", sold, Uniform(0, 1), 1.0).delivered(sold.replicate("B"))
    direct = ex_post_regret(rule, sold.replicate("B"), few.valuations, context=few.context, high=1.0)
    assert rows[1]["regret"] == float(direct.lower.amax(1).mean())
    assert rows[1]["ir_violation"] <= 1e-12
    assert not rows[0]["reaches"] or rows[0]["regret"] == 0


def test_the_verdict_needs_half_the_regret_and_nearly_all_of_the_objective(tmp_path: Path) -> None:
    base = row("optimum", 1.0, 0.1)
    assert reaches(row("one", 0.98, 0.05), base)
    assert not reaches(row("one", 0.97, 0.01), base)
    assert not reaches(row("one", 2.0, 0.051), base)
    assert not reaches(row("one", 2.0, None), base)
    rows = [one | {"reaches": reaches(one, base)} for one in (base, row("better", 1.1, 0.05), row("none", 0.5, None))]
    text = section(DeployedSettings(tmp_path), rows).text
    assert "Reached by: better. On the frontier of objective and regret share: better." in text
