"""Bidders trained into a run folder: how they were made, their learning curve, and state to go on from."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.agents import LearningStep
from auctionsim.agents.checkpoints import Checkpoint, learning_step
from auctionsim.agents.ppo_checkpoints import PPOCheckpoint
from auctionsim.experiments.figures.bidders_train import draw_learning
from auctionsim.experiments.running.bidders import (
    RLLIB,
    AuctionSource,
    LearnedBidders,
    Training,
    bidders_file,
    kept_bidders,
    learn,
    refuse_misfits,
)
from auctionsim.experiments.running.run import write_table
from auctionsim.experiments.running.run_folder import begin, finish, is_finished, run_record
from auctionsim.kept import file_digest, key_digest, plain
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.records import Record

OFTEN = 10.0  # seconds between checkpoints
KINDS = ("parquet", "csv")
_FORMAT = 1  # of a training's key: it changes when learners do
_PPO_ONLY = ("shared", "exploiter", "rounds", "episodes", "steps", "env_runners", "address")


FILES = ("bidders.safetensors", "learning.parquet", "learning.csv", "learning.png")
EVALUATION = ("evaluation.json", *(f"evaluation_{of}.{kind}" for of in ("bidders", "plays") for kind in KINDS))


class TrainingRun(NamedTuple):
    """One training, and the folder that holds it.

    Attributes:
        folder: Of the run.
        source: The auction.
        training: The learner.
        against: The run whose bidders are the frozen ones, if there is one.
    """

    folder: Path
    source: AuctionSource
    training: Training
    against: Path | None = None

    @property
    def key(self) -> dict[str, Any]:
        """All that the bidders depend on: settings, the contents of what is read, packages."""
        inputs = self.source.inputs()
        if self.against is not None:
            inputs["against"] = file_digest(bidders_file(self.against))
        settings = settings_of(self.source, self.training, self.against)
        return plain({"format": _FORMAT, "settings": settings, "inputs": inputs, "versions": package_versions()})

    def checkpoint(self) -> Checkpoint | PPOCheckpoint:
        """Return where the training's state is kept, under its own key: another training's is elsewhere."""
        place = self.folder / "training" / key_digest(self.key)
        if self.training.learner == "ppo":
            return PPOCheckpoint(place, self.key, OFTEN)
        return Checkpoint(place.with_suffix(".safetensors"), self.key, OFTEN)


def train(run: TrainingRun, progress: Callable[[LearningStep], None], *, command: str) -> LearnedBidders:
    """Train, or go on where an earlier run of the same was stopped, and write the run folder.

    A folder that holds this very training, finished, is left as it is. What a run of other settings left behind is
    removed first, and until the end run.json says that this one is not finished.

    Args:
        run: What to train.
        progress: Called as learning goes on.
        command: What the user typed.
    Raises:
        ValueError: Settings that do not fit, before anything is replaced.
    """
    refuse_misfits(run.source, run.training)
    plan = key_digest(run.key)
    if is_finished(run_record(run.folder), plan) and (run.folder / FILES[0]).is_file():
        kept = kept_bidders(run.folder)
        reports = Record(kept.record, f"{run.folder / FILES[0]}:").items("curve")
        curve = [learning_step(item, run.training.updates, len(kept.strategies)) for item in reports]
        return LearnedBidders(kept.strategies, curve, run.folder / FILES[0])
    begin(run.folder, plan, command, run.key["settings"], stale=(*FILES, *EVALUATION))
    _drop_rllib(run.folder / RLLIB)
    checkpoint = run.checkpoint()
    learned = learn(run.source, run.training, run.folder, progress, checkpoint)
    _write_run(run, learned, plan, checkpoint, command)
    checkpoint.remove()  # last: until run.json says that it is finished, it may be needed
    return learned


def _drop_rllib(folder: Path) -> None:
    """Remove what RLlib saved of other bidders, and nothing else that may be called so."""
    if (folder / "rllib_checkpoint.json").is_file() and not folder.is_symlink():
        shutil.rmtree(folder)


def _write_run(
    run: TrainingRun, learned: LearnedBidders, plan: str, checkpoint: Checkpoint | PPOCheckpoint, command: str
) -> None:
    """Write learning.parquet and .csv, learning.png, and run.json last of all, so that `report` shows the folder."""
    folder, source, training = run.folder, run.source, run.training
    write_table(folder / "learning.parquet", curve_rows(learned.curve))
    title = f"{source.setting or source.mechanism}: {training.learner}, seed {training.seed}"
    draw_learning(learned.curve, title, folder)
    more: dict[str, Any] = {
        "settings": settings_of(source, training, run.against),
        "inputs": run.key["inputs"],
        "seconds": round(checkpoint.seconds, 1),
        "title": f"Bidders in {source.setting or source.mechanism}, by {training.learner}",
        "figures": {"learning.png": "Utility, and the mean bid over the mean valuation, as bidders learned"},
    }
    if isinstance(checkpoint, PPOCheckpoint):
        more["resumed_at"] = list(checkpoint.resumed_at)  # after a stop PPO plays other auctions
    finish(folder, plan, command, (*FILES, *EVALUATION), more)


def settings_of(source: AuctionSource, training: Training, against: Path | None = None) -> dict[str, Any]:
    """Return what decided the bidders as JSON has it; what PPO alone reads is left out for other learners."""
    chosen: dict[str, Any] = {**vars(source), "learner": training.learner, "seed": training.seed}
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
