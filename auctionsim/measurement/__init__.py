"""How a surface or a list of allocations is measured on a model: planned, resumed, fanned out, gathered."""

from auctionsim.measurement.crew import Workers
from auctionsim.measurement.interventions import levels_of, sparse_allocations
from auctionsim.measurement.kept_replies import KeptReplies, KeptReply, read_replies
from auctionsim.measurement.measuring import Measuring, Progress, Report
from auctionsim.measurement.settings import LeverSetting, MeasurementSettings
from auctionsim.measurement.units import MeasuredReply, Shard, Unit, UnitResult
from auctionsim.measurement.workers import REPLIES_FILE, measure

__all__ = [
    "REPLIES_FILE",
    "KeptReplies",
    "KeptReply",
    "LeverSetting",
    "MeasuredReply",
    "MeasurementSettings",
    "Measuring",
    "Progress",
    "Report",
    "Shard",
    "Unit",
    "UnitResult",
    "Workers",
    "levels_of",
    "measure",
    "read_replies",
    "sparse_allocations",
]
