"""The code of the page on held-out opponents and logged auctions runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "logged-auctions.md").read_text()
POPULATIONS, LOGS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(compile(block, "docs/logged-auctions.md", "exec"), names)
    return names


def test_every_population_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(POPULATIONS)["result"]
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["half", "truth", "steering"]
    assert result.scores[0].interval.low < 1 / 6 < result.scores[0].interval.high  # v/2 against v/2 earns 1/6


def test_a_log_is_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run(LOGS)
    assert len(names["again"]) == 1600
    assert names["again"].probability.min() == pytest.approx(0.3 / 11)
    for name in names["again"].columns():
        assert f"`{name}`" in PAGE
