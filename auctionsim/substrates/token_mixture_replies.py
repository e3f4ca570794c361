"""Short replies whose every token is drawn from a mixture of the advertisers' laws: all of it is exact."""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context, checked_count, checked_finite, checked_tensor
from auctionsim.errors import InputError
from auctionsim.language_models.laws import fit_shares
from auctionsim.readings.registry import reading
from auctionsim.substrates.protocol import BaseSubstrate, Lever

MIXTURES = ("linear", "log-linear")
EXPOSURES = ("match", "named")
MOST_REPLIES = 4096
"""Of one length: all are listed."""


class TokenMixtureReplies(BaseSubstrate):
    """Replies of `length` tokens, each drawn from one law q that mixes p_0, the model's own, and the advertisers' p_i.

    An allocation is the advertisers' weights w_i ≥ 0, Σ w_i ≤ 1, and w_0 = 1 − Σ w_i is the model's own. Linear: q =
    w_0 p_0 + Σ w_i p_i. Log-linear: q ∝ p_0^{w_0} Π p_i^{w_i}, which is not monotone: a token that two laws deem rather
    likely may be likelier under their mixture than under both. The exposure that is sold is one of

    - "match": 1 − TV(π, π_i), how near the reply's law π is to that of a reply by p_i alone;
    - "named": the probability that the reply has one of the bidder's tokens.

    The user's loss is KL(π ‖ π_0) = length · KL(q ‖ p_0), nats a reply. There is no exact maximum.

    Args:
        laws: p_i (bidder, token), probabilities > 0.
        own: p_0 (token,), probabilities > 0.
        mixture: One of `MIXTURES`.
        sold: One of `EXPOSURES`.
        tokens: For "named": the tokens that name each bidder.
        length: Tokens of a reply, independent of each other.
    Raises:
        ValueError: Laws that are none, another word, tokens that are not there, more than `MOST_REPLIES` replies.
    Source:
        The mixtures: Duetting, Mirrokni, Paes Leme, Xu and Zuo (2024), "Mechanism design for large language models",
        where p_i are laws of the next token.
    Example:
        >>> laws = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
        >>> replies = TokenMixtureReplies(laws, torch.full((3,), 1 / 3))
        >>> replies.token_law(torch.tensor([[[0.5], [0.5]]]))
        tensor([[0.4000, 0.2500, 0.3500]])
    """

    levers: tuple[Lever, ...] = (Lever("weight", 0.0, 1.0, 0.0),)
    exposure_bounds: tuple[float, float] = (0.0, 1.0)

    def __init__(
        self,
        laws: Tensor,
        own: Tensor,
        mixture: str = "linear",
        sold: str = "match",
        tokens: tuple[tuple[int, ...], ...] | None = None,
        length: int = 1,
    ) -> None:
        self.laws = _checked_laws(laws, "laws", 2)
        self.own = _checked_laws(own, "own", 1)
        if self.laws.shape[1:] != self.own.shape:
            raise InputError(f"laws are over {self.laws.shape[1]} tokens, the own one over {len(self.own)}")
        if mixture not in MIXTURES or sold not in EXPOSURES:
            raise InputError(f"mixture must be one of {MIXTURES} and sold of {EXPOSURES}, got {mixture!r} and {sold!r}")
        self.num_bidders, self.mixture, self.features = len(self.laws), mixture, (sold,)
        self.length = checked_count(length, "length")
        if len(self.own) ** length > MOST_REPLIES:
            raise InputError(f"{len(self.own)} tokens make {len(self.own)}^{length} replies, more than {MOST_REPLIES}")
        self._naming = _naming(tokens, len(self.laws), len(self.own)) if sold == "named" else None

    @property
    def units(self) -> dict[str, str]:
        """Shares and probabilities, and nats per reply."""
        unit = "probability per reply" if self.features == ("named",) else "1 - total variation"
        return {self.features[0]: unit, "loss": reading("reply_kl").unit}

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        """Return no weight for anybody: zeros (batch, bidder, 1)."""
        checked_count(batch, "batch", 0)
        return torch.zeros(batch, self.num_bidders, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        """Tell which rows are weights, ≥ 0 and at most 1 together, up to float rounding: (batch,) bool."""
        return fit_shares(checked_allocation(allocation, (self.num_bidders, 1), finite=False).squeeze(2))

    def token_law(self, allocation: Tensor) -> Float[Tensor, "batch token"]:
        """Return q, the law of each token."""
        weights = checked_allocation(allocation, (self.num_bidders, 1)).squeeze(2)
        own, laws = self.own.to(weights), self.laws.to(weights)
        rest = torch.ones_like(weights[:, 0])
        for i in range(self.num_bidders):
            rest = rest - weights[:, i]
        rest = rest.clamp_min(0)  # below 0 only by rounding
        linear = self.mixture == "linear"
        total = rest.unsqueeze(1) * (own if linear else own.log())
        for i in range(self.num_bidders):
            total = total + weights[:, i, None] * (laws[i] if linear else laws[i].log())
        return total if linear else torch.softmax(total, 1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return what is sold: (batch, bidder, 1)."""
        checked_context(context, len(allocation), self.contexts)
        q = self.token_law(allocation)
        if self._naming is not None:
            others = [(q * (~self._naming[i]).to(q)).sum(1) for i in range(self.num_bidders)]
            return (1 - torch.stack(others, 1) ** self.length).clamp(0, 1).unsqueeze(2)
        drawn = _replies(q, self.length)
        distances = [(drawn - _replies(law[None], self.length)).abs().sum(1) / 2 for law in self.laws.to(q)]
        return (1 - torch.stack(distances, 1)).clamp(0, 1).unsqueeze(2)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        """Return KL(π ‖ π_0), nats a reply: (batch,)."""
        checked_context(context, len(allocation), self.contexts)
        q = self.token_law(allocation)
        distance = torch.xlogy(q, q / self.own.to(q)).sum(1).clamp_min(0)  # negative only by rounding
        return self.length * torch.where((allocation == 0).flatten(1).all(1), 0.0, distance)  # at the null exactly


def _checked_laws(laws: Tensor, what: str, axes: int) -> Tensor:
    held = checked_finite(checked_tensor(laws, what), what).detach().to(torch.float64, copy=True)
    sums = held.sum(-1)
    if held.ndim != axes or not all(held.shape) or not bool((held > 0).all()) or bool(((sums - 1).abs() > 1e-6).any()):
        raise InputError(f"{what} must be positive probabilities that sum to 1 on {axes} axes, got {laws.tolist()}")
    return held / sums.unsqueeze(-1)


def _naming(tokens: tuple[tuple[int, ...], ...] | None, bidders: int, vocabulary: int) -> Tensor:
    """Return which tokens name whom, (bidder, token) bool."""
    given = () if tokens is None else tokens
    names = torch.zeros(bidders, vocabulary, dtype=torch.bool)
    if len(given) != bidders or any(not 0 <= token < vocabulary for token in itertools.chain(*given)):
        raise InputError(f"tokens must name {bidders} bidders by tokens 0 … {vocabulary - 1}, got {tokens!r}")
    for i, own in enumerate(given):
        names[i, list(own)] = True
    return names


def _replies(law: Float[Tensor, "row token"], length: int) -> Float[Tensor, "row reply"]:
    """Return the probabilities of all replies of independent tokens."""
    drawn = law
    for _ in range(length - 1):
        drawn = (drawn.unsqueeze(2) * law.unsqueeze(1)).flatten(1)
    return drawn
