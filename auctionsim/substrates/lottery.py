"""A lottery over a fixed set of replies: what is allocated is the distribution that the reply is drawn from."""

from collections.abc import Sequence

import torch
from torch import Tensor

from auctionsim.carriers.protocol import Carrier
from auctionsim.checks import checked_tensor
from auctionsim.errors import InputError
from auctionsim.language_models.model import LanguageModel
from auctionsim.readings.protocol import Reading, basis_of
from auctionsim.substrates.randomised import ListedEntries, Randomised
from auctionsim.substrates.reply_candidates import (
    FixedAllocation,
    candidate_replies,
    candidate_values,
    charged_reading,
    sold_reading,
)


class Lottery(Randomised):
    """Replies y with exposures e_i(y) and user losses L(y); an allocation is a distribution q over them.

    e_i(q) = E_q e_i(y) and L(q) = E_q L(y). The null is the reference distribution, what the untouched model says. No
    lever is a bidder's own. The numbers are copied: changing what it was made from does not change it.

    Args:
        exposures: (reply, bidder, feature), finite, ≥ 0.
        user_losses: (reply,), finite, of either sign.
        reference: (reply,), probabilities; None for uniform.
    Attributes:
        texts: What the replies say where they were drawn, see `sampled`; else ().
    """

    texts: tuple[str, ...] = ()

    def __init__(self, exposures: Tensor, user_losses: Tensor, reference: Tensor | None = None) -> None:
        checked_tensor(exposures, "exposures"), checked_tensor(user_losses, "user_losses")
        replies = len(exposures) if exposures.ndim else 0
        if exposures.ndim != 3 or not all(exposures.shape) or user_losses.shape != (replies,):
            raise InputError(
                f"a lottery needs exposures (reply, bidder, feature) and user_losses (reply,), "
                f"got {tuple(exposures.shape)} and {tuple(user_losses.shape)}"
            )
        if not bool((torch.isfinite(exposures) & (exposures >= 0)).all()):
            raise InputError("exposures must be finite and >= 0")
        if not bool(torch.isfinite(user_losses).all()):
            raise InputError("user_losses must be finite")
        self.substrate = None
        listed = _listed(exposures, user_losses)
        self._keep(listed, torch.full((replies,), 1 / replies) if reference is None else reference)

    @classmethod
    def sampled(
        cls,
        model: LanguageModel,
        carrier: Carrier,
        candidates: int,
        seed: int = 0,
        *,
        prompt: str,
        allocation: FixedAllocation = None,
        exposure: str = "mention_probability",
        loss: str | None = None,
        max_new_tokens: int = 48,
        temperature: float = 0.7,
    ) -> "Lottery":
        """Return the lottery over replies to a prompt that are drawn, independently, before there is any bid.

        The reference is uniform over the draws, and a reply that is drawn twice is there twice: a tilt of it samples
        the tilted law of all replies by importance, self-normalised. What it chooses among does not depend on bids, so
        what is truthful on a lottery is truthful here; welfare is that of the candidates, not of all replies.

        Args:
            model: The language model.
            carrier: Whose brands bid; at a fixed allocation also what moves the candidates.
            candidates: M ≥ 1.
            seed: Of the draws; give every prompt its own, or their candidates are drawn at the same numbers.
            prompt: What the user asks.
            allocation: (bidder, lever) that all candidates are drawn under; None: the untouched model.
            exposure: Name of the reading of texts, per brand, that is sold.
            loss: Name of the reading of texts that the user loses by, relative to the candidates' mean; None: no loss.
            max_new_tokens: A reply's longest length.
            temperature: Of sampling.
        Raises:
            ValueError: A carrier or an allocation that reads bids; a reading of another kind, or one that leaves a
                candidate unscored.
        Source:
            Soumalias, Curry and Seuken (2024), "Truthful aggregation of LLMs with an application to online
            advertising", for an auction among candidates of a law that does not read bids.
        """
        sold, charged = sold_reading(exposure), None if loss is None else charged_reading(loss)
        replies = candidate_replies(
            model,
            carrier,
            candidates,
            seed,
            prompt=prompt,
            allocation=allocation,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
        )
        exposures = candidate_values(sold, replies, carrier.brands)
        costs = None if charged is None else candidate_values(charged, replies, carrier.brands)
        return cls.of_texts([reply.text for reply in replies], exposures, costs, sold=sold, charged=charged)

    @classmethod
    def of_texts(
        cls,
        texts: Sequence[str],
        exposures: Tensor,
        user_losses: Tensor | None = None,
        weights: Tensor | None = None,
        *,
        sold: Reading | None = None,
        charged: Reading | None = None,
    ) -> "Lottery":
        """Return the lottery over replies that were drawn from one law and stand for another by importance weights.

        Replies y_k from a law g have weights w_k ∝ π_ref(y_k)/g(y_k); the reference is w_k/Σ w, self-normalised, and a
        tilt of it is an importance sample of the tilt of π_ref. `effective_replies` tells how many replies that is.

        Args:
            texts: What the replies say.
            exposures: (reply, bidder), finite, ≥ 0.
            user_losses: (reply,); None: no loss.
            weights: (reply,), finite, ≥ 0, up to a factor; None: equal, for replies of the reference itself.
            sold: The reading that exposures are, for their name and unit.
            charged: The reading that losses are, likewise.
        Raises:
            ValueError: Numbers of other shapes, or weights that are negative or all 0.
        """
        reference = None if weights is None else shares_of(weights, len(texts))
        costs = torch.zeros(len(texts), dtype=torch.float64) if user_losses is None else user_losses
        lottery = cls(exposures.unsqueeze(-1), costs, reference)
        lottery._keep(_listed(exposures.unsqueeze(-1), costs, sold, charged), lottery.reference)
        lottery.texts = tuple(texts)
        return lottery

    def effective_replies(self, allocation: Tensor) -> Tensor:
        """Return the effective sample size 1/Σ q² of each row's distribution over the replies: (batch,).

        So many equally likely replies estimate a mean as well, if single replies are independent draws.

        Source:
            Kong (1992), "A note on importance sampling using standardized weights", for weights that sum to 1.
        """
        return 1 / self._checked(allocation, None).square().sum(1)


def shares_of(weights: Tensor, replies: int) -> Tensor:
    """Return weights as shares of their sum, float64.

    Raises:
        ValueError: Another number of weights, one that is negative or not finite, or a sum of 0.
    """
    held = checked_tensor(weights, "weights").detach().double()
    fine = held.shape == (replies,) and bool((torch.isfinite(held) & (held >= 0)).all())
    if not fine or not float(held.sum()) > 0:
        raise InputError(f"weights must be {replies} numbers >= 0, not all 0, got {held.tolist()!s:.200}")
    return held / held.sum()


def _listed(
    exposures: Tensor, losses: Tensor, sold: Reading | None = None, charged: Reading | None = None
) -> ListedEntries:
    """Return replies as entries, called by the readings that they are worth and cost, where these are known."""
    features = tuple(f"feature_{k}" for k in range(exposures.shape[2])) if sold is None else (sold.name,)
    loss, basis = ("loss", "") if charged is None else (charged.name, basis_of(charged))
    units = {name: name.replace("_", " ") for name in (*features, loss)}
    return ListedEntries(
        exposures=exposures.detach().double().unsqueeze(0),
        losses={loss: losses.detach().double().unsqueeze(0)},
        contexts=(),
        features=features,
        units=units | {one.name: one.unit for one in (sold, charged) if one is not None},
        bases={loss: basis} if basis else {},
    )
