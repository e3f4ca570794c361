"""What ships with the package: measured surfaces, under immutable names with a version (`running-shoes-2@1`).

The replies behind a surface lie beside it (`auctionsim.measurement.read_replies`); those of its first versions were not
kept. There are also mechanisms trained on the default one, and the neurons that some were measured with:
`python -m auctionsim.experiments.studies.shipped_mechanisms` makes both.
"""

from importlib import resources
from pathlib import Path

DEFAULT_SURFACE = "running-shoes-2@1"
"""The surface behind the environments' ids and the commands' defaults."""


_READINGS = ".readings.safetensors"


def packaged_names() -> tuple[str, ...]:
    """Return the names of the measurements that ship with this auctionsim, sorted."""
    folder = resources.files(__name__) / "surfaces"
    names = [item.name for item in folder.iterdir()] if folder.is_dir() else []
    wanted = [name for name in names if name.endswith(".safetensors") and not name.endswith(_READINGS)]
    return tuple(sorted(name.removesuffix(".safetensors") for name in wanted))


def surfaces_folder() -> Path:
    """Return where the measurements that ship with this auctionsim are, for writing new ones into a checkout."""
    return Path(str(resources.files(__name__))) / "surfaces"


def labels_folder() -> Path:
    """Return where the gold labels that ship with this auctionsim are."""
    return Path(str(resources.files(__name__))) / "labels"


def quality_folder() -> Path:
    """Return where the fitted weights of the reading `quality` are."""
    return Path(str(resources.files(__name__))) / "quality"


def scores_folder() -> Path:
    """Return where values of labelled replies that take passes of a model are, for readings that ship."""
    return Path(str(resources.files(__name__))) / "scores"


def judge_prompts_folder() -> Path:
    """Return where the prompts are that judges are asked with."""
    return Path(str(resources.files(__name__))) / "judge_prompts"


def replies_beside(surface: Path) -> Path:
    """Return where the replies behind a measurement's file are kept, beside it."""
    return surface.with_name(surface.name.removesuffix(".safetensors") + ".replies.jsonl.gz")


def readings_beside(surface: Path) -> Path:
    """Return where readings that were taken of a measurement's replies later are kept, beside its file."""
    return surface.with_name(surface.name.removesuffix(".safetensors") + _READINGS)


def values_beside(surface: Path) -> Path:
    """Return where values of a measurement's single replies are kept, beside its file."""
    return surface.with_name(surface.name.removesuffix(".safetensors") + ".values.json.gz")


def carrier_beside(surface: Path) -> Path:
    """Return where the carrier of a packaged list is kept: under the same name, in the folder of carriers."""
    return surface.parent.parent / "carriers" / surface.name
