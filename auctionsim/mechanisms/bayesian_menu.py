"""Menus that are honest under crosstalk: no bid moves a price, and entries are worth what they bring on average."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_tensor
from auctionsim.errors import InputError
from auctionsim.levers import null_levers, setting_words
from auctionsim.mechanisms.bayesian_fixed_point import fixed_point
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.joint_entries import OWN_ENTRIES, JointEntries, levers_of
from auctionsim.mechanisms.menu_entries import Menu, MenuEntries, Thresholds
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import posted_sentence
from auctionsim.mechanisms.protocol import BayesianProof, Mechanism
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, Product, product
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, same_substrate


class TruthfulMeans(NamedTuple):
    """What a rule brings on average under truthful bids, in one context.

    Attributes:
        revenue: E[Σ t_i].
        user_loss: E[L].
    """

    revenue: float
    user_loss: float


class BayesianMenu(Mechanism):
    """Give bidder i the entry k of its fixed menu that maximises b_i · ē_i(k) − p_ik, and charge p_ik.

    ē_i(k) is i's *expected* exposure from entry k while the others, whose valuations are drawn from the priors, pick
    truthfully from their own menus. `MenuAuction` values entries as if the others were not there. Ties go to the lower
    price; the null entry (price 0) is always there.

    Bayesian incentive compatible and interim individually rational, with any crosstalk. Proof: i's bid moves neither
    its own menu nor what the others pick, since their menus and the numbers ē are fixed before any bid. So against
    truthful rivals a bid chooses one of the pairs (ē_i(k), p_ik), the null's among them, and is worth v_i ē_i(k) − p_ik
    to valuation v_i; the rule takes the best for v_i = b_i, so no bid is better than the truth. The null is worth
    v_i ē_i(0) ≥ 0. Nothing is claimed once the others' bids are known: a bidder may then regret its pick, or lose.

    The numbers ē of all bidders depend on each other's picks: they are one fixed point. Where the numbers in use are
    off by r at most, the truth loses at most 2 v r against the best bid and v r against 0; `bic_proof` states r. With
    priors that have densities and no two entries of a menu at one price (the null alone at 0) a fixed point exists: the
    chance of each pick is then continuous in the numbers, and Brouwer's theorem applies. At equal prices none may.

    Args:
        substrate: Levers of each bidder's own, one feature. On a list, combinations that were not measured are carried
            out as the nearest setting that was (`JointEntries`).
        priors: What valuations are drawn from, independently.
        menu: Levers and prices ≥ 0 of every entry but the null, (bidder, entry, …), or with a leading slot for each
            context of the substrate and then one for a context of None.
        expected: (slot, bidder, entry), the numbers ē to be used, the null's first; None: the fixed point, found by
            iteration and a root-finder.
    Attributes:
        menus: The menu, with the slots.
        expected: (slot, bidder, entry), the numbers in use.
        residual: (bidder,), r: their largest error, rounding allowed for.
    Raises:
        RuntimeError: No fixed point was found.
        ValueError: Several features, a substrate without levers of each bidder's own, levers outside their range,
            prices below 0, shapes that do not fit.
        NotImplementedError: Too many combinations of entries to average over.
    Source:
        Myerson (1981), "Optimal auction design", for truth in expectation; menus of expected exposures are ours.
    Example:
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import QuadraticSubstrate
        >>> menu = Menu(torch.ones(2, 1, 1), torch.tensor([[0.25], [0.5]]))  # each: the whole lever or nothing
        >>> rule = BayesianMenu(QuadraticSubstrate(2, 0.5), Uniform(0, 1), menu)
        >>> rule.expected[0].round(decimals=4).tolist()
        [[0.0, 0.8904], [0.0, 0.6404]]
    """

    def __init__(self, substrate: Substrate, priors: Priors, menu: Menu, expected: Tensor | None = None) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        if len(substrate.features) != 1:
            raise InputError(f"expected exposures are of one feature, got {', '.join(substrate.features)}")
        if not OWN_ENTRIES.holds(substrate):
            raise InputError(f"menus need {OWN_ENTRIES.words}, and {type(substrate).__name__} has none such")
        self.range: Substrate = substrate
        self.priors: Product = product(priors, substrate.num_bidders)
        self.menus = _checked_menu(menu, substrate)
        contexts = [*range(len(contexts_of(substrate))), None]
        self._joint = [
            JointEntries(substrate, _with_null(levers, substrate), context)
            for levers, context in zip(self.menus.levers, contexts, strict=True)
        ]
        self._prices = torch.nn.functional.pad(self.menus.prices, (1, 0))  # the null's 0 in front
        self.expected = self._solved() if expected is None else _checked_expected(expected, self._prices)
        slots = range(len(contexts))
        self._thresholds = [self._thresholds_at(slot, self.expected[slot]) for slot in slots]
        self._chances = [self._chances_of(one) for one in self._thresholds]
        self.residual = torch.stack([self._error(slot) for slot in slots]).amax(0)

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Let every bidder choose."""
        allocation = bids.new_empty(len(bids), *allocation_shape(self.range))
        payments = bids.new_empty(bids.shape[:2])
        every = torch.arange(bids.shape[1], device=bids.device)
        for which, rows in context_groups(self.range, context, len(bids)):
            slot = -1 if which is None else which
            chosen = self._thresholds[slot].entries(bids[rows])
            allocation[rows] = self._joint[slot].allocation(chosen).to(bids)
            payments[rows] = self._prices[slot].to(bids)[every, chosen]
        return Outcome(allocation, payments)

    def bic_proof(self, substrate: Substrate, priors: Priors) -> BayesianProof | None:
        """A choice from a fixed menu at expected exposures, where these are the substrate's under these priors."""
        same = product(priors, self.range.num_bidders) == self.priors
        if not same or not same_substrate(self.substrate, substrate):
            return None
        reason = "fixed menus at expected exposures: no bid moves a price or what the others pick"
        return BayesianProof(reason, self.residual.clone())

    def priced_exposure(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor:
        """Return the expected exposure of the picked entries, which their prices are for: (batch, bidder, 1)."""
        del outcome
        priced = self.expected.new_empty(*bids.shape)
        for which, rows in context_groups(self.range, context, len(bids)):
            slot = -1 if which is None else which
            chosen = self._thresholds[slot].entries(bids[rows]).T.to(self.expected.device)
            priced[rows, :, 0] = self.expected[slot].gather(1, chosen).T
        return priced.to(bids.device)

    def price_sentence(self, case: PriceCase) -> str:
        """Return which entry of its menu the bidder picked, what it expects of it, and the price posted for it."""
        slot = -1 if case.context_index is None else case.context_index
        picked = int(self._thresholds[slot].entries(case.bids)[0, case.bidder])
        levers = self._joint[slot].levers[case.bidder, picked].tolist()
        what = setting_words(levers, levers_of(self.range))
        return posted_sentence(case, what, self.expected[slot, case.bidder, picked].unsqueeze(0))

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> Tensor:
        """Where a bidder's own pick changes, whatever the others bid: (batch, bidder, breakpoint)."""
        widest = max(one.bids.shape[1] for one in self._thresholds)
        points = bids.new_full((*bids.shape[:2], widest), torch.inf)
        for which, rows in context_groups(self.range, context, len(bids)):
            own = self._thresholds[-1 if which is None else which].bids.to(bids)
            points[rows, :, : own.shape[1]] = own
        return points

    def truthful_means(self, context: int | None = None) -> TruthfulMeans:
        """Return the expected revenue and user loss under truthful bids, exactly.

        Args:
            context: Index into the substrate's contexts; None: of one outcome for all.
        """
        slot = -1 if context is None else context
        chances = self._chances[slot]
        revenue = sum(float(q @ prices) for q, prices in zip(chances, self._prices[slot], strict=True))
        return TruthfulMeans(revenue, float(chances[0] @ self._joint[slot].loss(0, chances)))

    def _solved(self) -> Float[Tensor, "slot bidder entry"]:
        numbers = []
        for slot, joint in enumerate(self._joint):
            nobody = [torch.eye(1, self._prices.shape[2], dtype=torch.float64)[0]] * self.range.num_bidders
            start = torch.stack([joint.expected(i, nobody) for i in range(self.range.num_bidders)])
            numbers.append(fixed_point(partial(self._answer, slot), start, joint.largest))
        return torch.stack(numbers)

    def _answer(self, slot: int, numbers: Float[Tensor, "bidder entry"]) -> Float[Tensor, "bidder entry"]:
        """Return expected exposures where everybody picks by these numbers."""
        chances = self._chances_of(self._thresholds_at(slot, numbers))
        return torch.stack([self._joint[slot].expected(i, chances) for i in range(len(chances))])

    def _thresholds_at(self, slot: int, numbers: Float[Tensor, "bidder entry"]) -> Thresholds:
        levers = self._joint[slot].levers
        return Thresholds.of(MenuEntries(*(part[None] for part in (levers, self._prices[slot], numbers[..., None]))))

    def _chances_of(self, thresholds: Thresholds) -> list[Float[Tensor, " entry"]]:
        """Return how likely each entry of each bidder is picked."""
        return [
            pick_chances(self.priors.marginal(i).cdf(bids), steps, self._prices.shape[2])
            for i, (bids, steps) in enumerate(zip(thresholds.bids, thresholds.steps, strict=True))
        ]

    def _error(self, slot: int) -> Float[Tensor, " bidder"]:
        """Return how far the numbers in use are from what the picks give, and what rounding may hide."""
        given = torch.stack([self._joint[slot].expected(i, self._chances[slot]) for i in range(self.range.num_bidders)])
        rounding = self._prices.shape[1] * self._prices.shape[2] * torch.finfo(torch.float64).eps
        return (given - self.expected[slot]).abs().amax(1) + rounding * self._joint[slot].largest


def pick_chances(below: Float[Tensor, " step"], steps: Sequence[int] | Tensor, entries: int) -> Float[Tensor, " entry"]:
    """Return the chance of each entry from the chances of bids up to each threshold and the entries between them."""
    edges = torch.cat([below.new_zeros(1), below, below.new_ones(1)])
    return below.new_zeros(entries).index_add(0, torch.as_tensor(steps), edges.diff())


def _with_null(levers: Float[Tensor, "bidder entry lever"], substrate: Substrate) -> Tensor:
    return torch.cat([null_levers(levers_of(substrate), len(levers)).unsqueeze(1), levers], 1)


def _checked_menu(menu: Menu, substrate: Substrate) -> Menu:
    """Return the menu in float64, one for every slot."""
    levers, prices = (
        checked_tensor(part, f"a menu's {name}").detach().to("cpu", torch.float64, copy=True)
        for name, part in menu._asdict().items()
    )
    controls, slots = levers_of(substrate), len(contexts_of(substrate)) + 1
    if levers.ndim == 3:
        levers = levers.expand(slots, *levers.shape).clone()
        prices = prices.expand(slots, *prices.shape).clone()
    wanted = (slots, substrate.num_bidders, len(controls))
    if levers.ndim != 4 or (*levers.shape[:2], levers.shape[3]) != wanted or prices.shape != levers.shape[:3]:
        raise InputError(
            f"a menu needs levers (bidder={wanted[1]}, entry, lever={wanted[2]}) and prices (bidder, entry), perhaps "
            f"with {slots} slots before, got {tuple(menu.levers.shape)} and {tuple(menu.prices.shape)}"
        )
    low, high = (torch.tensor([lever[k] for lever in controls], dtype=torch.float64) for k in (1, 2))
    if not bool(((levers >= low) & (levers <= high)).all()):
        raise InputError(f"a menu's levers must lie in {controls}, got {levers.min()} … {levers.max()}")
    if not bool((torch.isfinite(prices) & (prices >= 0)).all()):
        raise InputError(f"a menu's prices must be finite and >= 0, got {prices.min()} … {prices.max()}")
    return Menu(levers, prices)


def _checked_expected(expected: Tensor, prices: Float[Tensor, "slot bidder entry"]) -> Tensor:
    numbers = checked_tensor(expected, "expected").detach().to("cpu", torch.float64, copy=True)
    if numbers.shape != prices.shape or not bool((torch.isfinite(numbers) & (numbers >= 0)).all()):
        raise InputError(
            f"expected exposures must be finite and >= 0, of shape {tuple(prices.shape)} with the null's first, "
            f"got shape {tuple(numbers.shape)}"
        )
    return numbers
