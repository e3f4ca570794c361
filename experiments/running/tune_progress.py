"""What a person sees of a Tune study: one bar over its trials. Importing this loads ray.

Tune pickles its callbacks when a study begins and takes them out again when it goes on, so this one holds no bar until
it is set up, and finds out from Tune how far the study is.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from ray.tune import Callback
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

COLUMNS = (
    TextColumn("{task.description}", markup=False),
    BarColumn(),
    MofNCompleteColumn(),
    TimeElapsedColumn(),
    TextColumn("eta"),
    TimeRemainingColumn(),
)


class TrialProgress(Callback):  # type: ignore[misc]
    """Counts finished, running and failed trials on one bar.

    Args:
        total: How many trials the study has.
        metric: Shown of the last result, besides the counts.
    """

    bar: ClassVar[Progress | None] = None

    def __init__(self, total: int, metric: str) -> None:
        self.total, self.metric = total, metric
        self.task: Any = None
        self.latest = ""

    def __getstate__(self) -> dict[str, Any]:
        """Return what a study that goes on begins with."""
        return {"total": self.total, "metric": self.metric, "task": None, "latest": ""}

    def setup(self, *_: Any, **__: Any) -> None:
        """Add the task."""
        if self.bar is not None:
            self.task = self.bar.add_task("trials", total=self.total)

    def on_trial_result(self, iteration: int, trials: Sequence[Any], trial: Any, result: Any, **_: Any) -> None:
        """Keep the last value of the metric."""
        del iteration, trials, trial
        value = result.get(self.metric)
        self.latest = f", last {self.metric} {value:.4g}" if isinstance(value, float) else self.latest

    def on_step_end(self, iteration: int, trials: Sequence[Any], **_: Any) -> None:
        """Count anew."""
        del iteration
        if self.bar is None or self.task is None:
            return
        states = [trial.status for trial in trials]
        failed = states.count("ERROR")
        words = f"trials: {states.count('RUNNING')} running" + (f", {failed} failed" if failed else "") + self.latest
        self.bar.update(self.task, completed=states.count("TERMINATED"), description=words)


@contextlib.contextmanager
def progress_shown(console: Console) -> Iterator[None]:
    """Draw the bar of the study that runs in this block."""
    with Progress(*COLUMNS, console=console) as bar:
        TrialProgress.bar = bar
        try:
            yield
        finally:
            TrialProgress.bar = None
