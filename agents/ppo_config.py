"""Settings of PPO bidders, and RLlib's own config of them: policies, networks, where rounds are played."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

from auctionsim.agents.ppo_checkpoints import PPOCheckpoint
from auctionsim.agents.strategies import Strategy
from auctionsim.errors import InputError
from auctionsim.observation_layout import PARTS, ObservationLayout, valuation_alone
from auctionsim.seeds import checked_seed


@dataclass(frozen=True)
class PPOSettings:
    """Hyperparameters of PPO; the defaults are for rounds that do not depend on each other.

    Attributes:
        episodes: Episodes that step together.
        steps: Rounds an update is made from, all episodes together.
        minibatch: Rows a gradient step; all of them by default, for small minibatches make noisy strategies.
        epochs: Passes over each update's rows.
        learning_rate: Adam's until the spread is at its last; then it falls linearly to a twentieth.
        gamma: Discount; 0 where a bid cannot change later rounds (no budgets).
        clip: PPO's ratio clip.
        hidden: Width of the networks.
        start: The share of its valuation that a bidder bids at first.
        spread: Standard deviation of the first bids, about a share of the valuation.
        last_spread: The same once it has fallen. Bids are a little too high or low under a wide spread, in a narrow one
            the gain of mending them drowns in noise.
        annealed: The share of all updates after which the spread is at its last.
    """

    episodes: int = 256
    steps: int = 8192
    minibatch: int = 8192
    epochs: int = 16
    learning_rate: float = 1e-2
    gamma: float = 0.0
    clip: float = 0.2
    hidden: int = 24
    start: float = 0.5
    spread: float = 0.2
    last_spread: float = 0.05
    annealed: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.annealed <= 1:
            raise InputError(f"annealed is a share of the updates, above 0 and at most 1; got {self.annealed}")


@dataclass(frozen=True)
class Policies:
    """The policies of a training: who learns, alone or together, and what they see.

    Attributes:
        shared: All bidders share one policy (they must have the same highs).
        frozen: Bidders that do not learn, and how they bid (None: truth). With all but one frozen, that one is an
            exploiter: what it earns above its truthful utility is a lower bound on what there is to gain.
        layout: What bidders see, the valuation first, then any of context, budget, round, last_exposure and
            last_payment: `auctionsim.envs.observation_layout` of a game made with such an `observe`. None: the
            valuation.
    """

    shared: bool = False
    frozen: Mapping[int, Strategy | None] | None = None
    layout: ObservationLayout | None = None


@dataclass(frozen=True)
class Running:
    """The run of a training: where RLlib plays the rounds, and what a stopped one goes on from.

    Attributes:
        env_runner: RLlib runner class, e.g. a natively batched one; None: RLlib's own.
        env_runners: Processes that sample beside this one; 0: this one samples.
        address: Of a Ray cluster, such as "auto"; None: a ray that is running, or a small local one.
        going_on: Where the state is kept now and then, and from which a stopped training goes on, in other auctions
            than an unbroken one plays.
    """

    env_runner: type | None = None
    env_runners: int = 0
    address: str | None = None
    going_on: PPOCheckpoint | None = None


ONE_EACH, DEFAULTS, HERE = Policies(), PPOSettings(), Running()


def bidder_config(
    env: str,
    env_config: Mapping[str, Any],
    highs: Sequence[Sequence[float]],
    *,
    seed: SupportsIndex,
    iterations: int,
    policies: Policies = ONE_EACH,
    settings: PPOSettings = DEFAULTS,
    running: Running = HERE,
) -> Any:
    """Return RLlib's PPOConfig for these bidders; `train_ppo` says what the arguments mean."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from auctionsim.agents.ppo_rllib import BidderLearner, BiddingModule, FrozenModule, LearningCurve

    seed, shared, frozen = checked_seed(seed), policies.shared, policies.frozen
    if shared and (frozen or len({tuple(high) for high in highs}) > 1):
        raise InputError(
            f"bidders that share a policy need the same highest bids, and all learn; got {highs}, {frozen}"
        )
    if frozen is not None and not set(frozen) < set(range(len(highs))):
        raise InputError(f"frozen must leave one of the bidders 0 … {len(highs) - 1} to learn, got {sorted(frozen)}")
    shown = checked_layout(policies.layout or valuation_alone(len(highs[0])), frozen)
    rows = settings.steps * iterations
    annealed = max(round(settings.annealed * rows), 1)
    model = {
        "hidden": settings.hidden,
        "start": settings.start,
        "spread": settings.spread,
        "last_spread": settings.last_spread,
        "rows": annealed,
    }
    specs = {}
    for i, high in enumerate(highs):
        name = policy_of(f"bidder_{i}", shared)
        own: dict[str, Any] = {"high": list(high), "layout": shown}
        kind = BiddingModule
        if frozen is not None and i in frozen:
            kind, own = FrozenModule, {**own, "strategy": frozen[i]}
        else:
            own = {**model, **own, "seed": seed + i}
        specs[name] = RLModuleSpec(module_class=kind, model_config=own)
    learning = [name for name, spec in specs.items() if spec.module_class is BiddingModule]
    return (
        PPOConfig()
        .environment(env, env_config={**env_config, "observe": shown.names}, disable_env_checking=True)
        .env_runners(
            env_runner_cls=running.env_runner,
            num_env_runners=running.env_runners,
            num_envs_per_env_runner=settings.episodes,
            rollout_fragment_length=max(settings.steps // (settings.episodes * max(running.env_runners, 1)), 1),
        )
        .learners(num_learners=0, learner_class=BidderLearner)
        .multi_agent(
            policies=list(specs),  # a set would make training depend on how Python hashes strings
            policies_to_train=learning,
            policy_mapping_fn=_SharedPolicy() if shared else OwnPolicy(),
        )
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        .training(
            train_batch_size_per_learner=settings.steps,
            minibatch_size=settings.minibatch,
            num_epochs=settings.epochs,
            lr=[
                [0, settings.learning_rate],
                [annealed, settings.learning_rate],
                [rows + 1, settings.learning_rate / 20],  # later than `annealed`, which may be all rows
            ],
            gamma=settings.gamma,
            clip_param=settings.clip,
            use_kl_loss=False,
            entropy_coeff=0.0,
            vf_clip_param=float("inf"),
            grad_clip=1.0,
            shuffle_batch_per_epoch=settings.minibatch < settings.steps,
        )
        .callbacks(LearningCurve)
        .debugging(seed=seed, log_level="ERROR")
    )


def checked_layout(layout: ObservationLayout, frozen: Mapping[int, Strategy | None] | None = None) -> ObservationLayout:
    """Return the layout if policies can learn from it and the frozen can bid from it."""
    strangers = set(layout.names[1:]) - set(PARTS)
    if layout.names[0] != "valuation" or strangers:
        raise InputError(f"bidders see the valuation first, then some of {', '.join(PARTS)}; got {layout.names}")
    for strategy in (frozen or {}).values():
        layout.check(strategy)
    return layout


class OwnPolicy:
    """A policy for each bidder."""

    def __call__(self, agent: str, *_: Any, **__: Any) -> str:
        return policy_of(agent, shared=False)


class _SharedPolicy:
    """One policy for all bidders."""

    def __call__(self, agent: str, *_: Any, **__: Any) -> str:
        return policy_of(agent, shared=True)


def policy_of(bidder: str, shared: bool) -> str:
    return "shared" if shared else bidder
