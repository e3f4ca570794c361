"""Bidders trained into a run folder: how they were made, their learning curve, and state to go on from."""

import shutil
from collections.abc import Callable, Mapping, Sequence
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
from auctionsim.experiments.running.plan import OF_FORMAT_2, Plan, defaults_of
from auctionsim.experiments.running.run import write_table
from auctionsim.experiments.running.run_folder import begin, finish, is_finished, run_record
from auctionsim.kept import differing, file_digest, key_digest, plain
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.records import Record

OFTEN = 10.0  # seconds between checkpoints
KINDS = ("parquet", "csv")
_FORMAT = 2  # of a training's key: it changes when learners do
_OF_FORMAT_1 = (
    *("setting", "mechanism", "surface", "feature", "learner", "seed", "iterations", "sees_context", "shared"),
    *("exploiter", "rounds", "episodes", "steps", "env_runners", "address", "against"),
)
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
        versions = {name: version for name, version in package_versions().items() if name != "auctionsim"}
        settings = differing(settings_of(self.source, self.training, self.against), _usual())
        return plain({"format": _FORMAT, "settings": settings, "inputs": inputs, "versions": versions})

    @property
    def earlier_keys(self) -> tuple[dict[str, Any], ...]:
        """What format 1 called this training, every setting and this package's version written out."""
        settings = settings_of(self.source, self.training, self.against)
        then = {name: value for name, value in settings.items() if name in _OF_FORMAT_1}
        if differing(settings, _usual()) != differing(then, _usual()):
            return ()
        versions = {**package_versions(), "auctionsim": OF_FORMAT_2}
        return (plain({"format": 1, "settings": then, "inputs": self.key["inputs"], "versions": versions}),)

    @property
    def plan(self) -> Plan:
        """What run.json calls this training, and called it."""
        return Plan(key_digest(self.key), tuple(map(key_digest, self.earlier_keys)))

    def checkpoint(self) -> Checkpoint | PPOCheckpoint:
        """Return where the training's state is kept, under its own key: another training's is elsewhere."""
        places = {self._place(key): key for key in (self.key, *self.earlier_keys)}
        place, key = next((one for one in places.items() if _is_begun(one[0])), next(iter(places.items())))
        return (PPOCheckpoint if self.training.learner == "ppo" else Checkpoint)(place, key, OFTEN)

    def _place(self, key: Mapping[str, Any]) -> Path:
        place = self.folder / "training" / key_digest(key)
        return place if self.training.learner == "ppo" else place.with_suffix(".safetensors")


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
    plan, settings = run.plan, settings_of(run.source, run.training, run.against)
    if is_finished(run_record(run.folder), plan) and (run.folder / FILES[0]).is_file():
        kept = kept_bidders(run.folder)
        reports = Record(kept.record, f"{run.folder / FILES[0]}:").items("curve")
        curve = [learning_step(item, run.training.updates, len(kept.strategies)) for item in reports]
        return LearnedBidders(kept.strategies, curve, run.folder / FILES[0])
    begin(run.folder, plan, command, settings, stale=(*FILES, *EVALUATION))
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
    run: TrainingRun, learned: LearnedBidders, plan: Plan, checkpoint: Checkpoint | PPOCheckpoint, command: str
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


def _is_begun(place: Path) -> bool:
    """Tell whether a training, or a part of one, is kept there."""
    return any(place.parent.glob(f"{place.stem}*"))


def _usual() -> dict[str, Any]:
    """Return the defaults of what decides the bidders; updates have none: they are the learner's, and may change."""
    usual = {**defaults_of(AuctionSource), **defaults_of(Training), "against": None}
    return {name: value for name, value in usual.items() if name != "iterations"}


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
