"""Gold labels of measurements by name: blind sheets drawn of them, and losses corrected by sheets that came back."""

from pathlib import Path

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.experiments.running.measured import measured_named
from auctionsim.experiments.running.preparation import MEASUREMENT
from auctionsim.gold.corrections import CorrectedLoss, correct_loss
from auctionsim.gold.filled_sheets import SheetLabels, checked_labeller, read_sheet
from auctionsim.gold.rectifier import Rectifier
from auctionsim.gold.sheet_keys import SheetKey
from auctionsim.gold.sheets import draw_sheet, write_sheet
from auctionsim.measurement import REPLIES_FILE
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.substrates import MeasuredList, ResponseSurface

Measured = ResponseSurface | MeasuredList


def with_replies(name: str) -> tuple[Measured, StoredReplies]:
    """Return a measurement and its stored replies.

    Args:
        name: Of a packaged measurement, a file, or a run folder of `surface measure`.
    Raises:
        ValueError: There is none, or its replies were not kept.
    """
    path, replies = _files(name)
    measured = measured_named(str(path))
    if not replies.exists():
        raise InputError(f"the replies behind {name} were not kept: there is no {replies}")
    return measured, StoredReplies.load(replies, measured.provenance)


def _files(name: str) -> tuple[Path, Path]:
    folder = Path(name)
    if folder.is_dir():
        there = [path for kind in ("surface", "list") if (path := folder / f"{kind}.safetensors").exists()]
        if not there:
            raise InputError(f"{folder} holds no finished measurement")
        return there[0], folder / MEASUREMENT / REPLIES_FILE
    path = folder if folder.suffix == ".safetensors" else surfaces_folder() / f"{name}.safetensors"
    if folder.suffix == ".safetensors" and path.parent.joinpath(MEASUREMENT, REPLIES_FILE).exists():
        return path, path.parent / MEASUREMENT / REPLIES_FILE
    if not path.exists():
        raise InputError(f"{name!r} is no run folder and no file, and no measurement of that name ships")
    return path, replies_beside(path)


def draw(name: str, sheet: Path, number: int, seed: int, labeller: str = "") -> SheetKey:
    """Draw a blind sheet of a measurement's replies, and write it with its key and instructions.

    Args:
        name: Of the measurement, see `with_replies`.
        sheet: File to write.
        number: How many replies.
        seed: Of the draw.
        labeller: Who will fill it in; "" leaves that to them.
    """
    named = checked_labeller(labeller) if labeller else ""
    measured, stored = with_replies(name)
    key = draw_sheet(name, measured, stored, number, seed)
    write_sheet(sheet, key, stored, named)
    return key


def corrected_named(
    name: str, gold: Path, loss: str = "quality", key: Path | None = None, degree: int = 1
) -> tuple[Measured, CorrectedLoss, SheetLabels]:
    """Return a measurement as it is, with its loss corrected by a sheet, and the sheet's labels.

    Args:
        name: Of the measurement, see `with_replies`.
        gold: The sheet, filled in.
        loss: Which loss is corrected.
        key: Of the sheet; None: the one beside it.
        degree: Of the rectifier's polynomial in dose.
    """
    labels = read_sheet(gold, key)
    measured, stored = with_replies(name)
    return measured, correct_loss(measured, stored, labels, loss, Rectifier(degree=degree)), labels


def corrected_surface(name: str, gold: Path, loss: str) -> ResponseSurface:
    """Return a surface whose loss is corrected by a sheet, for commands that take a surface.

    Raises:
        ValueError: A sum of losses, or a list: their commands take a file of `surface correct`.
    """
    corrected = corrected_named(name, gold, loss)[1].measured
    if not isinstance(corrected, ResponseSurface):
        raise InputError(f"{name} is a list, and a surface is wanted: use surface correct, and name its file")
    return corrected
