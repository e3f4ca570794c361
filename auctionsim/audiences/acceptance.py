"""The money that a unit of loss is worth to users, from which replies they accept for which payment.

A user who is offered a payment m for a reply of loss L accepts where m − ω L plus noise is above 0. ω is the
willingness to accept: money per unit of loss, the scale that a user weight stands for. From choices it is the ratio of
two coefficients of a logit. The choices here are simulated from stated ω: they show how many choices tell ω how well,
and what mixing kinds does to it. They say nothing about people.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy import stats
from torch import Tensor

from auctionsim.checks import checked_finite, checked_number, checked_positive
from auctionsim.errors import InputError, MissingPackageError

FEWEST = 20
"""Choices from which a willingness is told."""


class Acceptances(NamedTuple):
    """Choices of users, one each.

    Attributes:
        losses: What the user loses by the reply.
        payments: What is offered for it, in money.
        accepted: Whether the user took it.
    """

    losses: Float[Tensor, " user"]
    payments: Float[Tensor, " user"]
    accepted: Bool[Tensor, " user"]


class Willingness(NamedTuple):
    """The money that users ask per unit of loss, with its interval.

    Attributes:
        value: ω, a user weight in money.
        low: Lower end of Fieller's interval.
        high: Upper end; infinite where the choices do not tell that money counts at all.
        confidence: Of the interval.
        choices: How many there were.
    """

    value: float
    low: float
    high: float
    confidence: float
    choices: int


def simulate_acceptances(
    losses: Float[Tensor, " user"],
    payments: Float[Tensor, " offer"],
    willingness: Float[Tensor, " user"] | float,
    noise: float,
    generator: torch.Generator,
) -> Acceptances:
    """Return choices of users whose willingness is given.

    Args:
        losses: Of the reply that each user sees.
        payments: Offered to each, in money.
        willingness: ω of each user, or of all, in money per unit of loss.
        noise: Scale of the logistic noise in money, above 0.
        generator: Draws the noise.
    """
    if losses.shape != payments.shape or losses.ndim != 1:
        raise InputError(f"losses and payments must be (user,), got {tuple(losses.shape)} and {tuple(payments.shape)}")
    scale = checked_positive(noise, "noise")
    uniform = torch.rand(losses.shape, generator=generator, dtype=torch.float64).clamp(1e-15, 1 - 1e-15)
    surplus = payments.double() - willingness * losses.double() + scale * uniform.logit()
    return Acceptances(losses, payments, surplus > 0)


def willingness_to_accept(choices: Acceptances, confidence: float = 0.95) -> Willingness:
    """Return ω = b / a of the logit P(accept) = σ(a m − b L), with Fieller's interval for the ratio.

    Fieller's interval is the set of ω at which b − ω a is not told from 0. It is right for small samples, too, where
    the ratio's normal interval is not. With kinds of different ω the ratio is a middle between theirs, not their mean:
    estimate each kind apart and take `Audience.shares`.

    Args:
        choices: At least 20, both answers among them.
        confidence: In (0, 1).
    Raises:
        ValueError: Too few choices, one answer only, choices that losses and payments separate without an error, or
            that money does not move upwards.
        ImportError: statsmodels is not installed.
    Source:
        Fieller (1954), "Some problems in interval estimation"; the ratio of logit coefficients as a willingness to pay,
        Train (2009), "Discrete choice methods with simulation", section 3.
    """
    level = checked_number(confidence, "confidence", 0.0, 1.0)
    accepted = choices.accepted.numpy()
    if len(accepted) < FEWEST or accepted.all() or not accepted.any():
        raise InputError(
            f"a willingness needs {FEWEST} choices, both answers among them; got {len(accepted)} choices, "
            f"{int(accepted.sum())} of them accepted"
        )
    checked_finite(choices.losses, "losses")
    checked_finite(choices.payments, "payments")
    design = np.stack([choices.payments.double().numpy(), -choices.losses.double().numpy()], 1)
    (money, loss), covariance = _logit(design, accepted.astype(float))
    if money <= 0:
        raise InputError(f"these choices say that users accept less for more money (coefficient {money:.3g})")
    low, high = _fieller(loss, money, covariance, float(stats.norm.ppf((1 + level) / 2)))
    return Willingness(loss / money, low, high, level, len(accepted))


def _logit(design: np.ndarray, accepted: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    try:
        from statsmodels.discrete.discrete_model import Logit
        from statsmodels.tools.sm_exceptions import PerfectSeparationError, PerfectSeparationWarning
    except ImportError:
        raise MissingPackageError("a willingness needs statsmodels: pip install 'auctionsim[panels]'") from None
    import warnings

    spread = np.abs(design).max(0)
    if not (spread > 0).all():
        raise InputError("a willingness needs payments and losses that are not all 0")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", PerfectSeparationWarning)
            fit = Logit(accepted, design / spread).fit(disp=0, maxiter=100)
            covariance = np.asarray(fit.cov_params())
    except (PerfectSeparationError, PerfectSeparationWarning, np.linalg.LinAlgError) as separated:
        raise InputError("losses and payments separate these choices without an error: any scale fits") from separated
    if not fit.mle_retvals["converged"] or not np.isfinite(covariance).all():
        raise InputError("losses and payments separate these choices nearly: no scale is told")
    a, b = np.asarray(fit.params) / spread
    return (float(a), float(b)), covariance / np.outer(spread, spread)


def _fieller(loss: float, money: float, covariance: np.ndarray, reach: float) -> tuple[float, float]:
    """Return the ω with (loss − ω money)² ≤ reach² (V_loss − 2 ω C + ω² V_money)."""
    v_money, c, v_loss = (float(covariance[place]) * reach**2 for place in ((0, 0), (0, 1), (1, 1)))
    a, b, rest = money**2 - v_money, loss * money - c, loss**2 - v_loss
    root = b * b - a * rest
    if a <= 0:  # money is not told from 0: no upper end
        low = (b + math.sqrt(root)) / a if root > 0 and a < 0 else -math.inf
        return low if loss > 0 else -math.inf, math.inf
    half = math.sqrt(max(root, 0.0))
    return (b - half) / a, (b + half) / a
