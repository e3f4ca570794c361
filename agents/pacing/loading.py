"""One's own controllers: a Python file that its user names and that ends by registering a kind."""

from pathlib import Path

from auctionsim import plugins
from auctionsim.agents.pacing.registry import controllers

_loaded: dict[Path, tuple[str, ...]] = {}


def load_controllers(path: str | Path) -> tuple[str, ...]:
    """Run a Python file and return the kinds of controllers that it registers; no file is run twice.

    The file is code and runs as you. One that registers none is a plugin as any other.

    Args:
        path: Of a file of at most `plugins.MOST_BYTES`.
    Raises:
        FileNotFoundError: There is none.
        PluginError: It does not run, is no Python, or has changed since it was run.
    """
    place = Path(path).expanduser().resolve()
    before = controllers()
    plugins.load(place)
    if place not in _loaded:
        _loaded[place] = tuple(name for name in controllers() if name not in before)
    return tuple(name for name in _loaded[place] if name in controllers())
