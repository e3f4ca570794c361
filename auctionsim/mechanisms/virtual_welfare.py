"""The optimum of revenue against the user's loss: Myerson's auction with externalities, on any substrate."""

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_context, checked_count, checked_money
from auctionsim.errors import InputError
from auctionsim.mechanisms.candidates import MOST_CELLS, candidates_of, context_groups, has_candidates
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.price_sentences import critical_bids, threshold_sentence
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Published, register
from auctionsim.mechanisms.virtual_choice import MOST_ROWS, BoxChoice, Choice, Chosen, ListChoice, Weighed
from auctionsim.metrics import Interval, mean_interval
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors, Product, VirtualValueCurve, product
from auctionsim.priors.saving import prior_from, prior_record
from auctionsim.records import Record
from auctionsim.substrates.protocol import Substrate, allocation_shape, contexts_of, maximises_exactly, same_substrate

BelowSupport = Literal["threat", "ignored"]


class Optimum(NamedTuple):
    """Expected objective, revenue and user loss of the virtual-welfare maximizer under truthful bids.

    Attributes:
        objective: E[Σ t_i] − user_weight · E[L], in money.
        revenue: E[Σ t_i], in money.
        user_loss: E[L].
        interval: 95 % interval of the objective from sampling; None where nothing is sampled.
        below_support: Which of the two rules: "threat" is the optimum, "ignored" the best that leaves every bid ≥ 0
            what it would get if ignored.
    """

    objective: float
    revenue: float
    user_loss: float
    interval: Interval | None
    below_support: str = "threat"


class VirtualWelfareMaximizer(Mechanism):
    """Choose x* = argmax Σ_i φ_i(b_i) e_i(x) − λ L(x) and charge t_i = b_i e_i(b) − ∫_{v̲_i}^{b_i} e_i(s, b_{−i}) ds.

    φ_i is the ironed virtual value of bidder i's prior, λ the user weight, v̲_i where the support of i's prior starts.
    Raising b_i raises φ_i, so e_i is nondecreasing in b_i, with crosstalk too, and the payment makes truth dominant
    among all bids ≥ 0. Ties go to the first allocation, the null first.

    **The optimum** (`below_support="threat"`) maximises E[Σ t_i − λ L] among all mechanisms, also those that draw lots
    and those truthful in expectation only, in which every type of the prior gets u_i ≥ 0. No type lies below the
    support, so what a bid there gets is a threat that the designer chooses: φ is −∞ there, the least exposure of that
    bidder first and then the rest of the objective among ties, whatever the others bid; and it is charged v̲_i a unit
    of what exposure no allocation takes from it, which is nothing where the range has an allocation without exposure.
    So the lowest type keeps nothing: u_i(v̲_i) = 0. A bid below v̲_i may bring u_i < 0 at a valuation of the same size,
    which nobody has.

    **The best of those that ignore** (`below_support="ignored"`) leaves every bid ≥ 0 at least what it would get if
    it were ignored: φ below the support is min(φ(v̲), 0), integrals run from 0, and u_i ≥ 0 at every valuation ≥ 0.
    It is the same rule where supports start at 0, and worth less where they do not.

    φ is the piecewise linear `Prior.curve`, floored in the support at −100 times the largest valuation, and the
    payments are exact for it; so truthfulness does not suffer where the curve approximates a prior's φ. It is exact
    for uniform, exponential and empirical priors. Computed in float64.

    Args:
        substrate: One feature. A finite range, or an exact `maximise`.
        priors: What valuations are drawn from, independently: one, one a bidder, or a product.
        user_weight: λ ≥ 0, money per unit of user loss.
        no_suppression: Only allocations with e_i(x) ≥ e_i(null) for every bidder; needs a finite range.
        below_support: What a bid below its prior's support gets: "threat" or "ignored".
    Raises:
        ValueError: More than one feature; `no_suppression` without a finite range; another word for `below_support`.
    Source:
        Myerson (1981), "Optimal auction design"; with externalities on the choice set, and the threat to whoever stays
        away, Jehiel, Moldovanu and Stacchetti (1996), "How (not) to sell nuclear weapons". The user's loss is a cost
        of the seller.
    Example:
        >>> from auctionsim.priors import Uniform
        >>> from auctionsim.substrates import Items
        >>> VirtualWelfareMaximizer(Items(2), Uniform(0, 1))(torch.tensor([[[0.9], [0.6]]])).payments
        tensor([[0.6000, 0.0000]])
    """

    def __init__(
        self,
        substrate: Substrate,
        priors: Priors,
        user_weight: float = 0.0,
        *,
        no_suppression: bool = False,
        below_support: BelowSupport = "threat",
    ) -> None:
        if len(substrate.features) != 1:
            raise InputError(
                f"virtual values are defined for one feature, got {len(substrate.features)} "
                f"{substrate.features}: sell one of them"
            )
        super().__init__(substrate.num_bidders, 1, substrate)
        self.range: Substrate = substrate
        self.priors: Product = product(priors, substrate.num_bidders, 1)
        self.user_weight = checked_money(user_weight, "user_weight")
        self.no_suppression = no_suppression
        if no_suppression and not has_candidates(substrate):
            raise InputError(f"no_suppression needs a substrate with a finite range, got {type(substrate).__name__}")
        if below_support not in get_args(BelowSupport):
            raise InputError(f"below_support must be one of {get_args(BelowSupport)}, got {below_support!r}")
        self.below_support: BelowSupport = below_support

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Maximise virtual welfare and charge by Myerson's formula."""
        curves = self.curves(bids)
        weighed = Weighed.of(curves, bids.squeeze(2).double())
        allocation, exposure, integral = self._solve(curves, weighed, context, integrate=True)
        value = weighed.reach * exposure
        payments = torch.minimum((value - integral).clamp_min(0), value)  # outside only by rounding
        return Outcome(allocation.to(bids.dtype), payments.to(bids.dtype))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma, where exposure is what it was designed on."""
        if not same_substrate(self.range, substrate) or not maximises_exactly(self.range):
            return None
        return "Myerson: exposure is nondecreasing in the own bid, and payments follow the envelope formula"

    def price_sentence(self, case: PriceCase) -> str:
        """Return the lowest bids that get the bidder each part of its exposure."""
        return threshold_sentence(case, critical_bids(self.clear, self.priced_exposure, case))

    def curves(self, bids: Tensor) -> list[VirtualValueCurve]:
        """Return the virtual values that bids are weighed by, one curve a bidder; below its first value φ is −∞.

        Args:
            bids: Whose precision the curves' values are rounded down to, and whose device they are put on.
        """
        marginals = [self.priors.marginal(i) for i in range(self.priors.num_bidders)]
        whole = [prior.curve for prior in marginals]
        if self.below_support == "threat":
            whole = [curve.above(prior.support_low) for prior, curve in zip(marginals, whole, strict=True)]
        return [curve.at_precision(bids.dtype, bids.device) for curve in whole]

    def optimum(
        self,
        *,
        draws: int = 2**16,
        nodes: int | None = None,
        generator: torch.Generator | None = None,
        context: int | None = None,
    ) -> Optimum:
        """Return the expected objective, revenue and user loss under truthful bids.

        Revenue is taken as Σ_i φ_i e_i, less what the lowest types keep, which has the expectation of the payments and
        less variance. Where every prior is a list of values with no more than `draws` profiles, all of them are
        weighed and the answer is exact.

        Args:
            draws: How many profiles are drawn, each with its mirror image in quantile space.
            nodes: Instead of drawing, the midpoint rule in quantile space with this many nodes a bidder.
            generator: For the draws.
            context: Index into the substrate's contexts; None: of one outcome for all, chosen on their mean. A platform
                that knows the context earns the mean over contexts of this, which is no less.
        """
        checked_count(draws, "draws", 4)
        n = self.priors.num_bidders
        listed = self.priors.profiles(draws) if nodes is None else None
        if listed is not None:
            valuations, weights = listed
        elif nodes is None:
            u = torch.rand(draws // 2, n, generator=generator, dtype=torch.float64)
            valuations = self.priors.quantile(torch.cat([u, 1 - u]).unsqueeze(2), torch.float64)
        else:
            axis = (torch.arange(checked_count(nodes, "nodes"), dtype=torch.float64) + 0.5) / nodes
            levels = torch.cartesian_prod(*[axis] * n).view(-1, n, 1)
            valuations = self.priors.quantile(levels, torch.float64)
        if listed is None:
            weights = torch.full((len(valuations),), 1 / len(valuations), dtype=torch.float64)
        revenue, loss = self._virtual_revenue(valuations, context)
        objective = revenue - self.user_weight * loss
        sampled = nodes is None and listed is None
        interval = mean_interval(objective.view(2, -1).mean(0)) if sampled else None
        means = [float((weights * part).sum()) for part in (objective, revenue, loss)]
        return Optimum(means[0], means[1], means[2], interval, self.below_support)

    def __eq__(self, other: object) -> bool:
        """Tell whether the other is this rule: the same choices and payments for the same reason."""
        return (
            isinstance(other, VirtualWelfareMaximizer)
            and type(other) is type(self)
            and self._identity == other._identity
            and same_substrate(self.substrate, other.substrate)
        )

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        more = ", no_suppression=True" if self.no_suppression else ""
        return (
            f"{type(self).__name__}({type(self.range).__name__}, {self.priors!r}, user_weight={self.user_weight:g}"
            f"{more}, below_support={self.below_support!r})"
        )

    @property
    def _identity(self) -> tuple[object, ...]:
        return self.priors, self.user_weight, self.no_suppression, self.below_support

    def _virtual_revenue(self, valuations: Float[Tensor, "row bidder 1"], context: int | None) -> tuple[Tensor, Tensor]:
        """Return Σ_i [φ_i e_i − what i's lowest type keeps] and L in each row."""
        repeated = None if context is None else torch.full((len(valuations),), context)
        checked_context(repeated, len(valuations), contexts_of(self.range))
        curves = self.curves(valuations)
        starts = torch.stack([curve.values[0] for curve in curves])
        weighed = Weighed.of(curves, torch.maximum(valuations.squeeze(2), starts))
        allocation, exposure, _ = self._solve(curves, weighed, repeated, integrate=False)
        revenue = (weighed.phi * exposure).sum(1)
        every = torch.arange(len(valuations))
        for i, curve in enumerate(curves):
            kept = self.priors.marginal(i).support_low - float(curve.values[0])  # bids that get what the ignored get
            if kept > 0:
                ignored = weighed.replaced(every, i, curve.phis[:1].expand(len(valuations)))
                revenue = revenue - kept * self._solve(curves, ignored, repeated, integrate=False).exposure[:, i]
        return revenue, self.range.user_loss(allocation.double(), repeated)

    def _solve(
        self, curves: list[VirtualValueCurve], weighed: Weighed, context: Tensor | None, *, integrate: bool
    ) -> Chosen:
        """Return the choice in each row, context by context and a bounded number of rows at once."""
        phi = weighed.phi
        allocation = phi.new_empty(len(phi), *allocation_shape(self.range))
        exposure, integral = torch.zeros_like(phi), torch.zeros_like(phi)
        for which, group in context_groups(self.range, context, len(phi)):
            choice: Choice
            if has_candidates(self.range):
                candidates = candidates_of(self.range, which, phi.device, no_suppression=self.no_suppression)
                choice, most = (
                    ListChoice(candidates, self.user_weight),
                    max(1, MOST_CELLS // len(candidates.user_losses)),
                )
            else:
                choice, most = BoxChoice(self.range, self.user_weight, which), MOST_ROWS
            for rows in group.split(most):  # type: ignore[no-untyped-call]
                allocation[rows], exposure[rows], integral[rows] = choice.choose(
                    curves, weighed.rows(rows), integrate=integrate
                )
        return Chosen(allocation, exposure, integral)


def _state(rule: VirtualWelfareMaximizer) -> State:
    settings = {name: getattr(rule, name) for name in ("user_weight", "no_suppression", "below_support")}
    return State({**settings, "priors": [[prior_record(prior) for prior in row] for row in rule.priors.marginals]}, {})


def _made(saved: Saved, substrate: Substrate | None) -> VirtualWelfareMaximizer:
    s = saved.settings
    rows = [Record({"row": row}, "priors") for row in s.items("priors")]
    below = s.text("below_support") if "below_support" in s else "ignored"  # what files meant that do not say
    return VirtualWelfareMaximizer(
        needed(substrate),
        [[prior_from(prior) for prior in row.records("row")] for row in rows],
        s.number("user_weight", 0),
        no_suppression=s.flag("no_suppression"),
        below_support=below,  # type: ignore[arg-type]  # the rule refuses other words
    )


FILE = Codec(VirtualWelfareMaximizer, _state, _made)
register(
    Entry(
        "optimum",
        "virtual welfare (optimal)",
        "The best objective of all truthful mechanisms in which every type of the prior gets at least nothing.",
        lambda problem: VirtualWelfareMaximizer(problem.view, problem.priors, problem.user_weight),
        FILE,
        needs=(ONE_FEATURE,),
        pays="The reply of the greatest revenue in expectation, less the user's loss, is given; each bidder pays the "
        "lowest bids that would have got it every part of its exposure.",
        published=Published(
            "Myerson (1981), Optimal auction design",
            "Truth is a dominant strategy, nobody loses by it, and no such auction brings more under the prior.",
            "any exposure that the platform knows, one number a bidder, on a fixed range",
        ),
    )
)
register(
    Entry(
        "optimum-ignored",
        "virtual welfare (low bids ignored)",
        "The same without a threat: bids below the support are ignored; another rule where supports start above 0.",
        lambda problem: VirtualWelfareMaximizer(
            problem.view, problem.priors, problem.user_weight, below_support="ignored"
        ),
        FILE,
        needs=(ONE_FEATURE,),
        pays="The same, and bids below what the prior holds are taken for no bids.",
        published=Published(
            "Myerson (1981), Optimal auction design",
            "Truth is a dominant strategy, nobody loses by it, and no such auction brings more under the prior.",
            "any exposure that the platform knows, one number a bidder, on a fixed range",
        ),
    )
)
