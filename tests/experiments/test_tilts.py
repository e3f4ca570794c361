"""The study of tilts: exact tables, paired bootstraps, curves of made-up prompts, diversity, verdicts that can fail."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from auctionsim.experiments.running.prompt_bootstrap import PromptBootstrap, summary
from auctionsim.experiments.running.run import kept_section
from auctionsim.experiments.running.tilt_cases import PromptCase, label_cases, setting_cases, stored_list
from auctionsim.experiments.running.tilt_curves import (
    TABLES,
    curve_rows,
    equal_kl_rows,
    prompt_values,
    random_table_rows,
    table_rows,
)
from auctionsim.experiments.running.tilt_diversity import PromptTexts, by_text, law_diversity, set_diversity
from auctionsim.experiments.running.tilt_policies import BEST_OF_N, FORWARD, REVERSE, PolicyGrid, laws
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.experiments.studies.tilts import main
from auctionsim.experiments.tables.tilt_verdicts import FAILS, HOLDS, verdict_rows
from auctionsim.mechanisms import ReverseKL, best_of_n
from auctionsim.trust import read_labels

F64 = torch.float64
GRID = PolicyGrid((0.2, 0.5, 2.0), (1, 4, 16), 0.25)
LIST = "running-shoes-2-neurons@1"


def prompt(stratum: str, proxies: list[float], rewards: list[float]) -> PromptCase:
    p = torch.full((len(proxies),), 1 / len(proxies), dtype=F64)
    numbers = (torch.tensor(part, dtype=F64) for part in (proxies, rewards))
    return PromptCase(stratum, p, *numbers, torch.ones(len(p), dtype=F64), torch.arange(len(p)))


CASES = [prompt("a", [1, 0, 2], [1, 0, -1]), prompt("a", [0, 3], [1, 2]), prompt("b", [0.5, 0, 0, 1], [0, 1, 0, 2])]


def row_of(rows: list[dict[str, object]], **wanted: object) -> dict[str, float]:
    (found,) = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    return found  # type: ignore[return-value]


def test_written_tables_are_exact() -> None:
    rows = table_rows("overrated third reply", TABLES["overrated third reply"], GRID)
    assert row_of(rows, family=REVERSE, setting=0.5)["value"] == pytest.approx(0.4505, abs=5e-5)
    assert row_of(rows, family=FORWARD, setting=0.2)["loss"] > row_of(rows, family=REVERSE, setting=0.2)["loss"]
    best = row_of(rows, family=BEST_OF_N, setting=4.0)
    assert best["value"] == pytest.approx(0.9**4 - 0.7**4)  # the second reply is the best of four where no third is
    two = table_rows("two outcomes", TABLES["two outcomes"], PolicyGrid((0.9, 1.1), (1,), 0.0))
    assert row_of(two, family="total variation", setting=0.9)["value"] == 1
    assert row_of(two, family="total variation", setting=1.1)["value"] == 0.5
    rare = table_rows("rare best reply", TABLES["rare best reply"], PolicyGrid((1.0,), (1,), 0.0))
    assert row_of(rare, family=REVERSE)["loss"] > 3 * row_of(rare, family=REVERSE)["rough_estimate"]


def test_random_tables_split_exactly() -> None:
    rows = random_table_rows(3, (0.1, 1.0), seed=1)
    assert max(row["residual"] for row in rows) < 1e-9
    assert max(row["bound_excess"] for row in rows) < 1e-9
    assert {row["loses_more_than_reverse"] for row in rows if row["family"] == REVERSE} == {0.0}
    assert rows == random_table_rows(3, (0.1, 1.0), seed=1)


def test_a_bootstrap_keeps_strata_and_pairs() -> None:
    """A value that is constant within strata has no width; a difference of equal values neither."""
    strata = ["a"] * 3 + ["b"] * 5
    bootstrap = PromptBootstrap(strata, 200, 0)
    constant = np.array([1.0] * 3 + [5.0] * 5)
    assert bootstrap.mean(constant) == pytest.approx((3.5, 3.5, 3.5))
    values = np.arange(8.0)
    found = bootstrap.mean(values)
    assert found.low < 3.5 < found.high
    assert found.mean == 3.5
    x = np.stack([np.zeros(8), np.ones(8) * 2], 1)
    y = np.stack([values, values + 4], 1)
    at = bootstrap.at(x, y, 0.5)
    assert at is not None
    assert summary(at) == pytest.approx((found.mean + 1, found.low + 1, found.high + 1))  # linear between settings
    assert bootstrap.at(x, y, 2.5) is None
    with pytest.raises(ValueError, match="two prompts"):
        PromptBootstrap(["a"], 10, 0)


def test_curves_are_means_over_prompts() -> None:
    values = prompt_values(CASES, GRID)
    bootstrap = PromptBootstrap([case.stratum for case in CASES], 100, 0)
    rows = curve_rows(values, GRID, bootstrap)
    tilted = [ReverseKL().tilt(case.proxies.unsqueeze(0), 0.5, case.p)[0] for case in CASES]
    row = row_of(rows, family=REVERSE, setting=0.5)
    assert row["value"] == pytest.approx(np.mean([float(q @ c.rewards) for q, c in zip(tilted, CASES, strict=True)]))
    assert (row["over_middle"], row["over_middle_low"]) == (0, 0)
    assert row["promise_kept"] == pytest.approx(row["gain"] - row["proxy_gain"])
    first = row_of(rows, family=BEST_OF_N, setting=1.0)
    assert (first["kl"], first["gain"], first["win_rate"]) == pytest.approx((0, 0, 0.5))
    drawn = [best_of_n(case.proxies.unsqueeze(0), 4, case.p)[0] for case in CASES]
    spent = np.mean([float(ReverseKL().between(q[None], c.p)) for q, c in zip(drawn, CASES, strict=True)])
    assert row_of(rows, family=BEST_OF_N, setting=4.0)["kl"] == pytest.approx(spent)
    at_row = equal_kl_rows(values, GRID, bootstrap, float(row["kl"]))[0]
    assert at_row["value"] == pytest.approx(row["value"])  # where it spends what β = .5 spends
    unreached = equal_kl_rows(values, GRID, bootstrap, 99.0)
    assert all("value" not in one for one in unreached)


def test_laws_are_in_the_order_of_the_settings() -> None:
    rewards, p = torch.tensor([0.0, 1.0, 1.2]), torch.tensor([0.7, 0.2, 0.1], dtype=F64)
    found = laws(rewards, p, GRID)
    settings = GRID.settings()
    assert len(found) == len(settings)
    assert torch.allclose(found.sum(1), torch.ones(len(found), dtype=F64))
    place = settings.index((REVERSE, 0.5))
    assert torch.allclose(found[place], ReverseKL().tilt(rewards.double().unsqueeze(0), 0.5, p)[0])


def test_diversity_of_a_law_and_of_a_set() -> None:
    similarity = torch.eye(3, dtype=F64)
    drawn = torch.tensor([[0.1, 0.5, 0.9, 0.2], [0.3, 0.3, 0.4, 0.6]], dtype=F64)
    texts = PromptTexts(("walk every day", "run fast now", "walk every day"), similarity, drawn)
    sure = law_diversity(texts, torch.tensor([1.0, 0.0, 0.0], dtype=F64))
    assert sure["entropy"] == 0
    assert (sure["distinct"], sure["vendi_of_law"], sure["self_bleu"]) == pytest.approx((1, 1, 1))
    even = torch.full((3,), 1 / 3, dtype=F64)
    found = law_diversity(texts, even)
    assert found["entropy"] == pytest.approx(math.log(3))
    assert found["distinct"] == pytest.approx(2 - (2 / 3) ** 4 - (1 / 3) ** 4)  # two of the texts are one
    assert by_text(texts.texts, even) == pytest.approx([2 / 3, 1 / 3])
    sets = [set_diversity(texts, places) for places in ([0, 1, 2, 0], [0, 0, 1, 1])]
    assert found["self_bleu"] == pytest.approx(np.mean([one["self_bleu"] for one in sets]))


def test_real_prompts() -> None:
    """Settings: A's means are the proxy, all of B's prompts the truth; labels: weights are shares within a prompt."""
    found = stored_list(LIST)
    cases = setting_cases(found, "mention_probability", "quality", (1.0, 1.0))
    one = setting_cases(found, "mention_probability", "quality", (1.0, 1.0), 1)
    asked = {asked for asked in found.stored.by_prompt() if asked.replicate == "B"}
    assert len(cases) == len(asked)
    assert len(cases[0].p) == len(found.stored.interventions)
    assert torch.equal(cases[0].rewards, one[0].rewards)
    assert not torch.equal(cases[0].proxies, one[0].proxies)
    labels = read_labels()
    labelled = label_cases(labels._replace(labels=labels.labels[:200]), "hits")
    assert all(float(case.p.sum()) == pytest.approx(1) for case in labelled)
    everything = torch.cat([case.rewards for case in labelled])
    assert float(everything.mean()) == pytest.approx(0, abs=0.1)
    with pytest.raises(ValueError, match="a judge's score is one of"):
        label_cases(labels, "length")


def small(folder: Path) -> TiltsSettings:
    return TiltsSettings(folder, (LIST,), (), (), betas=(0.2, 0.5), draws=(1, 4), tables=2, resamples=50)


def test_the_study_writes_verdicts_that_can_fail(tmp_path: Path) -> None:
    settings, console = small(tmp_path), Console(file=io.StringIO())
    found = main(settings, "auctionsim auction tilts", console)
    section = kept_section(tmp_path)
    assert "0.4505" in section.text
    assert all((tmp_path / name).exists() for name in section.figures)
    by_rule = {row["statement, and the rule"][:20]: row["verdict"] for row in verdict_rows(settings, found.tables)}
    assert by_rule["What a proxy loses s"] == f"**{HOLDS}**"
    assert by_rule["The forward KL is th"] == f"**{FAILS}**"
    broken = {**found.tables, "random": [{**row, "residual": 1e-6} for row in found.tables["random"]]}
    assert verdict_rows(settings, broken)[0]["verdict"] == f"**{FAILS}**"
    spent = [{**row, "kl": row["kl"] + 1} for row in found.tables["curves"]]
    words = [row["verdict"] for row in verdict_rows(settings, {**found.tables, "curves": spent})]
    assert words != [row["verdict"] for row in verdict_rows(settings, found.tables)]
    before = (tmp_path / "section.md").read_bytes()
    main(settings, "auctionsim auction tilts", console)  # from the parts that are kept
    assert (tmp_path / "section.md").read_bytes() == before


def test_settings_refuse_what_has_no_order() -> None:
    with pytest.raises(ValueError, match="betas must be above 0 and rise"):
        TiltsSettings(Path(), betas=(1.0, 0.5))
    with pytest.raises(ValueError, match="draws must be at least 1 and rise"):
        TiltsSettings(Path(), draws=(0, 2))
    with pytest.raises(ValueError, match="varied must be among"):
        TiltsSettings(Path(), varied=("others",))
