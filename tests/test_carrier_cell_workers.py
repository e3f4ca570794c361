"""Cells of the table of carriers and of the board on Ray workers: the same files as in one process, byte for byte."""

from functools import partial
from pathlib import Path

import pytest
from carrier_fakes import MadeUp, write_list

from auctionsim.experiments.running.board_cell import MECHANISMS, SYSTEMS, RowName
from auctionsim.experiments.running.board_cells import board_cells, planned
from auctionsim.experiments.running.board_score import BoardSettings
from auctionsim.experiments.running.carrier_cells import carrier_cells
from auctionsim.experiments.running.carrier_sources import carrier_source
from auctionsim.measurement import Progress, Workers
from auctionsim.testing import fake_language_model

pytest.importorskip("ray", reason="workers are Ray's")
pytestmark = [
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # ray's tips about accelerators that are not there
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.mark.slow
def test_workers_make_the_same_cells(tmp_path: Path) -> None:
    made = [MadeUp("first"), MadeUp("second", lift=2.0), MadeUp("slots", ads=True)]
    lists = [write_list(tmp_path / "lists", one, strengths=(1.0,), prompts=2, samples=2) for one in made]
    sources = {path.stem: carrier_source(str(path)) for path in lists}
    alone = carrier_cells(tmp_path / "alone", sources)
    seen: list[Progress] = []
    crew = Workers(2, partial(fake_language_model))
    together = carrier_cells(tmp_path / "together", sources, crew, seen.append)
    assert list(together) == list(alone) == list(sources)
    assert (seen[0], seen[-1]) == ((0, 3), (3, 3))
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "together" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_workers_make_the_same_board(tmp_path: Path) -> None:
    made = [MadeUp("neurons"), MadeUp("slots", ads=True)]
    lists = [write_list(tmp_path / "lists", one, strengths=(1.0,), prompts=2, samples=2) for one in made]
    sources = {(one.name, "running shoes"): carrier_source(str(path)) for one, path in zip(made, lists, strict=True)}
    rows = [RowName(MECHANISMS, "vcg", "neurons", "vcg"), RowName(SYSTEMS, "mine", "slots", "pay-as-bid")]
    plans = planned(rows, sources, ["running shoes"], BoardSettings(32, 4, 16, 10))
    alone = board_cells(tmp_path / "alone", plans)
    together = board_cells(tmp_path / "together", plans, Workers(2, partial(fake_language_model)))
    assert together == alone
    assert len(alone) == len(plans)
    for path in (tmp_path / "alone").iterdir():
        assert (tmp_path / "together" / path.name).read_bytes() == path.read_bytes()
