"""Independent SAC bidders on RLlib: off-policy, one small actor and two critics each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex

from auctionsim.agents.networks import LearningStep
from auctionsim.agents.ppo import TrainedBidders, learning_step, strategy_of
from auctionsim.agents.ppo_config import HERE, OwnPolicy, Running, checked_layout
from auctionsim.agents.ray_session import global_state_kept, ray_running, require_cpus
from auctionsim.checks import checked_count
from auctionsim.errors import UnsupportedError
from auctionsim.observation_layout import ObservationLayout, valuation_alone
from auctionsim.seeds import checked_seed


@dataclass(frozen=True)
class SACSettings:
    """Hyperparameters of SAC; the defaults are for rounds that do not depend on each other.

    Attributes:
        episodes: Episodes that step together, between two updates.
        batch: Rounds of an update, drawn from the replay.
        replay: Rounds that the replay holds.
        updates: Gradient steps after each sampling.
        learning_rate: Adam's, of the actor.
        critic_rate: Adam's, of both critics.
        temperature_rate: Adam's, of the entropy's weight.
        temperature: Weight of the entropy at first, in money per nat.
        target_entropy: Nats that the bids' entropy is held at, bids in units in which 0 to the highest is 2 wide.
        gamma: Discount; 0 where a bid cannot change later rounds (no budgets).
        hidden: Width of the actor's hidden layers.
        critic: Width of the critics' hidden layers.
        start: The share of its valuation that a bidder bids at first.
        spread: Standard deviation of the first bids, before the squashing.
    """

    episodes: int = 16
    batch: int = 256
    replay: int = 8192
    updates: int = 3
    learning_rate: float = 3e-3
    critic_rate: float = 3e-3
    temperature_rate: float = 3e-2
    temperature: float = 0.01
    target_entropy: float = -0.5
    gamma: float = 0.0
    hidden: int = 24
    critic: int = 64
    start: float = 0.5
    spread: float = 0.5


SAC_DEFAULTS = SACSettings()
ITERATIONS = 250  # samplings unless told otherwise


def train_sac(
    env: str,
    env_config: Mapping[str, Any],
    highs: Sequence[Sequence[float]],
    *,
    seed: SupportsIndex,
    iterations: int = ITERATIONS,
    progress: Callable[[LearningStep], None] | None = None,
    layout: ObservationLayout | None = None,
    settings: SACSettings = SAC_DEFAULTS,
    running: Running = HERE,
) -> TrainedBidders:
    """Train one SAC bidder a seat, all at once, each on its own reward.

    As with PPO, a learned policy is a lower bound on what can be gained. Off-policy learning remembers what rivals bid
    some time ago: the replay is short, for they learn as well.

    Args:
        env: Name of a multi-agent env registered with Ray, bidders named bidder_0, bidder_1, …
        env_config: What it is made with, its "rounds" among it; "observe" is set.
        highs: (bidder, feature) highest bids: the env's action spaces.
        seed: Of Ray, the envs, the networks and the replay.
        iterations: Samplings; each is followed by `settings.updates` gradient steps.
        progress: Called after each.
        layout: What bidders see, the valuation first; None: the valuation.
        settings: See `SACSettings`.
        running: RLlib's runner, its processes and cluster; a stopped training is not gone on from.
    Returns:
        Strategies and the learning curve; no checkpoint. A ray that was already running is left running.
    Raises:
        ValueError: Ray has fewer CPUs than the runners need; a layout that does not begin with the valuation; a state
            to go on from.
    """
    checked_count(iterations, "iterations")
    if running.going_on is not None:
        raise UnsupportedError("SAC bidders are trained in one go: their replay is not kept")
    names = [f"bidder_{i}" for i in range(len(highs))]
    with ray_running(running.address, cpus=max(running.env_runners, 1)), global_state_kept():
        require_cpus(running.env_runners)
        config = sac_config(env, env_config, highs, seed=seed, layout=layout, settings=settings, running=running)
        algorithm = config.build_algo()
        try:
            curve: list[LearningStep] = []
            for iteration in range(iterations):
                numbers = algorithm.train()["env_runners"]["bidders"]
                curve.append(learning_step(iteration + 1, [numbers[name] for name in names]))
                if progress is not None:
                    progress(curve[-1])
            strategies = [strategy_of(algorithm.get_module(name)) for name in names]
        finally:
            algorithm.stop()
    return TrainedBidders(strategies, curve, None)


def sac_config(
    env: str,
    env_config: Mapping[str, Any],
    highs: Sequence[Sequence[float]],
    *,
    seed: SupportsIndex,
    layout: ObservationLayout | None = None,
    settings: SACSettings = SAC_DEFAULTS,
    running: Running = HERE,
) -> Any:
    """Return RLlib's SACConfig for these bidders; `train_sac` says what the arguments mean."""
    from ray.rllib.algorithms.sac import SACConfig
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from auctionsim.agents.sac_rllib import BidderSAC, BiddingActorCritic, SquashedLearningCurve

    seed, shown = checked_seed(seed), checked_layout(layout or valuation_alone(len(highs[0])))
    rounds = env_config["rounds"]
    sampled = settings.episodes * rounds * (running.env_runners + 1)  # as RLlib counts: this process and the runners
    specs = {}
    for i, high in enumerate(highs):
        model = {
            "fcnet_hiddens": [settings.critic] * 2,
            "head_fcnet_hiddens": [],
            "twin_q": True,
            "high": list(high),
            "hidden": settings.hidden,
            "start": settings.start,
            "log_spread": math.log(settings.spread),
            "seed": seed + i,
            "layout": shown,
        }
        specs[f"bidder_{i}"] = RLModuleSpec(module_class=BiddingActorCritic, model_config=model)
    return (
        SACConfig(algo_class=BidderSAC)
        .environment(env, env_config={**env_config, "observe": shown.names}, disable_env_checking=True)
        .env_runners(
            env_runner_cls=running.env_runner,
            num_env_runners=running.env_runners,
            num_envs_per_env_runner=settings.episodes,
            rollout_fragment_length=rounds,
        )
        .learners(num_learners=0)
        .multi_agent(policies=list(specs), policy_mapping_fn=OwnPolicy())
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        .training(
            lr=None,
            actor_lr=settings.learning_rate,
            critic_lr=settings.critic_rate,
            alpha_lr=settings.temperature_rate,
            initial_alpha=settings.temperature,
            target_entropy=settings.target_entropy,
            gamma=settings.gamma,
            n_step=1,
            train_batch_size_per_learner=settings.batch,
            training_intensity=settings.updates * settings.batch / sampled,
            num_steps_sampled_before_learning_starts=0,
            replay_buffer_config={"type": "MultiAgentEpisodeReplayBuffer", "capacity": settings.replay},
        )
        .reporting(
            min_sample_timesteps_per_iteration=0,
            min_train_timesteps_per_iteration=0,
            min_time_s_per_iteration=0,
        )
        .callbacks(SquashedLearningCurve)
        .debugging(seed=seed, log_level="ERROR")
    )
