"""RLlib modules of PPO bidders: a small policy, a learner without phantom rows, the numbers of a learning curve.

Importing this loads ray; `auctionsim.agents.ppo` does so when training begins.
"""

from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.apis.value_function_api import ValueFunctionAPI
from ray.rllib.core.rl_module.torch import TorchRLModule
from ray.rllib.evaluation.postprocessing import Postprocessing
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from torch import Tensor, nn

from auctionsim.agents.networks import BiddingNetwork, Sight
from auctionsim.observation_layout import ObservationLayout, valuation_alone


class CappedBids(torch.autograd.Function):
    """min(bid, high); a bid above high is moved by gradients that lower it, and by no others.

    The auction clips all bids above high to the same. A mean that got far above would feel nothing and stay there, and
    a wide spread draws it there: the higher the mean, the surer the highest bid.
    """

    @staticmethod
    def forward(ctx: Any, bids: Tensor, high: Tensor) -> Tensor:
        """Return the lower of both, elementwise."""
        ctx.save_for_backward(bids > high)
        return torch.minimum(bids, high)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the loss's gradient in the bids: a positive one lowers them."""
        (above,) = ctx.saved_tensors
        return torch.where(above, gradient.clamp_min(0.0), gradient), None


class BiddingModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """A Gaussian around a `BiddingNetwork`'s bid, and a small value network.

    The network is a strategy by itself: it gets the valuation, and the situation that the observation tells of beside
    it ("layout"). Actions live in [−1, 1], which RLlib stretches to [0, high]. The spread is spread · (a twentieth of
    high + 19 twentieths of v), and is not learned: exploring costs utility, so a learned spread shrinks long before the
    bids are right, and one that stays keeps rivals from pricing close; `BidderLearner` lowers it on a schedule.
    `model_config`: "high" (feature,), "hidden", "start", "spread", "last_spread", "rows" (environment steps until it is
    reached), "seed", "layout" (the valuation alone where it is left out).
    """

    def setup(self) -> None:
        """Build the networks from `model_config`."""
        config = self.model_config
        generator = torch.Generator().manual_seed(config["seed"])
        high = torch.tensor(config["high"], dtype=torch.float32)
        self.layout: ObservationLayout = config.get("layout") or valuation_alone(len(high))
        sight = None
        if self.layout.tells:
            ends = torch.as_tensor(self.observation_space.high, dtype=torch.float32)
            sight = Sight(self.layout.tells, self.layout.scales(ends))
        self.bidding = BiddingNetwork(high, config["hidden"], generator, start=config["start"], sight=sight)
        self.spread: Tensor
        self.register_buffer("spread", torch.tensor(float(config["spread"])))
        inputs = len(high) + (0 if sight is None else len(sight.scales))
        self.value = nn.Sequential(nn.Linear(inputs, config["hidden"]), nn.Tanh(), nn.Linear(config["hidden"], 1))

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        valuations, situation = self.layout.valuations(batch[Columns.OBS]), self.layout.situation(batch[Columns.OBS])
        share = valuations / self.bidding.high
        bids = CappedBids.apply(self.bidding(valuations, situation), self.bidding.high)  # type: ignore[no-untyped-call]
        mean = 2 * bids / self.bidding.high - 1
        spread = 2 * self.spread * (0.05 + 0.95 * share)
        return {Columns.ACTION_DIST_INPUTS: torch.cat([mean, spread.log()], dim=-1)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Return the expected reward given the observation."""
        del embeddings
        inputs = 2 * self.layout.valuations(batch[Columns.OBS]) / self.bidding.high - 1
        if self.bidding.observes:
            inputs = torch.cat([inputs, self.bidding.seen(self.layout.situation(batch[Columns.OBS]))], -1)
        value: Tensor = self.value(inputs)
        return value.squeeze(-1)

    def explore_less(self, rows: int) -> None:
        """Set the spread for this many environment steps: from the first to the last, geometrically."""
        config = self.model_config
        done = min(rows / config["rows"], 1.0)
        self.spread.fill_(config["spread"] ** (1 - done) * config["last_spread"] ** done)


class FrozenModule(TorchRLModule, ValueFunctionAPI):  # type: ignore[misc]
    """A fixed strategy in the seat of a policy: it bids, and learns nothing.

    `model_config`: "high", "strategy" (None: truth), "layout", which shows what the strategy observes.
    """

    def setup(self) -> None:
        """Keep the highest bid, in whose units RLlib's actions are."""
        self.high: Tensor
        self.register_buffer("high", torch.tensor(self.model_config["high"], dtype=torch.float32))

    def _forward(self, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        layout = self.model_config.get("layout") or valuation_alone(len(self.high))
        bids = layout.bids(self.model_config["strategy"], batch[Columns.OBS])
        mean = 2 * bids / self.high - 1
        return {Columns.ACTION_DIST_INPUTS: torch.cat([mean, torch.full_like(mean, -20.0)], dim=-1)}

    def compute_values(self, batch: dict[str, Any], embeddings: Any = None) -> Tensor:
        """Return zeros: nothing is learned from them."""
        del embeddings
        return torch.zeros(batch[Columns.OBS].shape[:-1])


class DropBootstrapRows(ConnectorV2):  # type: ignore[misc]
    """Take out the phantom row that RLlib adds to every episode, once advantages are computed.

    The row is masked in the loss, but advantages were standardised over it and minibatches are partly filled with it
    (half of them in one-round episodes). So rows go, and advantages are standardised again over those that stay.
    """

    def __call__(self, *, batch: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Return the batch with the masked rows gone."""
        for columns in batch.values():
            mask = columns.pop(Columns.LOSS_MASK, None)
            if mask is None:
                continue
            for name, column in columns.items():
                if isinstance(column, Tensor) and len(column) == len(mask):
                    columns[name] = column[mask]
            advantages = columns[Postprocessing.ADVANTAGES]
            spread = advantages.std(correction=0).clamp_min(1e-4)
            columns[Postprocessing.ADVANTAGES] = (advantages - advantages.mean()) / spread
        return batch


class BidderLearner(PPOTorchLearner):  # type: ignore[misc]
    """PPO's learner with `DropBootstrapRows` at the end of its pipeline."""

    def build(self) -> None:
        """Build the learner, then append the connector behind advantage estimation."""
        super().build()
        self._learner_connector.append(DropBootstrapRows())

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """Give every module that has something to learn its optimizer."""
        if any(True for _ in self.module[module_id].parameters()):
            super().configure_optimizers_for_module(module_id, config)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Lower every module's spread; the runner gets it with the weights."""
        super().after_gradient_based_update(timesteps=timesteps)
        for _, module in self.module.items():
            if isinstance(module.unwrapped(), BiddingModule):
                module.unwrapped().explore_less(int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0)))


class LearningCurve(RLlibCallback):  # type: ignore[misc]
    """Log each bidder's mean reward a round, its policy's mean bid, and its mean valuation."""

    def on_sample_end(self, *, metrics_logger: Any, samples: list[Any], **_: Any) -> None:
        """Read the sampled episodes."""
        seen: dict[str, list[np.ndarray]] = {}
        for episode in samples:
            for name, own in episode.agent_episodes.items():
                inputs = np.asarray(own.get_extra_model_outputs(Columns.ACTION_DIST_INPUTS))
                high = own.action_space.high
                bids = self.bids(inputs, high)
                valuations = np.asarray(own.get_observations())[: len(inputs), : len(high)]  # they come first
                rewards = np.asarray(own.get_rewards())
                seen.setdefault(name, []).append(np.array([rewards.mean(), bids.mean(), valuations.mean()]))
        for name, numbers in seen.items():
            for what, number in zip(("utility", "bid", "valuation"), np.mean(numbers, axis=0), strict=True):
                metrics_logger.log_value(("bidders", name, what), float(number), window=1)

    def bids(self, inputs: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return the bids (row, feature) of a policy's inputs to its distribution, at the mean."""
        return np.asarray(high * (inputs[:, : len(high)] + 1) / 2)
