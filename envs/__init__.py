"""The auction as a game: one pure core, and a thin adapter for each RL convention."""

if __name__ == "envs":
    raise ImportError("import auctionsim.envs: the folder 'envs' is installed under that name")

from typing import TYPE_CHECKING, Any

from auctionsim.envs.game import AuctionGame, GameState, Round
from auctionsim.envs.gymnasium_env import NeuronAuctionEnv
from auctionsim.envs.settings import SETTINGS, Setting, build_game
from auctionsim.envs.situations import observation_layout, situation_of, strategy_action, strategy_turn
from auctionsim.envs.vector_env import NeuronAuctionVectorEnv

if TYPE_CHECKING:
    from auctionsim.envs.pettingzoo_env import parallel_env
    from auctionsim.envs.rllib_env import NeuronAuctionMultiAgentEnv, register_envs
    from auctionsim.envs.rllib_runner import NeuronAuctionEnvRunner
    from auctionsim.envs.sb3_env import NeuronAuctionVecEnv

_LATE = {  # behind packages that an import of this one must not load
    "parallel_env": "auctionsim.envs.pettingzoo_env",
    "NeuronAuctionMultiAgentEnv": "auctionsim.envs.rllib_env",
    "NeuronAuctionEnvRunner": "auctionsim.envs.rllib_runner",
    "NeuronAuctionVecEnv": "auctionsim.envs.sb3_env",
    "register_envs": "auctionsim.envs.rllib_env",
}

__all__ = [
    "SETTINGS",
    "AuctionGame",
    "GameState",
    "NeuronAuctionEnv",
    "NeuronAuctionEnvRunner",
    "NeuronAuctionMultiAgentEnv",
    "NeuronAuctionVecEnv",
    "NeuronAuctionVectorEnv",
    "Round",
    "Setting",
    "build_game",
    "observation_layout",
    "parallel_env",
    "register_envs",
    "situation_of",
    "strategy_action",
    "strategy_turn",
]


def __getattr__(name: str) -> Any:
    """Import the PettingZoo, RLlib and Stable-Baselines3 faces when they are asked for."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LATE[name]), name)
