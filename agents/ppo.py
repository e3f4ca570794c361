"""How independent PPO bidders learn on RLlib: one small policy each, a learning curve, strategies at the end."""

import contextlib
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from auctionsim.agents.networks import BiddingNetwork, LearningStep, NetworkStrategy
from auctionsim.agents.strategies import Strategy
from auctionsim.checks import checked_count


@dataclass(frozen=True)
class PPOSettings:
    """What can be tuned; the defaults are for rounds that do not depend on each other.

    Attributes:
        episodes: Episodes that step together.
        steps: Rounds an update is made from, all episodes together.
        minibatch: Rows a gradient step.
        epochs: Passes over each update's rows.
        learning_rate: Adam's at the start; it falls linearly to a twentieth.
        gamma: Discount; 0 where a bid cannot change later rounds (no budgets).
        clip: PPO's ratio clip.
        hidden: Width of the networks.
        start: The share of its valuation that a bidder bids at first.
        spread: Standard deviation of the first bids, about a share of the valuation.
        last_spread: The same at the end.
    """

    episodes: int = 128
    steps: int = 4096
    minibatch: int = 1024
    epochs: int = 6
    learning_rate: float = 1e-2
    gamma: float = 0.0
    clip: float = 0.2
    hidden: int = 24
    start: float = 0.5
    spread: float = 0.2
    last_spread: float = 0.03


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
    seed: int,
    iterations: int = 40,
    progress: Callable[[LearningStep], None] | None = None,
    env_runner: type | None = None,
    shared: bool = False,
    settings: PPOSettings | None = None,
    checkpoint: Path | None = None,
) -> TrainedBidders:
    """Train one PPO bidder a seat, all at once, each on its own reward.

    A learned policy is a lower bound on what can be gained: it is no evidence for or against strategy-proofness. Every
    bidder sees its valuation alone, so that what it learns is a strategy the evaluators can read.

    Args:
        env: Name of a multi-agent env registered with Ray, bidders named bidder_0, bidder_1, …
        env_config: What it is made with; "observe" is set to the valuation.
        highs: (bidder, feature) highest bids: the env's action spaces.
        seed: Of Ray, the envs and the networks. The same seed gives the same bidders under the same PYTHONHASHSEED.
        iterations: Updates.
        progress: Called after each.
        env_runner: RLlib runner class, e.g. a natively batched one; None: RLlib's own.
        shared: All bidders share one policy (they must have the same highs).
        settings: See `PPOSettings`.
        checkpoint: A folder for RLlib's checkpoint, written at the end.
    Returns:
        Strategies and the learning curve. A ray that was already running is left running.
    """
    checked_count(iterations, "iterations")
    tuned = settings or PPOSettings()
    names = [f"bidder_{i}" for i in range(len(highs))]
    with _ray_running(), _random_state_kept():
        config = bidder_config(
            env,
            env_config,
            highs,
            seed=seed,
            iterations=iterations,
            env_runner=env_runner,
            shared=shared,
            settings=tuned,
        )
        algorithm = config.build_algo()
        try:
            curve = []
            for iteration in range(iterations):
                numbers = algorithm.train()["env_runners"]["bidders"]
                curve.append(_learning_step(iteration + 1, [numbers[name] for name in names], highs))
                if progress is not None:
                    progress(curve[-1])
            modules = [algorithm.get_module(_policy_of(name, shared)) for name in names]
            strategies = [CappedStrategy(_copied(module.bidding)) for module in modules]
            saved = None if checkpoint is None else Path(algorithm.save_to_path(str(checkpoint.resolve())))
        finally:
            algorithm.stop()
    return TrainedBidders([*strategies], curve, saved)


def bidder_config(
    env: str,
    env_config: Mapping[str, Any],
    highs: Sequence[Sequence[float]],
    *,
    seed: int,
    iterations: int,
    env_runner: type | None = None,
    shared: bool = False,
    settings: PPOSettings,
) -> Any:
    """Return RLlib's PPOConfig for these bidders; `train_ppo` says what the arguments mean."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    from auctionsim.agents.ppo_rllib import BidderLearner, BiddingModule, LearningCurve

    if shared and len({tuple(high) for high in highs}) > 1:
        raise ValueError(f"bidders that share a policy need the same highest bids, got {highs}")
    rows = settings.steps * iterations
    model = {
        "hidden": settings.hidden,
        "start": settings.start,
        "spread": settings.spread,
        "last_spread": settings.last_spread,
        "rows": rows,
    }
    policies = {_policy_of(f"bidder_{i}", shared): (i, list(high)) for i, high in enumerate(highs)}
    specs = {
        name: RLModuleSpec(module_class=BiddingModule, model_config={**model, "high": high, "seed": seed + i})
        for name, (i, high) in policies.items()
    }
    return (
        PPOConfig()
        .environment(env, env_config={**env_config, "observe": ("valuation",)}, disable_env_checking=True)
        .env_runners(
            env_runner_cls=env_runner,
            num_env_runners=0,
            num_envs_per_env_runner=settings.episodes,
            rollout_fragment_length=max(settings.steps // settings.episodes, 1),
        )
        .learners(num_learners=0, learner_class=BidderLearner)
        .multi_agent(policies=set(policies), policy_mapping_fn=_SharedPolicy() if shared else _OwnPolicy())
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        .training(
            train_batch_size_per_learner=settings.steps,
            minibatch_size=settings.minibatch,
            num_epochs=settings.epochs,
            lr=[[0, settings.learning_rate], [rows, settings.learning_rate / 20]],
            gamma=settings.gamma,
            clip_param=settings.clip,
            use_kl_loss=False,
            entropy_coeff=0.0,
            vf_clip_param=float("inf"),
            grad_clip=1.0,
        )
        .callbacks(LearningCurve)
        .debugging(seed=seed, log_level="ERROR")
    )


class CappedStrategy:
    """A policy's mean as a strategy, capped at the highest bid that its environment allowed."""

    def __init__(self, network: BiddingNetwork) -> None:
        self.network = network
        self.inner = NetworkStrategy(network)

    def __call__(self, valuations: torch.Tensor) -> torch.Tensor:
        """Return the bids (batch, feature)."""
        return torch.minimum(self.inner(valuations), self.network.high.to(valuations.dtype))


class _OwnPolicy:
    def __call__(self, agent: str, *_: Any, **__: Any) -> str:
        return _policy_of(agent, shared=False)


class _SharedPolicy:
    def __call__(self, agent: str, *_: Any, **__: Any) -> str:
        return _policy_of(agent, shared=True)


def _policy_of(bidder: str, shared: bool) -> str:
    return "shared" if shared else bidder


def _copied(network: BiddingNetwork) -> BiddingNetwork:
    copy = BiddingNetwork(network.high.clone(), network.first.out_features, torch.Generator(), start=network.start)
    copy.load_state_dict({name: value.detach().cpu().clone() for name, value in network.state_dict().items()})
    return copy


def _learning_step(
    iteration: int, numbers: Sequence[Mapping[str, float]], highs: Sequence[Sequence[float]]
) -> LearningStep:
    ratios = [
        float(own["bid_share"]) * (sum(high) / len(high)) / float(own["valuation"])
        for own, high in zip(numbers, highs, strict=True)
    ]
    return LearningStep(iteration, tuple(float(own["utility"]) for own in numbers), tuple(ratios))


@contextlib.contextmanager
def _ray_running() -> Iterator[None]:
    """Start a small local ray if none is running, and stop what was started."""
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Put the global generators back as they were: RLlib seeds them, nobody else here may notice."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
