"""Stages of a run whose results are kept: computed once, taken up again with the time that they took then."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from auctionsim.errors import DamagedFileError
from auctionsim.experiments.running.preparation import Stages, Tick
from auctionsim.experiments.running.run import Row, Run
from auctionsim.kept import key_digest
from auctionsim.language_models import LanguageModel
from auctionsim.scoring import Estimate
from auctionsim.substrates.language_model import LanguageModelSubstrate

_T = TypeVar("_T")


def kept_stage(
    run: Run, stages: Stages, stage: str, part: str, steps: int, make: Callable[[Tick], Sequence[Mapping[str, Any]]]
) -> list[Row]:
    """Return a part's rows, kept or made under a bar; either way the stage says how long making them took.

    Args:
        run: Keeps the part.
        stages: Shows the bar.
        stage: Its name; several parts may be of one stage.
        part: Name of what is kept.
        steps: How often `make` ticks.
        make: Makes the rows.
    """
    seconds = run.kept_seconds(part)
    if seconds is not None:
        stages.kept(stage, seconds)
        return run.part(part, lambda: [])
    with stages.stage(stage, steps) as tick:
        return run.part(part, lambda: make(tick))


def as_row(record: Any) -> Row:
    """Return a named tuple as JSON has it, the estimates in it as objects."""
    return {name: value._asdict() if isinstance(value, Estimate) else value for name, value in record._asdict().items()}


def record_from(kind: Callable[..., _T], row: Mapping[str, Any]) -> _T:
    """Return what `as_row` was given.

    Raises:
        ValueError: The row has other fields: it was kept by another version, or changed since.
    """
    try:
        return kind(**{name: Estimate(**value) if isinstance(value, dict) else value for name, value in row.items()})
    except TypeError as error:
        raise DamagedFileError(f"a kept row is damaged ({error}): remove the folder's parts and run again") from None


def live_key(live: LanguageModelSubstrate) -> str:
    """Return a digest of who replies: the model as it was loaded, the neurons, the prompts, how replies are drawn."""
    return key_digest(
        {
            "model": live.model.identity,
            "dtype": str(live.model.dtype),
            "device": live.model.device.type,
            "neurons": live.carrier.digest,
            "prompts": live.prompts.digest,
            "tokens": [live.model.chat_ids(prompt) for prompt in live.prompts.everything],
        }
    )


def model_inputs(model: LanguageModel) -> dict[str, str]:
    """Return who computes, for what is kept: the model as it was loaded."""
    return {"model": model.identity, "dtype": str(model.dtype), "device": model.device.type}
