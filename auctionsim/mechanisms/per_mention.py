"""Ex-post prices: a rule's choices, each bidder charged for the exposure that was realised, not for the expected."""

import torch
from torch import Tensor

from auctionsim.errors import InputError, InputTypeError, UnsupportedError
from auctionsim.mechanisms.candidates import context_groups
from auctionsim.mechanisms.codecs import Codec, Saved, State
from auctionsim.mechanisms.protocol import Mechanism, dsic_proof_of
from auctionsim.mechanisms.robust_optimum import ON_MEASURED, lower_ends, robust_design, shrinkages
from auctionsim.mechanisms.table import EXACT_MAXIMUM, ONE_FEATURE, Entry, codec_of, register
from auctionsim.mechanisms.vcg import VCG
from auctionsim.mechanisms.virtual_welfare import VirtualWelfareMaximizer
from auctionsim.outcome import Outcome
from auctionsim.priors import product
from auctionsim.substrates.protocol import Substrate, allocation_shape
from auctionsim.substrates.randomised import Randomised

ROUNDING = 1e-6
"""By what share of the largest bid a charge may pass what is priced: float32 rounds so much."""


class PerMention(Mechanism):
    """Choose as a rule does, and charge prices a unit of what was realised: p_i · e_i, p_i = b_i t_i / (b_i · ê_i).

    t_i is the rule's payment and ê_i the exposure that it is for (`priced_exposure`). With one feature the price is
    t_i / ê_i a unit: a mention, or whatever exposure is counted in; with several, the same share of each bid. Where
    b_i · ê_i = 0 nothing is charged. A bid below its prior's support, which nobody has, counts as where that starts.

    Where the expectation of e_i is ê_i the expected payment is t_i, so a truthful rule stays truthful in expectation.
    Where 0 ≤ t_i ≤ b_i · ê_i no price is above the bid: a truthful bidder never loses, whatever is drawn and however ê
    errs. Where e_i = r_i ê_i at every allocation, one r_i ≥ 0 a bidder, u_i = r_i (v_i · ê_i − t_i): errors by a factor
    cost no truth. Elsewhere nothing is proved.

    Args:
        rule: Any deterministic mechanism whose payments are t_i ≤ b_i · ê_i.
        delivery: What is delivered; None: what the rule's payments are for. `delivered` returns the rule for another.
    Raises:
        ValueError: A delivery with other bidders, features or allocations.
        NotImplementedError: When it clears: the rule charged more than its bid is worth, or something for nothing, or
            paid a bidder.
    Source:
        Pay per click at prices from a direct mechanism: Edelman, Ostrovsky and Schwarz (2007), "Internet advertising
        and the generalized second-price auction", section II; ex-post payments with a given expectation: Archer and
        Tardos (2001), "Truthful mechanisms for one-parameter agents".
    Example:
        >>> from auctionsim.substrates import Items
        >>> PerMention(VCG(Items(2)))(torch.tensor([[[0.3], [0.7]]])).payments
        tensor([[0.0000, 0.3000]])
    """

    def __init__(self, rule: Mechanism, delivery: Substrate | None = None) -> None:
        super().__init__(rule.num_bidders, rule.num_features, rule.substrate)
        self.rule, self.delivery = rule, delivery
        self.priors, self.draws = rule.priors, rule.draws
        self._lowest: Tensor | None = None
        if rule.priors is not None and rule.num_bidders is not None and rule.num_features is not None:
            rows = product(rule.priors, rule.num_bidders, rule.num_features).marginals
            self._lowest = torch.tensor([[prior.support_low for prior in row] for row in rows], dtype=torch.float64)
        if delivery is not None and rule.substrate is not None:
            places = (rule.substrate, delivery)
            shapes = [(one.num_bidders, len(one.features), allocation_shape(one)) for one in places]
            if shapes[0] != shapes[1]:
                raise InputError(f"what is delivered must fit the rule, bidders, features and shape: {shapes}")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Clear by the rule, and charge its prices for what is delivered."""
        outcome = self.rule.clear(bids, context)
        prices = self._prices(bids, outcome, context)
        if self.delivery is None:
            return outcome
        given = self.delivery.exposure(outcome.allocation, context)
        return Outcome(outcome.allocation, (prices * given.double()).sum(2).to(bids.dtype))

    def prices(self, bids: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what is charged a unit of realised exposure, such as a mention: (batch, bidder, feature), float64."""
        return self._prices(bids, self.rule(bids, context), context)

    def delivered(self, substrate: Substrate) -> "PerMention":
        """Return the rule that charges for what `substrate` delivers."""
        return PerMention(self.rule, substrate)

    def drawn_payments(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor | None:
        """Return the prices of what each entry gives; None unless distributions are allocated."""
        del outcome
        place = self.substrate if self.delivery is None else self.delivery
        if not isinstance(place, Randomised):
            return None
        prices = self.prices(bids, context)
        drawn = bids.new_zeros(len(bids), len(place.reference), bids.shape[1])
        for which, rows in context_groups(place, context, len(bids)):
            entries = place.entries(which).exposures.to(bids.device)  # (entry, bidder, feature)
            drawn[rows] = (prices[rows].unsqueeze(1) * entries).sum(3).to(bids.dtype)
        return drawn

    def priced_exposure(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor:
        """Return what is delivered, or what the rule's payments are for."""
        if self.delivery is None:
            return self.rule.priced_exposure(bids, outcome, context)
        return self.delivery.exposure(outcome.allocation, context)

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """The rule's own, where its payments are for what is delivered."""
        return dsic_proof_of(self.rule, substrate) if self.delivery is None else None

    def _prices(self, bids: Tensor, outcome: Outcome, context: Tensor | None) -> Tensor:
        reach = bids.double() if self._lowest is None else torch.maximum(bids.double(), self._lowest.to(bids.device))
        worth = (reach * self.rule.priced_exposure(bids, outcome, context).double()).sum(2)
        paid = outcome.payments.double()
        slack = ROUNDING * reach.amax((1, 2)).clamp_min(1e-300).unsqueeze(1)
        bad = (paid > worth + slack) | (paid < -slack)
        if bool(bad.any()):
            row, i = bad.nonzero()[0].tolist()
            raise UnsupportedError(
                f"a price a mention needs payments between 0 and what the bid makes of the exposure: "
                f"{type(self.rule).__name__} charges bidder {i} {float(paid[row, i]):g}, and {float(worth[row, i]):g} "
                "is what it bids for"
            )
        shares = torch.where(worth > 0, paid / worth.clamp_min(1e-300), 0.0).clamp(0, 1)
        return shares.unsqueeze(2) * reach


def _state(charged: PerMention) -> State:
    if charged.delivery is not None:
        raise InputTypeError("PerMention has a file form where what its rule charges for is delivered only")
    codec = codec_of(type(charged.rule).__name__)
    if codec is None or codec.kind is not type(charged.rule):
        raise InputTypeError(f"{type(charged.rule).__name__} has no file form")
    inner = codec.state(charged.rule)
    return State({"rule": codec.kind.__name__, "settings": inner.settings}, inner.arrays)


def _made(saved: Saved, substrate: Substrate | None) -> PerMention:
    kind = saved.settings.text("rule")
    codec = codec_of(kind)
    if codec is None or codec.kind is PerMention:
        raise InputError(f"a price a mention is charged for a rule that this auctionsim knows, got {kind!r:.60}")
    inner = Saved(saved.stored._replace(record={"settings": saved.settings.plain("settings")}))
    return PerMention(codec.make(inner, substrate))


PER_MENTION_FILE = Codec(PerMention, _state, _made)
register(
    Entry(
        "optimum-per-mention",
        "virtual welfare, per mention",
        "The optimum's choices, charged a unit of the exposure that was realised: nobody pays for what did not come.",
        lambda problem: PerMention(VirtualWelfareMaximizer(problem.view, problem.priors, problem.user_weight)),
        PER_MENTION_FILE,
        needs=(ONE_FEATURE,),
        pays="The optimum's allocation is carried out; each bidder pays a price a mention that was made.",
    )
)
register(
    Entry(
        "vcg-per-mention",
        "VCG, per mention",
        "VCG's choices and expected payments, charged a unit of the exposure that was realised.",
        lambda problem: PerMention(VCG(problem.view, problem.user_weight)),
        PER_MENTION_FILE,
        needs=(EXACT_MAXIMUM,),
        pays="VCG's allocation is carried out; each bidder pays the same share of its bid for whatever it then gets.",
    )
)
register(
    Entry(
        "optimum-shrunk-per-mention",
        "virtual welfare, shrunk cells, per mention",
        "The optimum on shrunk cells, chosen by cross-fitting and charged a unit of the exposure that was realised.",
        lambda problem: PerMention(robust_design(problem, shrinkages, PerMention)[0]),
        PER_MENTION_FILE,
        needs=ON_MEASURED,
    )
)
register(
    Entry(
        "optimum-lower-per-mention",
        "virtual welfare, lower ends, per mention",
        "The optimum on lower ends, chosen by cross-fitting and charged a unit of the exposure that was realised.",
        lambda problem: PerMention(robust_design(problem, lower_ends, PerMention)[0]),
        PER_MENTION_FILE,
        needs=ON_MEASURED,
    )
)
