"""World (a): everything linear and Gaussian, so that what each estimator finds, and its error, has a closed form.

X, U and all noises are standard normal and independent. In the log M = 1 if κU + Z > 0, in the experiment a fair coin.

    Y = Δ M + ρ X + γ U + σ_Y η,    R = a Y + b U + c X + d M + σ_R ε.

The value of an option is E[R] if every session ran under it. γ and d are 0 unless an assumption is violated: γ lets
the hidden U reach the mediator, d lets the option act past it. A simulator that has drifted has Δ + `drift`.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from auctionsim.checks import checked_count, checked_number, checked_positive
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog
from auctionsim.logs.worlds.registry import register_world

_FARTHEST = 1e6  # of a parameter from 0: squares stay far from overflow


@dataclass(frozen=True)
class LinearGaussianParameters:
    """Parameters of the linear-Gaussian world.

    Attributes:
        a: Effect of the mediator on the outcome.
        b: Effect of the hidden U on the outcome.
        c: Effect of the public context on the outcome.
        kappa: κ, how strongly U chooses the option in the log.
        delta: Δ, effect of the option on the mediator.
        rho: ρ, effect of the context on the mediator.
        sigma_y: σ_Y > 0, noise of the mediator.
        sigma_r: σ_R > 0, noise of the outcome.
        past_mediator: d, a direct effect of the option on the outcome: violates "M acts through Y alone".
        hidden_in_mediator: γ, effect of U on the mediator: violates "U does not reach Y".
        drift: How far the simulator's Δ is from the real one.
        alignment: In [0, 1], how far the label `dwell` follows aY + cX; the rest of it is X alone.
    """

    a: float = -1.0
    b: float = 0.5
    c: float = 0.2
    kappa: float = 1.0
    delta: float = 0.3
    rho: float = 0.5
    sigma_y: float = 0.5
    sigma_r: float = 0.5
    past_mediator: float = 0.0
    hidden_in_mediator: float = 0.0
    drift: float = 0.0
    alignment: float = 1.0

    def __post_init__(self) -> None:
        free = ("a", "b", "c", "kappa", "delta", "rho", "past_mediator", "hidden_in_mediator", "drift")
        for name in free:
            checked_number(getattr(self, name), name, -_FARTHEST, _FARTHEST)
        checked_positive(self.sigma_y, "sigma_y")
        checked_positive(self.sigma_r, "sigma_r")
        checked_number(self.alignment, "alignment", 0.0, 1.0)


class ClosedForms(NamedTuple):
    """Limits and standard deviations of estimators of E[R | M = 1] − E[R | M = 0], the log infinite.

    Standard deviations are to first order in 1/n, and exact in that sense where no assumption is violated; where one
    is, they take the residual for independent of the mediator.

    Attributes:
        truth: a Δ + d.
        raw: Difference of the log's raw means.
        obs_only: Direct difference by a reward model of the log.
        exp_only: Limit of the direct difference by a reward model of the experiment.
        exp_means_deviation: Standard deviation of the difference of the experiment's means.
        exp_only_deviation: Of the direct difference by the experiment's reward model.
        doubly_robust_deviation: Of the doubly robust difference.
        cvci_weight: The weight w on the log at which w·OBS + (1 − w)·EXP has the least error.
        cvci_error: Its root mean square error there.
        agreement_gap: Limit of the doubly robust less the direct difference, 0 where no assumption is violated.
        agreement_deviation: Standard deviation of that gap.
    """

    truth: float
    raw: float
    obs_only: float
    exp_only: float
    exp_means_deviation: float
    exp_only_deviation: float
    doubly_robust_deviation: float
    cvci_weight: float
    cvci_error: float
    agreement_gap: float
    agreement_deviation: float

    def agreement_power(self, level: float = 0.05) -> float:
        """Return how often a normal test at a level finds the gap."""
        reach, shift = stats.norm.ppf(1 - level / 2), self.agreement_gap / self.agreement_deviation
        return float(stats.norm.sf(reach - shift) + stats.norm.cdf(-reach - shift))


def closed_forms(parameters: LinearGaussianParameters, sessions: int = 200) -> ClosedForms:
    """Return what estimators find in the linear-Gaussian world, from its parameters.

    Reward models regress R on (1, Y, X). With m = E[U M] = κ / √(2π(1 + κ²)) in the log, and by the theorem of Frisch
    and Waugh on what of Y is left given X,

        log: slope = a + (b(Δm + γ) + d(Δ/4 + γm)) / (Δ²/4 + γ² + σ_Y² + 2Δγm),  E[U | M=1] − E[U | M=0] = 4m,
        experiment: slope = a + (bγ + dΔ/4) / v,  v = Δ²/4 + γ² + σ_Y²,  variance s²/(n v), s² that of the residual.

    The direct difference is the simulator's Δ times the slope. The doubly robust one adds the mean of ±2 residuals,
    of variance 4 s²/n; that of the experiment's means is 4 Var(R | M)/n.

    Args:
        parameters: Of the world.
        sessions: n, of the experiment.
    """
    p, n = parameters, checked_count(sessions, "sessions")
    gamma, d, simulated = p.hidden_in_mediator, p.past_mediator, p.delta + p.drift
    m = p.kappa / np.sqrt(2 * np.pi * (1 + p.kappa**2))
    spread_obs = p.delta**2 / 4 + gamma**2 + p.sigma_y**2 + 2 * p.delta * gamma * m
    slope_obs = p.a + (p.b * (p.delta * m + gamma) + d * (p.delta / 4 + gamma * m)) / spread_obs
    spread = p.delta**2 / 4 + gamma**2 + p.sigma_y**2
    hidden = p.b * gamma + d * p.delta / 4
    residual = p.b**2 + d**2 / 4 + p.sigma_r**2 - hidden**2 / spread
    truth, direct = p.a * p.delta + d, simulated * (p.a + hidden / spread)
    within = (p.a * p.rho + p.c) ** 2 + (p.a * p.sigma_y) ** 2 + (p.a * gamma + p.b) ** 2 + p.sigma_r**2
    direct_variance = simulated**2 * residual / (n * spread)
    bias = simulated * slope_obs - truth
    share = direct_variance / (bias**2 + direct_variance)
    numbers = (
        truth,
        truth + 4 * m * (p.b + p.a * gamma),
        simulated * slope_obs,
        direct,
        np.sqrt(4 * within / n),
        np.sqrt(direct_variance),
        np.sqrt(4 * residual / n),
        share,
        np.sqrt(share) * abs(bias),
        truth - direct,
        np.sqrt(4 * residual * (1 - p.delta**2 / (4 * spread)) / n),
    )
    return ClosedForms(*map(float, numbers))


@dataclass(frozen=True)
class LinearGaussian:
    """The linear-Gaussian world.

    Attributes:
        parameters: Of its equations.
        nodes: Points of the quadrature rule that stands for the law of Y in replays: exact for rewards that are
            polynomials in Y of degree 2·nodes − 1.
    """

    parameters: LinearGaussianParameters = LinearGaussianParameters()
    nodes: int = 4

    name = "linear-gaussian"
    columns = LogColumns(("first", "second"), ("x",), ("y",), ("dwell",))

    def draw_obs(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw logs: M = 1 if κU + Z > 0. Their propensity is Φ(±κU), that of whoever sees U."""
        hidden = generator.normal(size=(*draws, sessions))
        option = (self.parameters.kappa * hidden + generator.normal(size=hidden.shape) > 0).astype(np.int64)
        sign = 2 * option - 1
        propensity = np.maximum(stats.norm.cdf(sign * self.parameters.kappa * hidden), np.finfo(float).tiny)
        return self._log(hidden, option, propensity, generator, randomised=False)

    def draw_exp(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw experiments: M is a fair coin."""
        hidden = generator.normal(size=(*draws, sessions))
        option = generator.integers(0, 2, size=hidden.shape)
        return self._log(hidden, option, np.full(hidden.shape, 0.5), generator, randomised=True)

    def _log(
        self,
        hidden: np.ndarray,
        option: np.ndarray,
        propensity: np.ndarray,
        generator: np.random.Generator,
        *,
        randomised: bool,
    ) -> SessionLog:
        p = self.parameters
        x, eta, epsilon, noise = (generator.normal(size=hidden.shape) for _ in range(4))
        y = p.delta * option + p.rho * x + p.hidden_in_mediator * hidden + p.sigma_y * eta
        r = p.a * y + p.b * hidden + p.c * x + p.past_mediator * option + p.sigma_r * epsilon
        dwell = p.alignment * (p.a * y + p.c * x) + (1 - p.alignment) * x + p.sigma_r * noise
        columns = (x[..., None], option, y[..., None], r, dwell[..., None], propensity)
        return SessionLog(self.columns, *columns, randomised=randomised)

    def replays(self, log: SessionLog) -> Replays:
        """Return the law of Y given X under both options, as the simulator has it: a Gauss-Hermite rule."""
        p = self.parameters
        points, weights = np.polynomial.hermite_e.hermegauss(self.nodes)
        spread = np.hypot(p.hidden_in_mediator, p.sigma_y) * points
        shift = (p.delta + p.drift) * np.arange(2.0)
        y = p.rho * log.context[..., None] + shift[:, None] + spread
        law = np.broadcast_to(weights / weights.sum(), y.shape)
        kind = np.broadcast_to(np.arange(log.sessions), log.option.shape)
        return Replays(y[..., None], law, log.context, kind)

    def values(self) -> Float[np.ndarray, " option"]:
        """Return (0, aΔ + d)."""
        return np.array([0.0, closed_forms(self.parameters).truth])


register_world(LinearGaussian.name, LinearGaussian)
