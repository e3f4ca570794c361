"""Labelled replies that are made up: good ones, loops, drift and broken text, in three categories."""

from pathlib import Path

import numpy as np

from auctionsim.brands import Brand
from auctionsim.trust import GoldLabel, GoldLabels, Label, Labeller, Labelling, LabelSource, write_labels

CATEGORIES = {
    "shoes": ("Nike", "Puma", "sole laces heel grip trail run foot pair stride cushion road race"),
    "coffee": ("Lavazza", "Illy", "bean roast cup brew aroma milk crema grind filter mug barista espresso"),
    "hotels": ("Hilton", "Marriott", "room lobby bed breakfast view pool night guest floor key balcony towel"),
}
PLAIN = (
    "the a of and with for you it is this good more some most every when while then because which one two very often "
    "people choose find like keep want need take price time day long light firm new old fair small large easy"
)
ELSEWHERE = "moon poem engine violin harbour saint winter letter queen river sword prophet canyon thunder"


def make_labels(path: Path, per_kind: int = 14, seed: int = 0) -> GoldLabels:
    """Write labels of three categories, as many of each kind, and twice as many good ones."""
    draws, labels = np.random.default_rng(seed), []
    for category, (first, second, topic) in CATEGORIES.items():
        brands = (Brand(first), Brand(second))
        for kind in ("good", "good", "loops", "drift", "broken"):
            for k in range(per_kind):
                prompt = f"Which {category} suit me best, question {k % 7}?"
                text = reply_text(draws, kind, topic.split(), [first, second])
                source = LabelSource("made up", "A", 0, 1, len(labels))
                bad = kind != "good"
                one = Label("m", bad, kind, 1 if bad else 5)
                settled = "one labeller"
                labels.append(GoldLabel(category, prompt, text, brands, (one,), bad, kind, one.rating, settled, source))
    about = Labelling("Made up.", (Labeller("m", "language model", "none"),), "2026-11-26", "made up")
    return write_labels(path, labels, about)


def reply_text(draws: np.random.Generator, kind: str, topic: list[str], names: list[str]) -> str:
    """Return a reply of 30 words."""
    pools = {"good": [*topic, *topic, *PLAIN.split(), *names], "drift": [*ELSEWHERE.split() * 2, *PLAIN.split()]}
    if kind == "loops":
        few = [str(word) for word in draws.choice([*names, *topic], 2, replace=False)]
        return " ".join((few * 15)[:30])
    if kind == "broken":
        return " ".join("".join(draws.choice(list("#@{}xqzjk|~"), 5)) for _ in range(30))
    return " ".join(draws.choice(pools[kind], 30, replace=False).tolist()).capitalize() + "."
