"""The auction of menus: each bidder picks, from its own priced list of levers, what its bid likes best."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.checks import checked_tensor
from auctionsim.claims import claimed
from auctionsim.errors import InputError
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.menu_entries import Menu, MenuEntries, MenuWriter, Thresholds, chosen_entries
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import posted_sentence
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import Need
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import (
    Substrate,
    allocation_shape,
    contexts_of,
    is_separable,
    null_of,
    same_substrate,
)

__all__ = ["Menu", "MenuAuction", "MenuEntries", "MenuWriter", "check_menus_fit", "entry_exposures", "priced_entries"]

MOST_EVALUATIONS = 2**20  # allocations handed to the substrate at once, and (row, bidder, entry) scored at once


class MenuAuction(Mechanism):
    """Give bidder i the entry k of its menu that maximises b_i · e_i(k) − p_ik, and charge p_ik.

    e_i(k) is i's exposure when the others' levers stand at a reference, the null unless given. Ties go to the lowest
    price, then to the first entry; the null entry (price 0) is always there. The choice is hard: no rounding, no
    softness, nothing afterwards. Where the substrate is separable and bidder i's menu does not depend on b_i this is
    exactly DSIC and individually rational. Under crosstalk it is neither: the others' levers are not what the choice
    assumed, and b_i may move the others' menus. So regret and ir_violation belong beside its revenue.

    Args:
        substrate: Levers of each bidder's own, all combinations feasible.
        menus: A fixed menu, or a writer of menus. A writer that does not look at b_i when it writes bidder i's menu
            says so by an attribute `ignores_own_bid = True`; that is not checked, and nothing is proved without it.
        reference: (bidder, lever), where the others' levers are assumed to be; None for the null.
    Raises:
        ValueError: A substrate without levers of each bidder's own or with joint feasibility (as `Items` with several
            bidders); levers outside their range; prices that are not finite; shapes that do not fit.
    Source:
        The menu of "LLM Advertisement based on Neuron Auctions" (arXiv 2605.08326), reconstructed: its menu sizes,
        ranges and prices are not public. Hammond (1979) and Guesnerie (1995) for the taxation principle behind it.
    Example:
        >>> from auctionsim.substrates import QuadraticSubstrate
        >>> menu = Menu(torch.tensor([[[0.5]], [[1.0]]]), torch.tensor([[0.1], [0.3]]))
        >>> MenuAuction(QuadraticSubstrate(2), menu)(torch.tensor([[[0.4], [0.2]]])).payments
        tensor([[0.1000, 0.0000]])
    """

    def __init__(self, substrate: Substrate, menus: Menu | MenuWriter, *, reference: Tensor | None = None) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        check_menus_fit(substrate)
        self.range: Substrate = substrate
        null = null_of(substrate, 1, dtype=torch.float64)[0]
        self.reference = (
            null if reference is None else _checked_reference(reference, substrate).to(torch.float64, copy=True)
        )
        self.menus = menus if not isinstance(menus, Menu) else _checked_menu(menus, substrate)
        self._tables: list[MenuEntries] | None = None if not isinstance(self.menus, Menu) else self._slots(self.menus)
        single = self._tables is not None and self.num_features == 1
        self._thresholds = [Thresholds.of(table) for table in self._tables or ()] if single else None

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Let every bidder choose."""
        groups = context_groups(self.range, context, len(bids))
        if len(groups) == 1:
            return self._clear_alike(bids, groups[0][0])
        allocation = bids.new_empty(len(bids), *allocation_shape(self.range))
        payments = bids.new_empty(bids.shape[:2])
        for which, rows in groups:
            allocation[rows], payments[rows] = self._clear_alike(bids[rows], which)
        return Outcome(allocation, payments)

    def priced_menus(self, bids: Tensor, context: int | None = None) -> MenuEntries:
        """Return what is offered to each bidder at these bids, (1 or batch, …): fixed menus are the same for all."""
        return MenuEntries(*(part.clone() for part in self._priced_menus(bids, context)))

    @property
    def is_fixed(self) -> bool:
        """Whether the menus are the same whatever is bid."""
        return self._tables is not None

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """The taxation principle, where no bidder's levers touch another and menus cannot see the own bid.

        Fixed menus cannot; a writer of menus must say so itself, by an attribute `ignores_own_bid` that is True.
        """
        blind = self.is_fixed or claimed(self.menus, "ignores_own_bid") is True
        if blind and same_substrate(self.substrate, substrate) and is_separable(substrate):
            return "taxation principle: each bidder gets its favourite from a menu that its bid does not move"
        return None

    def price_sentence(self, case: PriceCase) -> str:
        """Return which entry of its menu the bidder picked, what it reckons with, and the price posted for it."""
        menus = self._priced_menus(case.bids, case.context_index)
        levers, prices, exposures = (part[0, case.bidder] for part in menus)
        allocation, payment = case.outcome.allocation[0, case.bidder], case.outcome.payments[0, case.bidder]
        picked = ((levers == allocation.to(levers)).all(1) & (prices == payment.to(prices))).nonzero().flatten()
        what = case.setting(self.range.levers)
        return posted_sentence(case, what, exposures[picked[0]] if len(picked) else None)

    def _clear_alike(self, bids: Tensor, context: int | None) -> Outcome:
        """Clear rows of one context."""
        if self._thresholds is not None:
            menus = self._priced_menus(bids, context)
            return _take(menus, self._thresholds[-1 if context is None else context].entries(bids))
        if not len(bids):
            return Outcome(bids.new_empty(0, *allocation_shape(self.range)), bids.new_empty(bids.shape[:2]))
        entries = self._priced_menus(bids[:1], context).prices.shape[2]
        most = max(1, MOST_EVALUATIONS // (entries * bids.shape[1]))
        parts = []
        for rows in bids.split(most):  # type: ignore[no-untyped-call]
            menus = self._priced_menus(rows, context, by_price=False)
            parts.append(_take(menus, chosen_entries(rows, menus, by_price=False)))
        return Outcome(*(torch.cat(column) for column in zip(*parts, strict=True)))

    def _priced_menus(self, bids: Tensor, context: int | None, *, by_price: bool = True) -> MenuEntries:
        if self._tables is not None:
            table = self._tables[-1 if context is None else context]
            return MenuEntries(*(part.to(bids.device, bids.dtype) for part in table))
        assert not isinstance(self.menus, Menu)
        repeated = None if context is None else torch.full((len(bids),), context, device=bids.device)
        menu = self.menus(bids, repeated)
        if menu.levers.shape[:2] != bids.shape[:2] or menu.prices.shape != menu.levers.shape[:3]:
            raise InputError(
                f"a menu writer must return levers (batch, bidder, entry, lever) and prices (batch, bidder, entry), "
                f"got {tuple(menu.levers.shape)} and {tuple(menu.prices.shape)} for bids {tuple(bids.shape)}"
            )
        menu = Menu(*(part.to(bids.dtype) for part in menu))
        return priced_entries(self.range, menu, self.reference, context, by_price=by_price)

    def _slots(self, menu: Menu) -> list[MenuEntries]:
        contexts = [*range(len(contexts_of(self.range))), None]
        tables = []
        for slot, context in enumerate(contexts):
            k = slot if len(menu.prices) > 1 else 0
            row = Menu(menu.levers[k : k + 1], menu.prices[k : k + 1])
            tables.append(priced_entries(self.range, row, self.reference, context))
        return tables


def _take(menus: MenuEntries, entry: Int[Tensor, "row bidder"]) -> Outcome:
    """Return the levers and prices of the entries chosen from menus of one row or of as many."""
    rows, n, entries, levers = menus.levers.shape
    row = torch.arange(rows, device=entry.device).view(-1, 1) if rows > 1 else torch.zeros_like(entry[:, :1])
    flat = ((row * n + torch.arange(n, device=entry.device)) * entries + entry).flatten()
    chosen = menus.levers.reshape(-1, levers).index_select(0, flat).view(*entry.shape, levers)
    return Outcome(chosen, menus.prices.reshape(-1).index_select(0, flat).view(entry.shape))


def priced_entries(
    substrate: Substrate, menu: Menu, reference: Tensor, context: int | None, *, by_price: bool = True
) -> MenuEntries:
    """Add the null entry, sort by price if asked, and let the substrate say what each entry is worth at the reference.

    Sorting costs more than all the rest where menus are written anew for every auction.
    """
    levers, prices = menu
    null = levers.new_tensor([lever.null for lever in substrate.levers]).expand(*levers.shape[:2], 1, -1)
    prices = torch.cat([torch.zeros_like(prices[..., :1]), prices], 2)
    levers = torch.cat([null, levers], 2)
    if by_price:
        order = prices.argsort(dim=2, stable=True)
        prices = prices.gather(2, order)
        levers = levers.gather(2, order.unsqueeze(3).expand_as(levers))
    return MenuEntries(levers, prices, entry_exposures(substrate, levers, reference, context))


def entry_exposures(
    substrate: Substrate, levers: Float[Tensor, "row bidder entry lever"], reference: Tensor, context: int | None
) -> Float[Tensor, "row bidder entry feature"]:
    """Return each bidder's exposure from each of its entries, the others' levers at the reference."""
    rows, n, entries, _ = levers.shape
    if is_separable(substrate):  # the others do not matter: all bidders at once
        together = levers.movedim(2, 1).flatten(0, 1)
        exposure = substrate.exposure(together, _filled(together, context))
        return exposure.view(rows, entries, n, -1).movedim(1, 2)
    each_exposure = []
    for i in range(n):
        alone = reference.to(levers.device, levers.dtype).expand(rows, entries, -1, -1).flatten(0, 1)
        own = levers[:, i].flatten(0, 1).unsqueeze(1)
        joint = torch.cat([alone[:, :i], own, alone[:, i + 1 :]], 1)
        each_exposure.append(substrate.exposure(joint, _filled(joint, context))[:, i].view(rows, entries, -1))
    return torch.stack(each_exposure, 1)


def check_menus_fit(substrate: Substrate) -> None:
    """Refuse a substrate on which bidders cannot be given levers independently.

    Raises:
        ValueError: Its allocations are not one set of levers a bidder, or not all combinations are feasible.
    """
    shape = (substrate.num_bidders, len(substrate.levers))
    if allocation_shape(substrate) != shape:
        raise InputError(
            f"menus need levers of each bidder's own, allocations of shape {shape}: "
            f"{type(substrate).__name__} chooses among joint allocations of shape {allocation_shape(substrate)}"
        )
    highest = torch.tensor([lever.high for lever in substrate.levers]).expand(1, *shape)
    if not bool(substrate.feasible(highest).all()):
        raise InputError(
            f"menus let bidders choose independently, but {type(substrate).__name__} with {shape[0]} bidders cannot "
            f"give everybody its highest levers at once"
        )


def have_own_levers(substrate: Substrate) -> bool:
    """Tell whether bidders can be given levers independently, so that menus fit."""
    try:
        check_menus_fit(substrate)
    except ValueError:
        return False
    return True


OWN_LEVERS = Need("levers of each bidder's own, all combinations feasible", have_own_levers)


def _filled(allocation: Tensor, context: int | None) -> Tensor | None:
    return None if context is None else torch.full((len(allocation),), context, device=allocation.device)


def _checked_reference(reference: Tensor, substrate: Substrate) -> Tensor:
    checked_tensor(reference, "reference")
    fits = reference.is_floating_point() and reference.shape == allocation_shape(substrate)
    if not fits or not bool(substrate.feasible(reference.unsqueeze(0)).all()):
        raise InputError(f"reference must be one feasible allocation {allocation_shape(substrate)}, got {reference}")
    return reference


def _checked_menu(menu: Menu, substrate: Substrate) -> Menu:
    """Return the menu in float64 with a slot axis."""
    levers, prices = (
        checked_tensor(part, f"a menu's {name}").detach().to(torch.float64, copy=True)
        for name, part in menu._asdict().items()
    )
    if levers.ndim == 3:
        levers, prices = levers.unsqueeze(0), prices.unsqueeze(0)
    slots = len(contexts_of(substrate)) + 1
    if (
        levers.ndim != 4
        or levers.shape[0] not in (1, slots)
        or levers.shape[1::2] != allocation_shape(substrate)
        or prices.shape != levers.shape[:3]
    ):
        raise InputError(
            f"a menu needs levers (bidder={substrate.num_bidders}, entry, lever={len(substrate.levers)}) and prices "
            f"(bidder, entry), perhaps with {slots} slots before, got {tuple(menu.levers.shape)} "
            f"and {tuple(menu.prices.shape)}"
        )
    low, high = (levers.new_tensor([lever[k] for lever in substrate.levers]) for k in (1, 2))
    if not bool(((levers >= low) & (levers <= high)).all()):
        raise InputError(f"a menu's levers must lie in {substrate.levers}, got {levers.min()} … {levers.max()}")
    if not bool(torch.isfinite(prices).all()):
        raise InputError("a menu's prices must be finite")
    return Menu(levers, prices)
