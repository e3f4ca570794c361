"""Two surfaces as auctions: rows whole and the same again, comparisons that can go either way, verdicts by rule."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measured_fakes import fake_surface
from rich.console import Console
from tiny_designs import TINY

from auctionsim import cli
from auctionsim.experiments.running.run import kept_section
from auctionsim.experiments.studies.neurons_frontier import NeuronsFrontierSettings, main, played
from auctionsim.experiments.tables.frontier_bootstrap import LEVELS, Resampled, bootstrapped, equal_rows, on_frontier
from auctionsim.experiments.tables.mechanisms import AFFINE, OPTIMUM, PRIOR
from auctionsim.experiments.tables.neurons_frontier import KINDS, standing, trade_off_verdict
from auctionsim.mechanisms import VirtualWelfareMaximizer
from auctionsim.scoring import draw_profiles

CONSOLE = Console(file=io.StringIO())
WEIGHTS = (0.0, 0.5, 2.0)


def small(folder: Path) -> NeuronsFrontierSettings:
    return NeuronsFrontierSettings("one", "other", folder, user_weights=WEIGHTS, draws=64, resamples=20)


def test_rows_are_whole_and_a_second_call_gives_the_same(tmp_path: Path) -> None:
    pair = fake_surface(2), fake_surface(2, seed=1)
    found = main(small(tmp_path / "a"), *pair, "pytest", CONSOLE, TINY)
    again = main(small(tmp_path / "a"), *pair, "pytest", CONSOLE, TINY)
    fresh = main(small(tmp_path / "b"), *pair, "pytest", CONSOLE, TINY)
    assert found[:4] == again[:4] == fresh[:4]
    assert (len(found.points), len(found.steps), len(found.equal)) == (
        2 * 2 * 3 * 2,
        2 * 2 * 2 * 2,
        2 * 2 * 2 * len(LEVELS),
    )
    assert len(found.singles) == 2 * 2 * 4
    for name in ("points", "steps", "equal", "singles"):
        assert not pd.read_parquet(tmp_path / "a" / f"{name}.parquet").isna().any().any()
    section = kept_section(tmp_path / "a")
    assert [claim.name for claim in section.claims] == ["user-utility trade-off"]
    assert all((tmp_path / "a" / name).read_bytes().startswith(b"\x89PNG") for name in section.figures)


def test_points_are_what_the_mechanism_charges_and_costs(tmp_path: Path) -> None:
    surface = fake_surface(2).sell("slot_probability")
    settings = small(tmp_path)
    found = played(settings, surface, TINY, "optimum")
    profiles = draw_profiles(surface, PRIOR, 64, 0)
    outcome = VirtualWelfareMaximizer(surface, PRIOR, 0.5)(*profiles)
    loss = surface.replicate("B").user_loss(outcome.allocation, profiles.context)
    np.testing.assert_allclose(found.losses[1][found.cells[1]], loss.numpy())
    means = bootstrapped(found, 3, 0)
    assert means.revenue[0, 1] == pytest.approx(float(outcome.payments.sum(1).mean()))
    assert means.loss["B"][0, 1] == pytest.approx(float(loss.mean()))


def test_a_surface_against_itself_differs_nowhere_but_for_measurement_noise(tmp_path: Path) -> None:
    surface = fake_surface(2).sell("slot_probability")
    found = played(small(tmp_path), surface, TINY, "optimum")
    quiet = found._replace(errors=np.zeros_like(found.errors))
    one, other = (bootstrapped(quiet, 20, 0) for _ in range(2))
    rows = list(equal_rows(one, other, {"replicate": "A"}))
    assert len(rows) == len(KINDS) * len(LEVELS)
    assert all(row["difference"] == row["difference_low"] == row["difference_high"] == 0 for row in rows)
    assert all(row["harm_aware_standard_error"] > 0 for row in rows)  # the pairing took it away, not stillness
    noisy = bootstrapped(found, 20, 0)
    assert noisy.loss["A"].std(0).sum() > one.loss["A"].std(0).sum()


def test_the_better_surface_has_more_revenue_and_less_loss() -> None:
    rng = np.random.default_rng(0)
    revenue = np.array([0.4, 0.3, 0.1]) + 0.001 * rng.standard_normal((50, 3))
    loss = np.array([0.4, 0.2, 0.05]) + 0.001 * rng.standard_normal((50, 3))
    better = Resampled(revenue, {"A": loss})
    worse = Resampled(revenue / 2, {"A": loss})
    for one, other, words in (
        (better, worse, ("higher at 4", "lower at 4")),
        (worse, better, ("lower at 4", "higher at 4")),
    ):
        rows = list(equal_rows(one, other, {"replicate": "A"}))
        for kind, word in zip(KINDS, words, strict=True):
            assert word in standing([row for row in rows if row["kind"] == kind])


def test_a_frontier_is_linear_between_its_points_and_down_to_nothing() -> None:
    x, y = np.array([[0.4, 0.2]]), np.array([[1.0, 0.8]])
    assert on_frontier(x, y, 0.3)[0] == pytest.approx(0.9)
    assert on_frontier(x, y, 0.1)[0] == pytest.approx(0.4)
    signed, earned = np.array([[2.0, -1.0, 0.5]]), np.array([[1.0, 0.4, 0.7]])  # a loss that may be a gain
    assert on_frontier(signed, earned, -0.25)[0] == pytest.approx(0.55)
    assert on_frontier(signed, earned, 0.25)[0] == pytest.approx(0.65)


def step(revenue: tuple[float, float], loss: tuple[float, float]) -> dict[str, object]:
    row: dict[str, object] = {"surface": "one", "replicate": "A"}
    for name, (low, high) in (("revenue", revenue), ("user_loss", loss)):
        row |= {f"{name}_change": (low + high) / 2, f"{name}_change_low": low, f"{name}_change_high": high}
    return row


def test_the_verdict_follows_its_rule() -> None:
    falls, flat, rises = (-0.2, -0.1), (-0.2, 0.1), (0.1, 0.2)
    assert trade_off_verdict([step(falls, falls), step(falls, falls)]) == "holds"
    assert trade_off_verdict([step(falls, falls), step(falls, flat)]) == "holds in part"
    assert trade_off_verdict([step(falls, falls), step((-0.02, -0.01), rises)]) == "does not hold"
    assert trade_off_verdict([step(rises, falls)]) == "does not hold"


def test_other_brands_and_unordered_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same brands"):
        main(small(tmp_path), fake_surface(2), fake_surface(3), "pytest", CONSOLE, TINY)
    with pytest.raises(ValueError, match="ascending"):
        replace(small(tmp_path), user_weights=(1.0, 0.5))


def test_the_command_runs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in (0, 1):
        fake_surface(2, seed=seed).save(tmp_path / f"{seed}.safetensors")
    words = ["auction", "neurons-frontier", "--harm-aware", str(tmp_path / "0.safetensors")]
    words += ["--plain", str(tmp_path / "1.safetensors"), "--user-weights", "0,1", "--draws", "32", "--resamples", "10"]
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words, "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert set(pd.read_parquet(tmp_path / "run" / "points.parquet")["mechanism"]) == {OPTIMUM, AFFINE}
