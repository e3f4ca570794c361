"""The code of the learner's pages runs as it stands: first steps, tutorials, concepts and the questions."""

import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(
    page
    for pattern in ("first-steps.md", "faq.md", "tutorials/*.md", "concepts/*.md")
    for page in DOCS.glob(pattern)
    if "```python\n" in page.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_blocks_run_in_order_in_an_empty_folder(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": page.stem.replace("-", "_")}
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
        exec(compile(block, f"{page.relative_to(DOCS)}, block {number}", "exec"), names)
