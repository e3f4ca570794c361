"""Every code block of every page that strangers read runs, or is read by what it would be given to."""

import subprocess
import sys
from pathlib import Path

import pytest
from auctionsim_words import wrong_words
from code_blocks import ROOT, blocks_of, commands_of, lacking, wrong_block
from prose import hand_written
from run_blocks import run_apart, run_page

PAGES = {page.relative_to(ROOT).as_posix(): page for page in hand_written()}
ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/board.md": "tests/experiments/test_entries.py",
    "docs/bring-your-own.md": "tests/test_bring_your_own.py",
    "docs/carriers.md": "tests/test_carrier_of_ones_own.py",
    "docs/corpus.md": "tests/experiments/test_bidders_corpus.py",
    "docs/environments.md": "tests/envs/test_docs.py",
    "docs/judging.md": "tests/test_judging_page.py",
    "docs/pacing.md": "tests/agents/test_pacing_page.py",
    "docs/statistics-of-trust.md": "tests/test_statistics_page.py",
}
"""Pages whose blocks another test runs, because it looks at what they compute."""
RUN = [
    name
    for name, page in PAGES.items()
    if name not in ELSEWHERE and any(one.language == "python" for one in blocks_of(page.read_text(encoding="utf-8")))
]
SCRIPT = ROOT / "tools" / "site" / "run_blocks.py"


@pytest.mark.parametrize("name", PAGES)
def test_blocks_are_written_right(name: str) -> None:
    blocks = blocks_of(PAGES[name].read_text(encoding="utf-8"))
    wrong = {block.line: wrong_block(block) for block in blocks if wrong_block(block)}
    assert not wrong, f"{name}: {wrong}"


@pytest.mark.timeout(900)  # every page, on cores that others use
def test_python_blocks_run() -> None:
    words = [sys.executable, str(SCRIPT), *(str(PAGES[name]) for name in RUN)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [f"ran {name}" for name in RUN] == done.stdout.splitlines()


def marked(kind: str) -> list[str]:
    return [name for name, page in PAGES.items() if any(one.kind == kind for one in blocks_of(page.read_text("utf-8")))]


@pytest.mark.deep
@pytest.mark.parametrize("name", marked("deep") or [pytest.param("", marks=pytest.mark.skip("no block is deep"))])
def test_deep_blocks_run(name: str) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--deep", str(PAGES[name])], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_tests_run_their_pages(name: str) -> None:
    """The test reads the page, and runs what it reads there."""
    text = (ROOT / ELSEWHERE[name]).read_text(encoding="utf-8")
    assert Path(name).name in text or Path(name).stem in text
    assert "```python" in text
    assert "exec(" in text or "write_text" in text


PAGE = """# A page

```python
x = 1
```

1. A step:

   ```python
   def f():

       return x
   ```

<!-- block: file own/mine.py -->
```python
y = 2
```

<!-- block: skip: needs a key -->
```python
raise SystemExit("never")
```

```python
from pathlib import Path

assert f() == 1 and Path("own/mine.py").read_text() == "y = 2\\n"
print("here")
```

<!-- block: deep: takes a minute -->
```python
assert not x
```
"""


def test_blocks_are_found_with_their_marks_and_lines() -> None:
    blocks = blocks_of(PAGE)
    assert [block.kind for block in blocks] == ["run", "run", "file", "skip", "run", "deep"]
    assert blocks[1].code == "def f():\n\n    return x\n"
    assert (blocks[2].word, blocks[3].word) == ("own/mine.py", "needs a key")
    for block in blocks:
        assert PAGE.splitlines()[block.line - 1].strip() == block.code.splitlines()[0]
    assert [block.language for block in blocks_of("````text\n```python\n```\n````\n")] == ["text"]


@pytest.mark.parametrize("mark", ["<!-- block: later: why -->", "<!-- block: skip -->", "<!-- block skip: why -->"])
def test_marks_that_are_none_are_refused(mark: str) -> None:
    with pytest.raises(ValueError, match="a block's mark is"):
        blocks_of(f"{mark}\n```python\n```\n")


def test_a_page_runs_up_to_what_is_deep(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    assert run_apart(page) == ""
    failure = run_apart(page, deep=True)
    assert "here" in failure
    assert f"line {PAGE.splitlines().index('assert not x') + 1}" in failure
    assert "AssertionError" in failure


def test_classes_of_a_page_can_be_pickled(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nimport pickle\nclass A: pass\npickle.loads(pickle.dumps(A()))\n```\n", encoding="utf-8")
    assert run_page(page) == ""
    sys.modules.pop("page")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("auctionsim doctor --quick   # one line", [["auctionsim", "doctor", "--quick"]]),
        ("$ A=1 make demo && cd x | tee y", [["make", "demo"], ["cd", "x"], ["tee", "y"]]),
        ("auctionsim say 'a; b' \\\n  --boost N=1x2", [["auctionsim", "say", "a; b", "--boost", "N=1x2"]]),
        ("# nothing\n\n", []),
        ('auctionsim trust panel --surface ""', [["auctionsim", "trust", "panel", "--surface", ""]]),
    ],
)
def test_commands_are_found(code: str, expected: list[list[str]]) -> None:
    assert commands_of(code) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("auctionsim surface nosuch", "no command 'nosuch'"),
        ("auctionsim surface measure --nosuch 3", "No such option"),
        ("auctionsim auction compare --surface a --feature", "requires an argument"),
        ("auctionsim doctor a b c", "unexpected words"),
        ("auctionsim doctor --plugin", "needs a value"),
        ("make nosuch", "no target nosuch"),
        ("python tools/nosuch.py", "there is no"),
        ("import torch", "no command"),
    ],
)
def test_commands_that_are_not_there_are_named(line: str, message: str) -> None:
    (words,) = commands_of(line)
    assert message in lacking(words)


def test_commands_that_are_there_pass() -> None:
    assert wrong_words(["--plugin", "a.py", "surface", "measure", "--out", "x", "--threads", "2", "--debug"]) == ""
    for line in ("make demo ARGS='--seed 1'", ".venv/bin/auctionsim doctor", "python tools/release.py --quick"):
        assert [lacking(words) for words in commands_of(line)] == [""]


@pytest.mark.parametrize("block", ["```toml\na =\n```", "```json\n{\n```", "```python\nx =\n```", "```yaml\na: 1\n```"])
def test_blocks_that_do_not_parse_are_named(block: str) -> None:
    (found,) = blocks_of(block)
    assert wrong_block(found)
