"""Tables in files: CSV whose texts no spreadsheet takes for formulas, parquet read within stated bounds.

A parquet file of some kilobytes can unfold to gigabytes: by repetition of one value, by compression, by lists within a
cell. So what is read is what auctionsim and pandas write by default, plain columns compressed by snappy or not at all,
and sizes are checked before values are read. Importing this loads neither pandas nor pyarrow.
"""

import csv
import io
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from auctionsim.errors import InputError
from auctionsim.files import read_bounded, read_text_bounded
from auctionsim.records import shown

if TYPE_CHECKING:
    import pandas as pd

MOST_TABLE_BYTES = 1 << 24
"""Of a file of a table: 16 MiB; snappy unfolds that to 350 MB at most."""
MOST_CELLS = 1 << 22
"""Rows × columns that are read of a table."""
MOST_COLUMNS = 1024
"""Of a table."""
MOST_TEXT = 1 << 20
"""Letters of a text in a cell."""
_CODECS = ("SNAPPY", "UNCOMPRESSED")
_KINDS = ("BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "BYTE_ARRAY")
_FORMULA = "=+-@\t\r\n＝＋－＠"  # what spreadsheets take for the beginning of a formula


class Rows(NamedTuple):
    """A table as it was read.

    Attributes:
        columns: Names.
        numeric: Of each column, whether it holds numbers, or true and false.
        rows: Values in the columns' order: bool, int, float, str, or None where nothing is.
        total: How many rows the file has.
    """

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: list[tuple[Any, ...]]
    total: int

    def records(self) -> list[dict[str, Any]]:
        """Return each row by column name."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def read_parquet(path: str | os.PathLike[str], first: int | None = None) -> Rows:
    """Read a parquet file of plain columns.

    Args:
        path: The file.
        first: How many rows to read; None: all.
    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no parquet file, damaged, larger than the bounds above, or has a column that is not plain;
            names the file.
        ImportError: pyarrow is not installed.
    """
    import pyarrow as pa

    content = read_bounded(path, MOST_TABLE_BYTES)
    try:
        return _rows(content, first)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:  # OSError: pyarrow's word for damage
        raise InputError(f"{os.fspath(path)}: is no table that can be read: {' '.join(str(error).split())}") from None


def _rows(content: bytes, first: int | None) -> Rows:
    import pyarrow as pa
    from pyarrow import parquet

    texts = _checked_shape(parquet.ParquetFile(io.BytesIO(content)), first)
    file = parquet.ParquetFile(
        io.BytesIO(content), read_dictionary=texts, pre_buffer=False, arrow_extensions_enabled=False
    )
    total = file.metadata.num_rows
    count = total if first is None else min(first, total)
    kinds = [field.type for field in file.schema_arrow]
    numeric = tuple(pa.types.is_integer(k) or pa.types.is_floating(k) or pa.types.is_boolean(k) for k in kinds)
    rows: list[tuple[Any, ...]] = []
    for batch in file.iter_batches(batch_size=max(min(count, 1 << 12), 1)):
        columns = [_values(column.slice(0, count - len(rows))) for column in batch.columns]
        rows += zip(*columns, strict=True)
        if len(rows) >= count:
            break
    if len(rows) < count:
        raise InputError(f"has {len(rows)} rows, and says that it has {total}")
    return Rows(tuple(file.schema_arrow.names), numeric, rows, total)


def _checked_shape(file: Any, first: int | None) -> list[str]:
    """Refuse what may unfold, by the file's own description; return the columns of texts."""
    about = file.metadata
    if not 0 < about.num_columns <= MOST_COLUMNS:
        raise InputError(f"it has {about.num_columns} columns, and 1 to {MOST_COLUMNS} are read")
    cells = about.num_columns * (about.num_rows if first is None else min(first, about.num_rows))
    if about.num_rows < 0 or cells > MOST_CELLS:
        raise InputError(f"it has {about.num_rows} rows of {about.num_columns} columns; {MOST_CELLS} cells are read")
    names = [file.schema.column(k).name for k in range(about.num_columns)]
    if len(set(names)) < len(names):
        raise InputError("two of its columns have one name")
    for k, name in enumerate(names):
        column = file.schema.column(k)
        if column.path != name or column.max_repetition_level or column.physical_type not in _KINDS:
            raise InputError(f"its column {shown(name)} is not plain: numbers, texts, true and false are read")
    for group in range(about.num_row_groups):
        for k, name in enumerate(names):
            codec = about.row_group(group).column(k).compression
            if codec not in _CODECS:
                raise InputError(f"its column {shown(name)} is compressed by {codec}; {' and '.join(_CODECS)} are read")
    return [name for k, name in enumerate(names) if file.schema.column(k).physical_type == "BYTE_ARRAY"]


def _values(column: Any) -> list[Any]:
    """Return a column as Python has it; equal texts are one object, so that repetition takes no memory."""
    import pyarrow as pa

    column.validate(full=True)
    if pa.types.is_dictionary(column.type):
        texts = _values(column.dictionary)
        return [None if place is None else texts[place] for place in column.indices.to_pylist()]
    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise InputError("a column holds bytes, not texts")
    plain = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    if not any(is_kind(kind) for is_kind in (*plain, pa.types.is_boolean)):
        column = column.cast(pa.string())  # dates and times, as they are written
    values: list[Any] = column.to_pylist()
    longest = max((len(value) for value in values if isinstance(value, str)), default=0)
    if longest > MOST_TEXT:
        raise InputError(f"a text has {longest} letters, and {MOST_TEXT} are read")
    return values


def csv_text(frame: "pd.DataFrame") -> str:
    """Return a table as CSV; a text that a spreadsheet would take for a formula gets an apostrophe before it.

    Numbers stay numbers. `from_csv_cell` takes the apostrophe away again, and no other.
    """
    texts = frame.select_dtypes(exclude=["number", "bool"]).columns
    safe = frame.assign(**{name: frame[name].map(csv_cell) for name in texts}).rename(columns=csv_cell)
    returns = any("\r" in str(value) for name in texts for value in safe[csv_cell(name)])  # not quoted otherwise
    quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if returns else csv.QUOTE_MINIMAL
    return str(safe.to_csv(index=False, lineterminator="\n", quoting=quoting))


def csv_cell(value: Any) -> Any:
    """Return a cell's value as CSV may hold it: a text that begins like a formula, quoted by an apostrophe.

    Example:
        >>> csv_cell("=1+1"), csv_cell("'=1+1"), csv_cell("a = b"), csv_cell(-1.5)
        ("'=1+1", "''=1+1", 'a = b', -1.5)
    """
    return f"'{value}" if isinstance(value, str) and _is_formula(value) else value


def from_csv_cell(text: str) -> str:
    """Return the text that `csv_cell` was given.

    Example:
        >>> from_csv_cell("'=1+1"), from_csv_cell("''=1+1"), from_csv_cell("'tis")
        ('=1+1', "'=1+1", "'tis")
    """
    return text[1:] if text.startswith("'") and _is_formula(text) else text


def _is_formula(text: str) -> bool:
    return text.lstrip(" '").startswith(tuple(_FORMULA))


def read_csv(path: str | os.PathLike[str]) -> list[dict[str, str]]:
    """Read a CSV file with a header, texts as they were before `csv_text`.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is no text, no CSV, larger than the bounds above, or a row has another number of cells than the
            header; names the file.
    """
    text = read_text_bounded(path, MOST_TABLE_BYTES)
    try:
        if "\0" in text:
            raise InputError("it has a character 0")
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [from_csv_cell(cell) for cell in next(lines, [])]
        if len(header) > MOST_COLUMNS or len(set(header)) < len(header):
            raise InputError(f"its header must have up to {MOST_COLUMNS} different names, got {len(header)}")
        rows = []
        for line in lines:
            if len(line) != len(header):
                raise InputError(f"line {lines.line_num} has {len(line)} cells, its header {len(header)}")
            rows.append(dict(zip(header, map(from_csv_cell, line), strict=True)))
            if len(rows) * len(header) > MOST_CELLS:
                raise InputError(f"it has more than {MOST_CELLS} cells")
    except (ValueError, csv.Error) as error:
        raise InputError(f"{os.fspath(path)}: is no CSV table: {error}") from None
    return rows


def numbers_of(row: Mapping[str, str], where: str, *names: str) -> list[float]:
    """Return the numbers in these cells of a row of CSV.

    Raises:
        ValueError: A cell is missing or holds no number; names `where` and the cell.
    """
    numbers = []
    for name in names:
        try:
            numbers.append(float(row[name]))
        except (KeyError, ValueError):
            raise InputError(f"{where}: {name} must be a number, got {shown(row.get(name))}") from None
    return numbers
