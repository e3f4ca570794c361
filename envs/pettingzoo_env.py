"""The auction as a PettingZoo parallel environment: every bidder is an agent, all bid at once."""

from typing import Any, ClassVar, SupportsIndex

import numpy as np
from gymnasium.spaces import Box
from pettingzoo import ParallelEnv
from pettingzoo.env_registry.registration import parallel_registry, register

from auctionsim.envs.bidders import bidder_names, named_bids, named_infos, named_observations, named_spaces
from auctionsim.envs.game import GameState
from auctionsim.envs.game_settings import AuctionParts, GameSettings
from auctionsim.envs.rendering import RENDER_MODES, checked_render_mode, frame
from auctionsim.envs.rounds import PlayedRound
from auctionsim.envs.row_seeds import RowStreams, seeded_rows
from auctionsim.envs.settings import build_game
from auctionsim.errors import CallOrderError
from auctionsim.gymnasium_ids import SETTING_OF_ID
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.seeds import checked_seed


class NeuronAuctionParallelEnv(ParallelEnv[str, np.ndarray, np.ndarray]):  # type: ignore[misc]
    """Bidders bidder_0, bidder_1, … bid at once, `rounds` times; then the episode terminates for all.

    Args:
        setting: A named auction of `auctionsim.envs.settings`; None with a mechanism.
        render_mode: "ansi" (text), "rgb_array" (a picture), or None: the round just played.
        auction: A mechanism, a substrate, priors; given by the fields of `AuctionParts` as keywords.
        settings: How episodes go; given by the fields of `GameSettings` as keywords.
    Attributes:
        state_space: Of `state()`: all observation spaces side by side.
        played: The last round; None before the first.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "neuron_auction_v0",
        "render_modes": RENDER_MODES,
        "render_fps": 2,
        "is_parallelizable": True,
    }

    @fields_as_keywords("auction", "settings")
    def __init__(
        self,
        setting: str | None = None,
        *,
        render_mode: str | None = None,
        auction: AuctionParts,
        settings: GameSettings,
    ) -> None:
        self.game = build_game(setting, **keywords_of(auction), **keywords_of(settings))
        self.render_mode = checked_render_mode(render_mode)
        self.possible_agents = bidder_names(self.game)
        self.agents: list[str] = []
        self.observation_spaces, self.action_spaces = named_spaces(self.game)
        boxes = [self.observation_spaces[name] for name in self.possible_agents]
        self.state_space = Box(
            np.concatenate([box.low for box in boxes]), np.concatenate([box.high for box in boxes]), dtype=np.float32
        )
        self.played: PlayedRound | None = None
        self._stream = RowStreams(1)
        self._state: GameState | None = None

    def observation_space(self, agent: str) -> Box:
        """Return one bidder's observation space, always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box:
        """Return one bidder's bids, always the same object."""
        return self.action_spaces[agent]

    def reset(
        self, seed: SupportsIndex | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Any]]]:
        """Begin an episode; with a seed, always the same one."""
        del options
        if seed is not None:
            self._stream.seed([0], seeded_rows([checked_seed(seed)]))
        self._state = self.game.draw_rows(self._stream.begin([0]))
        self.played = None
        self.agents = self.possible_agents.copy()
        return named_observations(self.game, self._state)[0], {name: {} for name in self.agents}

    def step(
        self, actions: dict[str, np.ndarray]
    ) -> tuple[
        dict[str, np.ndarray],
        dict[str, float],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Clear one round; after the last one `agents` is empty.

        Raises:
            ValueError: A bidder is missing, or a bid lies outside its box.
            RuntimeError: Before `reset`, or after the episode's end.
        """
        if self._state is None or not self.agents:
            raise CallOrderError("no episode is running: call reset() first")
        bids = named_bids(self.game, actions).unsqueeze(0)
        before = self._state
        self._state, played = self.game.step(before, bids)
        self.played = PlayedRound.of(before, played)
        names = self.possible_agents
        over = bool(played.over[0])
        if over:
            self.agents = []
        return (
            named_observations(self.game, self._state)[0],
            dict(zip(names, played.rewards[0].tolist(), strict=True)),
            dict.fromkeys(names, over),
            dict.fromkeys(names, False),
            named_infos(self.game, played)[0],
        )

    def state(self) -> np.ndarray:
        """Return what all bidders see, side by side in their order.

        Raises:
            RuntimeError: Before `reset`.
        """
        if self._state is None:
            raise CallOrderError("no episode is running: call reset() first")
        seen = named_observations(self.game, self._state)[0]
        return np.concatenate([seen[name] for name in self.possible_agents])

    def render(self) -> Any:
        """Return the round just played as text or as a picture (height, width, 3); before the first, the bidders."""
        return frame(self.render_mode, self.game, self._state, self.played)


@fields_as_keywords("auction", "settings")
def parallel_env(
    setting: str | None = None, *, render_mode: str | None = None, auction: AuctionParts, settings: GameSettings
) -> NeuronAuctionParallelEnv:
    """Return a PettingZoo parallel environment; the arguments are those of `NeuronAuctionParallelEnv`."""
    return NeuronAuctionParallelEnv(setting, render_mode=render_mode, **keywords_of(auction), **keywords_of(settings))


def register_parallel_ids() -> None:
    """Put every id into PettingZoo's registry of parallel environments; a second call changes nothing."""
    for name, setting in SETTING_OF_ID.items():
        if name not in parallel_registry:
            entry_point = "auctionsim.envs.pettingzoo_env:parallel_env"
            register("parallel", name, entry_point=entry_point, kwargs={"setting": setting})


register_parallel_ids()
