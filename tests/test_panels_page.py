"""The code of docs/panels.md runs as it stands, block after block, and prints what the page says."""

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "panels.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_examples_print_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "panels"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/panels.md, block {number}", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert len(BLOCKS) == 9
    assert lines[:3] == ["0.792", "0.86072 0.912", "True False False"]
    assert round(names["strengths"][0] - names["strengths"][1], 4) == 1.0986
    assert lines[-1] == "0.5 0.464"
    assert (names["model"].labels == names["truth"]).mean() > 0.89
    assert [names["trimmed_score"](names["scores"], 0.2)[0], names["max_score"](names["scores"])[0]] == [0.25, 9.0]
