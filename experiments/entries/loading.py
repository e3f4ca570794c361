"""One's own systems: a Python file that its user names, which may also register the mechanism and carrier they need."""

from pathlib import Path

from auctionsim import plugins
from auctionsim.carriers import carrier_names
from auctionsim.errors import InputError
from auctionsim.experiments.entries.registry import SystemEntry, systems
from auctionsim.mechanisms import table

_loaded: dict[Path, tuple[str, ...]] = {}


def load_entry(path: str | Path) -> tuple[SystemEntry, ...]:
    """Run a Python file and return the systems that it registers; a file that has been run is not run again.

    The file is code and runs as you. It may register mechanisms and carriers as well; one that registers only such is
    a plugin as any other, and no system comes of it.

    Args:
        path: Of a file of at most `plugins.MOST_BYTES`.
    Raises:
        FileNotFoundError: There is none.
        PluginError: It does not run, is no Python, or has changed since it was run.
        ValueError: A system of it names a carrier, a mechanism or a knob that there is not; names the file.
    """
    place = Path(path).expanduser().resolve()
    before = systems()
    plugins.load(place)
    if place not in _loaded:
        _loaded[place] = tuple(name for name in systems() if name not in before)
    new = tuple(systems()[name] for name in _loaded[place] if name in systems())
    for one in new:
        reason = refusal(one)
        if reason is not None:
            raise InputError(f"{place}: {reason}")
    return new


def refusal(one: SystemEntry) -> str | None:
    """Return why a system cannot run here, a sentence, or None where all that it names is there."""
    if one.carrier not in carrier_names():
        return f"{one.name}: carrier must be one of {', '.join(carrier_names())}, got {one.carrier!r}"
    if one.mechanism not in table.names():
        return f"{one.name}: mechanism must be one of {', '.join(table.names())}, got {one.mechanism!r}"
    knobs = table.entry(one.mechanism).knobs
    unknown = [name for name in one.settings if name not in knobs]
    if unknown:
        return f"{one.name}: {one.mechanism} has no knob {unknown[0]!r}: it has {', '.join(knobs) or 'none'}"
    return None
