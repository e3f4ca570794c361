"""The menu's regret over crosstalk: known crosstalk is found again, parts are kept, verdicts can go either way."""

import io
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from measured_fakes import CONTEXTS, FEATURES, LEVERS, fake_subsets, fake_surface
from rich.console import Console
from tiny_designs import TINY

from auctionsim.experiments.running.run import Row, kept_section
from auctionsim.experiments.running.subsets import surface_of
from auctionsim.experiments.studies.crosstalk_regret import FIGURE, CrosstalkRegretSettings, main
from auctionsim.experiments.tables.crosstalk_regret import strategy_proofness
from auctionsim.experiments.tables.crosstalk_share import crosstalk, rank_correlation
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM
from auctionsim.scoring import pooled, ratio
from auctionsim.substrates import MeasuredList, Measurement, ResponseSurface

CONSOLE = Console(file=io.StringIO())
BRAND_SETS = 3 + 1  # the pairs of three brands, and a grid


def small(folder: Path) -> CrosstalkRegretSettings:
    return CrosstalkRegretSettings(
        folder,
        user_weights=(0.0, 1e5),
        seeds=(0,),
        sizes=(2,),
        draws=64,
        regret_draws=8,
        regret_budget=16,
        resamples=50,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[Row, ...]]:
    folder = tmp_path_factory.mktemp("run")
    found = main(small(folder), {"shoes": fake_subsets()}, {"grid": fake_surface(2)}, "pytest", CONSOLE, TINY)
    return folder, found.rows


def test_every_brand_set_has_every_mechanism(run: tuple[Path, tuple[Row, ...]]) -> None:
    folder, rows = run
    table = pd.read_parquet(folder / "brand_sets.parquet")
    assert len(table) == len(rows) == BRAND_SETS * 2 * 4
    assert set(table["mechanism"]) == {OPTIMUM, AFFINE, MENU, "VCG"}
    measured = ["crosstalk", "revenue", "objective", "regret", "regret_low", "regret_high", "ir_violation", "n"]
    assert not table[measured].isna().any().any()
    sold = table[table.is_sold]
    assert not sold["objective_share"].isna().any()
    assert set(sold["user_weight"]) == {0.0}  # at 100,000 a nat nothing is worth its harm
    assert table[~table.is_sold]["objective_share"].isna().all()
    honest = table[table.mechanism != MENU]
    assert (honest["regret"] == 0).all()
    assert (honest["ir_violation"] <= 1e-9).all()
    assert (table[table.mechanism == MENU]["regret"] > 0).any()
    section = kept_section(folder)
    assert [claim.name for claim in section.claims] == ["strategy-proofness of the menu"]
    assert "Nothing can be sold" in section.text
    assert (folder / FIGURE).read_bytes().startswith(b"\x89PNG")


def test_kept_brand_sets_are_not_computed_again_and_a_fresh_run_agrees(
    run: tuple[Path, tuple[Row, ...]], tmp_path: Path
) -> None:
    folder, rows = run
    kept = {path: path.stat().st_mtime_ns for path in (folder / "parts").rglob("*.json")}
    again = main(
        small(folder), {"shoes": fake_subsets()}, {}, "pytest", CONSOLE, TINY
    )  # one source fewer: the others stay
    assert again.rows == rows[: 3 * 2 * 4]
    assert {path: path.stat().st_mtime_ns for path in (folder / "parts").rglob("*.json")} == kept
    fresh = main(small(tmp_path), {}, {"grid": fake_surface(2)}, "pytest", CONSOLE, TINY)
    assert fresh.rows == rows[-2 * 4 :]


def made(mean: torch.Tensor, error: float) -> ResponseSurface:
    """Return the pair (0, 1) of a list whose slot probabilities (entry, bidder) are given in every context."""
    listed = fake_subsets(2)
    replicates = {}
    for name, one in listed.replicates.items():
        features = one.features.mean.clone()
        features[..., 0] = mean
        errors = torch.full_like(features, error)
        replicates[name] = one._replace(features=Measurement(features, errors, one.features.n), diagnostics={})
    parts = {"levers": LEVERS, "allocations": listed.allocations, "features": FEATURES, "contexts": CONTEXTS}
    return surface_of(MeasuredList(**parts, replicates=replicates, provenance={}), (0, 1)).sell("slot_probability")


def test_crosstalk_is_what_rivals_move_of_what_is_for_sale() -> None:
    listed = fake_subsets(2).allocations[:, :, 1] > 1
    null, both = ~listed.any(1), listed.all(1)
    mean = torch.where(listed, 0.5, 0.1).double()
    assert crosstalk(made(mean, 0.01)).value == pytest.approx(0.0, abs=1e-12)
    assert crosstalk(made(mean, 0.0)).standard_error == 0
    mean[both] = torch.tensor([0.3, 0.6]).double()  # one loses .2, the other gains .1, of .8 for sale
    found = crosstalk(made(mean, 0.01))
    assert found.value == pytest.approx(0.3 / 0.8)
    assert found.net == pytest.approx(-0.1 / 0.8)
    # a brand and context: both once, own (1 + C or 1 − C), null C, each with variance .01²; three contexts
    share = 0.3 / 0.8
    noise = sum(1 + (sign + share) ** 2 + share**2 for sign in (-1, 1)) * 3 * 0.01**2
    assert found.standard_error == pytest.approx(noise**0.5 / (3 * 0.8))
    mean[:] = 0.1
    assert crosstalk(made(mean, 0.01)).value is None
    assert int(null.sum()) == 1


def test_the_standard_error_of_crosstalk_is_what_noise_does_to_it() -> None:
    listed = fake_subsets(2).allocations[:, :, 1] > 1
    mean = torch.where(listed, 0.5, 0.1).double()
    mean[listed.all(1)] = torch.tensor([0.3, 0.7]).double()
    generator = torch.Generator().manual_seed(0)
    values = []
    for _ in range(80):  # the same noise in all three contexts: √3 times the error of independent ones
        noisy = mean + 0.01 * torch.randn(mean.shape, generator=generator, dtype=torch.float64)
        values.append(crosstalk(made(noisy, 0.01)).value)
    spread = float(torch.tensor(values).std())
    expected = crosstalk(made(mean, 0.01)).standard_error
    assert expected is not None
    assert spread == pytest.approx(3**0.5 * expected, rel=0.25)


def test_a_rank_correlation_tells_order_from_none() -> None:
    x = [float(k) for k in range(20)]
    rising, falling = (rank_correlation(x, [s * k**3 for k in x], seed=0, resamples=200) for s in (1, -1))
    assert (rising.value, rising.word, falling.value, falling.word) == (1.0, "rises", -1.0, "falls")
    mixed = rank_correlation(x, [(7 * k) % 20 for k in x], seed=0, resamples=200)
    assert mixed.word == "is not told apart from unordered"
    assert rank_correlation(x, [1.0] * 20, seed=0, resamples=200).word == "cannot be ordered"
    assert rank_correlation(x[:3], x[:3], seed=0, resamples=200).value is None


def verdict(regrets: list[float], error: float = 0.001) -> str:
    row = {"mechanism": MENU, "is_sold": True, "revenue": 1.0, "ir_violation_low": 0.0, "regret_max": 1.0}
    return strategy_proofness([row | {"regret_low": regret - 2 * error} for regret in regrets], 0.01).verdict


def test_the_verdict_follows_its_rule() -> None:
    assert verdict([0.0] * 10) == "holds"
    assert verdict([0.011] * 10) == "holds"  # above the tolerance, but not by its interval
    assert verdict([0.0] * 7 + [0.1] * 3) == "holds in part"
    assert verdict([0.1] * 10) == "does not hold"


def test_seeds_are_pooled_with_the_larger_error() -> None:
    row = {"revenue": 1.0, "revenue_standard_error": 0.3, "regret": 0.1, "regret_standard_error": 0.01}
    row |= {"regret_is": "exact", "regret_max": 0.2, "revenue_draws": 8, "regret_draws": 4}
    row |= {"recipe": "", "loss": "kl", "loss_unit": "nats a token"}
    other = row | {"revenue": 1.2, "regret": 0.3, "regret_is": "lower bound"}
    found = pooled([row, other], ("revenue", "regret"))
    assert found["revenue"] == pytest.approx(1.1)
    assert found["revenue_standard_error"] == pytest.approx(0.3 / 2**0.5)  # profiles say more than the two means
    assert found["regret_standard_error"] == pytest.approx(0.1)  # the two means say more
    assert (found["regret_is"], found["n"], found["runs"]) == ("lower bound", 16, 2)
    assert ratio(found, "regret") == pytest.approx((0.2 / 1.1, (0.1**2 + (0.2 / 1.1 * 0.3 / 2**0.5) ** 2) ** 0.5 / 1.1))
    assert ratio(found | {"revenue": 0.3}, "regret") is None


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="brand sets are needed"):
        main(small(tmp_path), {}, {}, "pytest", CONSOLE, TINY)
    with pytest.raises(ValueError, match="user weights must be"):
        replace(small(tmp_path), user_weights=(-1.0,))
