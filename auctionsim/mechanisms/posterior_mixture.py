"""The posterior mixture: an advertiser is drawn by bids and writes the reply, or the untouched model does."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_positive, checked_tensor
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved, State
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.showings import SHOWN_ALONE, Showings, showings, strengths
from auctionsim.mechanisms.showings_codec import checked_showings, showings_from, showings_record
from auctionsim.mechanisms.shown_shares import worths_of_rows
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Problem, Published, register
from auctionsim.outcome import Outcome
from auctionsim.substrates.protocol import Substrate, same_substrate
from auctionsim.substrates.randomised import Randomised


class PosteriorMixtureAuction(Mechanism):
    """Let the reply's law be Σ_i x_i π_i over "nobody" and the bidders, x_i ∝ μ_i exp(b_i g_i / τ), g_i i's worth.

    π_i is the law of replies that show bidder i alone and g_i its exposure there; g and b of nobody are 0. x maximises
    Σ x_i b_i g_i − τ KL(x ‖ μ). Decoded token by token, each voice's weight is its posterior given the tokens so far,
    and the law of whole replies is this mixture. The charge is Myerson's for an exposure of g_i x_i,

        t_i = b_i g_i x_i − τ log(Z / Z_i),  Z = Σ_j μ_j exp(b_j g_j / τ),  Z_i the same with b_i = 0,

    so that u_i = τ log(Z / Z_i) ≥ 0: truth is dominant and nobody loses, where exposure is g_i x_i: where no bidder is
    exposed by a reply that shows another or nobody. What bidders get beyond that, and the user's loss, is not heard.

    Args:
        view: A `Randomised` range.
        shown: Which entries show nobody and each bidder alone; sets are not used.
        temperature: τ > 0, money per nat.
        prior: μ (1 + bidder,), nobody first, probabilities > 0; None: all alike.
    Raises:
        ValueError: More than one feature, showings that do not fit, a prior that is none.
    Source:
        "Token-level advertising" (2026), arXiv:2608.27382, for a latent mixture of advertisers whose weights are a
        posterior, and for its aims; weights by exp(b_i g_i / τ) and the closed form of the charge are ours, as the
        tilt of a prior over whom the reply is for.
    Example:
        >>> from auctionsim.substrates import Lottery
        >>> replies = Lottery(torch.tensor([[[0.0]], [[1.0]]]), torch.zeros(2))
        >>> rule = PosteriorMixtureAuction(replies, Showings(0, (1,), {}), 0.25)
        >>> rule(torch.zeros(1, 1, 1)).allocation
        tensor([[0.5000, 0.5000]])
    """

    def __init__(self, view: Randomised, shown: Showings, temperature: float, prior: Tensor | None = None) -> None:
        if not isinstance(view, Randomised):
            raise InputTypeError(f"a posterior mixture needs a Randomised range, got {type(view).__name__}")
        super().__init__(view.num_bidders, len(view.features), view)
        self.view, self.showings = view, checked_showings(view, shown)
        voices = (shown.nobody, *shown.alone)
        self.temperature = checked_positive(temperature, "temperature")
        given = torch.full((len(voices),), 1 / len(voices)) if prior is None else checked_tensor(prior, "prior")
        self.prior = given.detach().to(torch.float64, copy=True)
        if self.prior.shape != (len(voices),) or not bool((self.prior > 0).all()):
            raise InputError(f"prior must be {len(voices)} probabilities > 0, got {given.tolist()}")
        if not abs(float(self.prior.sum()) - 1) <= 1e-6:
            raise InputError(f"prior must sum to 1, got {given.tolist()}")

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Weigh the voices and charge the integral, in float64, by what being shown is worth in the row's context."""
        worth = bids[..., 0].double() * worths_of_rows(self.view, self.showings, context, len(bids), bids.device)
        prior = self.temperature * self.prior.log().to(bids.device)
        scores = torch.cat([torch.zeros_like(worth[:, :1]), worth], 1) + prior  # (batch, voice), money
        mixed, total = _softened(scores, self.temperature)
        paid = []
        for i in range(worth.shape[1]):
            without = scores.clone()
            without[:, i + 1] = prior[i + 1]
            gained = total - _softened(without, self.temperature).most
            paid.append((worth[:, i] * mixed[:, i + 1] - gained).clamp_min(0))  # negative only by rounding
        allocation = torch.zeros(len(bids), len(self.view.reference), dtype=torch.float64, device=bids.device)
        for voice, entry in enumerate((self.showings.nobody, *self.showings.alone)):
            allocation[:, entry] = allocation[:, entry] + mixed[:, voice]
        return Outcome(allocation.to(bids.dtype), torch.stack(paid, 1).to(bids.dtype))

    def dsic_proof(self, substrate: Substrate) -> str | None:
        """Myerson's lemma, where exposure is what it was designed on and comes from a bidder's own showing alone."""
        if (
            behaves_as(self.view, Randomised)
            and same_substrate(self.view, substrate)
            and self.showings.isolates(self.view)
        ):
            return "Myerson: exposure is the worth times a softmax in the own bid, and its integral is charged"
        return None


class _Softened(NamedTuple):
    shares: Float[Tensor, "row voice"]
    most: Float[Tensor, " row"]


def _softened(scores: Float[Tensor, "row voice"], temperature: float) -> _Softened:
    """Return softmax(scores / τ) and τ log Σ exp(scores / τ), measured from the best: no τ > 0 is too small."""
    best = scores.amax(1, keepdim=True)
    below = (scores - best) / temperature
    return _Softened(torch.softmax(below, 1), best.squeeze(1) + temperature * torch.logsumexp(below, 1))


def _state(rule: PosteriorMixtureAuction) -> State:
    settings = {"showings": showings_record(rule.showings), "temperature": rule.temperature}
    return State(settings, {"prior": rule.prior})


def _made(saved: Saved, substrate: Substrate | None) -> PosteriorMixtureAuction:
    if not isinstance(substrate, Randomised):
        raise InputError(f"a posterior mixture needs a Randomised range, got {type(substrate).__name__}")
    s, prior = saved.settings, saved.array("prior", (1 + substrate.num_bidders,))
    return PosteriorMixtureAuction(substrate, showings_from(s.record("showings")), s.number("temperature", 0), prior)


def _designed(problem: Problem) -> PosteriorMixtureAuction:
    chosen = problem.settings
    return PosteriorMixtureAuction(problem.view, showings(problem.view, int(chosen["strength"])), chosen["temperature"])


register(
    Entry(
        "posterior-mixture",
        "posterior mixture",
        "One advertiser's reply, or the untouched one, drawn with odds that rise exponentially in what is bid for it.",
        _designed,
        Codec(PosteriorMixtureAuction, _state, _made),
        needs=(ONE_FEATURE, SHOWN_ALONE),
        pays="The reply is one advertiser's or nobody's, drawn by odds that rise with its bid; each pays its bid for "
        "the odds that it has, less what it would have saved by bidding less.",
        published=Published(
            "Token-level advertising (2026), the latent advertiser mixture auction, arXiv:2608.27382",
            "Truth is a dominant strategy at every token where reports are about what follows, and nobody loses by "
            "taking part.",
            "each advertiser's value of how the reply goes on",
        ),
        knobs={
            "temperature": (0.1, 0.02, 0.05, 0.2, 0.5),
            "strength": lambda view: tuple(float(k) for k in range(strengths(view))),
        },
    )
)
