"""How far a score of replies can be trusted: agreement with labels, biases, attacks, and the gate before a loss."""

from auctionsim.trust.agreement import IntervalEstimate, auc, cohen_kappa, partial_rank_correlation
from auctionsim.trust.attacks import Attack, battery
from auctionsim.trust.biases import (
    LengthControl,
    PositionBias,
    length_controlled,
    position_bias,
    self_preference,
    swap_average,
)
from auctionsim.trust.brand_swaps import swap_brands
from auctionsim.trust.calibration import Calibration, calibration_of
from auctionsim.trust.gate import GateReport, as_loss, gate
from auctionsim.trust.label_files import read_labels, write_labels
from auctionsim.trust.labels import GoldLabel, GoldLabels, Label, Labeller, Labelling, LabelSource
from auctionsim.trust.scores import ScoreStore

__all__ = [
    "Attack",
    "Calibration",
    "GateReport",
    "GoldLabel",
    "GoldLabels",
    "IntervalEstimate",
    "Label",
    "LabelSource",
    "Labeller",
    "Labelling",
    "LengthControl",
    "PositionBias",
    "ScoreStore",
    "as_loss",
    "auc",
    "battery",
    "calibration_of",
    "cohen_kappa",
    "gate",
    "length_controlled",
    "partial_rank_correlation",
    "position_bias",
    "read_labels",
    "self_preference",
    "swap_average",
    "swap_brands",
    "write_labels",
]
