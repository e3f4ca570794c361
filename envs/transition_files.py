"""Files of transitions: parquet that is written whole, read within stated bounds, and read by RLlib as it is."""

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from auctionsim.envs.transitions import LogSource, Transitions, check_source
from auctionsim.errors import InputError
from auctionsim.files import read_bounded, replacing
from auctionsim.records import LARGEST_WHOLE, Record, parse_json

if TYPE_CHECKING:
    import pyarrow

KEY = b"auctionsim_transitions"  # in the file's metadata: its source, as JSON
VERSION = 1
MOST_BYTES = 1 << 28
"""Of a file: 256 MiB."""
MOST_NUMBERS = 1 << 27
"""Rows × numbers a row that are read: 1 GiB of doubles at most."""
MOST_SOURCE = 1 << 20
"""Bytes of the source in the file's metadata."""
GROUP_ROWS = 1 << 16
_CODECS = ("SNAPPY", "UNCOMPRESSED")

RLLIB_COLUMNS = {
    "eps_id": "episode",
    "t": "round",
    "obs": "observation",
    "actions": "action",
    "rewards": "reward",
    "new_obs": "next_observation",
    "terminateds": "terminated",
    "truncateds": "truncated",
}
"""`input_read_schema` of RLlib's offline data: its name of a column, and ours."""


def write_transitions(path: str | os.PathLike[str], transitions: Transitions) -> None:
    """Write transitions to one parquet file, whole or not at all."""
    import pyarrow as pa
    from pyarrow import parquet

    schema = _schema(transitions.source)
    arrays = [_array(transitions.columns()[field.name], field.type) for field in schema]
    with replacing(Path(path)) as draft:
        parquet.write_table(
            pa.table(arrays, schema=schema),
            draft,
            compression="snappy",
            row_group_size=GROUP_ROWS,
            write_page_checksum=True,
        )


def read_transitions(path: str | os.PathLike[str]) -> Transitions:
    """Read what `write_transitions` wrote, from anybody: what is no such log is refused.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is truncated, damaged, larger than the bounds above, or something else; names the file and the
            rule.
    """
    import pyarrow as pa

    content = read_bounded(path, MOST_BYTES)
    try:
        return _transitions(content)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # OSError: pyarrow's word for damage
        raise InputError(f"{os.fspath(path)}: is no log of transitions: {' '.join(str(error).split())}") from None


def _transitions(content: bytes) -> Transitions:
    from pyarrow import parquet

    file = parquet.ParquetFile(
        io.BytesIO(content), pre_buffer=False, arrow_extensions_enabled=False, page_checksum_verification=True
    )
    source = _source((file.metadata.metadata or {}).get(KEY))
    expected = _schema(source)
    if not file.schema_arrow.equals(expected):
        raise InputError(f"its columns must be {', '.join(expected.names)}, of the kinds that are documented")
    _check_size(file.metadata, sum(source.widths) * 2 + len(source.features) + 7)
    table = file.read()
    if len(table) != file.metadata.num_rows:
        raise InputError(f"it has {len(table)} rows, and says that it has {file.metadata.num_rows}")
    table.validate(full=True)
    return Transitions(source, **{name: _numbers(table.column(name), name) for name in expected.names})


def _check_size(about: Any, width: int) -> None:
    """Refuse what may unfold, by the file's own description."""
    if about.num_rows < 0 or about.num_rows * width > MOST_NUMBERS:
        raise InputError(f"it has {about.num_rows} rows of {width} numbers; {MOST_NUMBERS} numbers are read")
    for group in range(about.num_row_groups):
        for place in range(about.num_columns):
            column = about.row_group(group).column(place)
            if column.compression not in _CODECS:
                raise InputError(f"it is compressed by {column.compression}; {' and '.join(_CODECS)} are read")
            if column.num_values > MOST_NUMBERS:
                raise InputError(f"a column has {column.num_values} values; {MOST_NUMBERS} are read")


def _schema(source: LogSource) -> "pyarrow.Schema":
    import pyarrow as pa

    seen, done = pa.list_(pa.float32(), sum(source.widths)), pa.list_(pa.float32(), len(source.features))
    kinds = {
        "episode": pa.int64(),
        "round": pa.int64(),
        "observation": seen,
        "action": done,
        "reward": pa.float64(),
        "next_observation": seen,
        "terminated": pa.bool_(),
        "truncated": pa.bool_(),
        "cost": pa.float64(),
        "probability": pa.float64(),
    }
    about = {"version": VERSION, **source._asdict()}
    return pa.schema(list(kinds.items()), metadata={KEY: json.dumps(about).encode()})


def _source(text: bytes | None) -> LogSource:
    if text is None or len(text) > MOST_SOURCE:
        raise InputError("its metadata must name what was logged, in at most 1 MiB")
    record = Record(parse_json(text), "its source")
    if record.whole("version") != VERSION:
        raise InputError(f"its version is {record.whole('version')}; {VERSION} is read")
    source = LogSource(
        features=record.texts("features"),
        observed=record.texts("observed"),
        widths=record.wholes("widths", 1, MOST_NUMBERS),
        action_high=record.numbers("action_high", 0.0),
        rounds=record.whole("rounds", 1),
        learner=record.whole("learner"),
        behaviour=record.text("behaviour"),
        measure=record.text("measure"),
        seed=record.whole("seed", 0, LARGEST_WHOLE),
        setting=record.text_or_none("setting"),
    )
    check_source(source)
    if sum(source.widths) > MOST_NUMBERS:
        raise InputError(f"an observation has {sum(source.widths)} numbers; {MOST_NUMBERS} are read")
    return source


def _array(column: np.ndarray, kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(column, dtype=np.float32).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, kind.list_size)
    return pa.array(column, type=kind)


def _numbers(column: Any, name: str) -> np.ndarray:
    """Return a column as numpy has it: one number a row, or several."""
    import pyarrow as pa

    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], type=column.type)
    if pa.types.is_fixed_size_list(whole.type):
        inner = whole.flatten()
        if whole.null_count or inner.null_count:
            raise InputError(f"{name} must have a value in every row")
        numbers: np.ndarray = inner.to_numpy(zero_copy_only=False).reshape(len(whole), whole.type.list_size)
        return numbers
    if whole.null_count:
        raise InputError(f"{name} must have a value in every row")
    flat: np.ndarray = whole.to_numpy(zero_copy_only=False)
    return flat
