"""Measured lists of carriers that are made up: replies drawn from known laws, in files as a measurement leaves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from auctionsim.brands import parse_brands
from auctionsim.data import replies_beside, values_beside
from auctionsim.measurement.kept_replies import KeptReply, write_replies
from auctionsim.measurement.reply_values import write_reply_values
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.substrates import Lever, MeasuredList, Measurement, Quantity, Replicate

CONTEXTS = ("direct", "comparison", "loose")
BASE = (0.5, 0.3, 0.1)
"""How often untouched replies name a brand, by context."""
LEVER = Lever("strength", 0.0, 4.0, 0.0)


class MadeUp(NamedTuple):
    """A carrier that is made up.

    Attributes:
        name: Of the carrier.
        lift: By which the odds of naming the brand grow, as e^(lift · strength).
        price: Nats a reply and unit of strength.
        steal: What the other brand's odds lose, likewise.
        ads: Acts after the reply: its words are put there as an ad, and the law stays.
    """

    name: str
    lift: float = 1.0
    price: float = 1.0
    steal: float = 0.0
    ads: bool = False


def settings_of(strengths: Sequence[float]) -> list[list[list[float]]]:
    """The null, each brand alone at each strength, and both together."""
    alone = [[[s], [0.0]] for s in strengths] + [[[0.0], [s]] for s in strengths]
    return [[[0.0], [0.0]], *alone, [[strengths[-1]], [strengths[-1]]]]


def chance(one: MadeUp, setting: list[list[float]], context: int, brand: int) -> float:
    """How often a reply names a brand."""
    odds = BASE[context] / (1 - BASE[context])
    odds *= np.exp(one.lift * setting[brand][0] - one.steal * setting[1 - brand][0])
    return float(odds / (1 + odds))


def write_list(
    folder: Path,
    one: MadeUp,
    *,
    category: str = "running shoes",
    brands: str = "Nike,Adidas",
    strengths: Sequence[float] = (0.5, 2.0),
    prompts: int = 3,
    samples: int = 4,
    quality: bool = True,
    seed: int = 0,
) -> Path:
    """Write a list with its replies and their values; return the list's file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{category.replace(' ', '-')}-2-{one.name}@1.safetensors"
    bidders, settings = parse_brands(brands), settings_of(strengths)
    rng = np.random.default_rng(seed)
    shifts = {name: rng.normal(0, 0.5, (len(CONTEXTS), prompts)) for name in "AB"}
    replies, moved, bad = [], [], []
    for place, name in enumerate("AB"):
        for context in range(len(CONTEXTS)):
            for prompt in range(prompts):
                numbers = rng.random((samples, len(bidders)))  # the same under every setting, as measurements draw
                for k, setting in enumerate(settings):
                    text, spent, ads = _reply(one, bidders, setting, context, numbers, shifts[name][context, prompt])
                    for sample in range(samples):
                        at = [place, context, prompt, sample]
                        replies.append(KeptReply(name, context, prompt, k, at, text[sample], [1, 2], 2, ads[sample]))
                        moved.append(spent * (0.5 + numbers[sample, 0]))
                        bad.append(0.1 + 0.05 * spent * numbers[sample, 1])
    record = {
        "settings": {"temperature": 0.7, "top_p": 1.0, "mode": "multiply", "positions": "reply", "seed": 0},
        "model": "fake:0123456789abcdef",
        "dtype": "torch.float32",
        "carrier": {"name": one.name, "digest": "0" * 16, "levers": [[LEVER.name, LEVER.null]]},
        "brands": [brand.written for brand in bidders],
        "contexts": list(CONTEXTS),
        "prompts": {
            name: [[f"{category} {name} {context} {k}" for k in range(prompts)] for context in CONTEXTS]
            for name in "AB"
        },
        "interventions": settings,
    }
    write_replies(replies_beside(path), record, replies)
    _list(settings, category, [list(brand.written) for brand in bidders], record["carrier"]).save(path)
    stored = StoredReplies.load(replies_beside(path))
    values = {"reply_kl": moved, "kl": [value / 2 for value in moved], **({"quality": bad} if quality else {})}
    write_reply_values(values_beside(path), stored, values, {"command": "pytest"})
    return path


def _reply(one, bidders, setting, context, numbers, shift):  # type: ignore[no-untyped-def]
    """A prompt's replies under one setting: texts, mean nats, ads."""
    texts, ads = [], []
    for row in numbers:
        words, spans = "Shoes should fit.", []
        for brand, number in enumerate(row):
            own = 1.0 if one.ads and setting[brand][0] else chance(one, setting, context, brand)
            odds = own / (1 - own) * np.exp(shift) if own < 1 else np.inf
            if number < (odds / (1 + odds) if np.isfinite(odds) else 1.0):
                spans.append((len(words) + 1, len(words) + 1 + len(f"{bidders[brand].name} fits.")))
                words += f" {bidders[brand].name} fits."
        texts.append(words)
        bought = any(strength for (strength,) in setting)
        ads.append(tuple(spans) if one.ads and bought else ())
    spent = 0.0 if one.ads else one.price * sum(strength for (strength,) in setting)
    return texts, spent, ads


def _list(settings: list[list[list[float]]], category: str, brands: list[list[str]], carrier: object) -> MeasuredList:
    count = len(settings)
    slots = torch.rand(len(CONTEXTS), count, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    features = Measurement(slots, 0.1 * slots, torch.full(slots.shape, 4))
    loss = torch.tensor([float(sum(s for (s,) in one)) for one in settings], dtype=torch.float64)
    kl = Measurement(loss.expand(3, -1).clone(), loss.expand(3, -1) / 10, torch.full((3, count), 16))
    return MeasuredList(
        levers=(LEVER,),
        allocations=torch.tensor(settings, dtype=torch.float64),
        features=("slot_probability",),
        contexts=CONTEXTS,
        replicates={name: Replicate(features, {"reply_kl": kl}) for name in "AB"},
        provenance={
            "category": category,
            "brands": brands,
            "carrier": carrier,
            "model": "fake:0123456789abcdef",
            "command": "pytest",
        },
        quantities={"reply_kl": Quantity("nats a reply", 0.0)},
    )
