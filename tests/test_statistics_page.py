"""The code of docs/statistics-of-trust.md runs as it stands, and gives the numbers that the page names."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "statistics-of-trust.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def test_every_example_runs_and_says_what_the_page_says() -> None:
    names: dict[str, Any] = {"__name__": "statistics"}
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/statistics-of-trust.md, block {number}", "exec"), names)
    assert names["cohen_kappa"](names["first"], names["second"]).value == pytest.approx(0.4)
    alphas = [round(names["alphas"][level].value, 4) for level in ("nominal", "ordinal", "interval", "ratio")]
    assert alphas == [0.7434, 0.8154, 0.8491, 0.7974]
    assert names["errors"].agreed_error < names["errors"].split_error
    assert names["mended"].after.brier < names["mended"].before.brier
    designed = names["designed"]
    assert designed.low < 0.5 < designed.high < names["is_bad"][names["labelled"]].mean()
    assert names["inside"].coverage == pytest.approx(0.9)
    assert sum(stage.share for stage in names["cascade"].stages) > 0.2
    assert names["rates"].naive > 0.5 > 0.2 > names["rates"].within_strata
    law = 2 * 1.959964 * np.sqrt((1 - 0.64) / 100 + 0.64 / 1000)
    assert "is .2553 wide" in PAGE
    assert law == pytest.approx(0.2553, abs=1e-4)


def test_the_names_in_the_table_are_there() -> None:
    import auctionsim.trust
    from auctionsim.trust import few_labels, guarantees, raters

    rooms = {"trust": auctionsim.trust, "few_labels": few_labels, "guarantees": guarantees, "raters": raters}
    rows = [line.split("|")[3] for line in PAGE.splitlines() if line.startswith("| ") and "`" in line]
    assert len(rows) == 14
    for row in rows:
        room = rooms[re.findall(r"`(\w+)\.", row)[0]]
        for name in re.findall(r"`(?:\w+\.)?(\w+)`", row):
            assert name in room.__all__, name
