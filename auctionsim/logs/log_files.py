"""Logs as parquet files: one row a session, and one a replay, in columns that a user's own log can have.

| column | obs | exp | sim |
|---|---|---|---|
| `source` | "obs": options were chosen | "exp": options were drawn | "sim": a simulator's replay |
| `session` | a whole number, each once; left out: 0, 1, … | likewise | the session whose context is replayed |
| `option` | name of the option that ran | likewise | name of the option that is replayed |
| `outcome` | how good the session was, larger is better | likewise | empty |
| `propensity` | probability of this option given all that chose it; all rows or none | needed | empty |
| `weight` | empty | empty | probability of this replay; see below |
| `context_…` | what was public beforehand, a number | likewise | empty, or that of the session |
| `mediator_…` | what the option did, a number | likewise | likewise |
| `label_…` | what else was noted, a number | likewise | empty |

Replays are of the sessions of `exp`, or of `obs` where there is no `exp` row: every session has the same number under
every option. With a column `weight` they are the simulator's exact law, weights adding up to 1 for each session and
option; without it they are a sample. Options are numbered in alphabetical order. A file without `exp` rows is read,
and whatever is made of it says "associational only".
"""

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from auctionsim.errors import InputError
from auctionsim.files import replacing
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog, Sources
from auctionsim.records import shown
from auctionsim.tables import read_parquet

NEEDED = ("source", "option", "outcome")
"""Columns that every log has."""
OTHERS = ("session", "propensity", "weight")
"""Columns that a log may have beside those with a prefix."""
PREFIXES = ("context_", "mediator_", "label_")
"""Beginnings of the names of columns of numbers."""
_INDEX = "__index_level_"  # how pandas names a table's index, which says nothing
_LARGEST_SESSION = 2**53  # a whole number that a double holds


def write_log_file(path: str | os.PathLike[str], sources: Sources) -> None:
    """Write sources to one file, whole or not at all.

    Raises:
        ValueError: Logs with an axis of draws.
        ImportError: pyarrow is not installed.
    """
    import pyarrow as pa
    from pyarrow import parquet

    if sources.population.option.ndim != 1:
        raise InputError(f"a file holds one log a source, got logs of shape {sources.population.option.shape}")
    parts = [_log_rows(log, name) for name, log in (("obs", sources.obs), ("exp", sources.exp)) if log is not None]
    if sources.replays is not None:
        parts.append(_replay_rows(sources.replays, sources.columns))
    columns = _names(sources.columns)
    if sources.replays is None or not sources.replays.exact:
        columns.remove("weight")
    table = {name: pa.array([value for part in parts for value in part[name]]) for name in columns}
    with replacing(path) as draft:
        parquet.write_table(pa.table(table), draft)


def read_log_file(path: str | os.PathLike[str]) -> Sources:
    """Read what `write_log_file` wrote, or a log of one's own in the same columns.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no parquet file, larger than `auctionsim.tables` reads, or breaks a rule of the schema; one
            sentence that names the file, the value and the rule.
        ImportError: pyarrow is not installed.
    """
    rows = read_parquet(path)
    try:
        named = {name: [row[k] for row in rows.rows] for k, name in enumerate(rows.columns)}
        return _sources({name: values for name, values in named.items() if not name.startswith(_INDEX)})
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from None


def _names(columns: LogColumns) -> list[str]:
    named = zip(PREFIXES, (columns.context, columns.mediators, columns.labels), strict=True)
    return ["source", "session", "option", "outcome", "propensity", "weight"] + [
        prefix + name for prefix, names in named for name in names
    ]


def _log_rows(log: SessionLog, source: str) -> dict[str, list[Any]]:
    """Return a log's columns."""
    count = log.sessions
    none: list[Any] = [None] * count
    table: dict[str, list[Any]] = {
        "source": [source] * count,
        "session": list(range(count)),
        "option": [log.columns.options[k] for k in log.option.tolist()],
        "outcome": log.outcome.tolist(),
        "propensity": none if log.propensity is None else log.propensity.tolist(),
        "weight": none,
    }
    numbers = np.concatenate([log.context, log.mediators, log.labels], -1)
    return table | {name: numbers[:, k].tolist() for k, name in enumerate(_names(log.columns)[6:])}


def _replay_rows(replays: Replays, columns: LogColumns) -> dict[str, list[Any]]:
    """Return replays' columns: each point of each option of each session; points without weight are left out."""
    weights = replays.weights[replays.kind]
    session, option, point = (index.ravel() for index in np.indices(weights.shape))
    mediators = replays.mediators[replays.kind[session], option, point]
    none: list[Any] = [None] * len(session)
    table: dict[str, list[Any]] = {
        "source": ["sim"] * len(session),
        "session": session.tolist(),
        "option": [columns.options[k] for k in option.tolist()],
        "outcome": none,
        "propensity": none,
        "weight": weights.ravel().tolist(),
    }
    table |= {"context_" + name: none for name in columns.context}
    table |= {"mediator_" + name: mediators[:, k].tolist() for k, name in enumerate(columns.mediators)}
    return table | {"label_" + name: none for name in columns.labels}


def _sources(table: Mapping[str, list[Any]]) -> Sources:
    for name in NEEDED:
        if name not in table:
            raise InputError(f"a log has the columns {', '.join(NEEDED)}, and {name} is missing")
    for name in table:
        if name not in (*NEEDED, *OTHERS) and not name.startswith(PREFIXES):
            raise InputError(
                f"a column of a log is one of {', '.join((*NEEDED, *OTHERS))} or begins with "
                f"{', '.join(PREFIXES)}; got {shown(name)}"
            )
    for value in set(table["source"]):
        if value not in ("obs", "exp", "sim"):
            raise InputError(f"source must be obs, exp or sim, got {shown(value)}")
    names = table["option"]
    if not all(isinstance(name, str) and name for name in names):
        raise InputError("option must be a text in every row, and is empty or no text in one")
    columns = LogColumns(
        tuple(sorted(set(names))),
        *(tuple(name.removeprefix(prefix) for name in table if name.startswith(prefix)) for prefix in PREFIXES),
    )
    places = {source: [k for k, value in enumerate(table["source"]) if value == source] for source in ("obs", "exp")}
    obs, exp = (_log(table, rows, columns, source) for source, rows in places.items())
    if obs is None and exp is None:
        raise InputError("a log has rows of source obs or exp, and this one has none")
    population, known = (exp, places["exp"]) if exp is not None else (obs, places["obs"])
    assert population is not None
    replayed = [k for k, value in enumerate(table["source"]) if value == "sim"]
    replays = _replays(table, replayed, population, _sessions(table, known)) if replayed else None
    return Sources(obs, exp, replays)


def _log(table: Mapping[str, list[Any]], rows: list[int], columns: LogColumns, source: str) -> SessionLog | None:
    if not rows:
        return None
    _sessions(table, rows)
    numbers = {
        prefix: np.array([_numbers(table, prefix + name, rows) for name in named]).reshape(len(named), len(rows)).T
        for prefix, named in zip(PREFIXES, columns[1:], strict=True)
    }
    option = np.array([columns.options.index(table["option"][k]) for k in rows])
    stated = [k for k in rows if not _is_empty(table["propensity"][k])] if "propensity" in table else []
    if stated and len(stated) < len(rows):
        raise InputError(f"propensity must be given in all rows of {source} or in none, got {len(stated)}")
    return SessionLog(
        columns,
        numbers["context_"],
        option,
        numbers["mediator_"],
        np.array(_numbers(table, "outcome", rows)),
        numbers["label_"],
        np.array(_numbers(table, "propensity", rows)) if stated else None,
        randomised=source == "exp",
    )


def _replays(
    table: Mapping[str, list[Any]], rows: list[int], population: SessionLog, sessions: dict[int, int]
) -> Replays:
    """Return the replays of a file's rows, one kind a session."""
    if "session" not in table:
        raise InputError("rows of sim must say which session they replay, and there is no column session")
    columns = population.columns
    points: dict[tuple[int, int], list[int]] = {}
    for k in rows:
        session = _whole(table["session"][k])
        if session not in sessions:
            raise InputError(f"a row of sim must replay a session of the log, got session {session}")
        points.setdefault((sessions[session], columns.options.index(table["option"][k])), []).append(k)
    shape = (population.sessions, len(columns.options))
    counts = {len(points.get((session, option), ())) for session, option in np.ndindex(*shape)}
    if len(counts) > 1 or 0 in counts:
        raise InputError(
            f"every session must have the same number of replays under every option, got from {min(counts)} to "
            f"{max(counts)}"
        )
    order = [k for session, option in np.ndindex(*shape) for k in points[session, option]]
    _check_context(table, order, population)
    points_each = counts.pop()
    mediators = np.array([_numbers(table, "mediator_" + name, order) for name in columns.mediators])
    exact = "weight" in table
    weights = np.array(_numbers(table, "weight", order)) if exact else np.full(len(order), 1 / points_each)
    kind = np.arange(population.sessions)
    laws = mediators.reshape(len(columns.mediators), *shape, points_each).transpose(1, 2, 3, 0)
    return Replays(laws, weights.reshape(*shape, points_each), population.context, kind, exact)


def _check_context(table: Mapping[str, list[Any]], order: list[int], population: SessionLog) -> None:
    """Refuse a replay on another context than its session's; an empty one is the session's."""
    each = len(order) // population.sessions
    for place, name in enumerate(population.columns.context):
        values = table["context_" + name]
        for number, k in enumerate(order):
            own = population.context[number // each, place]
            if not _is_empty(values[k]) and values[k] != own:
                raise InputError(f"a replay must be on its session's context_{name}, {own:g}, got {shown(values[k])}")


def _sessions(table: Mapping[str, list[Any]], rows: list[int]) -> dict[int, int]:
    """Return the place of each session among the rows of a source."""
    if "session" not in table:
        return {number: number for number in range(len(rows))}
    found = {_whole(table["session"][k]): place for place, k in enumerate(rows)}
    if len(found) < len(rows):
        raise InputError("each session must have one row of its source, and one has several")
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value % 1:
        raise InputError(f"session must be a whole number, got {shown(value)}")
    if abs(value) > _LARGEST_SESSION:
        raise InputError(f"session must be at most {_LARGEST_SESSION}, got {shown(value)}")
    return int(value)


def _numbers(table: Mapping[str, list[Any]], name: str, rows: list[int]) -> list[float]:
    """Return a column's finite numbers; true and false count as 1 and 0."""
    values = [table[name][k] for k in rows]
    for value in values:
        if not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{name} must be a finite number in every row that needs it, got {shown(value)}")
    return [float(value) for value in values]


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
