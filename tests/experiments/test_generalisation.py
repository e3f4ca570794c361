"""Across prompts: agreement with known answers, contexts left out, rows kept, verdicts that can go either way."""

import io
from pathlib import Path

import pandas as pd
import pytest
import torch
from measured_fakes import CONTEXTS, fake_surface
from rich.console import Console
from tiny_designs import TINY

from auctionsim.experiments.running.run import Row, kept_section
from auctionsim.experiments.running.sub_surfaces import cells_of, in_contexts, with_replicates
from auctionsim.experiments.studies.generalisation import (
    EVERY,
    FIGURE,
    KNOWN,
    UNSEEN,
    GeneralisationSettings,
    deployed_rows,
    main,
)
from auctionsim.experiments.tables.generalisation import above_optimum, explained, lost_by_context
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM
from auctionsim.experiments.tables.replicate_agreement import agreement
from auctionsim.substrates import Measurement, Quantity, ResponseSurface

CONSOLE = Console(file=io.StringIO())


def test_other_numbers_are_sold_at_the_cost_of_the_same_loss_whatever_its_name() -> None:
    whole = fake_surface(2)
    replicates = {name: one._replace(losses={"to-do": one.losses["kl"]}) for name, one in whole.replicates.items()}
    renamed = ResponseSurface(
        grids=whole.grids,
        num_bidders=2,
        features=whole.measured_features,
        contexts=whole.contexts,
        replicates=replicates,
        provenance=whole.provenance,
        quantities={"to-do": Quantity("things")},
    )
    assert in_contexts(renamed.sell("hits", loss={"to-do": 1}), [0]).offer == renamed.sell("hits").offer


def small(folder: Path) -> GeneralisationSettings:
    return GeneralisationSettings(
        folder,
        seeds=(0,),
        draws=64,
        regret_draws=8,
        regret_budget=16,
    )


def shifted(surface: ResponseSurface, slope: float, shift: float, error: float) -> ResponseSurface:
    """Return the surface whose hits on B are slope · A + shift, standard errors the same everywhere."""
    a = surface.replicates["A"]
    errors = torch.full_like(a.features.mean, error)
    mean = a.features.mean.clone()
    mean[..., 1] = slope * mean[..., 1] + shift
    b = a._replace(features=Measurement(mean, errors, a.features.n))
    return with_replicates(surface, {"A": a._replace(features=a.features._replace(standard_error=errors)), "B": b})


def test_agreement_has_known_answers() -> None:
    surface = shifted(fake_surface(2), 0.5, 0.3, 0.1)
    rows = {(row["context"], row["quantity"]): row for row in agreement(surface)}
    assert set(rows) == {(context, q) for context in CONTEXTS for q in ("slot_probability", "hits", "user_loss")}
    cells = cells_of(surface)
    hits = surface.replicates["A"].features.mean[0, ..., 1].flatten(0, len(cells.shape) - 1)[cells.distinct].flatten()
    found = rows["direct", "hits"]
    assert found["n"] == len(hits) == len(cells.distinct) * 2
    assert found["rank_correlation"] == pytest.approx(1.0)
    assert found["slope"] == pytest.approx(0.5)
    squared = float((0.3 - 0.5 * hits).square().mean())
    assert found["rms"] == pytest.approx(squared**0.5)
    assert found["rms_allowed"] == pytest.approx(0.1 * 2**0.5)
    assert found["ratio"] == pytest.approx(squared / 0.02)
    same = rows["loose", "slot_probability"]
    assert (same["rms"], same["ratio"]) == (0.0, 0.0)


def test_noise_of_the_stated_size_has_a_ratio_of_one() -> None:
    surface, generator = shifted(fake_surface(2), 1.0, 0.5, 0.05), torch.Generator().manual_seed(0)
    cells, a = cells_of(surface), surface.replicates["A"]
    ratios = []
    for _ in range(10):  # 50 numbers a draw: a ratio spreads by a fifth, their mean by a sixteenth
        noise = torch.randn(len(cells.canonical), 2, generator=generator, dtype=torch.float64)[cells.canonical]
        mean = a.features.mean.clone()
        mean[..., 1] = mean[..., 1] + 0.5  # far from 0, where nothing is cut
        moved = mean.clone()
        moved[..., 1] += 0.05 * 2**0.5 * noise.view(*cells.shape, 2)
        pair = {name: a._replace(features=a.features._replace(mean=m)) for name, m in (("A", mean), ("B", moved))}
        rows = agreement(with_replicates(surface, pair))
        ratios.append(next(row["ratio"] for row in rows if row["quantity"] == "hits"))
    assert sum(ratios) / len(ratios) == pytest.approx(1.0, abs=0.2)


def test_a_surface_of_fewer_contexts_says_the_same_in_them() -> None:
    surface = fake_surface(2).sell("hits").replicate("B")
    cut = in_contexts(surface, [2, 0])
    assert (cut.contexts, cut.features, cut.scored_replicate) == (("loose", "direct"), ("hits",), "B")
    x = torch.tensor([[[256.0, 3.0], [64.0, 1.5]]]).double()
    for here, there in ((0, 2), (1, 0)):
        told, original = torch.tensor([here]), torch.tensor([there])
        torch.testing.assert_close(cut.exposure(x, told), surface.exposure(x, original))
        torch.testing.assert_close(cut.user_loss(x, told), surface.user_loss(x, original))
    for bad in ([], [0, 0], [3]):
        with pytest.raises(ValueError, match="contexts must be some of 0 to 2"):
            in_contexts(surface, bad)


def test_rows_are_whole_kept_and_the_same_anew(tmp_path: Path) -> None:
    surface, settings = fake_surface(2), small(tmp_path)
    found = main(settings, {"fake": surface}, "pytest", CONSOLE, TINY)
    table = pd.read_parquet(tmp_path / "deployed.parquet")
    assert len(table) == len(found.deployed) == (1 + 3 + 3) * 4
    assert set(table["mechanism"]) == {OPTIMUM, AFFINE, MENU, "VCG"}
    assert set(table["context"]) == {EVERY, *CONTEXTS}
    assert not table[["objective", "regret", "regret_low", "ir_violation", "objective_share", "n"]].isna().any().any()
    assert len(pd.read_parquet(tmp_path / "agreement.parquet")) == 3 * 3
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.json")}
    assert main(settings, {"fake": surface}, "pytest", CONSOLE, TINY).deployed == found.deployed
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.json")} == kept
    assert tuple(deployed_rows(settings, "fake", surface, TINY)) == found.deployed
    assert "never saw" in kept_section(tmp_path).text
    assert (tmp_path / FIGURE).read_bytes().startswith(b"\x89PNG")


def test_an_unseen_context_is_not_designed_on(tmp_path: Path) -> None:
    surface, settings = fake_surface(2), small(tmp_path)
    replicates = dict(surface.replicates)
    features = Measurement(*(part.clone() for part in replicates["A"].features))
    features.mean[2] = 0.02  # A says of the loose context that nothing works there; B stays as it is
    replicates["A"] = replicates["A"]._replace(features=features)
    before = deployed_rows(settings, "fake", surface, TINY)
    after = deployed_rows(settings, "fake", with_replicates(surface, replicates), TINY)
    pairs = [(x, y) for x, y in zip(before, after, strict=True) if x["context"] == "loose"]
    assert all(x == y for x, y in pairs if x["designed"] == UNSEEN)
    assert any(x != y for x, y in pairs if x["designed"] == KNOWN)
    others = [(x, y) for x, y in zip(before, after, strict=True) if x["context"] == "direct"]
    assert any(x != y for x, y in others if x["designed"] == UNSEEN)


def test_verdicts_follow_their_rules() -> None:
    row: Row = {"quantity": "hits", "slope": 1.0}
    assert "1 of 2 contexts" in explained([row | {"ratio": 1.9}, row | {"ratio": 2.1}])
    assert "no standard error" in explained([row | {"ratio": None}])

    def deployed(known: float, unseen: float) -> list[Row]:
        made: Row = {"mechanism": MENU, "context": "direct", "objective_share_standard_error": 0.01, "recipe": ""}
        shares = {KNOWN: known, UNSEEN: unseen}
        return [made | {"designed": how, "objective_share": share} for how, share in shares.items()]

    (told,) = [text for text in lost_by_context(deployed(0.9, 0.5)) if text.startswith(MENU)]
    assert "worse by more than its interval in 1 of 1 contexts, better in 0" in told
    (told,) = [text for text in lost_by_context(deployed(0.5, 0.9)) if text.startswith(MENU)]
    assert "in 0 of 1 contexts, better in 1" in told
    (told,) = [text for text in lost_by_context(deployed(0.9, 0.89)) if text.startswith(MENU)]
    assert "in 0 of 1 contexts, better in 0" in told


def test_shares_above_the_optimum_are_counted_with_what_they_break() -> None:
    rows: list[Row] = [
        {"objective_share": 1.2, "objective_share_low": 1.1, "ir_violation_low": 0.01},
        {"objective_share": 1.2, "objective_share_low": 1.1, "ir_violation_low": 0.0},
        {"objective_share": 1.02, "objective_share_low": 0.9, "ir_violation_low": 0.01},
        {"objective_share": None, "objective_share_low": None, "ir_violation_low": 0.01},
    ]
    assert "in 2 of 3 rows, and in 1 of these" in above_optimum(rows)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one surface at least"):
        main(small(tmp_path), {}, "pytest", CONSOLE, TINY)
    with pytest.raises(ValueError, match="two or more"):
        main(small(tmp_path), {"fake": in_contexts(fake_surface(2), [0])}, "pytest", CONSOLE, TINY)
