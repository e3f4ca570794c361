"""How independent PPO bidders learn on RLlib: one small policy each, a learning curve, strategies at the end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import torch

from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, LearningStep
from auctionsim.agents.ppo_checkpoints import PPOCheckpoint
from auctionsim.agents.ray_session import global_state_kept, ray_running, require_cpus
from auctionsim.agents.strategies import Strategy, Truthful
from auctionsim.checks import checked_count
from auctionsim.observation_layout import PARTS, ObservationLayout, valuation_alone
from auctionsim.seeds import checked_seed
from auctionsim.signatures import replacing_folder, verified_folder

ITERATIONS = 100  # updates unless told otherwise
CHECKPOINT = "checkpoint of ppo bidders"
"""What its signature says a checkpoint is for."""


@dataclass(frozen=True)
class PPOSettings:
    """What can be tuned; the defaults are for rounds that do not depend on each other.

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


class TrainedBidders(NamedTuple):
    """What training gave.

    Attributes:
        strategies: One a bidder: valuation to bid, the policy's mean, capped at the highest bid allowed.
        curve: One step an iteration, as reported.
        checkpoint: Where RLlib's checkpoint lies, if one was asked for.
    """

    strategies: list[Strategy]
    curve: list[LearningStep]
    checkpoint: Path | None


def train_ppo(
    env: str,
    env_config: Mapping[str, Any],
    highs: Sequence[Sequence[float]],
    *,
    seed: SupportsIndex,
    iterations: int = ITERATIONS,
    progress: Callable[[LearningStep], None] | None = None,
    env_runner: type | None = None,
    shared: bool = False,
    frozen: Mapping[int, Strategy | None] | None = None,
    settings: PPOSettings | None = None,
    checkpoint: Path | None = None,
    address: str | None = None,
    env_runners: int = 0,
    layout: ObservationLayout | None = None,
    going_on: PPOCheckpoint | None = None,
) -> TrainedBidders:
    """Train one PPO bidder a seat, all at once, each on its own reward.

    A learned policy is a lower bound on what can be gained: it is no evidence for or against strategy-proofness. Every
    bidder sees its valuation alone, unless `layout` says more: what it learns is a strategy that declares what it
    observes, and evaluators read those that observe no more than the context.

    Args:
        env: Name of a multi-agent env registered with Ray, bidders named bidder_0, bidder_1, …
        env_config: What it is made with; "observe" is set.
        highs: (bidder, feature) highest bids: the env's action spaces.
        seed: Of Ray, the envs and the networks. The same seed gives the same bidders in one process; in another the
            last bits can differ after some updates, and training magnifies them (docs/log.md, 2026-11-26).
        iterations: Updates.
        progress: Called after each.
        env_runner: RLlib runner class, e.g. a natively batched one; None: RLlib's own.
        shared: All bidders share one policy (they must have the same highs).
        frozen: Bidders that do not learn, and how they bid (None: truth). With all but one frozen, that one is an
            exploiter: what it earns above its truthful utility is a lower bound on what there is to gain.
        settings: See `PPOSettings`.
        checkpoint: A folder for RLlib's checkpoint, written at the end.
        address: Of a Ray cluster, such as "auto"; None: a ray that is running, or a small local one.
        env_runners: Processes that sample beside this one; 0: this one samples.
        layout: What bidders see, the valuation first, then any of context, budget, round, last_exposure and
            last_payment: `auctionsim.envs.observation_layout` of a game made with such an `observe`. None: the
            valuation.
        going_on: Where the state is kept now and then, and from which a stopped training goes on, in other auctions
            than an unbroken one plays.
    Returns:
        Strategies and the learning curve. A ray that was already running is left running.
    Raises:
        ValueError: Ray has fewer CPUs than the runners need: RLlib would wait for them without a word. A layout that
            does not begin with the valuation, or shows what no strategy observes; a frozen strategy that observes what
            it does not show.
    """
    checked_count(iterations, "iterations")
    tuned = settings or PPOSettings()
    names = [f"bidder_{i}" for i in range(len(highs))]
    with ray_running(address, cpus=max(env_runners, 1)), global_state_kept():
        require_cpus(env_runners)
        config = bidder_config(
            env,
            env_config,
            highs,
            seed=seed,
            iterations=iterations,
            env_runner=env_runner,
            shared=shared,
            frozen=frozen,
            settings=tuned,
            env_runners=env_runners,
            layout=layout,
        )
        algorithm = config.build_algo()
        try:
            curve: list[LearningStep] = [] if going_on is None else going_on.curve
            for iteration in range(0 if going_on is None else going_on.restore(algorithm), iterations):
                numbers = algorithm.train()["env_runners"]["bidders"]
                curve.append(_learning_step(iteration + 1, [numbers[name] for name in names]))
                if going_on is not None:
                    going_on.offer(algorithm)
                if progress is not None:
                    progress(curve[-1])
            strategies = [_strategy_of(algorithm.get_module(_policy_of(name, shared))) for name in names]
            saved = None if checkpoint is None else _saved(algorithm, checkpoint)
        finally:
            algorithm.stop()
    return TrainedBidders(strategies, curve, saved)


def bidder_config(
    env: str,
    env_config: Mapping[str, Any],
    highs: Sequence[Sequence[float]],
    *,
    seed: SupportsIndex,
    iterations: int,
    env_runner: type | None = None,
    shared: bool = False,
    frozen: Mapping[int, Strategy | None] | None = None,
    settings: PPOSettings,
    env_runners: int = 0,
    layout: ObservationLayout | None = None,
) -> Any:
    """Return RLlib's PPOConfig for these bidders; `train_ppo` says what the arguments mean."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from auctionsim.agents.ppo_rllib import BidderLearner, BiddingModule, FrozenModule, LearningCurve

    seed = checked_seed(seed)
    if shared and (frozen or len({tuple(high) for high in highs}) > 1):
        raise ValueError(
            f"bidders that share a policy need the same highest bids, and all learn; got {highs}, {frozen}"
        )
    if frozen is not None and not set(frozen) < set(range(len(highs))):
        raise ValueError(f"frozen must leave one of the bidders 0 … {len(highs) - 1} to learn, got {sorted(frozen)}")
    if not 0 < settings.annealed <= 1:
        raise ValueError(f"annealed is a share of the updates, above 0 and at most 1; got {settings.annealed}")
    shown = _checked_layout(layout or valuation_alone(len(highs[0])), frozen)
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
        name = _policy_of(f"bidder_{i}", shared)
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
            env_runner_cls=env_runner,
            num_env_runners=env_runners,
            num_envs_per_env_runner=settings.episodes,
            rollout_fragment_length=max(settings.steps // (settings.episodes * max(env_runners, 1)), 1),
        )
        .learners(num_learners=0, learner_class=BidderLearner)
        .multi_agent(
            policies=list(specs),  # a set would make training depend on how Python hashes strings
            policies_to_train=learning,
            policy_mapping_fn=_SharedPolicy() if shared else _OwnPolicy(),
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


def _checked_layout(layout: ObservationLayout, frozen: Mapping[int, Strategy | None] | None) -> ObservationLayout:
    """Return the layout if policies can learn from it and the frozen can bid from it."""
    strangers = set(layout.names[1:]) - set(PARTS)
    if layout.names[0] != "valuation" or strangers:
        raise ValueError(f"bidders see the valuation first, then some of {', '.join(PARTS)}; got {layout.names}")
    for strategy in (frozen or {}).values():
        layout.check(strategy)
    return layout


class _OwnPolicy:
    def __call__(self, agent: str, *_: Any, **__: Any) -> str:
        return _policy_of(agent, shared=False)


class _SharedPolicy:
    def __call__(self, agent: str, *_: Any, **__: Any) -> str:
        return _policy_of(agent, shared=True)


def _policy_of(bidder: str, shared: bool) -> str:
    return "shared" if shared else bidder


def _saved(algorithm: Any, checkpoint: Path) -> Path:
    """Write RLlib's checkpoint, whole and signed: what is in it will be unpickled."""
    with replacing_folder(checkpoint, CHECKPOINT) as draft:
        algorithm.save_to_path(str(draft))
    return checkpoint.resolve()


def load_bidders(
    checkpoint: Path, num_bidders: int, *, shared: bool = False, trust_pickles: bool = False
) -> list[Strategy]:
    """Return the strategies of a checkpoint that `train_ppo` wrote; no ray needs to run.

    Args:
        checkpoint: The folder.
        num_bidders: How many bidders were trained.
        shared: They share one policy.
        trust_pickles: Read it whoever wrote it. RLlib unpickles it: it can run any code.
    Raises:
        FileNotFoundError: There is no such folder.
        UntrustedError: It was not written by this user on this machine, or was changed since.
        ValueError: It is no checkpoint of PPO, or of fewer bidders.
    """
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModule

    with verified_folder(checkpoint, CHECKPOINT, trust=trust_pickles) as private:
        folder = private / "learner_group" / "learner" / "rl_module"
        if not folder.is_dir():
            raise ValueError(f"no PPO checkpoint lies in {checkpoint}")
        modules = MultiRLModule.from_checkpoint(str(folder))
    names = [_policy_of(f"bidder_{i}", shared) for i in range(num_bidders)]
    missing = [name for name in names if name not in modules]
    if missing:
        raise ValueError(f"{checkpoint}: has no policy {missing[0]!r}; it has {', '.join(sorted(modules.keys()))}")
    return [_strategy_of(modules[name]) for name in names]


def _strategy_of(module: Any) -> Strategy:
    """Return what a policy bids on the mean: a copy of its network, or the fixed strategy it stands for."""
    network = getattr(module.unwrapped(), "bidding", None)
    if network is not None:
        return CappedStrategy(_copied(network))
    fixed: Strategy | None = module.unwrapped().model_config["strategy"]
    return Truthful() if fixed is None else fixed


def _copied(network: BiddingNetwork) -> BiddingNetwork:
    high, sight = network.high.cpu().clone(), network.sight
    copy = BiddingNetwork(high, network.hidden, torch.Generator(), start=network.start, sight=sight)
    copy.load_state_dict({name: value.detach().cpu().clone() for name, value in network.state_dict().items()})
    return copy


def _learning_step(iteration: int, numbers: Sequence[Mapping[str, Any]]) -> LearningStep:
    return LearningStep(
        iteration,
        utility=tuple(float(own["utility"]) for own in numbers),
        bid_ratio=tuple(float(own["bid"]) / float(own["valuation"]) for own in numbers),
    )
