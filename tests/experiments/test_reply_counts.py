"""Fewer samples per cell: real subsamples with the right moments, one draw an intervention, kept rows."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from measured_fakes import fake_surface
from rich.console import Console
from tiny_designs import TINY

from auctionsim.experiments.running.run import Row, kept_section
from auctionsim.experiments.running.sub_surfaces import cells_of
from auctionsim.experiments.running.thinning import measured_counts, thinned
from auctionsim.experiments.studies.reply_counts import FIGURE, ReplyCountSettings, count_rows, main
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM
from auctionsim.experiments.tables.reply_counts import trend
from auctionsim.substrates import Measurement, ResponseSurface

CONSOLE = Console(file=io.StringIO())
REPLIES, PROMPTS = 8, 4


def counted() -> ResponseSurface:
    """Return a fake surface whose hits are mention probabilities of 8 replies, and whose slots are over 4 prompts."""
    made = fake_surface(2)
    replicates = {}
    for name, one in made.replicates.items():
        features = Measurement(*(part.clone() for part in one.features))
        features.mean[..., 1] = (features.mean[..., 1].clamp(0, 1) * REPLIES).round() / REPLIES
        features.n[..., 0], features.n[..., 1] = PROMPTS, REPLIES
        replicates[name] = one._replace(features=features)
    names = ("slot_probability", "mention_probability")
    parts = {"grids": made.grids, "num_bidders": 2, "contexts": made.contexts, "provenance": made.provenance}
    return ResponseSurface(features=names, replicates=replicates, **parts)


def small(folder: Path) -> ReplyCountSettings:
    return ReplyCountSettings(
        "fake",
        folder,
        counts=(1, 16),
        draws=2,
        profiles=64,
        regret_draws=8,
        regret_budget=16,
    )


def read(surface: ResponseSurface, feature: str) -> torch.Tensor:
    return surface.replicates["A"].features.mean[..., surface.measured_features.index(feature)]


def test_mentions_are_subsampled_without_replacement() -> None:
    whole, generator = counted(), np.random.default_rng(0)
    mean = read(whole, "mention_probability")
    draws = torch.stack(
        [read(thinned(whole, "mention_probability", 2, generator), "mention_probability") for _ in range(200)]
    )
    assert set((draws * 2).unique().tolist()) <= {0.0, 1.0, 2.0}
    hits = mean * REPLIES
    assert bool((draws[:, hits == 0] == 0).all())
    assert bool((draws[:, hits == REPLIES] == 1).all())
    assert not bool((draws[:, hits == 1] == 1).any())  # two mentions cannot be drawn where there is one
    cells = cells_of(whole)
    flat = draws.flatten(2, 1 + len(cells.shape))[:, :, cells.distinct]
    middle, expected = flat.mean(0), mean.flatten(1, len(cells.shape))[:, cells.distinct]
    exact = expected * (1 - expected) / 2 * (REPLIES - 2) / (REPLIES - 1)
    assert float((middle - expected).abs().max()) < 5 * float((exact / 200).sqrt().max())
    assert float(flat.var(0).mean()) == pytest.approx(float(exact.mean()), rel=0.1)


def test_other_features_get_the_spread_of_a_part_around_the_whole() -> None:
    whole, generator = counted(), np.random.default_rng(0)
    one = whole.replicates["A"].features
    cells = cells_of(whole)
    draws = torch.stack(
        [read(thinned(whole, "slot_probability", 2, generator), "slot_probability") for _ in range(200)]
    )
    inside = (one.mean[..., 0] > 0.3) & (one.mean[..., 0] < 0.7)  # where cutting to [0, 1] does nothing
    assert bool(inside.any())
    share = draws[:, inside].std(0) / one.standard_error[..., 0][inside]
    assert float(share.mean()) == pytest.approx((PROMPTS / 2 - 1) ** 0.5, rel=0.05)
    assert float(draws.min()) >= 0
    assert float(draws.max()) <= 1
    assert len(cells.distinct) < len(cells.canonical)  # so that the surface's own check of equal cells says something


@pytest.mark.parametrize(("feature", "most"), [("mention_probability", REPLIES), ("slot_probability", PROMPTS)])
def test_all_samples_are_the_surface_itself_and_nothing_else_moves(feature: str, most: int) -> None:
    whole = counted()
    assert measured_counts(whole, feature, (16, 2, 1, 2)) == (1, 2, most)
    torch.testing.assert_close(
        read(thinned(whole, feature, most, np.random.default_rng(0)), feature), read(whole, feature)
    )
    fewer = thinned(whole, feature, 1, np.random.default_rng(0))
    other = next(name for name in whole.measured_features if name != feature)
    assert torch.equal(read(fewer, other), read(whole, other))
    assert torch.equal(fewer.replicates["A"].losses["kl"].mean, whole.replicates["A"].losses["kl"].mean)
    assert torch.equal(fewer.replicates["B"].features.mean, whole.replicates["B"].features.mean)
    assert not torch.equal(read(fewer, feature), read(whole, feature))


def test_what_cannot_be_thinned_is_refused(tmp_path: Path) -> None:
    whole = counted()
    with pytest.raises(ValueError, match="1 to 8, got 9"):
        thinned(whole, "mention_probability", 9, np.random.default_rng(0))
    whole.replicates["A"].features.mean[..., 1] = 0.3
    with pytest.raises(ValueError, match="must be whole"):
        thinned(whole, "mention_probability", 2, np.random.default_rng(0))
    with pytest.raises(ValueError, match="same n"):
        measured_counts(fake_surface(2), "hits", ())
    with pytest.raises(ValueError, match="two draws or more"):
        replace(small(tmp_path), draws=1)


def test_rows_are_whole_kept_and_the_same_anew(tmp_path: Path) -> None:
    whole, settings = counted(), small(tmp_path)
    found = main(settings, whole, "pytest", CONSOLE, TINY)
    table = pd.read_parquet(tmp_path / "reply_counts.parquet")
    assert len(table) == len(found.rows) == 2 * 2 * 4
    assert set(table["mechanism"]) == {OPTIMUM, AFFINE, MENU, "VCG"}
    assert not table.isna().any().any()
    assert table.groupby("feature")["count"].unique().map(list).to_dict() == {
        "mention_probability": [1, REPLIES],
        "slot_probability": [1, PROMPTS],
    }
    assert set(table[table["count"] == table["measured"]]["runs"]) == {1}
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.json")}
    assert main(settings, whole, "pytest", CONSOLE, TINY).rows == found.rows
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.json")} == kept
    fresh = count_rows(settings, whole, "mention_probability", 1, TINY)
    assert fresh == [row for row in found.rows if (row["feature"], row["count"]) == ("mention_probability", 1)]
    assert "hypergeometric" in kept_section(tmp_path).text
    assert (tmp_path / FIGURE).read_bytes().startswith(b"\x89PNG")


def test_the_trend_follows_its_rule() -> None:
    def row(count: int, regret: float, share: float | None) -> Row:
        errors = {"regret_standard_error": 0.01, "objective_share_standard_error": 0.01}
        return {"mechanism": MENU, "count": count, "regret": regret, "objective_share": share, **errors}

    assert "regret falls" in trend([row(1, 0.2, 0.5), row(8, 0.1, 0.9)])
    assert "share rises" in trend([row(1, 0.2, 0.5), row(8, 0.1, 0.9)])
    assert "regret is not told apart" in trend([row(1, 0.11, 0.5), row(8, 0.1, 0.4)])
    assert "share falls" in trend([row(1, 0.11, 0.5), row(8, 0.1, 0.4)])
    assert "regret rises" in trend([row(1, 0.1, None), row(8, 0.2, None)])
    assert "share is not defined" in trend([row(1, 0.1, None), row(8, 0.2, None)])
