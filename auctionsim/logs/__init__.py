"""Which option is best, from confounded logs, a small experiment and a simulator of one's own."""

from auctionsim.logs.protocol import STANDARD_ESTIMATION, EstimationSettings, Estimator, World
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog, Sources
from auctionsim.logs.value_estimates import ValueEstimates

__all__ = [
    "STANDARD_ESTIMATION",
    "EstimationSettings",
    "Estimator",
    "LogColumns",
    "Replays",
    "SessionLog",
    "Sources",
    "ValueEstimates",
    "World",
]
