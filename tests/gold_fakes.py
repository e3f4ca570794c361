"""A small measurement with stored replies, more of them loops at higher doses: two brands, one lever, two contexts."""

import csv
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from auctionsim.gold.filled_sheets import SheetLabels, read_sheet
from auctionsim.gold.sheets import draw_sheet, write_sheet
from auctionsim.measurement.kept_replies import KeptReply, write_replies
from auctionsim.measurement.side_files import covariances_again, gather_again
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings.registry import reading
from auctionsim.readings.values import read_texts
from auctionsim.substrates import LeverGrid, Measurement, ResponseSurface
from auctionsim.substrates.measurements import Replicate
from auctionsim.substrates.quantities import Quantity

LOSSES = ("length", "window_word_repetition")
LOSS = LOSSES[1]
NODES = (0.0, 0.5, 1.0)
SENTENCE = "a good shoe holds your foot and lets it move while the sole takes the shock of each new step"
WORDS = SENTENCE.split(" ")
PROMPTS = [[f"Question {context} {k}?" for k in range(4)] for context in range(2)]


def is_bad(text: str) -> bool:
    """The truth of these replies: a loop, wherever a share of words is said again and again."""
    return text.count("Nike") > 6


def small_run(folder: Path, seed: int = 0, samples: int = 3) -> Path:
    """Write a surface, its replies beside it; return the surface's path."""
    draw = random.Random(seed)
    interventions = [[[0.0], [0.0]]] + [[[a], [b]] for a in NODES for b in NODES if (a, b) != (0, 0)]
    replies = []
    for replicate in "AB":
        for context in range(2):
            for k, levels in enumerate(interventions):
                dose = (levels[0][0] + levels[1][0]) / 2
                for prompt in range(4):
                    for sample in range(samples):
                        said = draw.randint(8, 16) if draw.random() < 0.1 + 0.6 * dose else draw.randint(0, 4)
                        words = ["Nike"] * said + draw.sample(WORDS, 18 - said)
                        place = ["AB".index(replicate), context, prompt, sample]
                        ids = list(range(18))
                        replies.append(KeptReply(replicate, context, prompt, k, place, " ".join(words), ids, 18))
    record = {
        "settings": {"seed": 0, "temperature": 0.7, "top_p": 1.0, "mode": "multiply", "positions": "reply"},
        "model": "fake:0",
        "brands": [["Nike"], ["Adidas"]],
        "carrier": {"name": "fake", "digest": "0", "levers": [["boost", 0.0]]},
        "contexts": ["request", "related"],
        "prompts": {"A": PROMPTS, "B": PROMPTS},
        "interventions": interventions,
    }
    path = folder / "small.safetensors"
    write_replies(folder / "small.replies.jsonl.gz", record, replies)
    stored = StoredReplies.load(folder / "small.replies.jsonl.gz")
    _surface(stored).save(path)
    return path


def _surface(stored: StoredReplies) -> ResponseSurface:
    numbers = list(range(len(stored.kept.replies)))
    values = {
        name: read_texts(reading(name), [stored.reply(k) for k in numbers], stored.brands)  # type: ignore[arg-type]
        for name in LOSSES
    }
    means = {name: gather_again(stored, reading(name), numbers, values[name]) for name in LOSSES}
    covariances = covariances_again(stored, values, numbers)
    exposure = torch.tensor([[[a, b] for b in NODES] for a in NODES], dtype=torch.float64)[..., None] / 2
    replicates = {}
    for one in "AB":

        def spread(array: torch.Tensor) -> torch.Tensor:
            return array.reshape(2, 3, 3)

        features = Measurement(
            exposure.expand(2, 3, 3, 2, 1).clone(),
            torch.full((2, 3, 3, 2, 1), 0.01, dtype=torch.float64),
            torch.full((2, 3, 3, 2, 1), 12),
        )
        losses = {name: Measurement(*map(spread, means[name][one][name])) for name in LOSSES}
        pairs = {pair: spread(array) for pair, array in covariances[one].items()}
        replicates[one] = Replicate(features, losses, {}, pairs)
    return ResponseSurface(
        grids=[LeverGrid("boost", NODES, 0.0)],
        num_bidders=2,
        features=["mention_probability"],
        contexts=["request", "related"],
        replicates=replicates,
        provenance={"brands": [["Nike"], ["Adidas"]], "model": "fake:0"},
        quantities={name: Quantity(reading(name).unit) for name in LOSSES},
    )


@cache
def opened(path: Path) -> tuple[ResponseSurface, StoredReplies]:
    """The surface and its replies, to be read only."""
    return ResponseSurface.load(path), StoredReplies.load(path.with_name("small.replies.jsonl.gz"))


def write_small_sheet(path: Path, sheet: Path, number: int = 72, labeller: str = "rule: loops", seed: int = 0) -> None:
    measured, stored = opened(path)
    write_sheet(sheet, draw_sheet("small", measured, stored, number, seed), stored, labeller)


def fill(sheet: Path, bad: Callable[[str], object] = lambda text: int(is_bad(text))) -> None:
    """Fill in a CSV sheet by a function of the reply."""
    change_rows(sheet, lambda rows: [{**row, "bad": str(bad(row["reply"]))} for row in rows])


def change_rows(sheet: Path, change: Callable[[list[dict[str, str]]], list[dict[str, str]]]) -> None:
    with sheet.open(newline="") as file:
        rows = change(list(csv.DictReader(file)))
    with sheet.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else ["id", "bad"])
        writer.writeheader()
        writer.writerows(rows)


def filled_sheet(path: Path, sheet: Path, number: int = 72, seed: int = 0) -> SheetLabels:
    write_small_sheet(path, sheet, number, seed=seed)
    fill(sheet)
    return read_sheet(sheet)
