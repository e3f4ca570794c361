"""Files of the weights of `quality`, with how they came about and what they showed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auctionsim.files import write_text
from auctionsim.readings.quality import QUALITY_FORMAT, QUALITY_VERSION, QualityWeights, parse_quality
from auctionsim.signed_json import signed_json
from auctionsim.trust.fit import LeftOut, QualityFit
from auctionsim.trust.labels import GoldLabels


def write_quality(path: Path, fitted: QualityFit, labels: GoldLabels, beside: Sequence[LeftOut] = ()) -> QualityWeights:
    """Write the weights and how they came about; return them as they are read again.

    The admission is written only where the whole passed the gate on all kinds together.

    Args:
        path: Of the file.
        fitted: The fit.
        labels: That it was fitted on.
        beside: Numbers on labels that no fit has seen.
    """
    document = {
        "format": QUALITY_FORMAT,
        "version": QUALITY_VERSION,
        "intercept": fitted.weights.intercept,
        "components": [one._asdict() for one in fitted.weights.components],
        "no_words": fitted.weights.no_words,
        "admission": fitted.report.digest if fitted.report.passed else "",
        "gate": fitted.report.as_json(),
        "labels": labels.digest,
        "labelled_by": labels.labelled_by,
        "left_aside": fitted.left_aside,
        "left_out": [_as_json(one) for one in fitted.left_out],
        "never_fitted": [_as_json(one) for one in beside],
        "components_gate": [
            report.as_json()
            for report in fitted.reports
            if report.passed and report.reading in {one.reading for one in fitted.weights.components}
        ],
    }
    signed = json.loads(signed_json(document))
    write_text(path, json.dumps(signed, ensure_ascii=False, indent=1) + "\n")
    return parse_quality(path.read_bytes())[0]


def _as_json(one: LeftOut) -> dict[str, Any]:
    table = [row._asdict() for row in one.calibration.table]
    return {
        **one._asdict(),
        "auc": one.auc._asdict(),
        "partial": one.partial._asdict(),
        "partial_rating": one.partial_rating._asdict(),
        "calibration": {**one.calibration._asdict(), "table": table},
    }
