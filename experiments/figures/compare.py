"""The figures of a comparison: the trade-off over user weights, learning curves, what menus offer at which price."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.mechanisms import TrainingPoint
from auctionsim.report.records import MenuOption
from auctionsim.report.wording import setting
from auctionsim.scoring import MechanismRow

SHARES = (-50.0, 250.0)  # % of the optimum, where the panel is cut
PANELS: tuple[tuple[str, str, Callable[[MechanismRow], float | None]], ...] = (
    ("revenue", "value units", lambda row: row.revenue.mean),
    ("bidder utility", "value units", lambda row: row.bidder_utility.mean),
    ("user loss", "the loss's unit", lambda row: row.user_loss.mean),
    ("welfare", "value units", lambda row: row.welfare.mean),
    ("objective", "value units", lambda row: row.objective.mean),
    (
        "objective",
        "% of the optimum",
        lambda row: None if row.objective_share is None else 100 * row.objective_share.mean,
    ),
    ("ex-post regret", "mean of the largest among bidders", lambda row: row.regret.mean),
    ("IR violation", "mean of the largest among bidders", lambda row: row.ir_violation.mean),
    ("participation gain", "mean a bidder", lambda row: row.participation_gain.mean),
)


def draw_trade_off(rows: Sequence[MechanismRow], reference: str, path: Path) -> None:
    """Draw every number over the user weight: A solid, B dashed, one colour a mechanism, the reference black.

    Menus' objectives with payments cut to keep IR, and under best responses, are drawn faint beside the truthful one.
    """
    figure, axes = sheet(3, 3, (15, 11))
    names = list(dict.fromkeys(row.mechanism for row in rows))
    for panel, (title, unit, read) in zip(axes.flat, PANELS, strict=True):
        for k, name in enumerate(names):
            style = (
                {"color": "black", "linewidth": 1.0}
                if name == reference
                else {"color": f"C{k}", "marker": MARKS[k % 8]}
            )
            for replicate, dash in (("A", "-"), ("B", "--")):
                line = [(r.user_weight, read(r)) for r in rows if (r.mechanism, r.replicate) == (name, replicate)]
                _line(panel, line, {"linestyle": dash, "label": f"{name}, {replicate}", "markersize": 4, **style})
            if (title, unit) == ("objective", "value units"):
                own = [row for row in rows if (row.mechanism, row.replicate) == (name, "A")]
                kept = [(row.user_weight, row.objective_ir) for row in own]
                played = [(row.user_weight, row.objective_best_response) for row in own]
                _line(panel, kept, {"linestyle": ":", "marker": ".", "color": f"C{k}"})
                _line(panel, played, {"linestyle": "-.", "marker": ".", "color": f"C{k}", "alpha": 0.6})
        if unit == "% of the optimum":
            low, high = panel.get_ylim()
            panel.set_ylim(max(low, SHARES[0]), min(high, SHARES[1]))
        panel.set(title=title, ylabel=unit, xlabel="user weight")
    note = "on A: dotted with IR kept, dash-dot under best responses"
    axes[1, 1].text(0.02, 0.02, note, transform=axes[1, 1].transAxes, fontsize=7)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(1, len(names)), fontsize=8)
    saved(figure, path)


def draw_training(
    training: Mapping[tuple[str, float], Sequence[TrainingPoint]], rows: Sequence[MechanismRow], path: Path
) -> None:
    """Draw the hard choice's objective by training step, one panel a learned mechanism, one colour a user weight.

    The dotted line is the optimum on replicate A, on the profiles that the comparison is over.
    """
    names = list(dict.fromkeys(name for name, _ in training))
    figure, axes = sheet(1, max(len(names), 1), (6 * max(len(names), 1), 4.5))
    for panel, name in zip(axes.flat, names, strict=True):
        for k, weight in enumerate(weight for learned, weight in training if learned == name):
            points = training[name, weight]
            _line(
                panel, [(p.step, p.objective) for p in points], {"color": f"C{k}", "label": f"user weight {weight:g}"}
            )
            optimum = next(
                (
                    r.objective.mean / r.objective_share.mean
                    for r in rows
                    if r.user_weight == weight and r.replicate == "A" and r.objective_share and r.objective_share.mean
                ),
                None,
            )
            if optimum is not None:
                panel.axhline(optimum, color=f"C{k}", linestyle=":", linewidth=1)
        panel.set(title=f"{name}, by hard choice", xlabel="step", ylabel="objective, truthful bids")
        panel.legend(fontsize=8)
    saved(figure, path)


def draw_menus(menus: Mapping[float, Sequence[MenuOption]], brands: Sequence[str], path: Path) -> None:
    """Draw each brand's entries: price over exposure, one colour a user weight, the levers written beside."""
    figure, axes = sheet(1, len(brands), (6 * len(brands), 4.5))
    for panel, brand in zip(axes.flat, brands, strict=True):
        for k, (weight, options) in enumerate(menus.items()):
            own = [option for option in options if option.brand == brand]
            line = [(option.exposure, option.price) for option in own]
            _line(panel, line, {"color": f"C{k}", "marker": "o", "markersize": 4, "label": f"user weight {weight:g}"})
            for option in own:
                levers = setting(float(f"{option.num_neurons:.3g}"), float(f"{option.amplification:.3g}"))
                panel.annotate(
                    levers, (option.exposure, option.price), fontsize=6, xytext=(3, -7), textcoords="offset points"
                )
        panel.margins(x=0.25)
        panel.set(title=brand, xlabel="exposure, rivals at null", ylabel="price, value units")
        panel.legend(fontsize=8)
    saved(figure, path)


def _line(panel: Any, points: Sequence[tuple[float, float | None]], style: Mapping[str, Any]) -> None:
    known = sorted((x, y) for x, y in points if y is not None)
    if known:
        panel.plot(*zip(*known, strict=True), **style)
