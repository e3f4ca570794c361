"""Tables: no text becomes a formula, numbers stay numbers, and a small file cannot unfold to a large one."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from auctionsim import tables
from auctionsim.tables import csv_cell, csv_text, from_csv_cell, read_csv, read_parquet

FORMULAS = [
    "=1+1",
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "'=1",
    "''-1",
    "＝1",
    '=HYPERLINK("x")',
    "-",
]
PLAIN = ["", "a = b", "Nike", "'tis", "3", "naïve", '"quoted"', "two\nlines", "a,b", "' '"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_quoted_and_comes_back(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    assert from_csv_cell(csv_cell(text)) == text


@pytest.mark.parametrize("text", PLAIN)
def test_other_texts_are_left_alone(text: str) -> None:
    assert csv_cell(text) == text == from_csv_cell(text)


@given(st.text(alphabet="'=+-@\t ab1", max_size=6))
def test_any_text_comes_back_and_begins_like_no_formula(text: str) -> None:
    assert from_csv_cell(csv_cell(text)) == text
    assert not csv_cell(text).lstrip(" ").startswith(("=", "+", "-", "@", "\t"))


def test_numbers_stay_numbers_and_texts_come_back_from_a_file(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"=reply": FORMULAS, "loss": np.linspace(-1, 1, len(FORMULAS)), "n": -3, "told": [True, *[None] * 12]}
    )
    path = tmp_path / "menu.csv"
    path.write_text(csv_text(frame), encoding="utf-8", newline="")
    assert pd.read_csv(path)["loss"].tolist() == pytest.approx(frame["loss"].tolist())
    assert pd.read_csv(path)["n"].tolist() == [-3] * len(FORMULAS)
    for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline="")):
        assert not line[0].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    assert [row["=reply"] for row in read_csv(path)] == FORMULAS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "is not UTF-8 at byte 0"),
        (b"a,b\n1\n", "line 2 has 1 cells, its header 2"),
        (b"a,a\n", "different names"),
        (b'a\n"' + b"x" * 200_000 + b'"\n', "field larger than field limit"),
        (b'a\n"x', "unexpected end of data"),
    ],
)
def test_a_damaged_csv_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "menu.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"menu\.csv: .*{message}"):
        read_csv(path)


def written(path: Path, table: pa.Table, **options: object) -> Path:
    parquet.write_table(table, path, **options)
    return path


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "text": ["x", None, "y"],
            "whole": [1, 2, 3],
            "share": [0.5, None, -1.5],
            "told": [True, False, True],
            "day": pd.to_datetime(["2026-01-01", None, "2026-01-03"]),
            "kind": pd.Categorical(["a", "b", "a"]),
        }
    )
    frame.to_parquet(tmp_path / "table.parquet")
    table = read_parquet(tmp_path / "table.parquet")
    assert table.columns == tuple(frame.columns)
    assert table.numeric == (False, True, True, True, False, False)
    assert table.rows[0][:4] == ("x", 1, 0.5, True)
    assert table.rows[1][:3] == (None, 2, None)
    assert table.rows[0][4].startswith("2026-01-01")
    assert [row[5] for row in table.rows] == ["a", "b", "a"]
    assert table.total == 3
    first = read_parquet(tmp_path / "table.parquet", 2)
    assert (len(first.rows), first.total) == (2, 3)
    assert first.records()[0]["text"] == "x"


def test_an_empty_table_has_no_rows(tmp_path: Path) -> None:
    pd.DataFrame({"a": pd.Series([], dtype=float)}).to_parquet(tmp_path / "empty.parquet")
    assert read_parquet(tmp_path / "empty.parquet") == (("a",), (True,), [], 0)


def nested(path: Path) -> Path:
    return written(path, pa.table({"a": [[1, 2], [3]]}))


def inner(path: Path) -> Path:
    return written(path, pa.table({"a": [{"b": 1}]}))


def zstd(path: Path) -> Path:
    return written(path, pa.table({"a": [1]}), compression="zstd")


def bytes_(path: Path) -> Path:
    return written(path, pa.table({"a": [b"\xff"]}))


def long_text(path: Path) -> Path:
    return written(path, pa.table({"a": ["x" * (tables.MOST_TEXT + 1)]}))


def many_rows(path: Path) -> Path:
    return written(path, pa.table({"a": pa.array(np.zeros(tables.MOST_CELLS + 1, dtype=np.int8))}))


def twice(path: Path) -> Path:
    return written(path, pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def many_columns(path: Path) -> Path:
    return written(path, pa.table({f"c{k}": [k] for k in range(tables.MOST_COLUMNS + 1)}))


def no_table(path: Path) -> Path:
    path.write_bytes(b"PAR1" + bytes(40) + b"PAR1")
    return path


def cut(path: Path) -> Path:
    path.write_bytes(written(path, pa.table({"a": [1, 2]})).read_bytes()[:-20])
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (nested, "is not plain"),
        (inner, "is not plain"),
        (zstd, "is compressed by ZSTD"),
        (bytes_, "holds bytes, not texts"),
        (long_text, "letters, and"),
        (many_rows, "cells are read"),
        (twice, "two of its columns have one name"),
        (many_columns, "it has 1025 columns"),
        (no_table, "is no table that can be read"),
        (cut, "is no table that can be read"),
    ],
)
def test_what_is_not_plain_or_too_large_is_named(make: object, message: str, tmp_path: Path) -> None:
    path = make(tmp_path / "table.parquet")  # type: ignore[operator]
    with pytest.raises(ValueError, match=rf"table\.parquet: .*{message}"):
        read_parquet(path)


def test_a_small_file_that_unfolds_to_gigabytes_takes_little_memory(tmp_path: Path) -> None:
    """One text of a megabyte, three thousand times: 3 GB as pandas reads it, refused or shared here."""
    text = pa.array(["x" * tables.MOST_TEXT])
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3000, dtype=np.int32)), text)
    path = written(tmp_path / "bomb.parquet", pa.table({"a": column}))
    assert path.stat().st_size < 1 << 18
    code = (
        "import sys; from peak_memory import peak_bytes; "
        "from auctionsim.tables import read_parquet; import pyarrow.parquet; "
        "before = peak_bytes(); "
        "assert read_parquet(sys.argv[1]).total == 3000; "
        "print(peak_bytes() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) < 200_000_000
