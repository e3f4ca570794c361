"""Draws replies of packaged surfaces for labelling: a blind sheet (id, question, reply) and a key (where each is from).

python tools/label_sheet.py OUT --per-category 100 --seed 0

Of each category: 15 % untouched replies, 20 % under an amplification of 3 or more where there is one, the rest in
between. The untouched ones anchor the loss, which is relative to them; at × 3 nearly everything loops, and easy labels
teach little. The key holds how many stored replies each one stands for.
"""

import argparse
import json
import random
from pathlib import Path

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.experiments.running.measured import measured_named
from auctionsim.files import write_text
from auctionsim.measurement.stored_replies import StoredReplies

SURFACES = {
    "running shoes": "running-shoes-2@3",
    "smartphones": "smartphones-2@1",
    "coffee": "coffee-2@1",
    "hotels": "hotels-2@1",
    "charities": "charities-2@1",
}
SHARES = {"untouched": 0.15, "moderate": 0.65, "strong": 0.2}
STRONG = 3.0


def stratum(levers: list[list[float]]) -> str:
    """Return which stratum an intervention is of."""
    factors = [factor for neurons, factor in levers if neurons > 0]
    return "untouched" if not factors else "strong" if max(factors) >= STRONG else "moderate"


def drawn(category: str, surface: str, count: int, generator: random.Random) -> list[dict[str, object]]:
    """Draw replies of one category, so many of each stratum; one that is not there gives its share to moderate."""
    path = surfaces_folder() / f"{surface}.safetensors"
    measured = measured_named(surface)
    stored = StoredReplies.load(replies_beside(path), measured.provenance)
    strata: dict[str, list[int]] = {name: [] for name in SHARES}
    for number, reply in enumerate(stored.kept.replies):
        strata[stratum(stored.interventions[reply.intervention].tolist())].append(number)
    counts = {name: round(share * count) for name, share in SHARES.items() if strata[name]}
    counts["moderate"] += count - sum(counts.values())
    found: list[dict[str, object]] = []
    for name, size in counts.items():
        for number in sorted(generator.sample(strata[name], size)):
            reply = stored.kept.replies[number]
            found.append(
                {
                    "category": category,
                    "surface": surface,
                    "number": number,
                    "replicate": reply.replicate,
                    "context": reply.context,
                    "intervention": reply.intervention,
                    "weight": len(strata[name]) / size,
                    "brands": [brand.written for brand in stored.brands],
                    "prompt": stored.reply(number).prompt,
                    "text": reply.text,
                }
            )
    return found


def main() -> None:
    """Write sheet.jsonl and key.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-category", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    generator = random.Random(chosen.seed)
    rows = [row for each in SURFACES.items() for row in drawn(*each, chosen.per_category, generator)]
    generator.shuffle(rows)
    chosen.out.mkdir(parents=True, exist_ok=True)
    sheet = [{"id": k, "question": row["prompt"], "reply": row["text"]} for k, row in enumerate(rows)]
    key = [{"id": k, **row} for k, row in enumerate(rows)]
    for name, lines in (("sheet", sheet), ("key", key)):
        write_text(chosen.out / f"{name}.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


if __name__ == "__main__":
    main()
