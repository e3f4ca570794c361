"""The table of carriers: whatever moves a reply can be sold, held against each other at equal reply_kl.

auctionsim arena carriers
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from auctionsim.carriers.registry import carrier_entry, carrier_names
from auctionsim.errors import InputError
from auctionsim.experiments.figures.arena_carriers import draw_frontiers
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.experiments.running.carrier_cells import carrier_cells
from auctionsim.experiments.running.carrier_sources import CarrierSource, carrier_source
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.tables.arena_carriers import CarrierTables, carriers_section, headline, main_lines
from auctionsim.experiments.tables.carrier_lotteries import CarrierCost, user_cost
from auctionsim.experiments.tables.carrier_orders import efficiency_rows, order_rows, scopes_of
from auctionsim.experiments.tables.carrier_scores import capped_rows, frontier_rows, setting_rows
from auctionsim.kept import key_digest

FIGURES = {
    "frontiers.png": "How often B's replies name the brand over what they pay, along the corners of each carrier's "
    "frontier on A: above reply_kl, below the rise of the probability that a reply is bad. Bars are 95 % intervals."
}
SHOWS = "whatever moves a reply, sold at equal reply_kl: which carrier names brands most often, and what the user pays"
FRONTIERS = ("reply_kl", "quality")
"""What frontiers are drawn against."""


@dataclass(frozen=True)
class ArenaCarriersSettings:
    """What is held against each other.

    Attributes:
        folder: Run folder; cells are kept in it.
        lists: Measured lists of carriers: packaged names, or files.
        caps: On reply_kl, nats a reply.
        prices: ρ, nats a word of an ad: what all carriers are in one order under.
        cap: Among the caps: at which carriers are ordered first.
    """

    folder: Path
    lists: tuple[str, ...]
    caps: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0)
    prices: tuple[float, ...] = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
    cap: float = 1.0

    def __post_init__(self) -> None:
        for name, values in (("caps", self.caps), ("prices", self.prices)):
            if not values or len(set(values)) < len(values) or min(values) < 0:
                raise InputError(f"{name} must be one or more different numbers >= 0, got {values}")
        if self.cap not in self.caps:
            raise InputError(f"cap must be one of the caps {self.caps}, got {self.cap:g}")


class ArenaCarriers(NamedTuple):
    """What was found.

    Attributes:
        tables: Of carriers.
        section: Of the results.
        lines: Of the first table, as a terminal shows it.
        headline: The sentence that says who names brands most often.
    """

    tables: CarrierTables
    section: Section
    lines: list[dict[str, str]]
    headline: str


def sources_of(settings: ArenaCarriersSettings) -> dict[str, CarrierSource]:
    """Return the lists' files by name.

    Raises:
        ValueError: Two lists of one name.
    """
    found: dict[str, CarrierSource] = {}
    for name in settings.lists:
        source = carrier_source(name)
        if source.name in found:
            raise InputError(f"two lists are called {source.name!r}: rename one of the files")
        found[source.name] = source
    return found


def inputs_of(settings: ArenaCarriersSettings) -> dict[str, str]:
    """Return a digest of all that each cell depends on, by list.

    Raises:
        ValueError: A list, or its replies, is not there.
    """
    return {name: key_digest(source.key()) for name, source in sources_of(settings).items()}


def main(
    settings: ArenaCarriersSettings, command: str, console: Console, fan_out: FanOut | None = None
) -> ArenaCarriers:
    """Make the cells that are not there, order carriers, draw, and write tables and section.

    Args:
        settings: What to compare.
        command: What the user typed, for run.json.
        console: Told how far it is.
        fan_out: Who makes cells; None: this process.
    Raises:
        ValueError: A list that is none of a carrier's or is damaged, or lists that cannot be compared.
        RuntimeError: Workers died again and again over one cell.
    """
    if not settings.lists:
        raise InputError("one measured list of a carrier at least is needed, got none")
    sources, inputs = sources_of(settings), inputs_of(settings)
    run = Run(settings.folder, settings, inputs)
    run.begin(command)
    place = settings.folder / "parts" / "cells"
    workers = None if fan_out is None else fan_out.crew("smollm2", None)
    with Stages(console) as stages, stages.measuring("cells", place) as report:
        cells = [*carrier_cells(place, sources, workers, report).values()]
    found = tables_of(cells, settings)
    labels = {one.carrier: one.label for one in cells}
    draw_frontiers(found.frontier, labels, settings.folder / "frontiers.png")
    unmeasured = [carrier_entry(name).label for name in carrier_names() if name not in labels]
    section = carriers_section(cells, found, settings.cap, unmeasured, FIGURES)
    run.finish(_written(found), section, command=command, console=console)
    lines = [*main_lines(found.orders, found.capped, labels, settings.cap)]
    lines += main_lines(found.after, found.capped, labels, settings.cap)
    return ArenaCarriers(found, section, lines, headline(found.orders, labels, settings.cap))


def tables_of(cells: Sequence[CarrierCell], settings: ArenaCarriersSettings) -> CarrierTables:
    """Return all tables of some cells.

    Raises:
        ValueError: Cells that cannot be compared.
    """
    scopes = scopes_of(cells)
    inside = [one for one in cells if not one.acts_after]
    after = [one for one in cells if one.acts_after]
    kl = CarrierCost({"reply_kl": 1.0})
    costs = {name: CarrierCost({name: 1.0}) for name in FRONTIERS}
    orders, behind = (
        [row for scope in scopes for cap in settings.caps for row in order_rows(some, scope, kl, cap)]
        for some in (inside, after)
    )
    together: list[Row] = [
        {"price": price, **row}
        for scope in scopes
        for price in settings.prices
        for cap in settings.caps
        for row in order_rows(cells, scope, user_cost(price), cap)
    ]
    return CarrierTables(
        settings=[row for one in cells for row in setting_rows(one)],
        frontier=[row for one in cells for row in frontier_rows(one, costs)],
        capped=[row for one in cells for row in capped_rows(one, kl, settings.caps)],
        orders=orders,
        after=behind,
        user_loss=together,
        efficiency=[row for one in cells for row in efficiency_rows(one)],
    )


def _written(found: CarrierTables) -> Mapping[str, list[Row]]:
    return {name: rows for name, rows in found._asdict().items() if rows}
