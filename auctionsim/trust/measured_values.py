"""Values of labelled replies that were measured with them: of losses that need the model that replied, such as `kl`.

They lie beside the labels, in NAME.READING.json, under a checksum and the labels' digest. There are none of attacked
replies: those were not drawn from any law, so a divergence of laws says nothing of them.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from auctionsim.errors import InputError
from auctionsim.files import write_text
from auctionsim.signed_json import read_signed_json, signed_json
from auctionsim.trust.label_files import packaged_labels
from auctionsim.trust.labels import GoldLabels
from auctionsim.trust.scores import LabelScores

_FORMAT, _VERSION = "auctionsim measured values of labelled replies", 1


def measured_file(name: str, labels_path: Path | None = None) -> Path:
    """Return where a reading's measured values of labelled replies are."""
    path = packaged_labels() if labels_path is None else labels_path
    return path.with_suffix(f".{name}.json")


def write_measured(name: str, values: Sequence[float], labels: GoldLabels, labels_path: Path | None = None) -> None:
    """Write measured values beside labels, in the labels' order."""
    key = {"reading": name, "labels": labels.digest}
    document = {"format": _FORMAT, "version": _VERSION, "key": key, "values": list(values)}
    write_text(measured_file(name, labels_path), json.dumps(json.loads(signed_json(document))) + "\n")


def measured_scores(name: str, labels: GoldLabels, labels_path: Path | None = None) -> LabelScores:
    """Return measured values as scores without attacks or swaps.

    Raises:
        FileNotFoundError: There are none.
        ValueError: The file is damaged, or another reading's or other labels'.
    """
    path = measured_file(name, labels_path)
    record = read_signed_json(path, _FORMAT, _VERSION, {"reading": name, "labels": labels.digest})
    values = record.numbers("values")
    if len(values) != len(labels.labels):
        raise InputError(f"{path}: has {len(values)} values of {len(labels.labels)} labelled replies")
    return LabelScores(labels.labels, values, {}, {})
