"""RLlib modules of SAC bidders: a bidding network as the actor, whole episodes as the replay, the learning curve.

Importing this loads ray; `auctionsim.agents.sac` does so when training begins.
"""

from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.sac import SAC
from ray.rllib.algorithms.sac.torch.default_sac_torch_rl_module import DefaultSACTorchRLModule
from ray.rllib.core.columns import Columns
from ray.rllib.core.models.base import ENCODER_OUT
from ray.rllib.env.utils.infinite_lookback_buffer import InfiniteLookbackBuffer
from torch import Tensor, nn

from auctionsim.agents.networks import BiddingNetwork, Sight
from auctionsim.agents.ppo_rllib import CappedBids, LearningCurve
from auctionsim.observation_layout import ObservationLayout

EDGE = 1e-3
"""How far from 0 and from the highest bid a squashed mean stays, as a share of it: there its inverse is infinite."""


class _PlainEncoder(nn.Module):
    """The encoder of an actor that needs none."""

    def forward(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the observation as its own code."""
        return {ENCODER_OUT: batch[Columns.OBS]}


class _Actor(nn.Module):
    """A squashed Gaussian around a bidding network's bid; its spread before the squashing is one number a feature."""

    def __init__(self, network: BiddingNetwork, layout: ObservationLayout, log_spread: float) -> None:
        super().__init__()
        self.network, self.layout = network, layout
        self.log_spread = nn.Parameter(torch.full_like(network.high, log_spread))

    def forward(self, seen: Tensor) -> Tensor:
        """Return the distribution's inputs, mean and logarithm of the spread: (row, 2 · feature)."""
        high = self.network.high
        bids = self.network(self.layout.valuations(seen), self.layout.situation(seen))
        capped: Tensor = CappedBids.apply(bids, high * (1 - EDGE))  # type: ignore[no-untyped-call]
        mean = torch.atanh(2 * capped.clamp_min(high * EDGE) / high - 1)
        return torch.cat([mean, self.log_spread.expand_as(mean)], dim=-1)


class BiddingActorCritic(DefaultSACTorchRLModule):  # type: ignore[misc]
    """RLlib's SAC module with a `BiddingNetwork` for its actor; both critics are RLlib's own small networks.

    `model_config` has, beside RLlib's: "high" (feature,), "hidden", "start", "log_spread", "seed", "layout".
    """

    def setup(self) -> None:
        """Build RLlib's networks, then put the bidding network in the actor's place."""
        super().setup()
        config = self.model_config
        high, layout = torch.tensor(config["high"], dtype=torch.float32), config["layout"]
        ends = torch.as_tensor(self.observation_space.high, dtype=torch.float32)
        sight = Sight(layout.tells, layout.scales(ends)) if layout.tells else None
        generator = torch.Generator().manual_seed(config["seed"])
        network = BiddingNetwork(high, config["hidden"], generator, start=config["start"], sight=sight)
        self.pi_encoder = _PlainEncoder()
        self.pi = _Actor(network, layout, config["log_spread"])

    @property
    def bidding(self) -> BiddingNetwork:
        """The network whose bid is the policy's mean, squashed."""
        network: BiddingNetwork = self.pi.network
        return network


class WholeEpisodes:
    """A replay of the last episodes, drawn whole: their rounds do not depend on each other.

    RLlib's buffers cut episodes into rounds, in Python and a round at a time, which takes longer than the update.

    Args:
        rounds: How many rounds it holds, all episodes together.
        seed: Of the draws.
    """

    def __init__(self, rounds: int, seed: int) -> None:
        self.rounds, self.held = rounds, 0
        self.episodes: deque[Any] = deque()
        self.generator = np.random.default_rng(seed)

    def add(self, episodes: Sequence[Any]) -> None:
        """Keep new episodes, and give up the oldest beyond the size."""
        for episode in episodes:
            for own in episode.agent_episodes.values():
                for column in ("weights", "n_step"):  # what RLlib's loss reads: one round, counted once
                    own.extra_model_outputs[column] = InfiniteLookbackBuffer(np.ones(len(own), dtype=np.float32))
            self.episodes.append(episode)
            self.held += len(episode)
        while self.held > self.rounds:
            self.held -= len(self.episodes.popleft())

    def sample(self, num_items: int, **_: Any) -> list[Any]:
        """Return episodes, each at most once, that have this many rounds together or a few more."""
        drawn, rounds = [], 0
        for place in self.generator.permutation(len(self.episodes)).tolist():
            drawn.append(self.episodes[place])
            rounds += len(drawn[-1])
            if rounds >= num_items:
                break
        return drawn

    def get_metrics(self) -> dict[str, Any]:
        """Return nothing: RLlib asks every buffer."""
        return {}


class BidderSAC(SAC):  # type: ignore[misc]
    """RLlib's SAC with `WholeEpisodes` for its replay."""

    def _create_local_replay_buffer_if_necessary(self, config: Any) -> WholeEpisodes:
        return WholeEpisodes(config["replay_buffer_config"]["capacity"], config["seed"])


class SquashedLearningCurve(LearningCurve):
    """The learning curve of policies whose mean lies before the squashing by tanh."""

    def bids(self, inputs: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the bids (row, feature) of a squashed Gaussian's inputs, at its mean."""
        return np.asarray(high * (np.tanh(inputs[:, : len(high)]) + 1) / 2)
