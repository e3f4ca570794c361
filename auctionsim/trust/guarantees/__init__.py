"""Guarantees that labels give: intervals that hold a new label, and judges that decide only where they may."""

from auctionsim.trust.guarantees.conformal import ConformalIntervals, fewest_labels, split_conformal
from auctionsim.trust.guarantees.escalation import Cascade, CascadeStage, JudgeVerdicts, disagreement_bound, escalate

__all__ = [
    "Cascade",
    "CascadeStage",
    "ConformalIntervals",
    "JudgeVerdicts",
    "disagreement_bound",
    "escalate",
    "fewest_labels",
    "split_conformal",
]
