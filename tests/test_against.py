"""The comparison with another checkout: processes in turn, a ratio from each pair; speed itself is never asserted."""

import ast
import json
from pathlib import Path

import pytest

from benchmarks import against

ROOT = Path(__file__).parents[1]
CLOCKS = {"perf_counter", "process_time", "monotonic", "thread_time"}


def seconds_of(scale: float) -> dict[str, float]:
    return {"touched": 4 * scale, "untouched": 3 * scale, against.PRODUCTS: 2.0}


def test_ratios_are_of_one_pair_each() -> None:
    """A machine that was half as fast in the second pair leaves every ratio as it is."""
    quiet, busy = (seconds_of(0.5), seconds_of(1.0)), (seconds_of(1.0), seconds_of(2.0))
    table = against.lines([quiet, busy])
    assert table[0].split() == ["touched", "0.500", "0.500", "to", "0.500", "[0.500", "0.500]"]
    assert table[2].startswith(against.PRODUCTS)
    assert "1.000" in table[2]
    assert "hooks 25.0%" in table[3]


def test_pairs_take_turns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Whoever began a pair is second in the next; this checkout's seconds are divided by the other's."""
    order = []

    def process(root: Path, what: str, options: object) -> dict[str, float]:
        del options
        order.append((what, root == against.HERE))
        return {"episodes": 1.0 if root == against.HERE else 4.0}

    monkeypatch.setattr(against, "measured", process)
    against.main(["--against", str(tmp_path), "--what", "envs", "--pairs", "3"])
    assert [here for _, here in order] == [True, False, False, True, True, False]
    assert "0.250  0.250 to 0.250" in capsys.readouterr().out


def test_a_process_imports_one_checkout_alone(tmp_path: Path) -> None:
    """Whatever is installed: the package, and what lies beside it in the checkout, come from the path."""
    for folder in ("auctionsim", "envs", "benchmarks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "envs" / "__init__.py").write_text("WHERE = __file__")
    script = (ROOT / "benchmarks" / "against.py").read_text(encoding="utf-8")
    script += "\n\ndef where(options):\n    from auctionsim.envs import WHERE\n\n    return {WHERE: 1.0}\n"
    script = script.replace('if __name__ == "__main__":\n    main()', "") + '\nWORK["envs"] = where\nmain()\n'
    (tmp_path / "asked.py").write_text(script)
    monkey = against.subprocess.run(
        [against.sys.executable, tmp_path / "asked.py", "--one", tmp_path, "--what", "envs"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (where,) = json.loads(monkey.stdout)
    assert Path(where).is_relative_to(tmp_path)
    with pytest.raises(ValueError, match="is no checkout of auctionsim"):
        against.use_checkout(tmp_path / "envs")


def test_no_test_asserts_a_speed_of_decoding() -> None:
    """A test of models, readings or accelerators that looks at a clock would fail on a busy machine."""
    clocked = []
    for path in [
        *ROOT.glob("tests/language_models/*.py"),
        *ROOT.glob("tests/readings/*.py"),
        ROOT / "tests/test_cuda_check.py",
    ]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            if name in CLOCKS:
                clocked.append(f"{path.name}:{node.lineno}")
    assert not clocked, clocked
