"""The version stands in one place; the release script finds what disagrees with it, and what a built file lacks."""

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

import auctionsim

ROOT = Path(__file__).parent.parent
STATED = ("CHANGELOG.md", "CITATION.cff", "pyproject.toml", "auctionsim/__init__.py")


@pytest.fixture(scope="module")
def release() -> ModuleType:
    """The script, as a module."""
    found = importlib.util.spec_from_file_location("release_script", ROOT / "tools" / "release.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files that state a version, in a folder of their own."""
    for name in STATED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def changed(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def test_one_version(release: ModuleType) -> None:
    version = release.declared_version(ROOT)
    assert version == auctionsim.__version__
    assert release.disagreements(ROOT, version) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("CHANGELOG.md", f"## {auctionsim.__version__} (", "## 9.9.9 (", "CHANGELOG.md begins with 9.9.9"),
        ("CITATION.cff", f"\nversion: {auctionsim.__version__}", "\nversion: 9.9.9", "CITATION.cff cites 9.9.9"),
        ("CITATION.cff", "\nversion: ", "\nedition: ", "CITATION.cff cites no version"),
        ("pyproject.toml", 'dynamic = ["version"]', 'version = "9.9.9"', "pyproject.toml must read"),
        ("auctionsim/__init__.py", f'"{auctionsim.__version__}"', '"1"', "MAJOR.MINOR.PATCH"),
    ],
)
def test_what_disagrees_is_named(release: ModuleType, copy: Path, name: str, old: str, new: str, words: str) -> None:
    changed(copy, name, old, new)
    assert any(words in line for line in release.disagreements(copy, release.declared_version(copy)))


def test_what_a_release_lacks_is_named(release: ModuleType, copy: Path) -> None:
    """Until the changelog has a date, the citation the same, and HEAD the tag."""
    version = release.declared_version(copy)
    heading, there = release.newest_change(copy)
    changed(copy, "CHANGELOG.md", f"## {heading} ({there})", f"## {heading} (unreleased)")

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *who, *words], cwd=copy, check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "all")
    open_points = release.what_is_open(copy, version)
    assert [line.split()[0] for line in open_points] == ["CHANGELOG.md", "HEAD"]
    changed(copy, "CHANGELOG.md", "(unreleased)", "(2031-02-03)")
    assert any("CITATION.cff was released on" in line for line in release.what_is_open(copy, version))
    text = (copy / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    dated = ['date-released: "2031-02-03"' if line.startswith("date-released") else line for line in text]
    (copy / "CITATION.cff").write_text("\n".join(dated), encoding="utf-8")
    assert release.what_is_open(copy, version)[-1] == "the checkout has changes that are not committed"
    git("commit", "-qam", "dates")
    git("tag", f"v{version}")
    assert release.what_is_open(copy, version) == []


def test_a_file_that_a_wheel_lacks_is_named(
    release: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracked = "auctionsim/__init__.py\0auctionsim/data/x.json\0agents/ppo.py\0tests/test_a.py\0experiments/README.md\0"
    monkeypatch.setattr(release, "git", lambda *words: tracked)
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("auctionsim/__init__.py", "")
        archive.writestr("auctionsim/agents/ppo.py", "")
    assert release.missing_files(tmp_path, [wheel]) == ["a.whl lacks auctionsim/data/x.json"]


def test_a_commit_has_one_wheel(release: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other times and permissions in the checkout, another day: the same bytes; another commit's time: other ones."""
    small = tmp_path / "small"
    (small / "auctionsim").mkdir(parents=True)
    (small / "auctionsim" / "__init__.py").write_text('__version__ = "0.1.0"\n', encoding="utf-8")
    (small / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n'
        '[project]\nname = "auctionsim"\nversion = "0.1.0"\n[tool.setuptools]\npackages = ["auctionsim"]\n',
        encoding="utf-8",
    )
    monkeypatch.setattr(release, "git", lambda root, *words: "auctionsim/__init__.py\0pyproject.toml\0")
    monkeypatch.setenv("PIP_NO_BUILD_ISOLATION", "0")  # pip reads it as the flag it is named for: use what is here
    sums = []
    for number, (mode, made) in enumerate(((0o600, 1e9), (0o664, 1.5e9), (0o600, 1e9))):
        (small / "auctionsim" / "__init__.py").chmod(mode)
        os.utime(small / "auctionsim" / "__init__.py", (made, made))
        monkeypatch.setattr(release, "commit_time", lambda root, late=number == 2: str(1_700_000_000 + 86_400 * late))
        monkeypatch.setenv("SOURCE_DATE_EPOCH", release.commit_time(small))
        source = release.tracked_copy(small, tmp_path / f"source{number}" / "tree")
        (wheel,) = release.built(source, tmp_path / f"dist{number}", quick=True)
        sums.append(release.sha256(wheel))
    assert sums[0] == sums[1] != sums[2]


def test_the_commits_time_is_taken(release: ModuleType, tmp_path: Path) -> None:
    assert release.commit_time(tmp_path) == str(release.EARLIEST)  # no checkout


def test_nothing_is_built_where_something_disagrees(release: ModuleType, copy: Path, tmp_path: Path) -> None:
    changed(copy, "CITATION.cff", "\nversion: ", "\nedition: ")
    (copy / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "release.py", copy / "tools" / "release.py")
    words = [sys.executable, "tools/release.py", "--quick", "--out", str(tmp_path / "dist")]
    done = subprocess.run(words, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "wrong: CITATION.cff cites no version" in done.stdout
    assert not (tmp_path / "dist").exists()
