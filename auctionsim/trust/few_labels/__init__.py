"""Few labels that correct many judgements: PPI, PPI++, DSL, and the number of labels that an interval needs."""

from auctionsim.trust.few_labels.budgets import LabelBudget, LabelPilot, label_pilot, labels_needed
from auctionsim.trust.few_labels.designed import dsl_mean, dsl_regression, least_squares, pseudo_outcomes
from auctionsim.trust.few_labels.estimates import RectifiedMean, RectifiedRegression
from auctionsim.trust.few_labels.powered import ppi_mean, ppi_regression

__all__ = [
    "LabelBudget",
    "LabelPilot",
    "RectifiedMean",
    "RectifiedRegression",
    "dsl_mean",
    "dsl_regression",
    "label_pilot",
    "labels_needed",
    "least_squares",
    "ppi_mean",
    "ppi_regression",
    "pseudo_outcomes",
]
