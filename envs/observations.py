"""Observations: which parts stand side by side, and in which box they lie."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.envs.rounds import GameState
from auctionsim.errors import InputError
from auctionsim.mechanisms import MenuAuction
from auctionsim.substrates.protocol import Substrate, contexts_of

PLAIN_OBSERVATION = ("valuation", "context", "last_exposure", "last_payment")
OBSERVABLES = (*PLAIN_OBSERVATION, "budget", "roi_slack", "round", "present", "menu")


class Limits(NamedTuple):
    """Bounds of the numbers of a game.

    Attributes:
        bids: (bidder, feature), the highest.
        exposure: (bidder, feature), the largest.
        rounds: Of an episode.
        contexts: How many; 0 for none.
        budgets: (bidder,), or None.
        roi_targets: (bidder,), or None.
        roi_capped: Whether the targets are a cap; else who is behind sees by how much.
        absences: Whether bidders may be absent.
    """

    bids: Tensor
    exposure: Tensor
    rounds: int
    contexts: int
    budgets: Tensor | None
    roi_targets: Tensor | None
    roi_capped: bool = True
    absences: bool = False

    @property
    def payment(self) -> Float[Tensor, "bidder 1"]:
        """The most that a rule may ask which asks at most the bid."""
        return (self.bids * self.exposure).sum(1, keepdim=True)


class Part(NamedTuple):
    """The box of one part: (bidder, number) each."""

    low: Tensor
    high: Tensor


class Observations:
    """The parts of a bidder's observation, in this order.

    Args:
        names: Some of `OBSERVABLES`, once each; None: the first four, and what constraints and presence need.
        limits: Of the game.
        mechanism: Whose menu is seen, if "menu" is among the names.
    Attributes:
        names: The parts that are there; a context is left out where there is none.
        low, high: (bidder, number), the box.
    Raises:
        ValueError: Names that are unknown, doubled or without what they tell of.
    """

    def __init__(self, names: Sequence[str] | None, limits: Limits, mechanism: Any) -> None:
        self._limits = limits
        self.names = self._checked(names)
        self._menus = menu_table(mechanism, limits.contexts, limits.bids.dtype) if "menu" in self.names else None
        parts = [self._part(name, mechanism) for name in self.names]
        self.low: Tensor = torch.cat([part.low for part in parts], dim=1)
        self.high: Tensor = torch.cat([part.high for part in parts], dim=1)

    def __call__(self, state: GameState) -> Float[Tensor, "batch bidder number"]:
        """Return what each bidder sees."""
        return torch.cat([self._seen(name, state).to(self._limits.bids.dtype) for name in self.names], dim=2)

    def box(self, *, shared: bool) -> Part:
        """Return the box of what bidders see: each one's own, or for each the union of all."""
        if not shared:
            return Part(self.low, self.high)
        return Part(self.low.amin(0).expand_as(self.low), self.high.amax(0).expand_as(self.high))

    def _checked(self, wanted: Sequence[str] | None) -> tuple[str, ...]:
        budgeted, targeted = self._limits.budgets is not None, self._limits.roi_targets is not None
        constraints = ("budget",) * budgeted + ("roi_slack",) * targeted
        presence = ("present",) * self._limits.absences
        names = (*PLAIN_OBSERVATION, *constraints, *(("round",) if constraints else ()), *presence)
        if wanted is not None:
            names = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        possible = {*PLAIN_OBSERVATION, "round", "menu", *constraints, *presence}
        if isinstance(wanted, str) or not names or len(set(names)) != len(names) or not possible.issuperset(names):
            raise InputError(f"observe must name some of {sorted(possible)} once each, got {wanted!r}")
        if not self._limits.contexts:
            names = tuple(name for name in names if name != "context")
        if not names:
            raise InputError("this substrate has no contexts: observe something else than the context")
        return names

    def _seen(self, name: str, state: GameState) -> Tensor:
        batch, n = state.last_payment.shape
        limits = self._limits
        match name:
            case "valuation":
                seen = state.this_round(state.valuations)
            case "context":
                now = state.this_round(state.contexts)
                seen = torch.nn.functional.one_hot(now, limits.contexts).unsqueeze(1).expand(batch, n, -1)
            case "menu" if self._menus is not None:
                seen = self._menus[state.this_round(state.contexts)]
            case "last_exposure":
                seen = state.last_exposure
            case "last_payment":  # a rule may charge more than bids or pay out: clipped here, never in the reward
                most = limits.payment.squeeze(1)
                seen = torch.maximum(torch.minimum(state.last_payment, most), -most).unsqueeze(2)
            case "budget" if limits.budgets is not None:
                seen = (limits.budgets - state.spent).clamp_min(0).unsqueeze(2)
            case "roi_slack" if limits.roi_targets is not None:
                slack = (state.gained - limits.roi_targets * state.spent).unsqueeze(2)
                seen = torch.maximum(slack, self._lowest_slack())
            case "present":
                seen = state.this_round(state.present).unsqueeze(2)
            case _:
                seen = (state.round / limits.rounds).view(batch, 1, 1).expand(batch, n, 1)
        return seen

    def _part(self, name: str, mechanism: Any) -> Part:
        limits = self._limits
        ones = torch.ones(len(limits.bids), 1, dtype=limits.bids.dtype)
        if name == "menu":
            assert self._menus is not None
            return menu_box(mechanism, self._menus)
        highs = {
            "valuation": limits.bids,
            "context": ones.expand(-1, max(limits.contexts, 1)),
            "last_exposure": limits.exposure,
            "last_payment": limits.payment,
            "budget": ones if limits.budgets is None else limits.budgets.unsqueeze(1),
            "roi_slack": limits.payment * limits.rounds,
            "round": ones,
            "present": ones,
        }
        high = highs[name]
        lows = {"last_payment": -high, "roi_slack": self._lowest_slack()}
        return Part(lows.get(name, torch.zeros_like(high)), high)

    def _lowest_slack(self) -> Float[Tensor, "bidder 1"]:
        """Return the lowest slack that is shown: 0 under a cap, else what the highest payments lead to."""
        limits = self._limits
        if limits.roi_capped or limits.roi_targets is None:
            return torch.zeros_like(limits.payment)
        return -limits.payment * limits.rounds * limits.roi_targets.unsqueeze(1)


def menu_table(mechanism: Any, contexts: int, dtype: torch.dtype) -> Float[Tensor, "slot bidder number"]:
    """Return each bidder's menu in each context (one slot where there is none): entry by entry, by price.

    An entry is its levers, its exposure at the menu's reference, and its price; the null entry is left out.

    Raises:
        ValueError: A mechanism without menus, or one whose menus depend on the others' bids: those are not known when
            a bidder must bid.
    """
    if not isinstance(mechanism, MenuAuction) or not mechanism.is_fixed:
        kind = type(mechanism).__name__
        raise InputError(f"a menu can be seen where it is fixed before the bids; this {kind} has none such")
    nobody = torch.zeros(1, mechanism.range.num_bidders, len(mechanism.range.features), dtype=torch.float64)
    slots: list[int | None] = [*range(contexts)] or [None]
    tables = []
    for slot in slots:
        levers, prices, exposures = mechanism.priced_menus(nobody, slot)
        entries = torch.cat([levers[0], exposures[0], prices[0].unsqueeze(2)], dim=2)
        tables.append(entries[:, 1:].flatten(1))
    return torch.stack(tables).to(dtype)


def menu_box(mechanism: MenuAuction, table: Float[Tensor, "slot bidder number"]) -> Part:
    """Return the box of menus: levers in their range, exposures and prices up to the largest that is offered."""
    levers, features = mechanism.range.levers, len(mechanism.range.features)
    width = len(levers) + features + 1
    menus = table.view(*table.shape[:2], -1, width)
    high = menus.amax((0, 1, 2)).clamp_min(1e-6)
    low = menus.amin((0, 1, 2)).clamp_max(0)
    for place, lever in enumerate(levers):
        low[place], high[place] = lever.low, lever.high
    every = table.shape[1], menus.shape[2] * width
    return Part(low.repeat(menus.shape[2]).expand(every), high.repeat(menus.shape[2]).expand(every))


def largest_exposures(
    substrate: Substrate, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "context bidder feature"]:
    """Return max_x e_if(x) over the substrate's range in each context; infinite where the substrate cannot tell.

    One slot where there are no contexts. A feature called a probability is at most 1 even where nothing is known. A
    hair is added for interpolation's rounding.
    """
    n, m = substrate.num_bidders, len(substrate.features)
    slots: list[int | None] = [*range(len(contexts_of(substrate)))] or [None]
    one_each = torch.eye(n * m, dtype=dtype).view(n * m, n, m)
    contexts = [None if slot is None else torch.full((n * m,), slot) for slot in slots]
    try:
        peaks = [
            (substrate.exposure(substrate.maximise(one_each, 0.0, context), context) * one_each).sum((1, 2))
            for context in contexts
        ]
    except NotImplementedError:
        certain = [1.0 if name.endswith("probability") else math.inf for name in substrate.features]
        return torch.tensor(certain, dtype=dtype).expand(len(slots), n, m).clone()
    hair = 16 * torch.finfo(dtype).eps
    return torch.stack(peaks).view(len(slots), n, m) * (1 + hair) + hair


def largest_exposure(substrate: Substrate, dtype: torch.dtype = torch.float32) -> Float[Tensor, "bidder feature"]:
    """Return the largest exposure over all contexts, see `largest_exposures`."""
    return largest_exposures(substrate, dtype).amax(0)
