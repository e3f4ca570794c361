"""Contexts of rounds: drawn evenly, drawn by weights, or taken from a stream that goes on from episode to episode."""

import os
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from auctionsim.checks import checked_count, checked_number
from auctionsim.envs.row_draws import INDICES, EpisodeKeys, levels_of, uniform_indices, words
from auctionsim.errors import InputError

CYCLE, REFUSE = "cycle", "refuse"
ENDS = (CYCLE, REFUSE)
"""What follows the last context of a stream: its first one again, or nothing."""

Weights = Sequence[float] | Mapping[str, float]
Stream = Sequence[int | str]


class ContextDraws:
    """The contexts that episodes meet.

    A stream is public: round r of a row's episode k, counted from 0 since the row was seeded, has its context number
    k · rounds + r, in every row. Where it ends within an episode it begins again, or the episode is refused.

    Args:
        names: The substrate's contexts; none where it has none.
        rounds: Of an episode.
        weights: Probabilities, up to one factor: one a context in order, or by name (those left out have 0); None:
            all the same.
        stream: Contexts, by index or name, instead of draws; None: draws.
        stream_end: One of `ENDS`.
    Raises:
        ValueError: Weights or a stream where there are no contexts, or both; weights that are no probabilities; a
            context that there is not; an end that is none; a stream too short for one episode that must not end.
    """

    def __init__(
        self,
        names: Sequence[str],
        rounds: int,
        *,
        weights: Weights | None = None,
        stream: Stream | None = None,
        stream_end: str = CYCLE,
    ) -> None:
        if stream_end not in ENDS:
            raise InputError(f"stream_end must be one of {ENDS}, got {stream_end!r:.60}")
        if weights is not None and stream is not None:
            raise InputError("contexts are drawn by context_weights or taken from context_stream: pass one of them")
        if not names and (weights is not None or stream is not None):
            raise InputError("this substrate has no contexts: pass neither context_weights nor context_stream")
        self.names, self.rounds, self.stream_end = tuple(names), rounds, stream_end
        self._bounds = None if weights is None else _upper_bounds(checked_weights(weights, self.names))
        self._stream = None if stream is None else checked_stream(stream, self.names)
        if self._stream is not None and stream_end == REFUSE and len(self._stream) < rounds:
            raise InputError(
                f"context_stream has {len(self._stream)} contexts, fewer than one episode's {rounds} rounds: "
                f"stream_end={CYCLE!r} begins it again"
            )

    def rows(self, episodes: EpisodeKeys) -> Int[Tensor, "row round"]:
        """Return the contexts of these episodes, each the same as it would be alone."""
        batch = len(episodes.key)
        if not self.names:
            return torch.zeros(batch, self.rounds, dtype=torch.int64)
        if self._stream is not None:
            return self._streamed(episodes.number)
        if self._bounds is None:
            return uniform_indices(episodes, self.rounds, len(self.names))
        return self._by_weight(levels_of(words(episodes, self.rounds, INDICES)))

    def batch(self, batch: int, generator: torch.Generator) -> Int[Tensor, "batch round"]:
        """Return the contexts of episodes that are drawn from one generator; of a stream, those of its first ones."""
        if not self.names:
            return torch.zeros(batch, self.rounds, dtype=torch.int64)
        if self._stream is not None:
            return self._streamed(np.arange(batch, dtype=np.uint64))
        if self._bounds is None:
            return torch.randint(len(self.names), (batch, self.rounds), generator=generator)
        levels = torch.rand(batch, self.rounds, generator=generator, dtype=torch.float64)
        return self._by_weight(levels.numpy())

    def _by_weight(self, levels: np.ndarray) -> Tensor:
        assert self._bounds is not None
        return torch.from_numpy(np.searchsorted(self._bounds, levels, side="right").astype(np.int64))

    def _streamed(self, numbers: np.ndarray) -> Tensor:
        """Return the stream's contexts of the episodes of these numbers."""
        assert self._stream is not None
        length = len(self._stream)
        if self.stream_end == REFUSE and len(numbers) and int(numbers.max()) >= length // self.rounds:
            raise InputError(
                f"context_stream has {length} contexts, and episode {int(numbers.max())} of {self.rounds} rounds "
                f"would need more: reset with a seed, or pass stream_end={CYCLE!r}"
            )
        first = numbers[:, None] * np.uint64(self.rounds)
        places = (first + np.arange(self.rounds, dtype=np.uint64)) % np.uint64(length)
        return torch.from_numpy(self._stream[places.astype(np.int64)])


def checked_weights(weights: Weights, names: tuple[str, ...]) -> np.ndarray:
    """Return probabilities of contexts, in their order.

    Raises:
        ValueError: Not one weight a context, a name that there is not, a weight that is not finite and ≥ 0, or none
            above 0.
    """
    if isinstance(weights, Mapping):
        strangers = [name for name in weights if name not in names]
        if strangers:
            raise InputError(f"context_weights must be of contexts {names}, got one of {strangers[0]!r:.60}")
        given = [weights.get(name, 0.0) for name in names]
    else:
        given = list(weights)
    if len(given) != len(names):
        raise InputError(f"context_weights must be one a context, {len(names)} of {names}, got {len(given)}")
    numbers = np.array([checked_number(weight, "a weight of a context") for weight in given])
    with np.errstate(over="ignore"):
        total = numbers.sum()
    if not 0 < total < np.inf:
        raise InputError(f"context_weights must have a finite sum > 0, got {given}")
    probabilities: np.ndarray = numbers / total
    return probabilities


def checked_stream(stream: Stream, names: tuple[str, ...]) -> np.ndarray:
    """Return a stream's contexts as indices (place,) int64.

    Raises:
        ValueError: Empty, or a context that there is not.
    """
    places = {name: index for index, name in enumerate(names)}
    if isinstance(stream, str | bytes) or not len(stream):
        raise InputError(f"context_stream must be a sequence of contexts {names}, got {stream!r:.60}")
    indices = []
    for place, context in enumerate(stream):
        if isinstance(context, str):
            known = context in places
            indices.append(places.get(context, 0))
        else:
            index = checked_count(context, f"context_stream[{place}]", 0)
            known = index < len(names)
            indices.append(index)
        if not known:
            raise InputError(f"context_stream must hold contexts {names} or their indices, got {context!r:.60}")
    return np.array(indices, dtype=np.int64)


def recorded_contexts(path: str | os.PathLike[str], row: int = 0) -> list[str]:
    """Return the contexts that a recording (`RecordAuctions`) met in one row, in the order of its rounds.

    Args:
        path: The parquet file.
        row: Of a vector environment; 0 of a single one.
    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no recording, has no such row, or rounds without a context.
    """
    from auctionsim.tables import read_parquet

    table = read_parquet(path)
    name = os.fspath(path)
    missing = {"env", "episode", "round", "context", "bidder"} - set(table.columns)
    if missing:
        raise InputError(f"{name}: is no recording of auctions: it has no column {sorted(missing)[0]}")
    first = [record for record in table.records() if record["env"] == row and record["bidder"] == 0]
    if not first:
        raise InputError(f"{name}: has no row {row}")
    contexts = [record["context"] for record in sorted(first, key=lambda one: (one["episode"], one["round"]))]
    if not all(isinstance(context, str) for context in contexts):
        raise InputError(f"{name}: its rounds have no context")
    return contexts


def _upper_bounds(probabilities: np.ndarray) -> np.ndarray:
    """Return where each context's levels end: a context of weight 0 has none, and the last one's end is 1."""
    bounds: np.ndarray = probabilities.cumsum()
    bounds[np.flatnonzero(probabilities)[-1] :] = 1.0
    return bounds
