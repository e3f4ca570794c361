"""Cells of the reference corpus in a folder: which there are, and how one is made.

A cell whose auction, learner, effort, scoring or packages are others now is made anew (`kept_cells`).
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.agents.ray_session import ray_running
from auctionsim.data import DEFAULT_SURFACE
from auctionsim.envs.settings import SETTINGS
from auctionsim.errors import InputError
from auctionsim.experiments.learners import learner_maker, learner_named
from auctionsim.experiments.running.corpus_cell import CorpusCell, corpus_cell_document, corpus_cell_from
from auctionsim.experiments.running.corpus_score import CorpusScoring, score_learner
from auctionsim.experiments.running.kept_cells import CellForm, MadeCell, kept_cells
from auctionsim.experiments.running.preparation import slug
from auctionsim.gymnasium_ids import SETTING_OF_ID
from auctionsim.kept import file_digest, key_digest
from auctionsim.measurement import Report, Workers
from auctionsim.measurement.crew import Job
from auctionsim.neurons.brand_neurons import package_versions

FORM = CellForm("auctionsim cell of the reference corpus", 1, corpus_cell_from)
_SCORING = 1
"""It changes when what the same settings compute does."""


class CorpusTask(NamedTuple):
    """A cell that is to be made.

    Attributes:
        environment: Gymnasium id.
        setting: Its named auction.
        learner: Name in the corpus.
        seed: Of learning.
        effort: Share of the learner's own number of updates.
        scoring: How much is computed.
        digest: Of all that it depends on.
    """

    environment: str
    setting: str
    learner: str
    seed: int
    effort: float
    scoring: CorpusScoring
    digest: str

    @property
    def file_name(self) -> str:
        """Where it is stored."""
        return f"{slug(self.setting, self.learner, str(self.seed))}-{self.digest}.json"


class CorpusPlan(NamedTuple):
    """A cell that is to be made, and all that it depends on.

    Attributes:
        task: What a worker is given.
        key: What its file must have been made for.
    """

    task: CorpusTask
    key: dict[str, Any]


def corpus_environments() -> dict[str, str]:
    """Return the named auction of every Gymnasium id that needs no language model, by id."""
    return {name: setting for name, setting in SETTING_OF_ID.items() if setting in SETTINGS}


def planned(
    environments: Sequence[str],
    learners: Sequence[str],
    seeds: Sequence[int],
    effort: float,
    scoring: CorpusScoring,
) -> list[CorpusPlan]:
    """Return the cells of all environments, learners and seeds, in order.

    Raises:
        ValueError: An environment or a learner that there is not.
    """
    there, plans = corpus_environments(), []
    versions = {name: version for name, version in package_versions().items() if name != "auctionsim"}
    for environment in environments:
        if environment not in there:
            raise InputError(f"environment must be one of {', '.join(there)}, got {environment!r}")
        setting = there[environment]
        for learner in learners:
            made = learner_maker(learner)
            for seed in seeds:
                key: dict[str, Any] = {
                    "environment": environment,
                    "setting": setting,
                    "files": _files_of(setting),
                    "learner": learner,
                    **({"plugin": made} if made else {}),
                    "seed": seed,
                    "effort": effort,
                    "scoring": scoring._asdict(),
                    "format": _SCORING,
                    "versions": versions,
                }
                task = CorpusTask(environment, setting, learner, seed, effort, scoring, key_digest(key))
                plans.append(CorpusPlan(task, key))
    return plans


@lru_cache
def _files_of(setting: str) -> dict[str, str]:
    """Return digests of the packaged files that a named auction is read from, by name."""
    if not setting.startswith("neuron-"):
        return {}
    data = Path(str(resources.files("auctionsim.data")))
    names = [*data.glob(f"surfaces/{DEFAULT_SURFACE}*"), *data.glob(f"mechanisms/*.{DEFAULT_SURFACE}.safetensors")]
    return {path.name: file_digest(path) for path in sorted(names)}


def make_corpus_cell(task: CorpusTask) -> MadeCell:
    """Let one learner learn in one environment at one seed, and score its bids.

    Raises:
        ValueError: It cannot be made; names the learner and the environment.
    """
    learner = learner_named(task.learner)
    try:
        rows = score_learner(task.environment, task.setting, learner, task.seed, task.effort, task.scoring)
    except InputError as error:
        raise InputError(f"{task.learner} in {task.environment}: {error}") from error
    return MadeCell(task, corpus_cell_document(rows))


def _maker(model: None) -> Callable[[CorpusTask], MadeCell]:
    """Return what a worker makes cells with; no model is needed."""
    del model
    return make_corpus_cell


def corpus_cells(
    folder: Path, plans: Sequence[CorpusPlan], workers: Workers | None = None, report: Report | None = None
) -> list[CorpusCell]:
    """Return cells in order, making those that the folder does not hold.

    Args:
        folder: Where they are kept; made if it is not there.
        plans: Of `planned`.
        workers: None makes them in this process, in one Ray for all that need one.
        report: Told how far it is.
    Raises:
        ValueError: A file is damaged, or a cell cannot be made.
        RuntimeError: Workers died again and again over one cell.
    """
    keys = {one.task: one.key for one in plans}
    absent = [task for task in keys if not (folder / task.file_name).exists()]
    own_ray = workers is None and any(learner_named(task.learner).on_ray for task in absent)
    with ray_running() if own_ray else nullcontext():
        return [*kept_cells(folder, keys, FORM, make_corpus_cell, Job(_maker, None), workers, report).values()]
