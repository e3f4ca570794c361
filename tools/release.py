"""Builds sdist and wheel, and tries the wheel in a fresh environment, as who installs it would; uploads nothing.

make release                 # everything from the package registry: what a release is judged by
make wheel                   # --quick: packages of this environment, the wheel alone: what CI runs
make release ARGS=--final    # also: the version is dated in CHANGELOG.md and CITATION.cff, and is HEAD's tag
"""

import argparse
import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SMOKE = """
import sys, auctionsim, gymnasium, numpy
from pathlib import Path
from auctionsim.data import DEFAULT_SURFACE, packaged_names
from auctionsim.substrates import ResponseSurface
place = Path(auctionsim.__file__).resolve()
assert place.is_relative_to(Path(sys.prefix).resolve()), f"{place} is not of the fresh environment"
assert auctionsim.__version__ == sys.argv[1], auctionsim.__version__
assert (place.parent / "py.typed").is_file()
for name in ("agents", "envs", "experiments", "report", "testing"):
    __import__(f"auctionsim.{name}")
env = gymnasium.make("auctionsim/NeuronAuction-v0")
env.reset(seed=0)
observation, reward, *_ = env.step(env.action_space.high)
assert numpy.isfinite(observation).all() and numpy.isfinite(reward)
assert DEFAULT_SURFACE in packaged_names()
assert ResponseSurface.packaged(DEFAULT_SURFACE).sell("slot_probability").num_bidders == 2
print(f"auctionsim {auctionsim.__version__}: import, environment and surface work in {sys.prefix}")
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and try; print what is wrong, return 1 where anything is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="use this environment's packages; build no sdist")
    parser.add_argument("--final", action="store_true", help="refuse what is not dated and tagged")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the files are put")
    chosen = parser.parse_args(arguments)
    version = declared_version(ROOT)
    wrong, open_points = disagreements(ROOT, version), what_is_open(ROOT, version)
    for line in open_points:
        print(f"{'wrong' if chosen.final else 'open'}: {line}")
    for line in wrong:
        print(f"wrong: {line}")
    if wrong or (chosen.final and open_points):
        return 1
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="auctionsim-release-") as scratch:
        os.environ["SOURCE_DATE_EPOCH"] = commit_time(ROOT)
        files = built(tracked_copy(ROOT, Path(scratch) / "source"), chosen.out.resolve(), quick=chosen.quick)
        for line in missing_files(ROOT, files):
            print(f"wrong: {line}")
            return 1
        python = fresh_environment(Path(scratch) / "fresh", files[-1], quick=chosen.quick)
        try_out(python, version, Path(scratch))
    print(f"built and tried: {', '.join(f'{path} (SHA-256 {sha256(path)})' for path in files)}")
    return 0


def sha256(path: Path) -> str:
    """Return a file's checksum: two builds of one commit have the same wheel."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def declared_version(root: Path) -> str:
    """Return the version that auctionsim/__init__.py states, without importing it."""
    for node in ast.parse((root / "auctionsim" / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise SystemExit("auctionsim/__init__.py states no __version__")


def disagreements(root: Path, version: str) -> list[str]:
    """Return where another version is named than the package's own."""
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", version):
        found.append(f"__version__ must be MAJOR.MINOR.PATCH, with a1, b1 or rc1 at most, got {version!r}")
    newest, _ = newest_change(root)
    if newest != version:
        found.append(f"CHANGELOG.md begins with {newest}, the package is {version}")
    cited = re.search(r"^version: *\"?([^\s\"]+)", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    if cited is None or cited[1] != version:
        found.append(f"CITATION.cff cites {cited[1] if cited else 'no version'}, the package is {version}")
    if 'dynamic = ["version"]' not in (root / "pyproject.toml").read_text(encoding="utf-8"):
        found.append("pyproject.toml must read the version from auctionsim.__version__")
    return found


def newest_change(root: Path) -> tuple[str, str]:
    """Return the version and the date, or "unreleased", of CHANGELOG.md's first heading."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(r"^## (\S+) \(([^)]*)\)$", text, re.MULTILINE)
    return (heading[1], heading[2]) if heading else ("no version", "")


def what_is_open(root: Path, version: str) -> list[str]:
    """Return what a release still lacks: dates, a tag, a clean checkout."""
    found = []
    _, date = newest_change(root)
    dated = re.search(
        r"^date-released: *\"?([\d-]+)", (root / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        found.append(f"CHANGELOG.md calls {version} {date or 'undated'}, not by a date")
    elif dated is None or dated[1] != date:
        found.append(f"CITATION.cff was released on {dated[1] if dated else 'no day'}, CHANGELOG.md says {date}")
    if f"v{version}" not in git(root, "tag", "--points-at", "HEAD").split():
        found.append(f"HEAD has no tag v{version}")
    if git(root, "status", "--porcelain", "--untracked-files=no"):
        found.append("the checkout has changes that are not committed")
    return found


def git(root: Path, *words: str) -> str:
    """Return what git prints; "" outside of a checkout."""
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def tracked_copy(root: Path, target: Path) -> Path:
    """Copy what git tracks, so that nothing else gets into a file, and nothing is left in the checkout.

    Every file has the commit's time and plain permissions, whatever the checkout's are: both go into what is built.
    """
    made = int(commit_time(root))
    for name in git(root, "ls-files", "-z").split("\0"):
        if name and (root / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, target / name)
            (target / name).chmod(0o755 if os.access(root / name, os.X_OK) else 0o644)
            os.utime(target / name, (made, made))
    return target


EARLIEST = 315532800
"""1980: no file in a wheel can be older."""


def commit_time(root: Path) -> str:
    """Return when HEAD was committed, in seconds, for builds that give the same bytes; 1980 outside of a checkout."""
    return git(root, "log", "-1", "--format=%ct").strip() or str(EARLIEST)


def built(source: Path, out: Path, *, quick: bool) -> list[Path]:
    """Return the files that were built, the wheel last; the wheel comes from the sdist, so that this one is whole."""
    if quick:
        call(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(source))
    else:
        builder = source.parent / "builder"
        call(sys.executable, "-m", "venv", str(builder))
        call(str(python_of(builder)), "-m", "pip", "install", "--quiet", "build")
        call(str(python_of(builder)), "-m", "build", "--outdir", str(out), str(source))
    version = declared_version(source)
    names = ([] if quick else [f"auctionsim-{version}.tar.gz"]) + [f"auctionsim-{version}-py3-none-any.whl"]
    return [out / name for name in names]


def missing_files(root: Path, files: Sequence[Path]) -> list[str]:
    """Return which tracked files of the packages a built file lacks."""
    tracked = [name for name in git(root, "ls-files", "-z").split("\0") if name]
    found = []
    for path in files:
        if path.suffix == ".whl":
            there = set(zipfile.ZipFile(path).namelist())
            prefixes = {"auctionsim/": "auctionsim/", **{f"{n}/": f"auctionsim/{n}/" for n in FOLDERS}}
        else:
            with tarfile.open(path) as archive:
                there = {name.partition("/")[2] for name in archive.getnames()}
            prefixes = {folder: folder for folder in ("auctionsim/", *(f"{n}/" for n in FOLDERS))}
        for name in tracked:
            prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
            if prefix is None or name.endswith(".md"):
                continue
            if prefixes[prefix] + name.removeprefix(prefix) not in there:
                found.append(f"{path.name} lacks {name}")
    return found


FOLDERS = ("agents", "envs", "experiments")
"""Folders of the checkout that are installed inside the package."""


def fresh_environment(place: Path, wheel: Path, *, quick: bool) -> Path:
    """Return the interpreter of a new environment that has the wheel and what it needs."""
    call(sys.executable, "-m", "venv", str(place))
    python = python_of(place)
    if quick:  # this environment's packages come after its own; nothing of this one's auctionsim does
        own = subprocess.check_output([str(python), "-c", "import site; print(site.getsitepackages()[0])"], text=True)
        places = [sysconfig.get_paths()["purelib"], *layers()]
        (Path(own.strip()) / "base.pth").write_text("\n".join(places) + "\n")
        call(str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", str(wheel))
    else:
        call(str(python), "-m", "pip", "install", "--quiet", "--requirement", str(ROOT / "requirements.lock"))
        call(str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel))
    return python


def layers() -> list[str]:
    """Return the other folders of packages that this environment reads, by .pth files of plain paths."""
    own = Path(sysconfig.get_paths()["purelib"])
    lines = [line.strip() for path in own.glob("*.pth") for line in path.read_text().splitlines()]
    return [line for line in lines if Path(line).is_absolute() and line.endswith("site-packages")]


def try_out(python: Path, version: str, place: Path) -> None:
    """Use what is installed, from a folder that is no checkout."""
    command = python.with_name("auctionsim")
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for words in (
        (str(python), "-c", SMOKE, version),
        (str(python), "-c", first_example((ROOT / "README.md").read_text(encoding="utf-8"))),
        (str(command), "--version"),
        (str(command), "--help"),
        (str(command), "doctor", "--quick"),
        (str(command), "demo"),
    ):
        done = subprocess.run(words, cwd=place, env=clean, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(words[1:2])} failed:\n{done.stdout}{done.stderr}")
        print(done.stdout.strip().splitlines()[-1])


def first_example(page: str) -> str:
    """Return the first block of Python of a page."""
    return page.split("```python\n", 1)[1].split("```", 1)[0]


def python_of(environment: Path) -> Path:
    """Return an environment's interpreter."""
    return environment / "bin" / "python"


def call(*words: str) -> None:
    """Run a command; end with its error where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
