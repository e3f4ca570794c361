"""What was found and measured, as tables to read in a terminal."""

from collections.abc import Iterator

import torch
from rich.table import Table

from auctionsim.neurons import BrandNeurons
from auctionsim.scoring.single_settings import single_settings
from auctionsim.substrates import MeasuredList, ResponseSurface


def measured_tables(measured: ResponseSurface | MeasuredList) -> Iterator[Table]:
    """Yield what was measured, as tables."""
    if isinstance(measured, MeasuredList):
        yield from list_tables(measured)
    else:
        yield from single_settings_table(measured)


def list_tables(measured: MeasuredList) -> Iterator[Table]:
    """Yield one table a feature: every listed allocation, every brand, replicate A above B, and the user loss."""
    listed = measured.finite_range().allocations
    brands = _brands(measured)
    for feature in measured.measured_features:
        table = Table(show_lines=True, title=f"{feature}, mean over {len(measured.contexts)} contexts, A above B")
        for name in ("amplified", *brands, f"user_loss ({measured.charged_loss})"):
            table.add_column(name, justify="left" if name == "amplified" else "right")
        views = [measured.sell(feature).replicate(name) for name in ("A", "B")]
        exposures = [view.exposure(listed)[..., 0] for view in views]
        errors = [view.standard_error(listed).exposure[..., 0] for view in views]
        losses = [view.user_loss(listed) for view in views]
        for entry, allocation in enumerate(listed):
            cells = [
                "\n".join(f"{e[entry, i]:.3f}±{s[entry, i]:.3f}" for e, s in zip(exposures, errors, strict=True))
                for i in range(len(brands))
            ]
            table.add_row(_levers_text(allocation, brands), *cells, "\n".join(f"{loss[entry]:.3f}" for loss in losses))
        yield table


def _levers_text(allocation: torch.Tensor, brands: list[str]) -> str:
    """Name the brands that are amplified: "Nike 256×2, Puma 256×2"."""
    amplified = [(brand, *levers) for brand, levers in zip(brands, allocation.tolist(), strict=True) if levers[0] > 0]
    return ", ".join(f"{brand} {count:g}×{factor:g}" for brand, count, factor in amplified) or "nobody"


def _brands(measured: ResponseSurface | MeasuredList) -> list[str]:
    return [names[0] for names in measured.provenance.get("brands", [])] or list(map(str, range(measured.num_bidders)))


def single_settings_table(surface: ResponseSurface) -> Iterator[Table]:
    """Yield one table a brand: every setting of its own levers, the rivals at null, replicate A beside B."""
    fixed = "".join(f", {name} {value:g}" for name, value in surface.provenance.get("fixed_levers", {}).items())
    for bidder, brand in enumerate(_brands(surface)):
        title = f"{brand} alone{fixed}, mean over {len(surface.contexts)} contexts, replicate A above B"
        table = Table(show_lines=True, title=title)
        for name in (
            *(lever.name for lever in surface.levers),
            *surface.measured_features,
            f"user_loss ({surface.charged_loss})",
        ):
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


def losses_table(measured: ResponseSurface | MeasuredList) -> Table:
    """Return the losses that can be charged for: unit, range over what was measured, and what each rests on."""
    table = Table(show_lines=True, title=f"losses, mean over {len(measured.contexts)} contexts, A above B")
    for name in ("loss", "unit", "lowest", "highest", "rests on"):
        table.add_column(name, justify="right" if name in ("lowest", "highest") else "left")
    listed = measured.finite_range().allocations
    for loss in measured.losses:
        sold = measured.sell(*measured.measured_features, loss={loss: 1})
        ends = []
        for view in (sold.replicate(name) for name in ("A", "B")):
            mean, error = view.user_loss(listed), view.standard_error(listed).user_loss
            places = int(mean.argmin()), int(mean.argmax())
            ends.append([f"{mean[place]:.3f}±{error[place]:.3f}" for place in places])
        first, *more = measured.bases.get(loss, "").split("; ")
        basis = f"{first}, and {len(more)} more" if more else first
        table.add_row(loss, measured.units[loss], *map("\n".join, zip(*ends, strict=True)), basis)
    return table


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
