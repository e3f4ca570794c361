"""The picture of docs/measuring.md: what joint amplification does to both brands and the user on a packaged surface."""

from pathlib import Path

import torch

from auctionsim.data import DEFAULT_SURFACE
from auctionsim.substrates import ResponseSurface


def draw(surface: ResponseSurface, path: Path) -> None:
    """Draw each brand's slot probability and the user's loss over both brands' amplifications, all neurons sold.

    Replicate A, mean over contexts, every brand at the largest num_neurons of the grid.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    view = surface.sell("slot_probability")
    counts, factors = surface.grids
    axis = torch.tensor(factors.values, dtype=torch.float64)
    joint = torch.cartesian_prod(axis, axis)
    allocation = torch.stack([torch.full_like(joint, counts.values[-1]), joint], dim=2)
    exposure, loss = view.exposure(allocation)[:, :, 0], view.user_loss(allocation)
    brands = [names[0] for names in surface.provenance["brands"]]
    panels = [(f"{brands[0]}: slot probability", exposure[:, 0]), (f"{brands[1]}: slot probability", exposure[:, 1])]
    panels.append((f"user loss ({view.charged_loss})", loss))
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), layout="constrained")
    for axes_one, (title, values) in zip(axes, panels, strict=True):
        grid = values.view(len(axis), len(axis)).T
        image = axes_one.imshow(grid, origin="lower", cmap="viridis", aspect="equal")
        for x in range(len(axis)):
            for y in range(len(axis)):
                shade = "white" if grid[y, x] < grid.max() * 0.6 else "black"
                axes_one.text(x, y, f"{grid[y, x]:.2f}", ha="center", va="center", color=shade, fontsize=9)
        ticks = [f"×{factor:g}" for factor in factors.values]
        axes_one.set_xticks(range(len(axis)), ticks)
        axes_one.set_yticks(range(len(axis)), ticks)
        axes_one.set_xlabel(f"amplification of {brands[0]}")
        axes_one.set_ylabel(f"amplification of {brands[1]}")
        axes_one.set_title(title, fontsize=10)
        figure.colorbar(image, ax=axes_one, shrink=0.8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    draw(ResponseSurface.packaged(DEFAULT_SURFACE), Path("docs/images/surface.png"))
