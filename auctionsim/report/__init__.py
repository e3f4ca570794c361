"""One page that tells what a run found: records in, a self-contained HTML file out."""

from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.report.page import render, write_report
from auctionsim.report.records import (
    Confirmation,
    Findings,
    LearningPoint,
    MenuOption,
    ReplyPair,
)
from auctionsim.report.runs import write_runs_report
from auctionsim.scoring.records import Estimate, MechanismRow, TradeOffPoint

__all__ = [
    "Confirmation",
    "Estimate",
    "Findings",
    "LearningPoint",
    "MechanismRow",
    "MenuOption",
    "ReplyPair",
    "TradeOffPoint",
    "TrainingPoint",
    "render",
    "write_report",
    "write_runs_report",
]
