"""The figure of a training: every bidder's utility and bids over the updates."""

from collections.abc import Sequence
from pathlib import Path

from auctionsim.agents import LearningStep
from auctionsim.experiments.figures.sheets import saved, sheet


def draw_learning(curve: Sequence[LearningStep], title: str, folder: Path) -> None:
    """Draw every bidder's utility and bid/valuation over the updates."""
    figure, ((left, right),) = sheet(1, 2, (9, 3.4))
    updates = [step.iteration for step in curve]
    for bidder in range(len(curve[0].utility) if curve else 0):
        style = {"color": f"C{bidder}", "label": f"bidder {bidder}", "marker": "o" if len(curve) == 1 else None}
        left.plot(updates, [step.utility[bidder] for step in curve], **style)
        right.plot(updates, [step.bid_ratio[bidder] for step in curve], **style)
    left.set(xlabel="update", ylabel="utility a round, value units", title=title)
    right.set(xlabel="update", ylabel="mean bid / mean valuation")
    right.legend(fontsize=8)
    saved(figure, folder / "learning.png")
