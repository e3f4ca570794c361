"""Losses in money: rates, noise, designs on one loss scored by another, replies by rule, verdicts of either kind."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from measured_fakes import fake_surface
from rich.console import Console

from auctionsim.brands import parse_brands
from auctionsim.experiments.running.designs import Designs
from auctionsim.experiments.running.priced_losses import PricedLoss, loss_prices
from auctionsim.experiments.running.run import kept_section
from auctionsim.experiments.running.stored_by_name import SurfaceReplies, surface_with_replies
from auctionsim.experiments.studies.losses import FIGURES, LossesSettings, main
from auctionsim.experiments.tables.expectations import FAILED, HELD, PARTLY, UNKNOWN, verdict_of
from auctionsim.experiments.tables.loss_cells import CellMeans, correlation_rows, mentions_per_word
from auctionsim.experiments.tables.loss_expectations import expectations, revenue_at_half
from auctionsim.experiments.tables.loss_matrix import NOBODY, rows_of
from auctionsim.experiments.tables.loss_menus import nearest_entries, reply_rows
from auctionsim.experiments.tables.measurement_noise import loss_error
from auctionsim.measurement.second_pass import SecondPass
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.mechanisms import MenuAuction
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.mechanisms.table import table
from auctionsim.substrates import Measurement, Quantity, Replicate, ResponseSurface

CONSOLE = Console(file=io.StringIO())
OFFER = Menu(torch.tensor([[[256.0, 1.5], [256.0, 3.0]]] * 2).double(), torch.tensor([[0.1, 0.3]] * 2).double())
FIXED = Designs(entries={**table(), "menu": replace(table()["menu"], design=lambda p: MenuAuction(p.view, OFFER))})
"""The table with a menu that is written, not learned: 256 neurons × 1.5 for .1 and × 3 for .3, for each bidder."""


def two_losses(*, gain: bool = False) -> ResponseSurface:
    """Return a surface with a second loss, by difference: the rise of brand 1, or a gain wherever it moves."""
    whole = fake_surface(2)
    replicates = {}
    for name, one in whole.replicates.items():
        slots = one.features.mean[..., 1, 0]
        null = slots[:, :1, :1, :1, :1]
        moved = -(slots - null).abs() if gain else slots - null
        other = Measurement(moved, one.features.standard_error[..., 1, 0], one.losses["kl"].n)
        replicates[name] = Replicate(one.features, {**one.losses, "other": other}, one.diagnostics)
    return ResponseSurface(
        grids=whole.grids,
        num_bidders=2,
        features=whole.measured_features,
        contexts=whole.contexts,
        replicates=replicates,
        provenance=whole.provenance,
        quantities={"other": Quantity("slots")},
    )


def small(folder: Path, **changes: Any) -> LossesSettings:
    settings = LossesSettings(
        folder,
        losses=("kl", "other", "quality"),
        prices=(0.0, 0.5),
        mechanisms=("optimum", "menu"),
        draws=1024,
        regret_draws=4,
        regret_budget=8,
    )
    return replace(settings, **changes)


def test_what_is_charged_together_is_different() -> None:
    with pytest.raises(ValueError, match="different losses, got 'kl\\+ kl'"):
        loss_prices(two_losses(), ("kl", "kl+ kl"))


def test_weights_of_cells_say_what_a_mean_loss_is_made_of(generator: torch.Generator) -> None:
    surface = fake_surface(2)
    low, high = (torch.tensor(ends, dtype=torch.float64) for ends in ((0.0, 1.0), (256.0, 3.0)))
    x = low + (high - low) * torch.rand(40, 2, 2, generator=generator, dtype=torch.float64)
    for context in (None, torch.randint(3, (40,), generator=generator)):
        weights = surface.cell_weights(x, context)
        assert float(weights.sum()) == pytest.approx(1)
        assert weights.shape == (3, len(surface.finite_range().allocations))
        every = torch.arange(3).unsqueeze(1).expand(weights.shape).flatten()
        entries = surface.finite_range().allocations.repeat(3, 1, 1)
        losses = surface.user_loss(entries, every).view(weights.shape)
        assert float((weights * losses).sum()) == pytest.approx(float(surface.user_loss(x, context).mean()))


def test_the_error_of_a_mean_loss_counts_the_untouched_reply_at_its_worst() -> None:
    surface = two_losses()
    weights = torch.zeros(3, len(surface.finite_range().allocations), dtype=torch.float64)
    weights[0, 3], weights[0, 5], weights[2, 0] = 0.5, 0.25, 0.25
    allocations = surface.finite_range().allocations[[3, 5]]
    here = torch.tensor([0, 0])
    one, other = surface.sell("hits").standard_error(allocations, here).user_loss.tolist()
    assert loss_error(surface.sell("hits"), weights) == pytest.approx((0.25 * one**2 + other**2 / 16) ** 0.5)
    view = surface.sell("hits", loss="other")
    one, other = view.standard_error(allocations, here).user_loss.tolist()
    entries = surface.finite_range().allocations[1:]
    shared = float(view.standard_error(entries, torch.zeros(len(entries), dtype=torch.long)).user_loss.min() ** 2)
    most = 0.25 * (one**2 - shared) + (other**2 - shared) / 16 + 0.75**2 * shared
    assert loss_error(view, weights) == pytest.approx(most**0.5)
    difference = weights.clone()
    difference[0, 5] = -0.5  # what both share drops out: the worst is that nothing is shared
    assert loss_error(view, difference) == pytest.approx(0.5 * (one**2 + other**2) ** 0.5)


def test_a_rate_makes_the_dearest_cell_cost_the_price() -> None:
    surface = two_losses()
    prices = loss_prices(surface, ("kl", "other", "quality", "kl+other", "kl+quality"))
    assert [one.name for one in prices.priced] == ["kl", "other", "kl+other"]
    assert set(prices.missing) == {"quality", "kl+quality"}
    for one in prices.priced[:2]:
        view = surface.sell("hits", loss=one.charge)
        assert float(view.user_loss(surface.finite_range().allocations).max()) == pytest.approx(1)
    kl, other, both = prices.priced
    assert both.charge == {"kl": kl.charge["kl"] / 2, "other": other.charge["other"] / 2}
    gains = loss_prices(two_losses(gain=True), ("kl", "other"))
    assert "dearer than the untouched reply by more than noise" in gains.missing["other"]
    with pytest.raises(ValueError, match="one or more different names"):
        loss_prices(surface, ("kl", "kl"))


def test_a_design_is_scored_by_every_loss_and_rows_are_kept(tmp_path: Path) -> None:
    measured = {"fake": SurfaceReplies(two_losses(), None)}
    found = main(small(tmp_path), measured, "pytest", CONSOLE, FIXED).surfaces["fake"]
    assert len(found.matrix) == 2 * 2 * 3 * 2  # mechanisms, replicates, designs with none among them, scores
    own = rows_of(found.matrix, {"mechanism": "virtual welfare (optimal)", "replicate": "A"})
    for loss in ("kl", "other"):
        (diagonal,) = rows_of(own, {"designed_on": loss, "scored_on": loss})
        assert diagonal["share"] == pytest.approx(1)
        assert (diagonal["lost"], diagonal["lost_draws"], diagonal["lost_noise"]) == (0, 0, 0)
        assert diagonal["share_noise"] == pytest.approx(0)
        (free,) = rows_of(own, {"designed_on": NOBODY, "scored_on": loss})
        assert free["lost"] == pytest.approx(1 - free["share"])
        assert free["lost"] > 0
    (kl,) = rows_of(own, {"designed_on": "kl", "scored_on": "kl"})
    assert kl["loss"] < rows_of(own, {"designed_on": NOBODY, "scored_on": "kl"})[0]["loss"]
    dearest = [(row["designed_on"], round(row["price"], 6)) for row in found.entries if row["amplification"] == 3]
    assert sorted(dearest) == [("kl", 0.3)] * 2 + [("other", 0.3)] * 2
    assert len(found.outcomes) == 2 * 2 * 4 * 3 * 2  # mechanisms, losses, profiles, contexts, brands
    text = kept_section(tmp_path).text
    assert "`quality` (quality was not measured on this surface" in text
    assert "The replies behind this surface were not kept" in text
    assert all((tmp_path / name).read_bytes().startswith(b"\x89PNG") for name in FIGURES)
    assert len(pd.read_parquet(tmp_path / "matrix.parquet")) == len(found.matrix)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.json")}
    assert main(small(tmp_path), measured, "pytest", CONSOLE, FIXED).surfaces["fake"].matrix == found.matrix
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").rglob("*.json")} == kept


def test_what_cannot_be_charged_or_designed_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="none of the losses: quality was not measured"):
        main(small(tmp_path, losses=("quality",)), {"fake": SurfaceReplies(fake_surface(2), None)}, "", CONSOLE, FIXED)
    with pytest.raises(ValueError, match="one surface at least"):
        main(small(tmp_path), {}, "pytest", CONSOLE, FIXED)
    with pytest.raises(ValueError, match="prices must be one or more different amounts"):
        small(tmp_path, prices=(1.0, 1.0))
    with pytest.raises(ValueError, match="quantiles"):
        small(tmp_path, quantiles=(1.5,))


def test_a_correlation_follows_known_cells() -> None:
    surface = fake_surface(2)
    x = np.random.default_rng(0).random((3, 40))
    noise = np.full((3, 40), 0.1)
    quiet, sides = np.zeros((3, 40)), {"mentions a word": CellMeans(x, np.zeros((3, 40)))}
    means = {"B": {"twice": CellMeans(2 * x, quiet), "cubed": CellMeans(-(x**3), noise), **sides}}
    rows = [*correlation_rows(surface, means, ("twice", "cubed"), seed=0)]
    assert len(rows) == 2 * 4
    parts = {"loss": x + x**2 + 0.1 * np.sin(40 * x), "parabola": x - x**2}
    both = {name: {**{k: CellMeans(v, quiet) for k, v in parts.items()}, **sides} for name in ("A", "B")}
    found = [*correlation_rows(surface, both, ("loss", "parabola"), seed=0)]
    left = [row["left"] for row in rows_of(found, {"loss": "loss", "replicate": "B"})]
    assert left == pytest.approx([1] * 4)  # the same waves in A and in B
    assert {row["left"] for row in rows_of(found, {"loss": "parabola", "context": "direct"})} == {None}
    (twice,) = rows_of(rows, {"loss": "twice", "context": "direct"})
    assert [twice[name] for name in ("pearson", "pearson_low", "spearman", "corrected")] == pytest.approx([1] * 4)
    (cubed,) = rows_of(rows, {"loss": "cubed", "context": "direct"})
    assert cubed["spearman"] == pytest.approx(-1)
    assert -1 <= cubed["pearson_low"] <= cubed["pearson"] <= cubed["pearson_high"] < -0.8
    assert cubed["reliability"] == pytest.approx(1 - 0.01 / (x[0] ** 3).var(ddof=1))
    assert cubed["corrected"] == pytest.approx(cubed["pearson"] / cubed["reliability"] ** 0.5)
    assert mentions_per_word(["Nike, Nike and Puma", ""], parse_brands("Nike,Puma")) == [3 / 4, 0]


def test_half_of_a_loss_is_reached_between_prices_by_lots() -> None:
    row = {"replicate": "B", "mechanism": "m", "designed_on": "kl", "scored_on": "kl"}
    points = [(0.0, 1.0, 0.8), (1.0, 0.6, 0.7), (2.0, 0.4, 0.3)]
    curve = [row | {"price": price, "loss": loss, "revenue": revenue} for price, loss, revenue in points]
    assert revenue_at_half(curve, "m", "kl", "kl") == pytest.approx(0.5 / 0.8)
    assert revenue_at_half(curve[:1], "m", "kl", "kl") == pytest.approx(0.5)  # with the untouched reply for the rest
    assert revenue_at_half(curve[1:], "m", "kl", "kl") is None
    assert revenue_at_half([curve[0] | {"loss": -0.1}], "m", "kl", "kl") is None


def test_verdicts_go_either_way() -> None:
    assert [verdict_of(met, 3) for met in (3, 1, 0)] == [HELD, PARTLY, FAILED]
    assert verdict_of(0, 0) == UNKNOWN

    def found(pearson: float, lost: float) -> list[str]:
        sides = {"against": "mentions a word", "replicate": "B", "context": "direct"}
        kl = {"loss": "kl", "pearson": pearson, "pearson_low": pearson - 0.05, "pearson_high": pearson + 0.05, **sides}
        quality = {**kl, "loss": "quality", "pearson": 0.5, "pearson_low": 0.4, "pearson_high": 0.6}
        cell = {"replicate": "B", "mechanism": "m", "designed_on": "kl", "scored_on": "quality"}
        matrix = [cell | {"lost": lost, "lost_draws": 0.03, "lost_noise": 0.04}]
        tables = {"correlations": [kl, quality], "matrix": matrix, "curve": []}
        return [one.verdict for one in expectations({"fake": tables})]

    assert found(0.95, 0.2) == [HELD, HELD, HELD, UNKNOWN, HELD, UNKNOWN]
    assert found(0.5, -0.2) == [FAILED, FAILED, FAILED, UNKNOWN, FAILED, UNKNOWN]
    assert found(0.95, 0.09)[4] == FAILED  # not more than its interval


def test_replies_are_picked_by_rule_at_the_nearest_cell(tmp_path: Path) -> None:
    surface, stored, _ = surface_with_replies("running-shoes-2@3")
    assert stored is not None
    allocation = torch.tensor([[[500.0, 1.9], [500.0, 1.1]], [[100.0, 2.0], [300.0, 1.6]]]).double()
    entries = nearest_entries(surface, allocation)
    nodes = surface.finite_range().allocations[entries]
    assert nodes[0, 0].tolist() == [512.0, 2.0]
    assert nodes[1, 0, 0] == 0
    assert nodes[1, 1].tolist() == [256.0, 1.5]
    chosen = [{"context": "request", "entry": int(entries[0])}]
    shown = reply_rows(surface, stored, chosen, ("repetition_rate", "length", "kl", "mentions"))
    assert [(row["context"], row["entry"]) for row in shown.rows] == [
        ("request", 0),
        ("request", int(entries[0])),
        ("comparison", 0),
        ("related", 0),
    ]
    assert shown.unread == {"kl": "it needs the model", "mentions": "it is read per brand"}
    first = next(r for r in stored.kept.replies if (r.replicate, r.context, r.prompt, r.intervention) == ("B", 0, 0, 0))
    assert shown.rows[0]["reply"] == first.text
    assert shown.rows[0]["length"] == first.length
    assert "Nike 512 neurons × 2" in shown.rows[1]["levers"]
    numbers = {k: float(k) for k in range(len(stored.kept.replies))}
    again = reply_rows(surface, stored, chosen, ("kl", "mentions"), {"kl": numbers, "mentions": numbers})
    assert set(again.unread) == {"mentions"}
    assert [stored.kept.replies[int(row["kl"])].text for row in again.rows] == [row["reply"] for row in shown.rows]
    found_again(surface, stored, tmp_path)


def found_again(surface: ResponseSurface, stored: StoredReplies, folder: Path) -> None:
    """Values of a pass are found again by the reply, and refused where they are of others."""
    few = replace(stored, kept=stored.kept._replace(replies=stored.kept.replies[:6]))
    measured = SurfaceReplies(surface, few, folder)
    assert measured.kept_values("length") == {}
    SecondPass(folder, few, ["length"]).run()
    assert measured.kept_values("length") == {k: float(reply.length) for k, reply in enumerate(few.kept.replies)}
    other = measured._replace(replies=replace(few, digest="another"))
    with pytest.raises(ValueError, match="values of something else"):
        other.kept_values("length")
    (folder / "length.json").rename(folder / "hits.json")
    with pytest.raises(ValueError, match="values of something else"):
        measured.kept_values("hits")


def test_prices_are_a_record() -> None:
    assert PricedLoss("kl", {"kl": 1.0}, "nats a token", 1.0, 0.1).is_single
    assert not PricedLoss("kl+other", {"kl": 1.0, "other": 1.0}, "price of the dearest cells").is_single
