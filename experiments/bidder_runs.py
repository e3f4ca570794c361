"""What a run folder of bidders holds beside the bidders: how they were made, the learning curve, what they score."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from auctionsim.agents import LearningStep
from auctionsim.experiments.bidder_evaluation import Evaluation, Mean, as_json
from auctionsim.experiments.bidders import Arena, Learned, Training
from auctionsim.experiments.sections.comparison_figures import saved, sheet
from auctionsim.experiments.support.preparation import commit_or_none
from auctionsim.experiments.support.running import RECORD, write_table
from auctionsim.files import write_text
from auctionsim.neurons.brand_neurons import package_versions

_PPO_ONLY = ("shared", "exploiter", "rounds", "episodes", "steps", "env_runners", "address")


def write_run(
    folder: Path, arena: Arena, training: Training, learned: Learned, *, against: Path | None, command: str
) -> None:
    """Write learning.parquet and .csv, learning.png, and run.json last of all, so that `report` shows the folder.

    Args:
        folder: Where `learn` kept the bidders.
        arena: The auction.
        training: The learner.
        learned: What it gave.
        against: The run whose bidders were the frozen ones, if there was one.
        command: What the user typed.
    """
    write_table(folder / "learning.parquet", curve_rows(learned.curve))
    _draw(learned.curve, f"{arena.setting or arena.mechanism}: {training.learner}, seed {training.seed}", folder)
    record = {
        "command": command,
        "commit": commit_or_none(),
        "versions": package_versions(),
        "threads": torch.get_num_threads(),
        "settings": settings_of(arena, training, against),
        "title": f"Bidders in {arena.setting or arena.mechanism}, by {training.learner}",
        "figures": {"learning.png": "Utility, and the mean bid over the mean valuation, as bidders learned"},
    }
    write_text(folder / RECORD, json.dumps(record, indent=2, ensure_ascii=False))


def settings_of(arena: Arena, training: Training, against: Path | None = None) -> dict[str, Any]:
    """Return what decided the bidders as JSON has it; what PPO alone reads is left out for other learners."""
    chosen: dict[str, Any] = {**vars(arena), "learner": training.learner, "seed": training.seed}
    chosen["iterations"], chosen["sees_context"] = training.updates, training.sees_context
    if training.learner == "ppo":
        chosen |= {name: getattr(training, name) for name in _PPO_ONLY}
        chosen["against"] = None if against is None else str(against)
    return chosen


def curve_rows(curve: Sequence[LearningStep]) -> list[dict[str, float]]:
    """Return a learning curve as tidy rows, one a report and bidder."""
    return [
        {"iteration": step.iteration, "bidder": bidder, "utility": utility, "bid_ratio": ratio}
        for step in curve
        for bidder, (utility, ratio) in enumerate(zip(step.utility, step.bid_ratio, strict=True))
    ]


def write_evaluation(out: Path, found: Evaluation) -> Path:
    """Write an evaluation to a JSON file, or into a folder as evaluation.json and a table each of bidders and plays.

    Args:
        out: A file that ends in .json; anything else is a folder, such as the run's own.
        found: The evaluation.
    Returns:
        The JSON file.
    """
    if out.suffix == ".json":
        write_text(out, json.dumps(as_json(found), indent=2))
        return out
    write_table(out / "evaluation_bidders.parquet", [_flat({"bidder": i}, s) for i, s in enumerate(found.bidders)])
    write_table(out / "evaluation_plays.parquet", [_flat({}, play) for play in found.plays])
    return write_evaluation(out / "evaluation.json", found)


def _flat(row: dict[str, Any], score: Any) -> dict[str, Any]:
    """Return a record's numbers as one row, a mean and the ends of its interval in columns of their own."""
    for name, value in score._asdict().items():
        if isinstance(value, Mean):
            row |= {name: value.value, f"{name}_low": value.interval.low, f"{name}_high": value.interval.high}
        else:
            row[name] = value
    return row


def _draw(curve: Sequence[LearningStep], title: str, folder: Path) -> None:
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
