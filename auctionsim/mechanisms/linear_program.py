"""Automated design: the best honest mechanism for types on a grid, by linear programming, as a rule for every bid."""

import math
from collections.abc import Sequence
from typing import get_args

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_money
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.mechanisms.candidates import context_groups, has_candidates
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.favourite_tables import FavouriteTable, favourite_table, menu_arrays, menus_from
from auctionsim.mechanisms.honest_bound import Honesty, candidates_in, levels_by_feature
from auctionsim.mechanisms.program_tables import GridMarket, TypeTable, can_mix, type_table
from auctionsim.mechanisms.protocol import BayesianProof, Mechanism
from auctionsim.mechanisms.table import Entry, Need, Problem, Published, register
from auctionsim.mechanisms.type_grids import levels_within, type_axis, with_zero
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, Product, product
from auctionsim.priors.saving import prior_from, prior_record
from auctionsim.records import Record
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, same_substrate

NUDGE = 1e-9  # share of what the seller has from a menu's entry that is given back, so that ties go to the better one
MOST_PROFILES = 1 << 14
QUICK_PROFILES, FULL_PROFILES = 64, 1024  # of types, that the recipes aim at


class LinearProgram(Mechanism):
    """Allocate and charge what the linear program of the best honest mechanism has for the types that bids round to.

    The support of every valuation is cut into `levels` cells (`type_axis`), and a cell's types count as its lower end.
    With q_p the lots over the range at the profile p of types, E_i = E_q e_i and t_i payments, the program maximises
    E[Σ_i t_i − λ L] over all q and t such that no type gains by the report of another and u_i ≥ 0 for every type:
    whatever the others' types (`honest="dominant"`), or on average over them (`"bayesian"`).

    Between the types, and everywhere else on bids ≥ 0:

    - **One feature: bids are rounded down** to the cell they lie in (below the first cell: up to it), and the exposure
      E_i(τ), a step function of b_i, is charged Myerson's integral: each step at the bid where it is taken,
      t_i = Σ_{k ≤ τ} v_k (E_i(v_k) − E_i(v_{k−1})). Proof: honest types make E_i nondecreasing in the own type (add the
      constraints of τ and τ'), so u_i(b) = v · E_i(b) − t_i(b) is greatest at b = v, for every v ≥ 0. The first type
      keeps 0, so u_i ≥ 0 for every valuation from the first cell's lower end on. What it brings on the continuous prior
      is the program's value: that much is attained, and no rule brings more than `honest_bound`.
    - **Several bidders, several features: everybody's favourite type** of a fixed menu {(Ē_i(τ), t_i(τ))} of expected
      exposures, with `honest="bayesian"`, on ranges whose allocations can be mixed. Prices are such that truthful
      bidders' favourites are as likely as the types of the program (`favourite_types`), so that Ē_i is what happens.
      Proof: no bid moves the menu or the others' favourites, so against truthful others a bid picks one of its pairs,
      and the rule picks the best. The least valuation keeps 0. What is left of the chances' error is the residual of
      `bic_proof`. What it brings on the continuous prior is to be measured.
    - **One bidder, several features: the favourite of the menu** {(E(τ), t(τ))} of all types, whose prices are lowered
      by a share of 10⁻⁹ of what the seller has of an entry, so that ties go to the entry that is best for the seller.
      Proof: no bid moves the menu. Types above their cell's lower end may choose otherwise than it does, so what it
      brings on the continuous prior is to be measured; it is attained, and `honest_bound` is above it.

    With `opt_out` the bid 0 is a type that nobody has: whoever bids it pays nothing, so that every valuation ≥ 0 has
    u_i ≥ 0. Without it, who bids below the support is treated as the lowest type.

    Solutions are exact up to HiGHS's tolerance 1e-10; payments are those of the exposures that are delivered. Where
    allocations cannot be mixed (levers of a measured surface) and there is one feature, the sure optimum of the types
    is taken, the largest ironed virtual welfare, and held against the program's value; with several features such a
    view is sold as `Randomised(view)`.

    Args:
        substrate: With a finite range, or one item.
        priors: What valuations are drawn from, independently.
        user_weight: λ ≥ 0, money per unit of user loss.
        levels: Cells of each valuation, one number or one a feature.
        honest: Truthful whatever the others bid, or on average over the others' truthful bids from the priors.
        opt_out: Whether the bid 0 is a type.
    Raises:
        TypeError: A substrate without a finite range.
        ValueError: Fewer than 2 levels, more than 2¹⁴ profiles, another word for `honest`.
        NotImplementedError: Several bidders with several features, unless honest on average and with lots.
    Source:
        Conitzer and Sandholm (2002), "Complexity of mechanism design" (automated design by programs over types);
        payments of a step function: Myerson (1981), "Optimal auction design".
    Example:
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> LinearProgram(Items(2), Uniform(0, 1), levels=10)(torch.tensor([[[0.9], [0.65]]])).payments
        tensor([[0.6000, 0.0000]])
    """

    def __init__(
        self,
        substrate: Substrate,
        priors: Priors,
        user_weight: float = 0.0,
        *,
        levels: int | Sequence[int] = 8,
        honest: Honesty = "dominant",
        opt_out: bool = False,
    ) -> None:
        n, features = substrate.num_bidders, len(substrate.features)
        super().__init__(n, features, substrate)
        self.range: Substrate = substrate
        self.priors: Product = product(priors, n, features)
        self.user_weight = checked_money(user_weight, "user_weight")
        self.levels, self.opt_out = levels_by_feature(levels, features), bool(opt_out)
        if honest not in get_args(Honesty):
            raise InputError(f"honest must be one of {get_args(Honesty)}, got {honest!r}")
        self.honest: Honesty = honest
        self.takes_favourites = n > 1 and features > 1
        if self.takes_favourites and (honest == "dominant" or not can_mix(substrate)):
            raise UnsupportedError(
                f'{n} bidders with {features} features need honest="bayesian" and a range whose allocations can be '
                f"mixed, as Randomised(view) has them, got {honest!r} and {type(substrate).__name__}"
            )
        axes = [[*map(type_axis, row, self.levels)] for row in self.priors.marginals]
        self.axes = (
            [[with_zero(axis) for axis in row] for row in axes] if opt_out and not self.takes_favourites else axes
        )
        if self._profiles > MOST_PROFILES:
            raise InputError(f"a program has at most {MOST_PROFILES} profiles of types, got {self._profiles}")
        candidates_in(substrate, None)  # refuses what has no range
        self._tables: dict[int | None, TypeTable] = {}
        self._favourites: dict[int | None, FavouriteTable] = {}

    @property
    def _profiles(self) -> int:
        count = 1
        for axis in (axis for row in self.axes for axis in row):
            count *= len(axis.lows)
        return count

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Look every row's profile of types up."""
        allocation = bids.new_empty(len(bids), *allocation_shape(self.range))
        payments = bids.new_empty(bids.shape[:2])
        for which, rows in context_groups(self.range, context, len(bids)):
            table = self.table(which)
            place = self._types(bids[rows], which).to(table.payments.device)
            allocation[rows] = table.allocations[place].to(bids)
            payments[rows] = table.payments[place].to(bids)
        return Outcome(allocation, payments)

    def table(self, context: int | None) -> TypeTable:
        """Return what is had and paid at every profile of types in one context; solved when it is first needed."""
        if context not in self._tables:
            self._tables[context] = self.favourites(context).table if self.takes_favourites else self._solved(context)
        return self._tables[context]

    def favourites(self, context: int | None) -> FavouriteTable:
        """Return the menus of several bidders of several features in one context, and what choices from them lead to.

        Raises:
            NotImplementedError: One feature, or one bidder.
        """
        if not self.takes_favourites:
            raise UnsupportedError("menus of expected exposures are for several bidders with several features")
        if context not in self._favourites:
            market = self._market(context)
            self._favourites[context] = favourite_table(market, self.priors, opt_out=self.opt_out)
        return self._favourites[context]

    def _market(self, context: int | None) -> GridMarket:
        listed = candidates_in(self.range, context)
        return GridMarket(self.range, listed, context, self.axes, self.user_weight, self.honest == "bayesian")

    def _solved(self, context: int | None) -> TypeTable:
        table = type_table(self._market(context))
        if len(self.range.features) == 1:
            return table
        lost = self.user_weight * self.range.user_loss(table.allocations, _repeated(context, table))
        return table._replace(payments=table.payments - NUDGE * (table.payments - lost.unsqueeze(1)))

    def _types(self, bids: Float[Tensor, "row bidder feature"], context: int | None) -> Tensor:
        """Return each row's profile of types: rounded down, or the menu's favourite."""
        place = torch.zeros(len(bids), dtype=torch.int64, device=bids.device)
        if len(self.range.features) == 1:
            for i, (axis,) in enumerate(self.axes):
                place = place * len(axis.lows) + axis.rounded(bids[:, i, 0])
            return place
        table = self.table(context)
        if self.takes_favourites:
            for i, menu in enumerate(self.favourites(context).menus):
                place = place * len(menu.payments) + menu.of(bids[:, i])
            return place
        exposures = self.range.exposure(table.allocations, _repeated(context, table))[:, 0].to(bids.device)
        worth = -table.payments[:, 0].to(bids.device).expand(len(bids), -1)
        for f in range(bids.shape[2]):
            worth = worth + bids[:, 0, f, None].double() * exposures[:, f]
        return worth.argmax(1)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma for steps, or a menu that no bid moves, where exposure is what it was designed on."""
        if not same_substrate(self.range, substrate):
            return None
        if self.takes_favourites:
            return None
        if len(self.range.features) > 1:
            return "the favourite of a menu fixed before the bid"
        if self.honest == "bayesian" and self.num_bidders != 1:
            return None
        return "one feature: exposure rises in steps fixed by the others' bids, each charged at its bid"

    def bic_proof(self, substrate: Substrate, priors: Priors) -> BayesianProof | None:
        """Steps charged at their bids, or favourites of fixed menus, the others' types being as likely as planned."""
        same = product(priors, self.range.num_bidders, len(self.range.features)) == self.priors
        if self.honest != "bayesian" or not same or not same_substrate(self.range, substrate):
            return None
        if not self.takes_favourites:
            none = torch.zeros(self.range.num_bidders, dtype=torch.float64)
            return BayesianProof("expected exposure rises in steps, each charged at its bid", none)
        residual = torch.stack([self.favourites(context).residual for context in _slots(self.range)]).amax(0)
        return BayesianProof("the favourite of a fixed menu, types being as likely as the menu supposes", residual)

    def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> Tensor | None:
        """Return where one's own exposure may step: (batch, bidder, type); None for several features."""
        del context
        if len(self.range.features) > 1:
            return None
        most = max(len(axis.lows) for (axis,) in self.axes)
        points = [
            torch.nn.functional.pad(axis.lows, (0, most - len(axis.lows)), value=torch.inf) for (axis,) in self.axes
        ]
        return torch.stack(points).to(bids).expand(len(bids), -1, -1)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({type(self.range).__name__}, {self.priors!r}, user_weight={self.user_weight:g}, "
            f"levels={self.levels}, honest={self.honest!r}, opt_out={self.opt_out})"
        )


def _repeated(context: int | None, table: TypeTable) -> Tensor | None:
    return None if context is None else torch.full((len(table.payments),), context)


def _state(rule: LinearProgram) -> State:
    settings = {name: getattr(rule, name) for name in ("user_weight", "honest", "opt_out")}
    priors = [[prior_record(prior) for prior in row] for row in rule.priors.marginals]
    tables = [rule.table(context) for context in _slots(rule.range)]
    arrays = {name: torch.stack([getattr(table, name) for table in tables]) for name in TypeTable._fields}
    if rule.takes_favourites:
        arrays |= menu_arrays([rule.favourites(context) for context in _slots(rule.range)])
    return State({**settings, "levels": list(rule.levels), "priors": priors}, arrays)


def _made(saved: Saved, substrate: Substrate | None) -> LinearProgram:
    s = saved.settings
    rows = [Record({"row": row}, "priors") for row in s.items("priors")]
    rule = LinearProgram(
        needed(substrate),
        [[prior_from(prior) for prior in row.records("row")] for row in rows],
        s.number("user_weight", 0),
        levels=s.wholes("levels"),
        honest=s.text("honest"),  # type: ignore[arg-type]  # the rule refuses other words
        opt_out=s.flag("opt_out"),
    )
    slots = _slots(rule.range)
    shape = (len(slots), rule._profiles)
    allocations = saved.array("allocations", (*shape, *allocation_shape(rule.range)))
    if not bool(rule.range.feasible(allocations.flatten(0, 1)).all()):
        raise InputError("allocations must be ones that the substrate can carry out")
    payments = saved.array("payments", (*shape, rule.range.num_bidders))
    for slot, context in enumerate(slots):
        rule._tables[context] = TypeTable(allocations[slot], payments[slot])
    if rule.takes_favourites:
        sizes = [math.prod(len(axis.lows) for axis in row) for row in rule.axes]
        menus = menus_from(saved, len(slots), sizes, len(rule.range.features))
        for context, (bidders, residual) in zip(slots, menus, strict=True):
            rule._favourites[context] = FavouriteTable(rule._tables[context], bidders, residual)
    return rule


def _slots(substrate: Substrate) -> list[int | None]:
    return [*range(len(contexts_of(substrate))), None]


def _designed(problem: Problem) -> LinearProgram:
    view = problem.view
    profiles = QUICK_PROFILES if problem.quick else FULL_PROFILES
    levels = levels_within(profiles, view.num_bidders * len(view.features))
    several = view.num_bidders > 1 and len(view.features) > 1
    honest: Honesty = "bayesian" if several else "dominant"
    return LinearProgram(view, problem.priors, problem.user_weight, levels=levels, honest=honest)


register(
    Entry(
        "linear-program",
        "linear program",
        "The best honest mechanism for types on a grid, carried over to every bid.",
        _designed,
        Codec(LinearProgram, _state, _made),
        needs=(
            Need("a finite range or one item", has_candidates),
            Need(
                "one feature, or allocations that can be mixed as Randomised(view) has them",
                lambda view: len(view.features) == 1 or can_mix(view),
            ),
        ),
        pays="Bids stand for types on a grid; lots and prices for each profile of types are computed beforehand.",
        published=Published(
            "Conitzer and Sandholm (2002), Complexity of mechanism design",
            "Truth is dominant among the types of the grid; with several features, a best reply on average.",
            "The exposure of the range, expected over the lots.",
        ),
    )
)
