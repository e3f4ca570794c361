"""Choices of an auction under two losses: how often drawn profiles get another allocation when a panel is the loss."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from torch import Tensor

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.experiments.running.panel_losses import SINGLE, WHOLE, PanelLosses
from auctionsim.experiments.running.priced_losses import loss_prices, sold_at
from auctionsim.experiments.running.recipes import FanOut
from auctionsim.experiments.running.surface_reading import SurfaceReading, read_again
from auctionsim.levers import at_null
from auctionsim.mechanisms import VirtualWelfareMaximizer
from auctionsim.metrics import Interval, mean_interval
from auctionsim.priors import parse_priors
from auctionsim.readings import Reading, register, unregister
from auctionsim.scoring import draw_profiles
from auctionsim.substrates import ResponseSurface


class ChoiceSettings(NamedTuple):
    """Auctions whose choices are compared.

    Attributes:
        feature: What is sold.
        prior: Valuations, as text.
        price: Money that the dearest cell of a loss costs.
        draws: Profiles.
        seed: Of the profiles.
    """

    feature: str = "slot_probability"
    prior: str = "uniform:0,1"
    price: float = 0.5
    draws: int = 2048
    seed: int = 0


class ChoiceRow(NamedTuple):
    """Two designs and how often they choose otherwise.

    Attributes:
        first: Loss and replicate that one is designed on.
        second: Those of the other.
        differ: Share of profiles whose allocation differs, with its 95 % interval over profiles.
    """

    first: str
    second: str
    differ: Interval


def panel_choices(
    surface: str, losses: PanelLosses, folder: Path, settings: ChoiceSettings, console: Console
) -> list[ChoiceRow]:
    """Return how often an auction on a packaged surface chooses otherwise with the panel as its loss.

    Args:
        surface: Its name.
        losses: The panel, and the best member alone where it is a loss.
        folder: Where values that are read of stored replies are kept.
        settings: The auctions.
        console: Where progress is shown.
    Raises:
        NotImplementedError: The panel failed the gate, so it is no loss.
    """
    if losses.panel is None:
        raise UnsupportedError(f"the panel may feed no loss, as it failed the gate: {losses.reports[0].failure}")
    read = tuple(one for one in (losses.panel, losses.single) if one is not None)
    with registered(read):
        measured = surface_read_by(surface, read, folder, console)
        others = [name for name in (SINGLE, *measured.losses) if name in measured.losses and name != WHOLE]
        return choice_rows(measured, WHOLE, tuple(dict.fromkeys(others)), settings)


@contextmanager
def registered(losses: Sequence[Reading]) -> Iterator[None]:
    """Make readings known by their names for a while."""
    done: list[str] = []
    try:
        for one in losses:
            register(one)
            done.append(one.name)
        yield
    finally:
        for name in done:
            unregister(name)


def surface_read_by(name: str, losses: Sequence[Reading], folder: Path, console: Console) -> ResponseSurface:
    """Return a packaged surface with losses read of its stored replies; parts that were read are not read again.

    Args:
        name: Of the surface.
        losses: Readings that are losses; known by name already.
        folder: Where values and the copy go.
        console: Where progress is shown.
    Raises:
        ValueError: No such surface, or its replies were not kept.
    """
    names = tuple(one.name for one in losses)
    source = read_again(
        SurfaceReading(name, names, out=folder / name), "auctionsim trust panel", console, FanOut(threads=1)
    )
    return ResponseSurface.load(source.measured)


def choice_rows(
    surface: ResponseSurface, panel: str, others: Sequence[str], settings: ChoiceSettings
) -> list[ChoiceRow]:
    """Return how often the best honest choice differs between a panel and other losses, and between two measurements.

    The choice is the allocation with the largest virtual welfare less the loss in money; every loss's dearest cell on
    replicate A costs the same. The last row compares the panel with itself on the other replicate: replies drawn anew
    move choices, too.

    Args:
        surface: With the losses.
        panel: Name of the panel's loss.
        others: Names of losses that it is compared with; those that have no price are left out.
        settings: The auctions.
    Raises:
        ValueError: The panel's loss has no price.
    """
    prices = loss_prices(surface, (panel, *others))
    priced = {one.name: one for one in prices.priced}
    if panel not in priced:
        raise InputError(f"the panel cannot be charged for: {prices.missing[panel]}")
    sold = surface.sell(settings.feature)
    priors = parse_priors(settings.prior)
    profiles = draw_profiles(sold, priors, settings.draws, settings.seed)

    def chosen(name: str, replicate: str) -> Tensor:
        view = sold_at(sold, priced[name]).replicate(replicate)
        return at_null(VirtualWelfareMaximizer(view, priors, settings.price)(*profiles).allocation, view.levers)

    own = chosen(panel, "A")
    rows = [_row(f"{panel}, A", f"{name}, A", own, chosen(name, "A")) for name in others if name in priced]
    return [*rows, _row(f"{panel}, A", f"{panel}, B", own, chosen(panel, "B"))]


def _row(first: str, second: str, one: Tensor, other: Tensor) -> ChoiceRow:
    return ChoiceRow(first, second, mean_interval((one != other).flatten(1).any(1).double()))
