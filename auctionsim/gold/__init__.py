"""Few gold labels: a judge's means in every cell, corrected by labels drawn with known probabilities."""

from auctionsim.gold.cells import CorrectedCells, JudgedCells, LabelledReplies
from auctionsim.gold.doses import doses
from auctionsim.gold.rectifier import Rectifier, correct_cells
from auctionsim.gold.worlds import Coverage, LabelWorld, coverage_of

__all__ = [
    "CorrectedCells",
    "Coverage",
    "JudgedCells",
    "LabelWorld",
    "LabelledReplies",
    "Rectifier",
    "correct_cells",
    "coverage_of",
    "doses",
]
