"""The auction as a Gymnasium environment: one learner bids against fixed strategies."""

from collections.abc import Sequence
from typing import Any, SupportsIndex

import gymnasium
import numpy as np

from auctionsim.envs.game import GameState
from auctionsim.envs.game_settings import AuctionParts, GameSettings
from auctionsim.envs.learner import LearnerSeat, Memories, bids_in_box, learner_spaces, learner_tensor
from auctionsim.envs.rendering import RENDER_MODES, checked_render_mode, frame
from auctionsim.envs.rounds import PlayedRound
from auctionsim.envs.row_seeds import RowStreams, seeded_rows
from auctionsim.envs.settings import build_game
from auctionsim.errors import CallOrderError
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.seeds import checked_seed
from auctionsim.strategies import AnyStrategy


class NeuronAuctionEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One bidder learns; the others bid by fixed strategies, truth unless told otherwise.

    Action: the bid, Box(0, the prior's high, (feature,)). Observation: a Box, see `AuctionGame`. Reward: the learner's
    utility this round. An episode of `rounds` rounds ends by termination.

    Args:
        setting: A named auction of `auctionsim.envs.settings`; None with a mechanism.
        learner: Which bidder the learner is.
        opponents: One strategy for all others or one each; None: truth.
        render_mode: "ansi" (text), "rgb_array" (a picture), or None: the round just played.
        auction: A mechanism, a substrate, priors; given by the fields of `AuctionParts` as keywords.
        settings: How episodes go; given by the fields of `GameSettings` as keywords.
    Example:
        >>> import numpy as np
        >>> env = NeuronAuctionEnv("second-price", rounds=1)
        >>> _ = env.reset(seed=0)
        >>> env.step(np.zeros(1, np.float32))[1:4]  # nothing is won by a bid of 0
        (0.0, True, False)
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 2}  # noqa: RUF012  Gymnasium declares it so

    @fields_as_keywords("auction", "settings")
    def __init__(
        self,
        setting: str | None = None,
        *,
        learner: int = 0,
        opponents: AnyStrategy | Sequence[AnyStrategy | None] | None = None,
        render_mode: str | None = None,
        auction: AuctionParts,
        settings: GameSettings,
    ) -> None:
        self.game = build_game(setting, **keywords_of(auction), **keywords_of(settings))
        self.seat = LearnerSeat(self.game, learner, opponents)
        self.render_mode = checked_render_mode(render_mode)
        self.observation_space, self.action_space = learner_spaces(self.seat)
        self._stream = RowStreams(1)
        self._state: GameState | None = None
        self.played: PlayedRound | None = None
        self._memories: Memories = {}

    def reset(
        self, *, seed: SupportsIndex | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode: draw all its valuations and contexts.

        Args:
            seed: The first episode of this seed; None: the next one, and at first one that nobody can foresee.
            options: Not used.
        Raises:
            TypeError, ValueError: A seed that is no whole number ≥ 0.
        """
        del options
        number = None if seed is None else checked_seed(seed)
        super().reset(seed=number)
        if number is not None:
            self._stream.seed([0], seeded_rows([number]))
        self._state = self.game.draw_rows(self._stream.begin([0]))
        self.played = None
        return self.seat.observe(self._state)[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Bid, and clear one round.

        Raises:
            ValueError: A bid outside the action box or of another shape.
            RuntimeError: Before `reset`, or after the episode's end.
        """
        if self._state is None or int(self._state.round[0]) >= self.game.rounds:
            raise CallOrderError("no episode is running: call reset() first")
        own = bids_in_box(learner_tensor(action, self.action_space.shape or ()), self.game, self.seat.learner)
        before = self._state
        bids, self._memories = self.seat.turn(before, own.unsqueeze(0), self._memories)
        self._state, played = self.game.step(before, bids)
        self.played = PlayedRound.of(before, played)
        reward = float(played.rewards[0, self.seat.learner])
        info = {
            name: rows[0].item() if rows.dtype == bool else rows[0] for name, rows in self.seat.info(played).items()
        }
        return self.seat.observe(self._state)[0], reward, bool(played.over[0]), False, info

    def render(self) -> Any:
        """Return the round just played as text or as a picture (height, width, 3); before the first, the bidders."""
        return frame(self.render_mode, self.game, self._state, self.played)
