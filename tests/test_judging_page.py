"""The code of docs/judging.md runs as it stands, block after block, and does what the page says."""

import re
from pathlib import Path
from typing import Any

from auctionsim import readings
from auctionsim.readings import LOWER, Reply

PAGE = (Path(__file__).parent.parent / "docs" / "judging.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_a_reading_of_ones_own_passes_where_it_is_for_and_fails_elsewhere() -> None:
    names: dict[str, Any] = {"__name__": "judging"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/judging.md, block {number}", "exec"), names)
    assert len(BLOCKS) == 4
    loss, drift = names["loss"], names["report"]
    assert (loss.role, loss.loss, bool(loss.admission)) == ("loss", LOWER, True)
    assert (drift.kind, drift.passed) == ("drift", False)
    assert "AUC" in drift.failure
    assert loss.read([Reply("", "Nike Nike nike, shoes", [1], ()), Reply("", "", [], ())], ()) == [2 / 24, 0]
    assert "said_again" not in readings.names()
    assert 850 <= len(names["labels"].labels) < 950  # as the page says
    assert len(names["labels"].categories) == 5


def test_every_reading_that_the_page_names_is_one() -> None:
    tables = PAGE[: PAGE.index("## Judges")]
    known = set(readings.names())
    rows = [line for line in tables.splitlines() if line.startswith("| `")]
    named = [name for line in rows for name in re.findall(r"`(\w+)`", line.split("|")[1])]
    assert len(named) > 40
    assert len(set(named)) == len(named)
    assert set(named) <= known
