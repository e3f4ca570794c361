"""Which run a folder holds: run.json says so, last of all; until then it says that the run is not finished.

A run begins by putting an unfinished record in the place of whatever run.json says: a run that is stopped while it
overwrites another one never leaves a folder that calls itself the earlier one, finished.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from auctionsim.errors import DamagedFileError
from auctionsim.experiments.running.plan import Plan
from auctionsim.experiments.running.preparation import commit_or_none
from auctionsim.files import sweep, write_text
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.plugins import loaded
from auctionsim.records import Record, json_in

SECTION, RECORD = "section.md", "run.json"
PAGE = "report.html"  # where `auctionsim report` puts its page about one folder
_OUTPUTS = {".csv", ".html", ".json", ".md", ".parquet", ".png", ".safetensors"}


def run_record(folder: Path) -> dict[str, Any]:
    """Return what run.json says; empty where there is none.

    Raises:
        ValueError: It is damaged.
    """
    path = folder / RECORD
    if not path.is_file():
        return {}
    try:
        return dict(Record(json_in(path, finite=False), "it").content)
    except ValueError as error:
        raise DamagedFileError(f"{path} is damaged ({error}): remove it and run again") from None


def is_finished(record: Mapping[str, Any], plan: Plan) -> bool:
    """Tell whether a record is of this plan, and of a run that came to its end."""
    return plan.is_of(record) and record.get("finished", True) is True


def begin(folder: Path, plan: Plan, command: str, settings: Mapping[str, Any], *, stale: Iterable[str] = ()) -> None:
    """Say in run.json that a run has begun, before anything else in the folder is replaced.

    What a run of another plan left behind is removed, so that its tables and figures are not taken for this one's; what
    killed writers left is swept.

    Args:
        folder: Of the run.
        plan: Of all that decides its results.
        command: What the user typed.
        settings: For whoever looks at an unfinished run.
        stale: Names of more files of a run of another plan, where its record does not name them.
    """
    sweep(folder)
    there = run_record(folder)
    gone = set(_names(there.get("stale")))
    if there and not plan.is_of(there):
        gone |= {*_outputs_of(there, folder), PAGE, *stale}
    record = {
        "finished": False,
        "command": command,
        "commit": commit_or_none(),
        "plan": plan.digest,
        "settings": settings,
        "plugins": [file._asdict() for file in loaded()],
        "stale": sorted(gone),
        "files": [name for name in _names(there.get("files")) if name not in gone],
    }
    write_text(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False, default=str))
    for name in gone - {RECORD}:
        path = folder / name
        if path.is_file() and not path.is_symlink():
            path.unlink()


def finish(folder: Path, plan: Plan, command: str, files: Iterable[str], more: Mapping[str, Any]) -> None:
    """Write run.json, last of all.

    Args:
        folder: Of the run.
        plan: What it began with.
        command: What the user typed.
        files: Names of what it wrote: a run of another plan removes them.
        more: What else the record says.
    """
    record = {
        "finished": True,
        "command": command,
        "commit": commit_or_none(),
        "plan": plan.digest,
        "versions": package_versions(),
        "plugins": [file._asdict() for file in loaded()],
        "threads": torch.get_num_threads(),
        "files": sorted(set(files)),
        **more,
    }
    write_text(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False, default=str))


def _outputs_of(record: Mapping[str, Any], folder: Path) -> set[str]:
    """Return the files that a record names; where it is of a version that named none, what such a run always wrote."""
    if "files" in record:
        return set(_names(record["files"]))
    figures = record.get("figures")
    tables = [path for path in folder.glob("*.parquet") if path.with_suffix(".csv").is_file()]
    named = [SECTION, *(figures if isinstance(figures, dict) else ())]
    return {*_names(named), *(p.name for t in tables for p in (t, t.with_suffix(".csv")))}


def _names(value: object) -> list[str]:
    """Return plain names of outputs; anything else that a record from elsewhere may hold is no file of a run."""
    listed = value if isinstance(value, list) else []
    return [name for name in listed if isinstance(name, str) and _is_output(name)]


def _is_output(name: str) -> bool:
    return Path(name).name == name and Path(name).suffix in _OUTPUTS and not name.startswith(".")
