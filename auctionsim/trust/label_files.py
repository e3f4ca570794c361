"""Files of gold labels: read strictly, and written beside how the labels came about.

Two files. NAME.jsonl has one labelled reply a line, with the fields of `GoldLabel`. NAME.json has the instructions, the
labellers, the date, how replies were chosen, counts, and the SHA-256 of the first file.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctionsim.brands import Brand
from auctionsim.data import labels_folder
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import read_bounded, write_bytes
from auctionsim.records import Record, parse_json, read_record, shown
from auctionsim.signed_json import checksum
from auctionsim.trust.labels import (
    GOOD,
    KINDS,
    LABELLER_KINDS,
    SETTLED,
    WARNING,
    GoldLabel,
    GoldLabels,
    Label,
    Labeller,
    Labelling,
    LabelSource,
)

MOST_LABEL_BYTES = 1 << 24
"""Of a file of labels: 16 MiB, some 10,000 replies."""
MOST_TEXT = 1 << 16
"""Letters of a prompt or a reply."""
_FORMAT, _VERSION = "auctionsim gold labels", 1
_ABOUT = ("format", "version", *Labelling._fields, "warning", "counts", "labels_sha256")


def packaged_labels() -> Path:
    """Return where the labels that ship with auctionsim are."""
    return labels_folder() / "replies@1.jsonl"


def write_labels(path: str | Path, labels: Sequence[GoldLabel], labelling: Labelling) -> GoldLabels:
    """Write labels, and beside them how they came about; return what `read_labels` reads.

    Args:
        path: Ends in ".jsonl"; the second file's name ends in ".json" instead.
        labels: In any order, which is kept.
        labelling: How they came about.
    Raises:
        ValueError: Something that `read_labels` would refuse.
    """
    path = _jsonl(path)
    lines = [json.dumps(_as_json(label), ensure_ascii=False) for label in labels]
    content = "".join(f"{line}\n" for line in lines).encode()
    digest = hashlib.sha256(content).hexdigest()
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        **labelling._asdict(),
        "labellers": [labeller._asdict() for labeller in labelling.labellers],
        "warning": WARNING,
        "counts": _counts(labels),
        "labels_sha256": digest,
    }
    plain = json.loads(json.dumps(about))
    _parsed(content, Record(plain, "the record"))  # what cannot be read is not written
    write_bytes(path, content)
    signed = json.dumps({**plain, "sha256": checksum(plain)}, ensure_ascii=False, indent=1)
    write_bytes(path.with_suffix(".json"), f"{signed}\n".encode())
    return read_labels(path)


def read_labels(path: str | Path | None = None) -> GoldLabels:
    """Read labels and how they came about.

    Args:
        path: Of the file of replies; None: those that ship.
    Raises:
        FileNotFoundError: One of the two files is not there.
        ValueError: One is damaged, larger than it may be, of another format or version, or a label contradicts itself
            or its labellers; names the file.
    """
    path = packaged_labels() if path is None else _jsonl(path)
    beside = path.with_suffix(".json")
    about = read_record(beside, MOST_LABEL_BYTES)
    unsigned = {name: value for name, value in about.content.items() if name != "sha256"}
    if about.text("sha256") != checksum(unsigned):
        raise DamagedFileError(f"{beside}: is damaged: the checksum does not match")
    content = read_bounded(path, MOST_LABEL_BYTES)
    try:
        return _parsed(content, Record(unsigned, "the record"))
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None


def _jsonl(path: str | Path) -> Path:
    if Path(path).suffix != ".jsonl":
        raise InputError(f"a file of labels ends in .jsonl, got {str(path)!r}")
    return Path(path)


def _parsed(content: bytes, about: Record) -> GoldLabels:
    about.only(*_ABOUT)
    if about.text("format") != _FORMAT or not 1 <= about.whole("version") <= _VERSION:
        raise InputError(f"is no file of {_FORMAT!r} that this auctionsim reads")
    digest = hashlib.sha256(content).hexdigest()
    if about.text("labels_sha256") != digest:
        raise DamagedFileError("is damaged: the checksum beside it does not match")
    labelling = Labelling(
        about.text("instructions"),
        tuple(_labeller(one) for one in about.records("labellers")),
        about.text("date"),
        about.text("sampling"),
    )
    names = [labeller.name for labeller in labelling.labellers]
    if not names or len(set(names)) < len(names):
        raise InputError(f"labellers must be named, each once, got {shown(names)}")
    lines = enumerate(content.split(b"\n"))
    labels = tuple(_label(Record(parse_json(line), f"label {k}"), set(names)) for k, line in lines if line)
    if len({label.source for label in labels}) < len(labels):
        raise InputError("labels one stored reply twice")
    if about.plain("counts") != _counts(labels):
        raise InputError("has other counts of labels than the record beside it")
    return GoldLabels(labels, labelling, digest)


def _labeller(record: Record) -> Labeller:
    record.only(*Labeller._fields)
    kind = record.text("kind")
    if kind not in LABELLER_KINDS:
        raise InputError(f"{record.what}, kind must be one of {', '.join(LABELLER_KINDS)}, got {shown(kind)}")
    return Labeller(record.text("name"), kind, record.text("about"))


def _label(record: Record, labellers: set[str]) -> GoldLabel:
    """Return one labelled reply, if every field is what it should be."""
    record.only(*GoldLabel._fields)
    names = [Record({"names": some}, f"{record.what}, brands").texts("names") for some in record.items("brands")]
    labels = tuple(_one_label(one, labellers) for one in record.records("labels"))
    label = GoldLabel(
        _short(record, "category"),
        _short(record, "prompt"),
        _short(record, "text", empty=True),
        tuple(Brand.read(some) for some in names),
        labels,
        record.flag("bad"),
        _kind(record),
        record.number("rating", 1, 5),
        record.text("settled"),
        _source(record.record("source")),
        record.number("weight", 0),
    )
    _check_settled(label, record.what)
    return label


def _check_settled(label: GoldLabel, what: str) -> None:
    """Refuse a final label that its labels do not show, and a reply that stands for none."""
    same = [one.bad == label.bad for one in label.labels]
    share = sum(same) / len(same) if same else 0.0
    fits = {"agreement": share == 1 and len(same) > 1, "majority": share > 1 / 2, "one labeller": len(same) == 1}
    if label.settled not in SETTLED or not same or not fits.get(label.settled, True):
        rule = f"settled by what its labels show, one of {', '.join(SETTLED)}"
        raise InputError(
            f"{what} must be {rule}; got {shown(label.settled)}, and {sum(same)} of {len(same)} labels say what it says"
        )
    if len({one.labeller for one in label.labels}) < len(label.labels):
        raise InputError(f"{what} has two labels of one labeller")
    if label.weight == 0:
        raise InputError(f"{what} must have a weight above 0")


def _source(record: Record) -> LabelSource:
    record.only(*LabelSource._fields)
    return LabelSource(
        record.text("surface"),
        record.text("replicate"),
        record.whole("context"),
        record.whole("intervention"),
        record.whole("number"),
    )


def _one_label(record: Record, labellers: set[str]) -> Label:
    record.only(*Label._fields)
    name = record.text("labeller")
    if name not in labellers:
        raise InputError(f"{record.what}, labeller must be one of the file's labellers, got {shown(name)}")
    return Label(name, record.flag("bad"), _kind(record), record.whole("rating", 1, 5))


def _kind(record: Record) -> str:
    kind = record.text("kind")
    if kind not in KINDS or (kind == GOOD) == record.flag("bad"):
        rule = f"one of {', '.join(KINDS)}, and {GOOD} exactly where bad is false"
        raise InputError(f"{record.what}, kind must be {rule}, got {shown(kind)}")
    return kind


def _short(record: Record, name: str, *, empty: bool = False) -> str:
    text = record.text(name)
    if len(text) > MOST_TEXT or not (empty or text.strip()):
        raise InputError(f"{record.what}, {name} must have 1 to {MOST_TEXT} letters, got {len(text)}")
    return text


def _as_json(label: GoldLabel) -> dict[str, Any]:
    return {
        **label._asdict(),
        "brands": [brand.written for brand in label.brands],
        "labels": [one._asdict() for one in label.labels],
        "source": label.source._asdict(),
    }


def _counts(labels: Sequence[GoldLabel]) -> dict[str, dict[str, int]]:
    """Return how many labels each category has of each kind."""
    found: dict[str, Counter[str]] = {}
    for label in labels:
        found.setdefault(label.category, Counter())[label.kind] += 1
    return {category: {kind: found[category][kind] for kind in KINDS} for category in sorted(found)}
