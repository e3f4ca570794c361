"""Levels of a carrier that are measured: each brand alone where its replies have moved by stated amounts, then jointly.

Carriers are compared where replies have moved alike, never at equal strength. So a pilot on replicate A's prompts reads
`reply_kl` at every rung of the carrier's ladder, each brand alone, and the levels are where it reaches the targets:
between two rungs by linear interpolation where every lever is continuous, else at the rung next to the target.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.carriers.protocol import Carrier
from auctionsim.errors import InputError
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import null_levers
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.prompts import PromptSet
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner

TARGETS = (0.5, 1.0, 2.0, 4.0)
"""Nats a reply at which levels are wanted."""
MOST_SETTINGS = 25
"""Joint settings of a list."""


class Pilot(NamedTuple):
    """Divergences that a pilot read.

    Attributes:
        ladder: (rung, lever) settings of one brand's levers.
        reply_kl: (brand, rung) means over prompts and samples, nats a reply, each brand alone.
    """

    ladder: Float[Tensor, "rung lever"]
    reply_kl: Float[Tensor, "brand rung"]


def pilot(
    model: LanguageModel, carrier: Carrier, prompts: PromptSet, settings: MeasurementSettings, samples: int = 1
) -> Pilot:
    """Read reply_kl at every rung of a carrier's ladder, each brand alone, on replicate A's prompts.

    Args:
        model: The language model.
        carrier: What moves its replies.
        prompts: All prompts.
        settings: How replies are drawn; the pilot's are drawn apart from the measurement's.
        samples: Replies a prompt.
    """
    own = prompts.split("A")
    live = LanguageModelSubstrate(
        model,
        carrier,
        own,
        samples=samples,
        max_new_tokens=settings.max_new_tokens,
        temperature=settings.temperature,
        seed=settings.seed + 1,
        manner=Manner(settings.positions, settings.top_p, (), ("reply_kl",)),
    )
    ladder = carrier.ladder().double()
    nulls = null_levers(carrier.levers, len(carrier.brands))
    alone = nulls.expand(len(carrier.brands) * len(ladder), -1, -1).clone()
    for brand in range(len(carrier.brands)):
        alone[brand * len(ladder) : (brand + 1) * len(ladder), brand] = ladder
    total = torch.zeros(len(alone), dtype=torch.float64)
    for context, listed in enumerate(own.prompts):
        for number, prompt in enumerate(listed):
            batch = live.replies(prompt, alone, (context, number), samples)
            total += batch.numbers("reply_kl").view(len(alone), samples).mean(1)
    return Pilot(ladder, (total / len(own.everything)).view(len(carrier.brands), len(ladder)))


def levels_at(found: Pilot, carrier: Carrier, targets: Sequence[float] = TARGETS) -> list[Float[Tensor, "level lever"]]:
    """Return each brand's levels, weakest first, at most one a target.

    Where nothing is between rungs, the rung whose divergence is next to a target by its logarithm. Where no rung moves
    the reply, as on carriers that act after it, as many rungs as there are targets, evenly spread.
    """
    if carrier.whole and len(carrier.whole) < len(carrier.levers):
        raise InputError(f"levers of {carrier.name} must all be whole numbers or all continuous")
    levels = []
    for row in found.reply_kl:
        if not bool((row > 0).any()):
            count = min(len(targets), len(found.ladder))
            chosen = torch.linspace(0, len(found.ladder) - 1, count).round().long()
            levels.append(found.ladder[chosen])
        elif carrier.whole:
            nearest = [_nearest(row, target) for target in targets]
            levels.append(found.ladder[sorted(set(nearest))])
        else:
            nulls = null_levers(carrier.levers, 1)
            path, moved = torch.cat([nulls, found.ladder]), torch.cat([row.new_zeros(1), row.cummax(0).values])
            reached = [tuple(_between(path, moved, target).tolist()) for target in targets]
            levels.append(torch.tensor(list(dict.fromkeys(reached)), dtype=torch.float64))
    return levels


def joint_list(
    carrier: Carrier, levels: Sequence[Tensor], *, combined: bool = False
) -> Float[Tensor, "entry bidder lever"]:
    """Return what is measured: nobody, each brand alone at each of its levels, and all together at two levels.

    All together: at the second and the last level of each; where that is not feasible, at the same share of the way
    there that each would have of an equal split.

    Args:
        carrier: What moves replies.
        levels: (level, lever) of each brand, from weak to strong.
        combined: All together at every combination of levels instead.
    Raises:
        ValueError: A combination that the carrier cannot carry out, or more than `MOST_SETTINGS`.
    """
    brands = len(carrier.brands)
    nulls = null_levers(carrier.levers, brands)
    entries = [nulls]
    for brand, own in enumerate(levels):
        for level in own:
            entry = nulls.clone()
            entry[brand] = level
            entries.append(entry)
    if combined:
        rows = itertools.product(*([null, *own] for null, own in zip(nulls, levels, strict=True)))
        together = [torch.stack(row) for row in rows]
        entries += [entry for entry in together if int((entry != nulls).any(1).sum()) > 1]
    elif brands > 1:
        most = max(map(len, levels))
        for step in sorted({min(1, most - 1), most - 1}):
            entry = torch.stack([own[min(step, len(own) - 1)] for own in levels])
            if not bool(carrier.feasible(entry.unsqueeze(0))):
                entry = nulls + (entry - nulls) / brands
            entries.append(entry)
    found = torch.stack(entries)
    fits = carrier.feasible(found)
    if not bool(fits.all()):
        raise InputError(f"{carrier.name} cannot carry out {found[~fits][0].tolist()}, which its ladder has")
    if len(found) > MOST_SETTINGS:
        raise InputError(f"at most {MOST_SETTINGS} joint settings are measured, {carrier.name} has {len(found)}")
    return found


def _nearest(row: Tensor, target: float) -> int:
    distance = (row.clamp_min(1e-9).log() - math.log(target)).abs()
    return int(distance.argmin())


def _between(path: Tensor, moved: Tensor, target: float) -> Tensor:
    """Return where a path (rung, lever) first reaches a divergence, its end where it never does."""
    after = int((moved < target).sum())
    if after == len(path):
        return path[-1]
    low, high = moved[after - 1], moved[after]
    share = (target - low) / (high - low)
    return path[after - 1] + share * (path[after] - path[after - 1])
