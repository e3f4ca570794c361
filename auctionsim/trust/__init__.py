"""How far a score of replies can be trusted: agreement with labels, biases, attacks, and the gate before a loss."""

from auctionsim.trust.admission import as_loss
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
from auctionsim.trust.calibration import Calibration, Recalibration, calibration_of, recalibrate
from auctionsim.trust.candidates import Candidate, candidates, quality_candidates
from auctionsim.trust.cells import FalsePositives, RankAgreement, rank_agreement, rank_false_positives
from auctionsim.trust.fit import LeftOut, QualityFit, fit_quality, never_fitted
from auctionsim.trust.gate import GateReport, gate
from auctionsim.trust.label_files import read_labels, write_labels
from auctionsim.trust.labels import GoldLabel, GoldLabels, Label, Labeller, Labelling, LabelSource
from auctionsim.trust.panel_fit import fit_panel, gated, panel_scores
from auctionsim.trust.panel_trial import PanelRow, PanelTrial, try_panels
from auctionsim.trust.quality_files import write_quality
from auctionsim.trust.scores import ScoreStore
from auctionsim.trust.table_rows import TrustRow, TrustTable, shipped_trust_rows, trust_rows

__all__ = [
    "Attack",
    "Calibration",
    "Candidate",
    "FalsePositives",
    "GateReport",
    "GoldLabel",
    "GoldLabels",
    "IntervalEstimate",
    "Label",
    "LabelSource",
    "Labeller",
    "Labelling",
    "LeftOut",
    "LengthControl",
    "PanelRow",
    "PanelTrial",
    "PositionBias",
    "QualityFit",
    "RankAgreement",
    "Recalibration",
    "ScoreStore",
    "TrustRow",
    "TrustTable",
    "as_loss",
    "auc",
    "battery",
    "calibration_of",
    "candidates",
    "cohen_kappa",
    "fit_panel",
    "fit_quality",
    "gate",
    "gated",
    "length_controlled",
    "never_fitted",
    "panel_scores",
    "partial_rank_correlation",
    "position_bias",
    "quality_candidates",
    "rank_agreement",
    "rank_false_positives",
    "read_labels",
    "recalibrate",
    "self_preference",
    "shipped_trust_rows",
    "swap_average",
    "swap_brands",
    "trust_rows",
    "try_panels",
    "write_labels",
    "write_quality",
]
