"""Plugins: one's own Python files and installed packages that register readings, mechanisms, substrates and the like.

A plugin is code and runs as you. So a file is run only where its user names it, by `load` or `auctionsim --plugin
FILE`, never because a data file names it. A package offers one by an entry point of the group "auctionsim.plugins",
whose object is a module, or a function without arguments that is called; it is loaded when a name is first looked up.

A file is run alone: its folder is not searched for other modules. It becomes the module `module_name(path)`, the same
on every machine where it lies in the same place, so that what it defines can be pickled for Ray's workers, which run
the same files first (`ray_options`).
"""

import hashlib
import importlib.metadata
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from auctionsim.errors import PluginError
from auctionsim.files import read_bounded

__all__ = [
    "GROUP",
    "MOST_BYTES",
    "InstalledPlugin",
    "PluginFile",
    "load",
    "load_files",
    "load_installed",
    "loaded",
    "maker",
    "ray_options",
    "running",
    "versions",
]

GROUP = "auctionsim.plugins"
"""The group of the entry points by which installed packages offer plugins."""
MOST_BYTES = 1 << 20
"""Bytes of a plugin's file: 1 MiB."""

_PREFIX = "auctionsim_plugin_"
_log = logging.getLogger(__name__)


class PluginFile(NamedTuple):
    """A file that was run.

    Attributes:
        path: Absolute, links followed.
        sha256: Of the bytes that were run, 64 hex digits.
    """

    path: str
    sha256: str


class InstalledPlugin(NamedTuple):
    """A plugin of an installed package.

    Attributes:
        name: Of the entry point.
        package: That offers it, and its version, "mine 1.0".
        failure: Why it does not load, one sentence; "" where it does.
    """

    name: str
    package: str
    failure: str = ""


_files: dict[str, PluginFile] = {}
_running: list[str] = []  # what `running` says, innermost last: a plugin may load another
_installed: list[InstalledPlugin] | None = None


def load(path: str | Path) -> ModuleType:
    """Run a Python file and return it as a module; a file that has been run is not run again.

    What the file registered before an error stays registered.

    Args:
        path: Of a file of at most `MOST_BYTES`.
    Returns:
        The module.
    Raises:
        FileNotFoundError: There is none.
        PluginError: It does not run, is no Python, or has changed since it was run; names the file and the line.
    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "mine.py"
        >>> _ = file.write_text("ANSWER = 42")
        >>> load(file).ANSWER
        42
    """
    place = Path(path).expanduser().resolve()
    name = module_name(place)
    source = read_bounded(place, MOST_BYTES)
    digest = hashlib.sha256(source).hexdigest()
    if name in _files:
        if _files[name].sha256 != digest:
            raise PluginError(f"{place}: has changed since it was loaded; start a new process to load it again")
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = str(place)
    sys.modules[name] = module
    _running.append(digest[:16])
    try:
        exec(compile(source, str(place), "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise PluginError(_sentence(error, str(place))) from error
    finally:
        _running.pop()
    _files[name] = PluginFile(str(place), digest)
    _log.info("the plugin %s is loaded", place)
    return module


def load_files(files: Iterable[PluginFile]) -> None:
    """Load what another process has loaded: in a Ray worker, before it does anything.

    Raises:
        FileNotFoundError: A file is not on this machine.
        PluginError: It has other contents here, or does not run.
    """
    for file in files:
        load(file.path)
        here = _files[module_name(Path(file.path))].sha256
        if here != file.sha256:
            raise PluginError(f"{file.path}: has the SHA-256 {here[:16]}… here, {file.sha256[:16]}… where it was named")


def load_installed() -> tuple[InstalledPlugin, ...]:
    """Load the plugins of installed packages, once in a process; one that fails is logged and keeps no other away.

    Returns:
        All of them, in the order of their names.
    """
    global _installed  # noqa: PLW0603  # loaded once in a process
    if _installed is None:
        _installed = []  # before they run: a plugin may look names up itself
        _installed[:] = [_load_entry(entry) for entry in _entries()]
    return tuple(_installed)


def running() -> str:
    """Return which plugin is being loaded: 16 hex digits of a file's SHA-256, or a package, "mine 1.0"; "" for none.

    What is registered meanwhile is that plugin's, and what is kept of it is kept under this very version of it.
    """
    return _running[-1] if _running else ""


def maker(kind: type) -> str:
    """Return which file a class was defined in, 16 hex digits of its SHA-256; "" where no plugin's file did.

    What is kept of its objects is kept under this very version of the file.
    """
    return _files[kind.__module__].sha256[:16] if kind.__module__ in _files else ""


def loaded() -> tuple[PluginFile, ...]:
    """Return the files that this process has run, in their order."""
    return tuple(_files.values())


def versions() -> dict[str, str]:
    """Return what numbers may depend on besides auctionsim: digests of files run, versions of packages with plugins.

    Returns:
        {"plugin mine.py": 16 hex digits of its SHA-256, "plugin package": "name 1.0"}; empty without plugins.
    """
    named: dict[str, str] = {}
    for file in loaded():
        name = f"plugin {Path(file.path).name}"
        named[f"plugin {file.path}" if name in named else name] = file.sha256[:16]
    return {**named, **{f"plugin {entry.name}": _package(entry) for entry in _entries()}}


def ray_options() -> dict[str, Any]:
    """Return the arguments of `ray.init` by which every worker first loads the files that this process has loaded."""
    return {"runtime_env": {"worker_process_setup_hook": _Loading(loaded())}} if _files else {}


def module_name(path: Path) -> str:
    """Return the name of a plugin's module: its file's, and a digest of where it lies."""
    place = path.expanduser().resolve()
    return f"{_PREFIX}{re.sub(r'[^0-9A-Za-z_]', '_', place.stem)}_{hashlib.sha256(str(place).encode()).hexdigest()[:8]}"


def place_in_plugin(trace: TracebackType | None) -> str:
    """Return "FILE, line N" where the innermost code of auctionsim's and of plugins' is a plugin's, else ""."""
    place = ""
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module in _files:
            place = f"{_files[module].path}, line {trace.tb_lineno}"
        elif module.partition(".")[0] == "auctionsim":
            place = ""
        trace = trace.tb_next
    return place


class _Loading:
    """What a Ray worker calls as it starts: it is sent by pickle, so it is an object of this module."""

    __name__ = "load_plugins"  # Ray asks a function for it

    def __init__(self, files: tuple[PluginFile, ...]) -> None:
        self._files = files

    def __call__(self) -> None:
        load_files(self._files)


def _entries() -> list[importlib.metadata.EntryPoint]:
    return sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: entry.name)


def _package(entry: importlib.metadata.EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else "an unknown package"


def _load_entry(entry: importlib.metadata.EntryPoint) -> InstalledPlugin:
    package = _package(entry)
    _running.append(package)
    try:
        target: ModuleType | Callable[[], object] = entry.load()
        if not isinstance(target, ModuleType):
            target()
    except Exception as error:  # noqa: BLE001  # a stranger's code, which must not keep others away
        failure = f"the plugin {entry.name!r} of {package} does not load: {_words(error)}"
        _log.warning("%s", failure)
        return InstalledPlugin(entry.name, package, failure)
    finally:
        _running.pop()
    _log.info("the plugin %r of %s is loaded", entry.name, package)
    return InstalledPlugin(entry.name, package)


def _sentence(error: BaseException, path: str) -> str:
    if isinstance(error, SyntaxError) and error.filename == path:
        line = error.lineno
    else:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        line = lines[-1] if lines else None
    return f"{path}{'' if line is None else f', line {line}'}: {_words(error)}"


def _words(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return " ".join(f"{type(error).__name__}: {text}".split()).removesuffix(":")
