"""Campaigns and query types in files: what is written is read again; what does not fit is refused in a sentence."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from auctionsim.market.generator import GeneratorSettings, Outlet, generate
from auctionsim.market.table_files import load_campaigns, load_query_types, save_campaigns, save_query_types

MADE = generate(
    GeneratorSettings(query_types=5, campaigns=7, targeted=0.5), [Outlet("shoes", "here", ("a", "b"), ("request",))]
)
CAMPAIGN = {"name": ["x", "y"], "category": ["c", "c"], "brand": ["a", "b"], "value": ["uniform:0,1"] * 2}
QUERY = {"name": ["q"], "category": ["c"], "placement": ["p"], "arrivals": [2.0]}


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in one.__dataclass_fields__)


def test_what_is_written_is_read_again_bit_for_bit(tmp_path: Path) -> None:
    save_campaigns(tmp_path / "c.parquet", MADE.campaigns)
    save_query_types(tmp_path / "q.parquet", MADE.query_types)
    assert same(load_campaigns(tmp_path / "c.parquet"), MADE.campaigns)
    assert same(load_query_types(tmp_path / "q.parquet"), MADE.query_types)


def test_a_table_of_pandas_and_a_csv_file_are_read_and_empty_cells_have_their_usual_values(tmp_path: Path) -> None:
    pd.DataFrame({**CAMPAIGN, "budget": [None, 3.0]}).to_parquet(tmp_path / "c.parquet")
    read = load_campaigns(tmp_path / "c.parquet")
    assert read.budget.tolist() == [np.inf, 3.0]
    assert (read.target.tolist(), read.relevance.tolist(), read.exit.tolist()) == ([0, 0], [1, 1], [np.inf] * 2)
    assert read.controller == ("none", "none")
    (tmp_path / "c.csv").write_text('name,category,brand,value,budget\nx,c,a,"uniform:0,1",\ny,c,b,"beta:2,5",2.5\n')
    assert load_campaigns(tmp_path / "c.csv").budget.tolist() == [np.inf, 2.5]


def test_weights_of_hours_are_scaled_to_mean_one(tmp_path: Path) -> None:
    pd.DataFrame({**QUERY, **{f"hour_{h}": [float(h)] for h in range(24)}}).to_parquet(tmp_path / "q.parquet")
    read = load_query_types(tmp_path / "q.parquet")
    np.testing.assert_allclose(read.hours[0], np.arange(24) / 11.5)
    pd.DataFrame(QUERY).to_parquet(tmp_path / "q.parquet")
    assert (load_query_types(tmp_path / "q.parquet").hours == 1).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"colour": ["red", "blue"]}, "has a column 'colour', which is not one of name, category"),
        ({"brand": None}, "brand must be given in every row, row 0 has none"),
        ({"brand": ["a", None]}, "brand must be given in every row, row 1 has none"),
        ({"brand": [1, 2]}, "brand must be text, got 1"),
        ({"budget": ["much", "more"]}, "budget must be a number, got 'much'"),
        ({"budget": [0.0, 1.0]}, "the budget of 'x' must be a number > 0, got 0"),
        ({"relevance": [1.0, 1.5]}, "the relevance of 'y' must be"),
        ({"name": ["x", "x"]}, "each once, got 'x'"),
        ({"value": ["uniform:0,1", "uniform:1,0"]}, "the value of campaign 'y' is no prior"),
        ({"value": ["uniform:0,1;uniform:0,2"] * 2}, "one campaign has one prior"),
        ({"arrival": [3.0, 0.0], "exit": [2.0, 5.0]}, "campaign 'x' must arrive before it leaves"),
        ({"budget": [True, False]}, "budget must be a number, got True"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_by_name(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    columns = {name: column for name, column in {**CAMPAIGN, **changed}.items() if column is not None}
    pd.DataFrame(columns).to_parquet(tmp_path / "c.parquet")
    with pytest.raises(ValueError, match=rf"c\.parquet: .*{message}") as refused:
        load_campaigns(tmp_path / "c.parquet")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("hours", [[-1.0], [np.inf], [0.0], [1e308]])
def test_weights_that_are_none_are_refused(hours: list[float], tmp_path: Path) -> None:
    pd.DataFrame({**QUERY, **{f"hour_{h}": hours for h in range(24)}}).to_parquet(tmp_path / "q.parquet")
    with pytest.raises(ValueError, match=r"q\.parquet: hour_0 to hour_23 must"):
        load_query_types(tmp_path / "q.parquet")


def test_a_file_that_is_cut_or_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.parquet"
    save_campaigns(path, MADE.campaigns)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"c\.parquet: is no table that can be read"):
        load_campaigns(path)
    with pytest.raises(ValueError, match=r"ends in \.parquet or \.csv"):
        load_campaigns(tmp_path / "c.xlsx")
    with pytest.raises(FileNotFoundError):
        load_campaigns(tmp_path / "nosuch.parquet")
    pd.DataFrame({name: [] for name in CAMPAIGN}).to_parquet(path)
    with pytest.raises(ValueError, match="there must be campaigns, got none"):
        load_campaigns(path)
