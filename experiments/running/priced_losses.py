"""Losses in money: each by a rate at which its dearest cell costs one unit, so that losses of any unit compare."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.experiments.running.sub_surfaces import cells_of
from auctionsim.substrates import ResponseSurface

TOGETHER = "+"
"""Between the names of losses that are charged together, each for its share of the price."""


CLEAR = 2.0
"""Standard errors by which a dearest cell must be above 0: what is charged by a rate that is noise sells noise."""


class PricedLoss(NamedTuple):
    """One loss, or several that are charged together, with the rates that make money of them.

    Attributes:
        name: Of the loss, "kl" or "kl+quality".
        charge: Money per unit of each loss, at a price of 1.
        unit: Of the loss; for several "price of the dearest cells".
        dearest: The loss of the dearest cell in its unit, None for several.
        dearest_error: Its standard error, None for several.
    """

    name: str
    charge: Mapping[str, float]
    unit: str
    dearest: float | None = None
    dearest_error: float | None = None

    @property
    def is_single(self) -> bool:
        """Whether it is one loss with a unit of its own."""
        return self.dearest is not None


class LossPrices(NamedTuple):
    """The losses of a surface that can be charged for, and why others cannot.

    Attributes:
        priced: In the order in which they were named.
        missing: By name, the reason.
    """

    priced: tuple[PricedLoss, ...]
    missing: Mapping[str, str]


def loss_prices(surface: ResponseSurface, names: Sequence[str]) -> LossPrices:
    """Return the rates of losses by one rule: the dearest cell costs the price that an auction names.

    The dearest cell is the intervention whose loss on replicate A, as a mean over contexts, is largest; a loss whose
    dearest cell is not above 0 by two standard errors has no rate. What is charged together splits the price evenly:
    each loss's dearest cell costs its share.

    Args:
        surface: Any features, any losses.
        names: Of losses, as "kl" or "kl+quality".
    Raises:
        ValueError: No name, or one twice, also within what is charged together.
    """
    if not names or len(set(names)) < len(names):
        raise InputError(f"losses must be one or more different names, got {', '.join(names) or 'none'}")
    priced: list[PricedLoss] = []
    missing: dict[str, str] = {}
    for name in names:
        parts = tuple(part.strip() for part in name.split(TOGETHER))
        if len(set(parts)) < len(parts):
            raise InputError(f"what is charged together must be different losses, got {name!r}")
        singles = [_single(surface, part) for part in parts]
        reasons = [one for one in singles if isinstance(one, str)]
        rates = [one for one in singles if isinstance(one, PricedLoss)]
        if reasons:
            missing[name] = "; ".join(reasons)
        elif len(rates) == 1:
            priced.append(rates[0])
        else:
            charge = {part: rate / len(rates) for one in rates for part, rate in one.charge.items()}
            priced.append(PricedLoss(name, charge, "price of the dearest cells"))
    return LossPrices(tuple(priced), missing)


def sold_at(surface: ResponseSurface, loss: PricedLoss) -> ResponseSurface:
    """Return the view that sells what a surface sells, at the cost of a loss in money."""
    return surface.sell(*surface.features, loss=loss.charge)


def _single(surface: ResponseSurface, name: str) -> PricedLoss | str:
    if name not in surface.losses:
        return f"{name} was not measured on this surface, nor read of its replies"
    cells = cells_of(surface)
    item = surface.replicates["A"].losses[name]
    mean, error = (part.flatten(1, len(cells.shape))[:, cells.distinct] for part in (item.mean, item.standard_error))
    means = mean.mean(0)
    place = int(means.argmax())
    dearest, spread = float(means[place]), float(error[:, place].square().sum().sqrt()) / len(surface.contexts)
    if dearest <= CLEAR * spread or dearest <= 0:
        return (
            f"no cell of {name} on A is dearer than the untouched reply by more than noise: the dearest is "
            f"{dearest:.3g} ± {spread:.2g} {surface.units[name]}"
        )
    return PricedLoss(name, {name: 1 / dearest}, surface.units[name], dearest, spread)
