"""The law of a reply that is chosen among several, and its divergence from the law that they are drawn from.

M candidates are drawn from π_0, each on its own, and one is shown: the j-th with probability exp(r_j) / Σ_m exp(r_m).
With q_k the probability under π_0 of a kind of reply whose reward is r_k, a shown reply y of that kind has

    π_x(y) = π_0(y) g_k,    g_k = M E[ e^{r_k} / (e^{r_k} + Σ_{m=2..M} e^{r_m}) ],

so that KL(π_x ‖ π_0) = Σ_k q_k g_k log g_k: only kinds matter, however many replies there are. By 1/s = ∫ e^{−ts} dt
the expectation over M − 1 candidates is one integral,

    g_k = M ∫_{−∞}^{∞} e^v exp(−e^v) φ(e^{v − r_k})^{M−1} dv,    φ(t) = Σ_l q_l exp(−t e^{r_l}),

analytic in a strip, where the trapezoid rule errs by less than rounding.

Source:
    Beirami et al. (2024), "Theoretical guarantees on the best-of-n alignment policy", for the bound on the best of M;
    Quenouille (1956), "Notes on bias in estimation", for the jackknife.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_count, checked_finite
from auctionsim.errors import InputError

_STEP, _LOWEST, _HIGHEST = 0.125, -44.0, 4.5  # of v: what lies outside adds less than e^−44


def choice_gains(
    reference: Float[Tensor, " kind"], rewards: Float[Tensor, " kind"], candidates: int
) -> Float[Tensor, " kind"]:
    """Return g, how many times as likely a reply of each kind is when one of M is chosen, in float64.

    Args:
        reference: Probabilities of the kinds under the law that candidates are drawn from.
        rewards: Each kind's, in nats: candidates of one reward are alike.
        candidates: M ≥ 1, drawn independently; repeats are kept.
    Returns:
        Between 0 and M; 1 everywhere for one candidate, or for rewards that are all equal.
    Raises:
        ValueError: Probabilities that are not, or a reward that is not finite.
    """
    many = checked_count(candidates, "candidates")
    q, r = reference.double(), checked_finite(rewards, "rewards").double()
    if bool((q < 0).any()) or abs(float(q.sum()) - 1) > 1e-6:
        raise InputError(f"the reference must be probabilities that sum to 1, got {reference.tolist()}")
    v = torch.arange(_LOWEST, _HIGHEST, _STEP, dtype=torch.float64)
    others = torch.stack([q @ torch.exp(-torch.exp(v + (r - own)[:, None])) for own in r])  # (kind, v): φ(e^{v − r})
    gains = many * _STEP * ((v - v.exp()).exp() * others ** (many - 1)).sum(1)
    return gains / (q * gains).sum()  # 1 but for rounding


def choice_law(
    reference: Float[Tensor, " kind"], rewards: Float[Tensor, " kind"], candidates: int
) -> Float[Tensor, " kind"]:
    """Return the probabilities of the kinds of the shown reply, in float64; see `choice_gains`."""
    return reference.double() * choice_gains(reference, rewards, candidates)


def choice_divergence(reference: Float[Tensor, " kind"], rewards: Float[Tensor, " kind"], candidates: int) -> float:
    """Return KL(π_x ‖ π_0) of the shown reply's law, nats a reply; at most `most_divergence`."""
    gains = choice_gains(reference, rewards, candidates)
    return max(0.0, float((reference.double() * torch.xlogy(gains, gains)).sum()))  # negative only by rounding


def pooled_divergence(counts: Float[Tensor, " kind"], rewards: Float[Tensor, " kind"], candidates: int) -> float:
    """Estimate the divergence of the shown reply's law from how often each kind was drawn, nats a reply.

    With shares in the place of probabilities it would be too small, by a tenth for 32 draws: it bends down as a share
    grows. So it is jackknifed: n D − (n − 1) times the mean of D without one draw each, within 0 and `most_divergence`.

    Args:
        counts: Draws of each kind, all independent, whole numbers.
        rewards: Each kind's, in nats.
        candidates: M ≥ 1.
    Raises:
        ValueError: Fewer than two draws.
    """
    counts = counts.double()
    total = float(counts.sum())
    if total < 2:
        raise InputError(f"a divergence is estimated from two draws or more, got {total:g}")
    without = [
        float(counts[k]) / total * choice_divergence((counts - one) / (total - 1), rewards, candidates)
        for k, one in enumerate(torch.eye(len(counts), dtype=torch.float64))
        if counts[k] > 0
    ]
    plain = choice_divergence(counts / total, rewards, candidates)
    return min(max(total * plain - (total - 1) * sum(without), 0.0), most_divergence(candidates))


def most_divergence(candidates: int, *, best: bool = False) -> float:
    """Return a bound on the divergence of one reply chosen among M: log M, whatever is rewarded and how.

    Args:
        candidates: M ≥ 1.
        best: The candidate of the highest reward is shown, and a tie is drawn: log M − (M − 1)/M.
    """
    many = checked_count(candidates, "candidates")
    return math.log(many) - (many - 1) / many * best
