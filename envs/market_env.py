"""The market as a Gymnasium environment: one campaign, or the platform, learns; rows are markets of their own."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, SupportsIndex

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from auctionsim.checks import checked_count
from auctionsim.envs.batch import checked_autoreset
from auctionsim.envs.market_episodes import CampaignSeat, MarketEpisode, MarketSeat, PlatformSeat
from auctionsim.envs.market_settings import MarketEnvSettings
from auctionsim.envs.row_draws import EpisodeKeys
from auctionsim.envs.row_seeds import RowStreams, seeded_rows, spread_seeds
from auctionsim.errors import CallOrderError, InputError
from auctionsim.record_keywords import fields_as_keywords, keywords_of
from auctionsim.seeds import checked_seed

SEATS: dict[str, type[MarketSeat]] = {"campaign": CampaignSeat, "platform": PlatformSeat}
"""The learner's seats by name."""


class MarketEnv(gymnasium.Env[np.ndarray, Any]):
    """A market in which one campaign, or the platform, learns; the others act as they always do.

    A campaign's step is a tick: its action is the multiplier of its valuations, Box(0, multiplier_high, (1,)), its
    reward value less spend. A platform's step is a day: its action is the place of the day's rule, its reward revenue
    less weighted losses. An episode of `days` days ends by termination. What the numbers of an observation are, `names`
    of the seat says.

    Args:
        learner: "campaign" or "platform".
        settings: Which market, and how it is played; given by the fields of `MarketEnvSettings` as keywords.
    Raises:
        ValueError: Another learner.
    Example:
        >>> import numpy as np
        >>> env = MarketEnv("campaign")
        >>> observation, _ = env.reset(seed=0)
        >>> dict(zip(env.seat.names, observation.tolist()))["budget_left"]
        1.0
        >>> env.step(np.zeros(1, np.float32))[1]  # a bid of 0 wins nothing
        0.0
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  Gymnasium declares it so

    @fields_as_keywords("settings")
    def __init__(self, learner: str = "campaign", *, settings: MarketEnvSettings) -> None:
        if learner not in SEATS:
            raise InputError(f"learner must be one of {', '.join(SEATS)}, got {learner!r:.60}")
        self.seat = SEATS[learner](settings)
        self.observation_space, self.action_space = self.seat.observation_space, self.seat.action_space
        self._stream = RowStreams(1)
        self._episode: MarketEpisode | None = None

    def reset(
        self, *, seed: SupportsIndex | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode: a market with valuations of its own.

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
        self._episode = self.seat.begin(market_seed(self._stream.begin([0])))
        return self.seat.observe(self._episode), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Act, and let the market go on for a tick or a day.

        Raises:
            ValueError: An action outside its space.
            RuntimeError: Before `reset`, or after the episode's end.
        """
        if self._episode is None or self._episode.now is None:
            raise CallOrderError("no episode is running: call reset() first")
        happened = self.seat.step(self._episode, action)
        self._episode = happened.episode
        return self.seat.observe(happened.episode), happened.reward, happened.over, False, dict(happened.info)


class MarketVectorEnv(SyncVectorEnv):
    """`MarketEnv` in rows: independent markets, row k with seed s + k the single environment's of that seed.

    Every row clears its own market, so a step costs as much a row as a single environment's; observations, rewards,
    infos and autoresets are Gymnasium's.

    Args:
        num_envs: Number of rows.
        learner: As in `MarketEnv`.
        autoreset_mode: Gymnasium's `AutoresetMode`, or its value.
        settings: As there: given by the fields of `MarketEnvSettings` as keywords.
    """

    @fields_as_keywords("settings")
    def __init__(
        self,
        num_envs: int = 1,
        learner: str = "campaign",
        *,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        settings: MarketEnvSettings,
    ) -> None:
        def row() -> MarketEnv:
            return MarketEnv(learner, **keywords_of(settings))

        rows = [row] * checked_count(num_envs, "num_envs")
        super().__init__(rows, autoreset_mode=checked_autoreset(autoreset_mode))

    def reset(
        self,
        *,
        seed: SupportsIndex | Sequence[SupportsIndex | None] | np.ndarray | None = None,
        options: dict[str, Any] | None = None,
    ) -> Any:
        """Begin an episode in every row, or in those where options["reset_mask"] is True.

        Returns:
            Observations (row, number) and infos.
        Raises:
            TypeError, ValueError: A seed that is no whole number ≥ 0, or not one a row.
        """
        return super().reset(seed=spread_seeds(seed, self.num_envs), options=options)


def market_seed(episode: EpisodeKeys) -> int:
    """Return the seed of an episode's market: hashed from its key, so that no two episodes share one."""
    numbers = ",".join(str(int(part[0])) for part in (episode.key, episode.stream, episode.number))
    return int.from_bytes(blake2b(numbers.encode(), digest_size=8, person=b"auctionsim mrkt").digest(), "little")
