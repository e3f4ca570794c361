"""Changes of the next token's law: a bias on some tokens, and mixtures with the same reply after other prompts.

| value | law of the next token, at the temperature T that replies are drawn at |
|---|---|
| `LogitBias` | ∝ p_0(y) exp(bias(y) / T) |
| `LinearMixture` | w_0 p_0 + Σ_i w_i p_i |
| `LogLinearMixture` | ∝ p_0^{w_0} Π_i p_i^{w_i} |
| `PosteriorMixture` | Σ_v w_v(y_<t) p_v with w_v(y_<t) ∝ w_v p_v(y_<t): that of whole replies is a mixture, too |

p_0 is the law after the reply's own prompt, p_i that after the i-th companion's, behind the same tokens, both at T; w_0
is what the companions' weights leave of 1. Each is a value of rows; the logits of null rows are the model's own, to the
bit, and those of others are computed in float32 or better: bfloat16 would round a small bias away.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.checks import checked_finite
from auctionsim.errors import InputError, UnsupportedError
from auctionsim.language_models.framing import Framing
from auctionsim.language_models.laws import checked_shares, linear_mixture, log_linear_mixture

_M = TypeVar("_M", bound="CompanionMixture")  # not `Self`: the run-time checker takes it in decorated classes only
_POSITIONS = 64  # whose laws are combined at once: more leave the processor's cache


@dataclass(frozen=True)
class LogitBias:
    """What is added to the logits of some tokens, a row each; a single row serves all.

    Attributes:
        tokens: Which tokens, all different.
        bias: What each gains, in nats at temperature 1; at temperature T its log odds move by bias / T.
        vocabulary: Length of the logits of the model that these tokens are of.
    Raises:
        TypeError, ValueError: Tokens that are there twice or not in the vocabulary, or a bias of another shape or kind.
    """

    tokens: Int[Tensor, " token"]
    bias: Float[Tensor, "row token"]
    vocabulary: int

    companions: ClassVar[tuple[Framing, ...]] = ()
    remembers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(set(self.tokens.tolist())) < len(self.tokens):
            raise InputError(f"a logit bias takes each token once, got {self.tokens.tolist()}")
        if bool(((self.tokens < 0) | (self.tokens >= self.vocabulary)).any()):
            raise InputError(f"tokens must lie in [0, {self.vocabulary}), got {self.tokens.tolist()}")
        checked_finite(self.bias, "bias")

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return len(self.bias)

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows have no bias."""
        return (self.bias == 0).all(1)

    def select(self, rows: Tensor | slice) -> "LogitBias":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        return self if self.num_rows == 1 else replace(self, bias=_picked(self.bias, rows))

    def repeat(self, times: int) -> "LogitBias":
        """Return every row `times` times, one after the other."""
        return replace(self, bias=self.bias.repeat_interleave(times, dim=0))

    def logits(
        self,
        own: Float[Tensor, "row position vocabulary"],
        companions: Float[Tensor, "companion row position vocabulary"],
        temperature: float,
        seen: Float[Tensor, "voice row position"] | None,
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return `own` with the bias added, see `TokenLaw.logits`.

        Raises:
            ValueError: Logits of another vocabulary, or of another number of rows.
        """
        del companions, temperature, seen
        if own.shape[2] != self.vocabulary:
            raise InputError(f"the bias is for {self.vocabulary} tokens, the model has {own.shape[2]}")
        touched = _touched(self.null, own)
        if not len(touched):
            return own
        bias = self.bias.expand(len(own), -1)[touched.cpu()]
        out = own.to(_precision(own), copy=True)
        tokens = self.tokens.to(own.device)
        out[touched[:, None], :, tokens] += bias.to(out)[..., None]
        return out


@dataclass(frozen=True)
class CompanionMixture(ABC):
    """A law of the next token that mixes the model's own with those after companions' prompts; a value of rows.

    Attributes:
        companions: The framings of the companions' prompts, the same for all rows.
        weights: (row, companion) ≥ 0, a row's sum at most 1; what they leave of 1 is the own law's.
    Raises:
        TypeError, ValueError: Weights off the simplex, or as many companions as there are not.
    """

    companions: tuple[Framing, ...]
    weights: Float[Tensor, "row companion"]

    remembers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        checked_shares(self.weights, "weights")
        if self.weights.shape[1] != len(self.companions):
            raise InputError(f"{len(self.companions)} companions need a weight each, got {self.weights.shape[1]}")

    @abstractmethod
    def combined(
        self, voices: Float[Tensor, "voice row position vocabulary"], weights: Tensor, temperature: float
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return logits of the law that combines voices, the own one first, with weights (voice, row, position)."""

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves all."""
        return len(self.weights)

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows give the companions no weight."""
        return (self.weights == 0).all(1)

    def select(self: _M, rows: Tensor | slice) -> _M:
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        return self if self.num_rows == 1 else replace(self, weights=_picked(self.weights, rows))

    def repeat(self: _M, times: int) -> _M:
        """Return every row `times` times, one after the other."""
        return replace(self, weights=self.weights.repeat_interleave(times, dim=0))

    def logits(
        self,
        own: Float[Tensor, "row position vocabulary"],
        companions: Float[Tensor, "companion row position vocabulary"],
        temperature: float,
        seen: Float[Tensor, "voice row position"] | None,
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return logits whose law, at this temperature, is the mixture, see `TokenLaw.logits`.

        Raises:
            ValueError: Another number of companions or rows; likelihoods that are missing.
            NotImplementedError: Temperature 0 where laws are mixed: they are certain there.
        """
        if len(companions) != len(self.companions):
            raise InputError(f"a mixture of {len(self.companions)} companions got the logits of {len(companions)}")
        touched = _touched(self.null, own)
        if not len(touched):
            return own
        out = own.to(_precision(own), copy=True)
        shares = _with_own(self.weights).to(out).expand(-1, len(own))[..., None].expand(-1, -1, own.shape[1])
        shares = self._weighed(shares, seen)
        for rows in torch.split(touched, max(1, _POSITIONS // max(1, own.shape[1]))):
            voices = torch.cat((out[rows][None], companions[:, rows].to(out)))
            out[rows] = self.combined(voices, shares[:, rows], temperature)
        return out

    def _weighed(
        self, shares: Float[Tensor, "voice row position"], seen: Float[Tensor, "voice row position"] | None
    ) -> Float[Tensor, "voice row position"]:
        """Return each voice's weight at each position: the same at all, unless the law remembers."""
        del seen
        return shares


class LinearMixture(CompanionMixture):
    """The mixture w_0 p_0 + Σ_i w_i p_i of the next token's laws, anew at every token."""

    def combined(
        self, voices: Float[Tensor, "voice row position vocabulary"], weights: Tensor, temperature: float
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return T log Σ_v w_v p_v."""
        return _mixed(voices, weights, temperature)


class LogLinearMixture(CompanionMixture):
    """The law ∝ p_0^{w_0} Π_i p_i^{w_i}: logits are averaged, so that it is the same mixture at every temperature."""

    def combined(
        self, voices: Float[Tensor, "voice row position vocabulary"], weights: Tensor, temperature: float
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return Σ_v w_v l_v."""
        del temperature
        return log_linear_mixture(voices, weights)


class PosteriorMixture(CompanionMixture):
    """A linear mixture whose weights follow the reply: each voice's is its posterior given the tokens so far.

    Weights are the prior of who speaks, w_v, times the likelihood of the tokens before. By Bayes' rule the reply's law
    is then Σ_v w_v π_v, that of drawing a voice first and letting it write the whole reply.
    """

    remembers: ClassVar[bool] = True

    def combined(
        self, voices: Float[Tensor, "voice row position vocabulary"], weights: Tensor, temperature: float
    ) -> Float[Tensor, "row position vocabulary"]:
        """Return T log Σ_v w_v p_v."""
        return _mixed(voices, weights, temperature)

    def _weighed(
        self, shares: Float[Tensor, "voice row position"], seen: Float[Tensor, "voice row position"] | None
    ) -> Float[Tensor, "voice row position"]:
        """Return the posteriors."""
        if seen is None:
            raise InputError("a posterior needs the likelihood of the tokens before, got None")
        return torch.softmax(shares.log() + seen.to(shares), dim=0)


def _mixed(
    voices: Float[Tensor, "voice row position vocabulary"], weights: Tensor, temperature: float
) -> Float[Tensor, "row position vocabulary"]:
    if temperature == 0:
        raise UnsupportedError(
            "a linear mixture of laws needs a temperature above 0, got 0: each law is one token there"
        )
    return linear_mixture(torch.log_softmax(voices / temperature, dim=-1), weights) * temperature


def _touched(null: Bool[Tensor, " row"], own: Tensor) -> Int[Tensor, " place"]:
    """Return which rows of the logits are changed.

    Raises:
        ValueError: Another number of rows.
    """
    if len(null) not in (1, len(own)):
        raise InputError(f"a law of {len(null)} rows for logits of {len(own)}")
    return (~null.to(own.device)).expand(len(own)).nonzero().squeeze(1)


def _picked(values: Tensor, rows: Tensor | slice) -> Tensor:
    return values[rows if isinstance(rows, slice) else rows.to(values.device)]


def _precision(logits: Tensor) -> torch.dtype:
    return torch.promote_types(logits.dtype, torch.float32)


def _with_own(weights: Float[Tensor, "row companion"]) -> Float[Tensor, "voice row"]:
    """Return the weights of all voices: what the companions' leave of 1 goes to the reply's own prompt, the first."""
    own = (1 - weights.sum(1, keepdim=True)).clamp_min(0)
    return torch.cat((own, weights), dim=1).T
