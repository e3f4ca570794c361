"""What slot probability is after either kind of stem, on the stems that mechanisms are designed on and on others."""

from collections.abc import Iterator, Sequence

from auctionsim.experiments.running.run import markdown_table, with_error
from auctionsim.readings.slots import slots_by_kind
from auctionsim.stems import KINDS
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.measurements import REPLICATES, Measurement


def stem_kinds_prose(surface: ResponseSurface, brands: Sequence[str], strongest: str) -> str:
    """Return a table of each brand untouched and alone at its strongest; nothing where kinds were not measured.

    Args:
        surface: Measured with stems of both kinds.
        brands: Their names, in order.
        strongest: What the last setting of a brand's levers is called.
    """
    first = surface.replicates[REPLICATES[0]]
    if not all(slots_by_kind(kind) in first.diagnostics for kind in KINDS):
        return ""
    words = (
        "Slot probability depends on the stem: a calling stem asks for a name, a passing one may go on in many ways.",
        "Stems are held out as prompts are: A, which mechanisms are designed on, and B, which scores them, share none,",
        f"and neurons were identified on others again. Each brand untouched → alone at {strongest}:",
    )
    return f"{' '.join(words)}\n\n{markdown_table(list(_rows(surface, brands)))}"


def _rows(surface: ResponseSurface, brands: Sequence[str]) -> Iterator[dict[str, str]]:
    for index, brand in enumerate(brands):
        row = {"brand": brand}
        for name in REPLICATES:
            for kind in KINDS:
                item = surface.replicates[name].diagnostics[slots_by_kind(kind)]
                cells = [_alone(surface, item, index, place) for place in (0, -1)]
                row[f"{name}, {kind}"] = " → ".join(with_error(mean, error) for mean, error in cells)
        yield row


def _alone(surface: ResponseSurface, item: Measurement, bidder: int, place: int) -> tuple[float, float]:
    """Return mean over contexts and error with one bidder's levers all at one end, the others' at null."""
    mean, error = item.mean[..., bidder], item.standard_error[..., bidder]
    for other in range(surface.num_bidders):
        for grid in surface.grids:  # the first axis behind the context is always the next lever
            at = place if other == bidder else grid.values.index(grid.null)
            mean, error = mean[:, at], error[:, at]
    return float(mean.mean()), float(error.square().sum().sqrt() / len(error))
