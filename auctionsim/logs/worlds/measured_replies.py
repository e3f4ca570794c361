"""World (c): stored replies, one brand's settings as options, and hot traffic that is sold the strong ones.

A session has a context (its prompts' group, drawn uniformly) and a hidden heat U ~ N(0, 1). Options are K settings of
one brand's lever, of strengths s = −(K−1)/2 … (K−1)/2. In the log P(M = s | U) ∝ exp(κ s U); in an experiment all are
alike. The mediators are all that is known of a stored reply, which is drawn from those of that context and setting.
With L a weighted loss of the reply,

    R = 1 − w [(1 − ν) L + ν l(L)] + b U + d s + σ ε,

where l is a step: the loss's 75th percentile where L is above it, else 0. So ν is how far the reward is from linear.
Labels (click, dwell, conversion) mix that reward with the brand's mention, `alignment` to 1 − `alignment`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog
from auctionsim.logs.worlds.choice import choice_law, drawn, normal_rule, softmax, strengths
from auctionsim.logs.worlds.registry import register_world
from auctionsim.logs.worlds.setting_replies import SettingReplies, setting_replies

_MENTION = "mention_probability"
_NODES = 40  # of the rule by which the mean over U is taken
_TINY = 1e-12  # a deviation below it is none


@dataclass(frozen=True)
class MeasuredParameters:
    """Parameters of the world of measured replies.

    Attributes:
        measured: A packaged list with values of single replies.
        brand: Whose settings are the options.
        loss: Which quantity of a reply its user loses by.
        loss_weight: w ≥ 0, what a unit of it costs.
        kappa: κ, how strongly heat chooses the option in the log.
        heat: b, effect of U on the outcome.
        noise: σ > 0.
        nonlinearity: ν in [0, 1].
        alignment: In [0, 1], of labels with the reward.
        past_mediator: d, a direct effect of the option on the outcome: violates "M acts through Y alone".
        hidden_in_mediator: γ: hot sessions' replies are drawn ∝ exp(γ U z), z the standardised loss: "U reaches Y".
        simulated: The replicate that the simulator replays.
        real: The replicate whose replies users see; another one than `simulated` is a simulator that has drifted.
    """

    measured: str = "running-shoes-2-neurons@1"
    brand: int = 0
    loss: str = "kl"
    loss_weight: float = 10.0
    kappa: float = 1.0
    heat: float = 0.5
    noise: float = 0.25
    nonlinearity: float = 0.0
    alignment: float = 1.0
    past_mediator: float = 0.0
    hidden_in_mediator: float = 0.0
    simulated: str = "A"
    real: str = "A"

    def __post_init__(self) -> None:
        checked_number(self.loss_weight, "loss_weight")
        for name in ("kappa", "heat", "past_mediator", "hidden_in_mediator"):
            checked_number(getattr(self, name), name, -1e3, 1e3)
        checked_positive(self.noise, "noise")
        checked_number(self.nonlinearity, "nonlinearity", 0.0, 1.0)
        checked_number(self.alignment, "alignment", 0.0, 1.0)
        for name in ("simulated", "real"):
            if getattr(self, name) not in ("A", "B"):
                raise InputError(f"{name} must be replicate A or B, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class MeasuredReplies:
    """The world of measured replies."""

    parameters: MeasuredParameters = MeasuredParameters()

    name = "measured-replies"

    @cached_property
    def table(self) -> SettingReplies:
        """The stored replies."""
        found = setting_replies(self.parameters.measured, self.parameters.brand)
        if self.parameters.loss not in found.quantities:
            raise InputError(f"loss must be one of {', '.join(found.quantities)}, got {self.parameters.loss!r}")
        if _MENTION not in found.quantities:
            raise InputError(f"labels are made from {_MENTION}, which {self.parameters.measured} has no values of")
        return found

    @property
    def columns(self) -> LogColumns:
        """Options by their setting; contexts but the first as indicators; all that is known of a reply."""
        table = self.table
        return LogColumns(table.settings, table.contexts[1:], table.quantities, ("click", "dwell", "conversion"))

    def _standard_loss(self, replicate: str) -> np.ndarray:
        """Return the loss of a replicate's replies in standard deviations: (context, setting, reply)."""
        loss = self.table.values[replicate][..., self.table.quantities.index(self.parameters.loss)]
        return np.asarray((loss - loss.mean()) / max(float(loss.std()), _TINY))

    def _reply_law(self, replicate: str) -> np.ndarray:
        """Return how likely each reply is over all sessions: (context, setting, reply)."""
        heat, weights = normal_rule(_NODES)
        pull = self.parameters.hidden_in_mediator * heat[:, None, None, None] * self._standard_loss(replicate)
        return np.asarray(np.tensordot(weights, softmax(pull), 1))

    def reward(self, mediators: Float[np.ndarray, "*lead quantity"]) -> Float[np.ndarray, "*lead"]:
        """Return 1 − w [(1 − ν) L + ν l(L)] of replies."""
        p, place = self.parameters, self.table.quantities.index(self.parameters.loss)
        threshold = np.quantile(self.table.values["A"][..., place], 0.75)
        loss = mediators[..., place]
        step = threshold * (loss > threshold)
        return np.asarray(1 - p.loss_weight * ((1 - p.nonlinearity) * loss + p.nonlinearity * step))

    def draw_obs(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw logs: hot sessions are sold strong settings. Propensities are those of whoever sees the heat."""
        heat = generator.normal(size=(*draws, sessions))
        law = choice_law(self.parameters.kappa, heat, len(self.table.settings))
        option = drawn(law, generator)
        propensity = np.take_along_axis(law, option[..., None], -1)[..., 0]
        return self._log(heat, option, propensity, generator, randomised=False)

    def draw_exp(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw experiments: all settings alike."""
        heat = generator.normal(size=(*draws, sessions))
        count = len(self.table.settings)
        option = generator.integers(0, count, size=heat.shape)
        return self._log(heat, option, np.full(heat.shape, 1 / count), generator, randomised=True)

    def _log(
        self,
        heat: np.ndarray,
        option: np.ndarray,
        propensity: np.ndarray,
        generator: np.random.Generator,
        *,
        randomised: bool,
    ) -> SessionLog:
        p, replies = self.parameters, self.table.values[self.parameters.real]
        context = generator.integers(0, len(replies), size=heat.shape)
        if p.hidden_in_mediator:
            pull = p.hidden_in_mediator * heat[..., None] * self._standard_loss(p.real)[context, option]
            reply = drawn(softmax(pull), generator)
        else:
            reply = generator.integers(0, replies.shape[2], size=heat.shape)
        mediators = replies[context, option, reply]
        noise = p.noise * generator.normal(size=heat.shape)
        direct = p.past_mediator * strengths(len(self.table.settings))[option]
        outcome = self.reward(mediators) + p.heat * heat + direct + noise
        indicators = (context[..., None] == np.arange(1, len(replies))).astype(np.float64)
        labels = self._labels(mediators, generator)
        return SessionLog(self.columns, indicators, option, mediators, outcome, labels, propensity, randomised)

    def _labels(self, mediators: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return click, dwell and conversion: (…, 3)."""
        known = self.table.values["A"]
        everywhere = self.reward(known)
        mention = self.table.quantities.index(_MENTION)
        shown = known[..., mention]
        good = (self.reward(mediators) - everywhere.mean()) / max(float(everywhere.std()), _TINY)
        named = (mediators[..., mention] - shown.mean()) / max(float(shown.std()), _TINY)
        liking = self.parameters.alignment * good + (1 - self.parameters.alignment) * named
        logistic = generator.logistic(size=(*liking.shape, 2))
        click, conversion = (liking + logistic[..., 0] > 0), (liking + logistic[..., 1] > 2)
        dwell = liking + generator.normal(size=liking.shape)
        return np.stack([click.astype(np.float64), dwell, conversion.astype(np.float64)], -1)

    def replays(self, log: SessionLog) -> Replays:
        """Return the simulator's replies: its replicate's, each as likely as over all sessions."""
        p = self.parameters
        replies = self.table.values[p.simulated]
        kind = np.where(log.context.any(-1), 1 + log.context.argmax(-1), 0)
        return Replays(replies, self._reply_law(p.simulated), np.eye(len(replies))[:, 1:], kind)

    def values(self) -> Float[np.ndarray, " option"]:
        """Return the mean reward of each setting's real replies, over contexts and heat."""
        p = self.parameters
        means = (self._reply_law(p.real) * self.reward(self.table.values[p.real])).sum(-1).mean(0)
        return np.asarray(means + p.past_mediator * strengths(len(means)))


register_world(MeasuredReplies.name, MeasuredReplies)
