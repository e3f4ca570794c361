"""Independent PPO bidders on RLlib: one small policy each, a learning curve, strategies at the end."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, SupportsIndex

import torch

from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, LearningStep
from auctionsim.agents.ppo_config import (
    DEFAULTS,
    HERE,
    ONE_EACH,
    Policies,
    PPOSettings,
    Running,
    bidder_config,
    policy_of,
)
from auctionsim.agents.ray_session import global_state_kept, ray_running, require_cpus
from auctionsim.agents.strategies import Strategy, Truthful
from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.signatures import replacing_folder, verified_folder

__all__ = [
    "ITERATIONS",
    "PPOSettings",
    "Policies",
    "Running",
    "TrainedBidders",
    "bidder_config",
    "load_bidders",
    "train_ppo",
]

ITERATIONS = 100  # updates unless told otherwise
CHECKPOINT = "checkpoint of ppo bidders"
"""What its signature says a checkpoint is for."""


class TrainedBidders(NamedTuple):
    """Trained bidders, with their learning curve.

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
    policies: Policies = ONE_EACH,
    settings: PPOSettings = DEFAULTS,
    running: Running = HERE,
    checkpoint: Path | None = None,
) -> TrainedBidders:
    """Train one PPO bidder a seat, all at once, each on its own reward.

    A learned policy is a lower bound on what can be gained: it is no evidence for or against strategy-proofness. Every
    bidder sees its valuation alone, unless `policies.layout` says more: what it learns is a strategy that declares
    what it observes, and evaluators read those that observe no more than the context.

    Args:
        env: Name of a multi-agent env registered with Ray, bidders named bidder_0, bidder_1, …
        env_config: What it is made with; "observe" is set.
        highs: (bidder, feature) highest bids: the env's action spaces.
        seed: Of Ray, the envs and the networks. The same seed gives the same bidders in one process; in another the
            last bits can differ after some updates, and training magnifies them (docs/log.md, 2026-11-26).
        iterations: Updates.
        progress: Called after each.
        policies: Who learns, alone or together, and what they see.
        settings: See `PPOSettings`.
        running: RLlib's runner, its processes and cluster, and the state that a stopped training goes on from.
        checkpoint: A folder for RLlib's checkpoint, written at the end.
    Returns:
        Strategies and the learning curve. A ray that was already running is left running.
    Raises:
        ValueError: Ray has fewer CPUs than the runners need: RLlib would wait for them without a word. A layout that
            does not begin with the valuation, or shows what no strategy observes; a frozen strategy that observes what
            it does not show.
    """
    checked_count(iterations, "iterations")
    going_on, env_runners = running.going_on, running.env_runners
    names = [f"bidder_{i}" for i in range(len(highs))]
    with ray_running(running.address, cpus=max(env_runners, 1)), global_state_kept():
        require_cpus(env_runners)
        config = bidder_config(
            env,
            env_config,
            highs,
            seed=seed,
            iterations=iterations,
            policies=policies,
            settings=settings,
            running=running,
        )
        algorithm = config.build_algo()
        try:
            curve: list[LearningStep] = [] if going_on is None else going_on.curve
            for iteration in range(0 if going_on is None else going_on.restore(algorithm), iterations):
                numbers = algorithm.train()["env_runners"]["bidders"]
                curve.append(learning_step(iteration + 1, [numbers[name] for name in names]))
                if going_on is not None:
                    going_on.offer(algorithm)
                if progress is not None:
                    progress(curve[-1])
            strategies = [strategy_of(algorithm.get_module(policy_of(name, policies.shared))) for name in names]
            saved = None if checkpoint is None else _saved(algorithm, checkpoint)
        finally:
            algorithm.stop()
    return TrainedBidders(strategies, curve, saved)


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
            raise InputError(f"no PPO checkpoint lies in {checkpoint}")
        modules = MultiRLModule.from_checkpoint(str(folder))
    names = [policy_of(f"bidder_{i}", shared) for i in range(num_bidders)]
    missing = [name for name in names if name not in modules]
    if missing:
        raise InputError(f"{checkpoint}: has no policy {missing[0]!r}; it has {', '.join(sorted(modules.keys()))}")
    return [strategy_of(modules[name]) for name in names]


def strategy_of(module: Any) -> Strategy:
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


def learning_step(iteration: int, numbers: Sequence[Mapping[str, Any]]) -> LearningStep:
    """Return a report of RLlib as a step of a learning curve."""
    return LearningStep(
        iteration,
        utility=tuple(float(own["utility"]) for own in numbers),
        bid_ratio=tuple(float(own["bid"]) / float(own["valuation"]) for own in numbers),
    )
