"""How units become numbers: means, standard errors and counts of every feature, over prompts or over replies."""

from collections.abc import Sequence

import torch
from torch import Tensor

from auctionsim.measurement.units import MeasuredReply, UnitResult
from auctionsim.substrates.language_model import FEATURES
from auctionsim.substrates.measurements import Measurement, Replicate

_BY_REPLY = ("user_loss", "surprise", "repetition")


def gather(results: Sequence[UnitResult], cells: Tensor, contexts: int, kinds: Sequence[str]) -> Replicate:
    """Average one replicate's units.

    Scored features are averaged over stems first, so that prompts are their draws. Replies count one by one: the error
    is that of sampling replies to these prompts, and says nothing of other prompts; replicate B has others.

    Args:
        results: All units of the replicate.
        cells: (…), which intervention each cell is.
        contexts: How many there are.
        kinds: Of each stem after which names were scored; slot probability is kept by kind, too, as a diagnostic.
    """
    count = int(cells.max()) + 1
    scored = _scored(results, contexts, count, kinds)
    drawn = _drawn(results, contexts, count)
    k, brands = len(_BY_REPLY), (drawn.shape[-1] - len(_BY_REPLY)) // 2
    by_reply = _summary(drawn.flatten(2, 3))
    parts = {name: _summary(values) for name, values in scored.items()}
    parts["hits"] = _columns(by_reply, slice(k, k + brands))
    parts["mention_probability"] = _columns(by_reply, slice(k + brands, None))
    features = [torch.stack(column, dim=-1) for column in zip(*(parts[name] for name in FEATURES), strict=True)]
    loss, surprise, repetition = (_columns(by_reply, column) for column in range(k))
    by_kind = {slots_by_kind(kind): parts[slots_by_kind(kind)] for kind in dict.fromkeys(kinds)}
    beside = {"surprise": surprise, "repetition_rate": repetition, **by_kind}
    return Replicate(
        features=_in_cells(Measurement(*features), cells),
        losses={"kl": _in_cells(loss, cells)},
        diagnostics={name: _in_cells(item, cells) for name, item in beside.items()},
    )


def slots_by_kind(kind: str) -> str:
    """Return the name of the diagnostic that holds slot probability after one kind of stem."""
    return f"{kind}_slot_probability"


def _scored(results: Sequence[UnitResult], contexts: int, count: int, kinds: Sequence[str]) -> dict[str, Tensor]:
    """Return every scored feature as (context, intervention, prompt, brand), NaN where a context has fewer prompts.

    Slot probability is there three times: over all stems, and over those of either kind.
    """
    first = [result for result in results if result.scored]
    prompts = max(result.unit.prompt for result in first) + 1
    table: dict[str, Tensor] = {}
    for result in first:
        unit = result.unit
        by_stem = {name: torch.tensor(values, dtype=torch.float64) for name, values in result.scored.items()}
        means = {name: values.mean(1) for name, values in by_stem.items()}
        for kind in dict.fromkeys(kinds):
            some = torch.tensor([own == kind for own in kinds])
            means[slots_by_kind(kind)] = by_stem["slot_probability"][:, some].mean(1)
        for name, mean in means.items():
            empty = torch.full((contexts, count, prompts, mean.shape[1]), torch.nan, dtype=torch.float64)
            table.setdefault(name, empty)[unit.context, unit.start : unit.stop, unit.prompt] = mean
    return table


def _drawn(results: Sequence[UnitResult], contexts: int, count: int) -> Tensor:
    """Return every reply's numbers as (context, intervention, prompt, sample, column), NaN where none was drawn."""
    prompts = max(result.unit.prompt for result in results) + 1
    samples = max(reply.sample for result in results for reply in result.replies) + 1
    columns = len(_BY_REPLY) + 2 * len(results[0].replies[0].hits)
    table = torch.full((contexts, count, prompts, samples, columns), torch.nan, dtype=torch.float64)
    for result in results:
        for reply in result.replies:
            place = (result.unit.context, reply.intervention, result.unit.prompt, reply.sample)
            table[place] = torch.tensor(_numbers(reply), dtype=torch.float64)
    return table


def _numbers(reply: MeasuredReply) -> list[float]:
    said = [float(hits > 0) for hits in reply.hits]
    return [*(float(getattr(reply, name)) for name in _BY_REPLY), *map(float, reply.hits), *said]


def _summary(values: Tensor) -> Measurement:
    """Return mean, standard error and count over the third axis; absent entries are NaN and do not count."""
    there = ~values.isnan()
    n = there.sum(2)
    mean = values.nanmean(2)
    squares = torch.where(there, (values - mean.unsqueeze(2)).square(), torch.zeros_like(values)).sum(2)
    return Measurement(mean, (squares / (n - 1).clamp_min(1) / n).sqrt(), n)


def _columns(summary: Measurement, columns: int | slice) -> Measurement:
    return Measurement(*(part[..., columns] for part in summary))


def _in_cells(item: Measurement, cells: Tensor) -> Measurement:
    return Measurement(*(part[:, cells] for part in item))
