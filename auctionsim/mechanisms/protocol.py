"""The protocol of mechanisms: bids in, an outcome out, bad bids refused, and which incentive claims are proved."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from torch import Tensor

from auctionsim.checks import checked_amounts, checked_context
from auctionsim.claims import CLAIMS, claimed, declared, in_force, source_of
from auctionsim.errors import InputError
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.outcome import Outcome
from auctionsim.priors import Priors
from auctionsim.substrates.protocol import Substrate, contexts_of


class BayesianProof(NamedTuple):
    """Why truth is a best reply in expectation, to truthful others whose valuations are drawn independently.

    Attributes:
        reason: In words.
        residual: (bidder,), in exposure, 0 where the proof is exact: how far at most the expected exposures that the
            rule goes by are from the true ones. A valuation v then gains at most 2 v · residual by any bid, and loses
            at most v · residual by taking part.
    """

    reason: str
    residual: Tensor


class Mechanism(ABC):
    """A direct mechanism: `mechanism(bids, context)` clears one auction per row.

    Subclasses write `clear`, a function of valid bids whose rows do not touch each other, and, where they have a
    proof, `dsic_proof`. A proof is about the rule of the class that gives it: a subclass that replaces `clear`, or
    anything else that its base has, does not inherit it and may give its own (`auctionsim.claims`).

    What a mechanism can do or needs is a member that says no here. Evaluators and games take any callable, too,
    mechanism(bids, context=None) → outcome: one that does not inherit may declare `substrate`, `priors` and `draws` as
    attributes, and make the claims of `auctionsim.claims.CLAIMS` as methods. Nothing else of it is read.

    Args:
        num_bidders: Size of the bidder axis that bids must have; None where any number will do.
        num_features: Size of the feature axis that bids must have; None where any number will do.
        substrate: What it allocates on; None for item rules, whose allocations fit `Items(num_bidders, num_features)`.
    Attributes:
        history: How the training of a learned mechanism went; () for others.
    """

    draws: bool = False
    """Whether an outcome depends on more than the bids: evaluators of regret refuse such a rule."""
    reserve: float = 0.0
    """The lowest bid that wins, in money."""
    ties: str = "first"
    """Who wins where several bid the highest: the first of them, unless the rule says otherwise."""
    priors: "Priors | None" = None
    """What it was designed for: bids are then looked for up to the largest valuation that these hold."""
    no_suppression: bool = False
    """Whether only allocations are chosen from that leave every bidder at least its exposure at the null."""
    history: tuple[TrainingPoint, ...] = ()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name in CLAIMS:
            source = source_of(cls, name)
            if source not in (None, Mechanism) and not in_force(cls, name):
                setattr(cls, name, _nothing)

    def __init__(self, num_bidders: int | None, num_features: int | None, substrate: Substrate | None = None) -> None:
        self.num_bidders = num_bidders
        self.num_features = num_features
        self.substrate = substrate

    def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        """Clear one auction per row.

        Args:
            bids: (batch, bidder, feature), finite, ≥ 0, in money per unit of exposure.
            context: (batch,) indices into the substrate's contexts. None where it has some: one outcome for all of
                them, chosen on their mean, as where nobody knows the context in time.
        Returns:
            The outcome, in the bids' dtype and on their device.
        Raises:
            TypeError: Bids that are no floating-point tensor.
            ValueError: Bids that are NaN, infinite, negative or of another shape; a context out of range.
        """
        _check_bids(bids, self.num_bidders, self.num_features)
        checked_context(context, len(bids), () if self.substrate is None else contexts_of(self.substrate))
        return self.clear(bids, context)

    @abstractmethod
    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Clear valid bids (batch, bidder, feature)."""

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Return why truth is a dominant strategy when exposure is `substrate`'s, or None without a proof."""
        del substrate
        return None

    def bic_proof(self, substrate: Substrate, priors: Priors) -> BayesianProof | None:
        """Return why truth is a best reply to truthful others drawn from `priors`, or None without a proof.

        In every public context, and in the game on their mean. A `dsic_proof` says more and need not be repeated here.
        """
        del substrate, priors
        return None

    def drawn_payments(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor | None:
        """Return what is charged when an entry of an allocated distribution is carried out: (batch, entry, bidder).

        Their mean under the allocation is `outcome.payments`. None where the expected payments are charged whatever is
        carried out.

        Args:
            bids: (batch, bidder, feature) that were cleared.
            outcome: What they led to.
            context: As they were cleared.
        """
        del bids, outcome, context
        return None

    def delivered(self, substrate: Substrate) -> "Mechanism":
        """Return the rule as it charges where `substrate` delivers: itself, unless it charges for what is delivered."""
        del substrate
        return self

    def priced_exposure(self, bids: Tensor, outcome: Outcome, context: Tensor | None = None) -> Tensor:
        """Return the exposure that the payments of an outcome are for: (batch, bidder, feature).

        What the rule's substrate gives at the allocation. A rule that charges for something else, such as estimates of
        its own or what a menu's entry gives in expectation over the rivals, returns that.

        Args:
            bids: (batch, bidder, feature) that were cleared.
            outcome: What they led to.
            context: As they were cleared.
        """
        del bids
        if self.substrate is None:
            return outcome.allocation
        return self.substrate.exposure(outcome.allocation, context)

    def price_sentence(self, case: PriceCase) -> str | None:
        """Return why a bidder is charged what it is charged, one or two sentences with the numbers; None: not said.

        For readers of an account (`auctionsim.accounts`), who get the rule's line in the table of mechanisms where a
        rule says nothing itself.

        Args:
            case: The bidder, and the auction as it was cleared by this rule.
        """
        del case
        return None

    def is_anonymous(self, substrate: Substrate) -> bool:
        """Tell whether all bidders are treated alike when exposure is `substrate`'s; False where nothing says so.

        Alike: whoever swaps two bidders' bids swaps what they get and pay, up to ties, which may go by index.
        """
        del substrate
        return False


def substrate_of(mechanism: object) -> Substrate | None:
    """Return the substrate that a mechanism was made for, None where it names none."""
    named: Substrate | None = declared(mechanism, "substrate", None)
    return named


def priors_of(mechanism: object) -> "Priors | None":
    """Return the priors that a mechanism was designed for, None where it names none."""
    named: Priors | None = declared(mechanism, "priors", Mechanism.priors)
    return named


def draws(mechanism: object) -> bool:
    """Tell whether a mechanism declares that an outcome depends on more than the bids."""
    return declared(mechanism, "draws", Mechanism.draws) is True


def dsic_proof_of(mechanism: object, substrate: Substrate) -> str | None:
    """Return why truth is dominant when exposure is `substrate`'s, or None where nothing in force proves it."""
    proves = claimed(mechanism, "dsic_proof")
    reason: str | None = None if proves is None else proves(substrate)
    return reason


def bic_proof_of(mechanism: object, substrate: Substrate, priors: Priors) -> BayesianProof | None:
    """Return why truth is a best reply to truthful others drawn from `priors`, or None where nothing in force says."""
    proves = claimed(mechanism, "bic_proof")
    proof: BayesianProof | None = None if proves is None else proves(substrate, priors)
    return proof


def price_sentence_of(mechanism: object, case: PriceCase) -> str | None:
    """Return why a bidder is charged what it is charged, or None where nothing in force says."""
    says = claimed(mechanism, "price_sentence")
    sentence: str | None = None if says is None else says(case)
    return sentence


def is_anonymous(mechanism: object, substrate: Substrate) -> bool:
    """Tell whether a claim in force says that all bidders are treated alike when exposure is `substrate`'s.

    A mechanism says so itself (`Mechanism.is_anonymous`). Bidders with equal priors are then exchangeable: an
    equilibrium exists in which they bid by one rule. No claim, as from a function, a menu or a measured surface, means
    that nothing is known, not that bidders differ.
    """
    says = claimed(mechanism, "is_anonymous")
    return says is not None and bool(says(substrate))


def _nothing(self: Mechanism, *given: Any) -> None:
    """Claim nothing: the rule is not the one that the inherited claim was about."""
    del self, given


def _check_bids(bids: Tensor, num_bidders: int | None, num_features: int | None) -> None:
    """Check bids against the sizes that are fixed; a free axis needs at least one entry."""
    sizes = tuple(bids.shape) if isinstance(bids, Tensor) else ()
    if len(sizes) == 3 and all(sizes[1:]):
        checked_amounts(bids, num_bidders or sizes[1], num_features or sizes[2])
    elif num_bidders and num_features:
        checked_amounts(bids, num_bidders, num_features)
    elif not isinstance(bids, Tensor) or not bids.is_floating_point():
        checked_amounts(bids, 1, 1)  # says which type it wants
    else:
        raise InputError(f"bids must have shape (batch, bidder, item) with at least one of each, got {sizes}")
