"""Values of options from confounded logs, a small experiment and a simulator of one's own."""

from auctionsim.logs.agreement import AgreementTest, agreement, replay_agreement
from auctionsim.logs.evaluation import LogEvaluation, evaluate
from auctionsim.logs.log_files import read_log_file, write_log_file
from auctionsim.logs.protocol import STANDARD_ESTIMATION, EstimationSettings, Estimator, World
from auctionsim.logs.recommendation import Recommendation, recommend, recommendation_regret
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog, Sources
from auctionsim.logs.value_estimates import ValueEstimates

__all__ = [
    "STANDARD_ESTIMATION",
    "AgreementTest",
    "EstimationSettings",
    "Estimator",
    "LogColumns",
    "LogEvaluation",
    "Recommendation",
    "Replays",
    "SessionLog",
    "Sources",
    "ValueEstimates",
    "World",
    "agreement",
    "evaluate",
    "read_log_file",
    "recommend",
    "recommendation_regret",
    "replay_agreement",
    "write_log_file",
]
