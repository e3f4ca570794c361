"""Tables of favourite types: the rule of a Bayesian program for several bidders of several features, and its error."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.mechanisms.codecs import Saved
from auctionsim.mechanisms.favourite_types import (
    Crowd,
    Favourites,
    classes_of,
    transport_payments,
)
from auctionsim.mechanisms.program_tables import GridMarket, TypeTable, solved
from auctionsim.priors import Prior, Product

FINEST = 3 * 2**13 + 1  # nodes of the error that is stated, others than those that were used


class FavouriteTable(NamedTuple):
    """What bidders choose from, and what their choices lead to, in one context.

    Attributes:
        table: By profile of chosen types.
        menus: One a bidder.
        residual: (bidder,), the largest error of a menu's expected exposure.
    """

    table: TypeTable
    menus: tuple[Favourites, ...]
    residual: Tensor


def favourite_table(market: GridMarket, priors: Product, *, opt_out: bool) -> FavouriteTable:
    """Solve the program that is honest on average, and price its types so that favourites are as likely as they are.

    Args:
        market: Where; its allocations can be mixed.
        priors: What valuations are drawn from.
        opt_out: Whether the valuation 0 keeps 0, instead of the least of the prior.
    """
    solution = solved(market)
    shares, chances, reps = _merged(market, solution.shares)
    menus = []
    for i, row in enumerate(priors.marginals):
        exposures = _interim(market, shares, chances, i)
        kept = (chances[i] > 0).nonzero().squeeze(1)
        start = (market.values[i] * exposures).sum(1) - solution.utilities[i][:, 0]
        paid = torch.zeros_like(start)
        paid[kept] = transport_payments(row, exposures[kept], chances[i][kept], start[kept])
        menus.append(_from_zero(Favourites(exposures[reps[i]], paid[reps[i]]), row, opt_out=opt_out))
    laws = [_law(menu, row, FINEST) for menu, row in zip(menus, priors.marginals, strict=True)]
    residual = torch.stack(
        [(_interim(market, shares, laws, i) - menu.exposures).abs().max() for i, menu in enumerate(menus)]
    )
    allocations = torch.tensordot(shares, market.candidates.allocations.double(), dims=1).flatten(0, len(menus) - 1)
    sizes = [len(menu.payments) for menu in menus]
    places = torch.cartesian_prod(*(torch.arange(size) for size in sizes))
    payments = torch.stack([menu.payments[places[:, i]] for i, menu in enumerate(menus)], 1)
    return FavouriteTable(TypeTable(allocations, payments), tuple(menus), residual)


def _merged(market: GridMarket, shares: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return shares and chances with types of equal exposure made one, and by bidder the type that stands for each."""
    chances, together, reps = market.chances, shares, []
    for i, chance in enumerate(market.chances):
        reps.append(classes_of(_interim(market, shares, market.chances, i), chance))
        merged = torch.zeros(len(chance), len(chance), dtype=torch.float64)
        merged[reps[i], torch.arange(len(chance))] = chance
        chances[i] = merged.sum(1)
        mean = merged / torch.where(chances[i] > 0, chances[i], 1.0).unsqueeze(1)
        together = torch.tensordot(mean[reps[i]], together.movedim(i, 0), dims=1).movedim(0, i)
    return together, chances, reps


def _interim(
    market: GridMarket, shares: Tensor, chances: Sequence[Tensor], bidder: int
) -> Float[Tensor, "type feature"]:
    """Return what a bidder's types bring on average over the others' types."""
    own: Tensor = torch.tensordot(shares, market.candidates.exposures[:, bidder], dims=1).movedim(bidder, 0)
    for j in reversed([j for j in range(len(chances)) if j != bidder]):  # the last axis of types first
        axis = j + (j < bidder)
        own = torch.tensordot(own, chances[j], dims=([axis], [0]))
    return own


def _law(menu: Favourites, priors: Sequence[Prior], nodes: int) -> Float[Tensor, " type"]:
    return Crowd.of(priors, menu.exposures, nodes).favourite_chances(menu)[0]


def _from_zero(menu: Favourites, priors: Sequence[Prior], *, opt_out: bool) -> Favourites:
    """Return the menu with a constant added to all payments, so that the least valuation keeps 0."""
    least = torch.tensor([[0.0 if opt_out else prior.support_low for prior in priors]], dtype=torch.float64)
    kept = (menu.exposures @ least[0] - menu.payments).max()
    return menu._replace(payments=menu.payments + kept)


def menu_arrays(tables: Sequence[FavouriteTable]) -> dict[str, Tensor]:
    """Return menus and residuals as arrays, shorter menus filled up with their last type."""
    longest = max(len(menu.payments) for menu in tables[0].menus)

    def filled(part: Tensor) -> Tensor:
        return torch.cat([part, part[-1:].expand(longest - len(part), *part.shape[1:])])

    return {
        "menu_exposures": torch.stack([torch.stack([filled(menu.exposures) for menu in one.menus]) for one in tables]),
        "menu_payments": torch.stack([torch.stack([filled(menu.payments) for menu in one.menus]) for one in tables]),
        "residuals": torch.stack([one.residual for one in tables]),
    }


def menus_from(
    saved: Saved, slots: int, sizes: Sequence[int], features: int
) -> list[tuple[tuple[Favourites, ...], Tensor]]:
    """Return each slot's menus and residual as a file has them."""
    shape = (slots, len(sizes), max(sizes))
    exposures, payments = saved.array("menu_exposures", (*shape, features)), saved.array("menu_payments", shape)
    residuals = saved.array("residuals", shape[:2])
    return [
        (tuple(Favourites(e[i, :size], t[i, :size]) for i, size in enumerate(sizes)), residual)
        for e, t, residual in zip(exposures, payments, residuals, strict=True)
    ]
