"""How far a score of replies can be trusted: agreement with labels, biases, attacks, and the gate before a loss."""

from auctionsim.trust.label_files import read_labels, write_labels
from auctionsim.trust.labels import GoldLabel, GoldLabels, Label, Labeller, Labelling, LabelSource

__all__ = [
    "GoldLabel",
    "GoldLabels",
    "Label",
    "LabelSource",
    "Labeller",
    "Labelling",
    "read_labels",
    "write_labels",
]
