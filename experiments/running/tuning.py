"""How a Ray Tune study runs, stops and goes on: one folder, one set of settings, every trial in the table once."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from auctionsim.agents.ray_session import ray_running, require_cpus
from auctionsim.checks import checked_count
from auctionsim.errors import FailedTrialsError, InputError
from auctionsim.experiments.running.preparation import commit_or_none
from auctionsim.files import replacing, sweep, write_text
from auctionsim.kept import difference, differing
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.records import read_record
from auctionsim.tables import csv_text, read_parquet

TRIALS = "trials"  # Tune's own folder inside the run folder
CLAIM = "study.json"
TABLE = "trials.parquet"
TABLES = (TABLE, "trials.csv")
SNAPSHOT_SECONDS = "2"  # how often Tune writes down which trials are finished: what a kill costs beside running trials
FINISHED = "finished"  # a trial's own word that it came to its end, and was not stopped early


@dataclass(frozen=True)
class Cluster:
    """Where trials run.

    Attributes:
        cpus_per_trial: CPUs that Ray sets aside for each; a trial computes on one thread.
        cpus: CPUs that a local ray is given; None: those this process may use. A cluster has its own.
        address: Of a Ray cluster, such as "auto" or "10.0.0.1:6379"; None: this machine. Its nodes need this package,
            and the run folder must lie where all of them see it.
        trust_pickles: Go on with a folder that this user did not write on this machine: Tune unpickles what is in it,
            which runs whatever its writer wants.
    """

    cpus_per_trial: int = 1
    cpus: int | None = None
    address: str | None = None
    trust_pickles: bool = False

    def __post_init__(self) -> None:
        checked_count(self.cpus_per_trial, "cpus_per_trial")
        if self.cpus is not None:
            checked_count(self.cpus, "cpus")


@dataclass(frozen=True)
class TuneStudy:
    """What is run.

    Attributes:
        folder: Run folder.
        settings: Everything that decides the results, digests of what is read included, for the claim and run.json.
        usual: Their defaults.
        trial: (config, **shared) -> None: reports to Tune, lastly with `FINISHED`.
        shared: What every trial is given besides its config, sent to workers once.
        space: Tune's parameter space.
        trials: How many trials there will be.
        metric: Shown while they run.
    """

    folder: Path
    settings: Mapping[str, Any]
    usual: Mapping[str, Any]
    trial: Callable[..., None]
    shared: Mapping[str, Any]
    space: Mapping[str, Any]
    trials: int
    metric: str


def run_study(
    study: TuneStudy, tune_options: Callable[[], Mapping[str, Any]], cluster: Cluster, console: Console
) -> list[dict[str, Any]]:
    """Run every trial that is not finished, and write the table as parquet and CSV.

    A study that was stopped, by Ctrl-C or by a kill, goes on with its unfinished trials when it is called again; one
    that is finished is read from its table. A trial that was running begins anew.

    Args:
        study: What is run.
        tune_options: Makes the arguments of `TuneConfig`; called once ray is there, for a new study only.
        cluster: Where.
        console: Where progress is shown.
    Returns:
        One record a trial, in the table's order.
    Raises:
        ValueError: The folder holds another study, or one that this user did not write on this machine; the cluster
            is too small for one trial.
        ChildProcessError: Trials failed; the same call tries these again.
        KeyboardInterrupt: Ctrl-C; the same call goes on.
    """
    claim(study.folder, study.settings, study.usual)
    sweep(study.folder)
    if (study.folder / TABLE).exists():
        return read_table(study.folder)
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", SNAPSHOT_SECONDS)
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # Tune's own marks trials that Ctrl-C stopped as finished
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # the new output is never quiet
    with ray_running(cluster.address, cpus=cluster.cpus or _own_cpus()):
        require_cpus(cluster.cpus_per_trial)  # Tune would wait for ever, without a word
        from auctionsim.experiments.running.tune_progress import progress_shown

        tuner = _tuner(study, tune_options, cluster)
        with progress_shown(console):
            results = tuner.fit()
    records = _records(results, study.trials)
    _write(study, records)
    return records


def claim(folder: Path, settings: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    """Write down what the folder is for, or check that it is for this.

    Args:
        folder: The study's.
        settings: All that decides its results.
        usual: The settings' defaults: an older claim is without those that came later.
    Raises:
        ValueError: It is for something else; names the settings that differ.
    """
    path, wanted = folder / CLAIM, json.loads(json.dumps(settings))
    if not path.exists():
        write_text(path, json.dumps(wanted, indent=2, ensure_ascii=False))
        return
    there = dict(read_record(path).content)
    if differing(there, usual) != differing(wanted, usual):
        differs = difference({**usual, **there}, {**usual, **wanted})
        raise InputError(f"{folder} holds a study with {differs}: name another folder by --out, or remove it")


def read_table(folder: Path) -> list[dict[str, Any]]:
    """Return the records of a finished study."""
    return read_parquet(folder / TABLE).records()


def provenance() -> dict[str, Any]:
    """Return what a trial adds to its record: which code computed it. A study that goes on may hold several."""
    versions = {f"version_{name}": version for name, version in package_versions().items()}
    return {"commit": commit_or_none() or "not from a checkout", **versions}


def plain_settings(settings: Any, *left_out: str) -> dict[str, Any]:
    """Return a settings record as JSON has it, without what does not decide the results."""
    return {key: value for key, value in asdict(settings).items() if key not in left_out}


def distinct(values: Sequence[Any], name: str) -> None:
    """Refuse an empty list and one that names something twice.

    Raises:
        ValueError: Says which.
    """
    twice = [value for value in values if list(values).count(value) > 1]
    if twice or not values:
        raise InputError(f"{name} must be one or more different values, got {', '.join(map(str, values)) or 'none'}")


def _own_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _tuner(study: TuneStudy, tune_options: Callable[[], Mapping[str, Any]], cluster: Cluster) -> Any:
    """Return a new tuner, or the one that goes on."""
    from ray import tune

    from auctionsim.experiments.running.tune_progress import TrialProgress
    from auctionsim.experiments.running.tune_state import StateKept, prepare

    trainable = tune.with_parameters(study.trial, **study.shared) if study.shared else study.trial
    trainable = tune.with_resources(trainable, {"cpu": cluster.cpus_per_trial})
    path = (study.folder / TRIALS).resolve()
    begun = prepare(path, trust=cluster.trust_pickles)
    if begun:
        return tune.Tuner.restore(str(path), trainable=trainable, resume_unfinished=True, restart_errored=True)
    return tune.Tuner(
        trainable,
        param_space=dict(study.space),
        tune_config=tune.TuneConfig(reuse_actors=True, trial_dirname_creator=_trial_folder, **tune_options()),
        run_config=tune.RunConfig(
            name=TRIALS,
            storage_path=str(study.folder.resolve()),
            callbacks=[TrialProgress(study.trials, study.metric), StateKept()],
            verbose=0,
        ),
    )


def _trial_folder(trial: Any) -> str:
    return str(trial.trial_id)


def _records(results: Any, expected: int) -> list[dict[str, Any]]:
    """Return one flat record a trial.

    Raises:
        ChildProcessError: Trials failed.
    """
    if results.num_errors:
        first = next(result for result in results if result.error is not None)
        reason = str(first.error).strip().splitlines()[-1]
        raise FailedTrialsError(
            f"{results.num_errors} of {expected} trials failed, the first with {first.config}: {reason}; "
            "the same command tries them again"
        )
    ended = [result for result in results if FINISHED in (result.metrics or {})]
    assert len(ended) == expected, f"{len(ended)} trials of {expected} reported anything"
    records = []
    for result in ended:
        own = {name: value for name, value in result.metrics.items() if name not in _TUNES_OWN and name != "config"}
        plain = {name: value for name, value in own.items() if not name.startswith("config/")}
        records.append(
            {**result.config, "trial": result.metrics["trial_id"], **plain, "seconds": result.metrics["time_total_s"]}
        )
    return sorted(records, key=lambda record: _number(record["trial"]))  # as they began, however often they stopped


def _number(trial: str) -> tuple[int, str]:
    """Return a trial's number, by which it began, from Tune's PREFIX_00012."""
    last = trial.rpartition("_")[2]
    return (int(last) if last.isdigit() else 0, trial)


_TUNES_OWN = frozenset(
    {
        "trial_id",
        "date",
        "timestamp",
        "time_this_iter_s",
        "time_total_s",
        "time_since_restore",
        "iterations_since_restore",
    }
    | {"done", "pid", "hostname", "node_ip", "training_iteration", "checkpoint_dir_name", "experiment_tag"}
    | {"should_checkpoint"}
)


def _write(study: TuneStudy, records: Sequence[Mapping[str, Any]]) -> None:
    import pandas as pd

    table = pd.DataFrame(list(records))
    write_text(study.folder / "trials.csv", csv_text(table))
    with replacing(study.folder / TABLE) as draft:  # last: it says that the study is finished
        table.to_parquet(draft)
