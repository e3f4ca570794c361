"""The pictures of docs/concepts: six drawn from a packaged surface or a closed form, each with its source beneath it.

`python -m auctionsim.experiments.figures.concepts` draws all of them into docs/images/concepts; names after it draw
those alone. A picture is an SVG on a white ground, so that it can be read on a dark page, too.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from auctionsim.mechanisms.table import design, entry
from auctionsim.metrics import revenue, user_loss
from auctionsim.priors import Uniform, product
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import ResponseSurface

SURFACE = "running-shoes-2@3"
RULES = ("optimum", "vcg", "affine", "menu", "pay-as-bid")
USER_WEIGHT = 0.5
COLOURS = ("#1b5e9b", "#b3541e", "#3d7d3d", "#6b4a9e", "#555555")
FOLDER = Path("docs/images/concepts")


def settings(surface: ResponseSurface, own: Tensor, rival: float) -> Tensor:
    """Return allocations (batch, 2, 2): every neuron that is sold, bidder 0 amplified by `own`, bidder 1 by `rival`."""
    count = surface.grids[0].values[-1]
    factors = torch.stack([own, torch.full_like(own, rival)], dim=1)
    return torch.stack([torch.full_like(factors, count), factors], dim=2)


def draw_exposure(surface: ResponseSurface, panel: Any) -> str:
    """Draw each brand's slot probability over its own amplification, the rival untouched."""
    view, factors = surface.sell("slot_probability"), torch.tensor(surface.grids[1].values, dtype=torch.float64)
    for bidder, names in enumerate(surface.provenance["brands"]):
        allocation = settings(surface, factors, 1.0)
        allocation = allocation if bidder == 0 else allocation.flip(1)
        mean, error = view.exposure(allocation)[:, bidder, 0], view.standard_error(allocation).exposure[:, bidder, 0]
        panel.errorbar(factors, mean, error, marker="o", capsize=3, color=COLOURS[bidder], label=names[0])
    panel.set(xlabel=f"own amplification, {surface.grids[0].values[-1]:.0f} neurons", ylabel="slot probability")
    return "Replicate A, mean over contexts, the other brand untouched; bars are one standard error."


def draw_user_loss(surface: ResponseSurface, panel: Any) -> str:
    """Draw two losses of the user over one brand's amplification, each on an axis of its own."""
    factors = torch.tensor(surface.grids[1].values, dtype=torch.float64)
    allocation = settings(surface, factors, 1.0)
    for number, (loss, axis) in enumerate((("kl", panel), ("quality", panel.twinx()))):
        view = surface.sell("slot_probability", loss=loss)
        mean, error = view.user_loss(allocation), view.standard_error(allocation).user_loss
        axis.spines["top"].set_visible(False)
        axis.errorbar(factors, mean, error, marker="o", capsize=3, color=COLOURS[number], ls=("-", "--")[number])
        axis.set_ylabel(f"{loss} ({view.charged_loss.unit})", color=COLOURS[number])
        axis.axhline(0, color="#999999", lw=0.8)
    brand = surface.provenance["brands"][0][0]
    panel.set_xlabel(f"amplification of {brand}, {surface.grids[0].values[-1]:.0f} neurons")
    return "Replicate A, mean over contexts; bars: one standard error.\nSolid line: left axis. Dashed line: right axis."


def draw_crosstalk(surface: ResponseSurface, panel: Any) -> str:
    """Draw the first brand's slot probability over its own amplification, the rival untouched and at its strongest."""
    view, factors = surface.sell("slot_probability"), torch.tensor(surface.grids[1].values, dtype=torch.float64)
    brand, rival = (names[0] for names in surface.provenance["brands"])
    for number, level in enumerate((1.0, surface.grids[1].values[-1])):
        allocation = settings(surface, factors, level)
        mean, error = view.exposure(allocation)[:, 0, 0], view.standard_error(allocation).exposure[:, 0, 0]
        label = f"{rival} untouched" if level == 1 else f"{rival} at ×{level:g}"
        panel.errorbar(factors, mean, error, marker="o", capsize=3, color=COLOURS[number], label=label)
    panel.set(xlabel=f"amplification of {brand}", ylabel=f"slot probability of {brand}")
    return "Replicate A, mean over contexts; without crosstalk the two lines would be one."


def draw_replicates(surface: ResponseSurface, panel: Any) -> str:
    """Draw every cell's slot probability on A against the same cell's on B."""
    allocations = surface.finite_range().allocations
    for bidder, names in enumerate(surface.provenance["brands"]):
        means, errors = [], []
        for name in ("A", "B"):
            view = surface.sell("slot_probability").replicate(name)
            means.append(view.exposure(allocations)[:, bidder, 0])
            errors.append(view.standard_error(allocations).exposure[:, bidder, 0])
        marks = {"fmt": "o", "ms": 3, "elinewidth": 0.6, "color": COLOURS[bidder], "label": names[0]}
        panel.errorbar(means[0], means[1], errors[1], errors[0], **marks)
    panel.axline((0, 0), slope=1, color="#999999", lw=0.8)
    panel.set(xlabel="slot probability on A (designs)", ylabel="slot probability on B (scores)")
    return "One mark per cell and brand, mean over contexts; bars: one standard error.\nOn the grey line A and B agree."


def draw_regret(_: ResponseSurface, panel: Any) -> str:
    """Draw what a bidder worth .8 gets over its bid, against one rival uniform on [0, 1], at two prices."""
    bid, worth = torch.linspace(0, 1, 201, dtype=torch.float64), 0.8
    panel.plot(bid, (worth - bid) * bid, color=COLOURS[1], label="first price: (v − b) b")
    panel.plot(bid, worth * bid - bid.square() / 2, color=COLOURS[0], label="second price: v b − b²/2")
    panel.axvline(worth, color="#999999", lw=0.8)
    panel.annotate("the truth", (worth, -0.17), ha="right", xytext=(-4, 0), textcoords="offset points")
    panel.annotate("", (0.4, 0.16), (0.4, 0.0), arrowprops={"arrowstyle": "<->", "color": COLOURS[1]})
    panel.annotate("regret v²/4 = .16", (0.42, 0.06), color=COLOURS[1])
    panel.axhline(0, color="#999999", lw=0.8)
    panel.set(xlabel="bid of a bidder whose valuation is .8", ylabel="expected utility")
    return "Closed form: one item, one truthful rival whose valuation is uniform on [0, 1]."


def draw_mechanisms(surface: ResponseSurface, panel: Any) -> str:
    """Draw each rule's objective at truthful bids, and write beside it what a bidder gains by lying."""
    view, prior = surface.sell("slot_probability"), Uniform(0, 1)
    valuations = product(prior, 2).sample(512, torch.Generator().manual_seed(0), torch.float64)
    labels = []
    for place, name in enumerate(RULES):
        rule = design(name, view, prior, USER_WEIGHT, quick=True)
        regret = ex_post_regret(rule, view, valuations[:96], budget=128)
        outcome = rule(valuations)
        lost = user_loss(outcome, view, valuations)
        objective = float((revenue(outcome, view, valuations) - USER_WEIGHT * lost).mean())
        proved = regret.method.startswith("proof")
        face = COLOURS[0] if proved else "white"
        panel.barh(place, objective, color=face, edgecolor=COLOURS[0], hatch="" if proved else "///")
        gain = "lying gains 0, proved" if proved else f"lying gains {regret.mean:.3f} or more"
        panel.annotate(gain, (objective, place), xytext=(5, -3), textcoords="offset points")
        labels.append(entry(name).titled(quick=True).replace(", quick", ",\nquick"))
    panel.set_yticks(range(len(RULES)), labels)
    panel.invert_yaxis()
    panel.set_xlabel(f"revenue − {USER_WEIGHT:g} · user loss, if all told the truth")
    panel.margins(x=0.6)
    return (
        "Replicate A, loss kl, valuations uniform.\nHatched: not what it earns, since bidders would not tell the truth."
    )


PICTURES: dict[str, Callable[[ResponseSurface, Any], str]] = {
    "exposure": draw_exposure,
    "user-loss": draw_user_loss,
    "crosstalk": draw_crosstalk,
    "replicates": draw_replicates,
    "regret": draw_regret,
    "mechanisms": draw_mechanisms,
}


def draw(name: str, surface: ResponseSurface, folder: Path) -> Path:
    """Draw one picture as NAME.svg, the same bytes from the same numbers, and return where it is."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fixed = {"svg.hashsalt": name, "svg.fonttype": "path", "font.size": 9.5}
    with mpl.rc_context(fixed):
        figure, panel = plt.subplots(figsize=(6.4, 3.9), layout="constrained")
        panel.spines[["top", "right"]].set_visible(False)
        source = PICTURES[name](surface, panel)
        if panel.get_legend_handles_labels()[0]:
            panel.legend(frameon=False)
        shown = "" if name == "regret" else f"Surface {SURFACE}. "
        figure.supxlabel(f"{shown}{source}", fontsize=7.5, color="#444444")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.svg"
        figure.savefig(path, facecolor="white", metadata={"Date": None})
        plt.close(figure)
    return path


if __name__ == "__main__":
    packaged = ResponseSurface.packaged(SURFACE)
    for chosen in sys.argv[1:] or PICTURES:
        draw(chosen, packaged, FOLDER)
