"""What was found and measured, as tables to read in a terminal."""

from collections.abc import Iterator

import torch
from rich.table import Table

from auctionsim.comparison import single_settings
from auctionsim.neurons import BrandNeurons
from auctionsim.substrates import ResponseSurface


def single_settings_table(surface: ResponseSurface) -> Iterator[Table]:
    """Yield one table a brand: every setting of its own levers, the rivals at null, replicate A beside B."""
    brands = [names[0] for names in surface.provenance.get("brands", [])] or [
        str(i) for i in range(surface.num_bidders)
    ]
    for bidder, brand in enumerate(brands):
        table = Table(
            show_lines=True, title=f"{brand} alone, mean over {len(surface.contexts)} contexts, replicate A above B"
        )
        for name in (*(lever.name for lever in surface.levers), *surface.measured_features, "user_loss"):
            table.add_column(name, justify="right")
        null = surface.null_allocation(1, dtype=torch.float64)[0, bidder]
        for setting in [null, *single_settings(surface)]:
            allocation = surface.null_allocation(1, dtype=torch.float64)
            allocation[0, bidder] = setting
            views = [surface.sell(*surface.measured_features).replicate(name) for name in ("A", "B")]
            exposures = [view.exposure(allocation)[0, bidder] for view in views]
            errors = [view.standard_error(allocation) for view in views]
            cells = [
                "\n".join(f"{e[k]:.3f}±{s.exposure[0, bidder, k]:.3f}" for e, s in zip(exposures, errors, strict=True))
                for k in range(len(surface.measured_features))
            ]
            losses = [float(view.user_loss(allocation)[0]) for view in views]
            table.add_row(*(f"{level:g}" for level in setting), *cells, "\n".join(f"{loss:.3f}" for loss in losses))
        yield table


def neurons_table(neurons: BrandNeurons) -> Table:
    """Return where each brand's neurons are, and how alike the brands are."""
    cosine, overlap = neurons.cosine(), neurons.overlap(neurons.max_neurons)
    table = Table(title=f"{neurons.max_neurons} neurons a brand by {neurons.method}, {neurons.model}")
    for title in ("brand", "neurons by layer", "cosine of attributions", "Jaccard of sets"):
        table.add_column(title)
    for bidder, brand in enumerate(neurons.brands):
        layers = neurons.layers(bidder, neurons.max_neurons)
        table.add_row(
            brand.name,
            " ".join(str(int(count)) for count in layers),
            " ".join(f"{value:.2f}" for value in cosine[bidder].tolist()),
            " ".join(f"{value:.2f}" for value in overlap[bidder].tolist()),
        )
    return table
