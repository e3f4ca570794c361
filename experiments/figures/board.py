"""Figures of the board: revenue over what replies pay as the user weighs less, and objectives with their intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from auctionsim.experiments.figures.sheets import MARKS, saved, sheet
from auctionsim.experiments.running.board_cell import Price
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.experiments.tables.loss_matrix import rows_of

_COLOURS = 10


def draw_trade_offs(blocks: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw revenue on B over reply_kl on B along user weights, a row of panels a block, a column a category.

    Args:
        blocks: Cells by block's title.
        path: Of the picture.
    """
    own = {title: [r for r in rows if r["loss"] == "reply_kl" and not r["words"]] for title, rows in blocks.items()}
    shown = {title: rows for title, rows in own.items() if rows}
    categories = list(dict.fromkeys(row["category"] for rows in shown.values() for row in rows))
    count = max(len(shown), 1)
    figure, axes = sheet(count, max(len(categories), 1), (6.5 * max(len(categories), 1), 5.0 * count))
    for line, (title, rows) in enumerate(shown.items()):
        for column, category in enumerate(categories):
            panel = axes[line][column]
            for k, label in enumerate(dict.fromkeys(row["label"] for row in rows)):
                points = rows_of(rows, {"label": label, "category": category})
                points.sort(key=lambda row: -row["user_weight"])
                panel.plot(
                    [row["reply_kl"] for row in points],
                    [row["revenue"] for row in points],
                    marker=MARKS[k % len(MARKS)],
                    color=f"C{k % _COLOURS}",
                    linestyle="-" if k < _COLOURS else "--",
                    markersize=4,
                    linewidth=1,
                    label=label,
                )
            panel.set(title=f"{title} ({category})", xlabel="reply_kl on B", ylabel="revenue on B")
            panel.title.set_fontsize(9)
        axes[line][-1].legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5))
    saved(figure, path)


def draw_objectives(ranks: Sequence[Row], titles: Mapping[str, str], price: Price, path: Path) -> None:
    """Draw objectives on B at a price with their intervals, all categories together, a panel a block, best above.

    Args:
        ranks: Of all blocks.
        titles: Of blocks.
        price: Of the user's loss.
        path: Of the picture.
    """
    own = {block: rows_of(ranks, {"block": block, "category": TOGETHER, **price._asdict()}) for block in titles}
    shown = {block: rows for block, rows in own.items() if rows}
    count = max(len(shown), 1)
    height = 1.0 * count + 0.24 * sum(len(rows) for rows in shown.values())
    figure, axes = sheet(count, 1, (9.0, height + 0.5))
    for line, (block, rows) in enumerate(shown.items()):
        panel, places = axes[line][0], range(len(rows))
        errors = [
            [row["objective"] - row["objective_low"] for row in rows],
            [row["objective_high"] - row["objective"] for row in rows],
        ]
        panel.errorbar([row["objective"] for row in rows], [-k for k in places], xerr=errors, fmt="o", markersize=4)
        names = [f"{row['label']} ({row['rank']})" for row in rows]
        panel.set_yticks([-k for k in places], names, fontsize=7)
        panel.set_title(titles[block], fontsize=9)
        panel.axvline(0, color="0.7", linewidth=0.8)
        panel.set_xlabel("objective on B, 95 % intervals; ranks in brackets", fontsize=8)
    saved(figure, path)
