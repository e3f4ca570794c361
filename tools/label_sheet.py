"""Draws stored replies for labelling: a blind sheet (id, question, reply) and a key (where each reply is from).

python tools/label_sheet.py OUT --per-category 104 --seed 0
python tools/label_sheet.py MORE --per-category 80 --seed 1 --strong 0 --without OUT/key.jsonl
python tools/label_sheet.py CARS --per-category 104 --category cars=runs/cars

Of each category so many are untouched, so many under an amplification of 3 or more where there is one, and the rest in
between. The untouched ones anchor the loss, which is relative to them; at × 3 nearly everything loops, and easy labels
teach little. The key holds how many stored replies each one's stratum has, for weights.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from auctionsim.data import replies_beside, surfaces_folder
from auctionsim.experiments.running.measured import measured_named
from auctionsim.files import write_text
from auctionsim.measurement import REPLIES_FILE
from auctionsim.measurement.stored_replies import StoredReplies

SURFACES = {
    "running shoes": "running-shoes-2@3",
    "smartphones": "smartphones-2@1",
    "coffee": "coffee-2@1",
    "hotels": "hotels-2@1",
    "charities": "charities-2@1",
}
STRONG = 3.0


def rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def stored_replies(source: str) -> StoredReplies:
    """Return the replies of a packaged measurement or of a run folder."""
    if Path(source).is_dir():
        measured = measured_named(f"{source}/surface.safetensors")
        return StoredReplies.load(Path(source) / "measurement" / REPLIES_FILE, measured.provenance)
    path = surfaces_folder() / f"{source}.safetensors"
    return StoredReplies.load(replies_beside(path), measured_named(source).provenance)


def stratum(levers: list[list[float]]) -> str:
    """Return which stratum an intervention is of."""
    factors = [factor for neurons, factor in levers if neurons > 0]
    return "untouched" if not factors else "strong" if max(factors) >= STRONG else "moderate"


def drawn(
    category: str,
    source: str,
    counts: dict[str, int],
    earlier: set[tuple[str, int]],
    generator: random.Random,
) -> list[dict[str, Any]]:
    """Draw replies of one category, so many of each stratum; one that is not there gives its share to moderate."""
    stored = stored_replies(source)
    strata: dict[str, list[int]] = {name: [] for name in counts}
    for number, reply in enumerate(stored.kept.replies):
        strata[stratum(stored.interventions[reply.intervention].tolist())].append(number)
    sizes = {name: size if strata[name] else 0 for name, size in counts.items()}
    sizes["moderate"] += sum(counts.values()) - sum(sizes.values())
    found: list[dict[str, Any]] = []
    for name, size in sizes.items():
        free = [number for number in strata[name] if (source, number) not in earlier]
        for number in sorted(generator.sample(free, size)):
            reply = stored.kept.replies[number]
            found.append(
                {
                    "category": category,
                    "surface": source,
                    "number": number,
                    "replicate": reply.replicate,
                    "context": reply.context,
                    "intervention": reply.intervention,
                    "stratum": name,
                    "stratum_size": len(strata[name]),
                    "brands": [brand.written for brand in stored.brands],
                    "prompt": stored.reply(number).prompt,
                    "text": reply.text,
                }
            )
    return found


def main() -> None:
    """Write sheet.jsonl and key.jsonl."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--per-category", type=int, default=104)
    parser.add_argument("--untouched", type=float, default=0.15)
    parser.add_argument("--strong", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--category", action="append", help="NAME=SURFACE; none: the five that ship")
    parser.add_argument("--without", type=Path, action="append", default=[], help="keys of earlier sheets")
    parser.add_argument("--first-id", type=int, default=0)
    chosen = parser.parse_args()
    generator = random.Random(chosen.seed)
    named = dict(one.partition("=")[::2] for one in chosen.category or []) or SURFACES
    earlier = {(row["surface"], row["number"]) for path in chosen.without for row in rows(path)}
    untouched, strong = (round(share * chosen.per_category) for share in (chosen.untouched, chosen.strong))
    counts = {"untouched": untouched, "moderate": chosen.per_category - untouched - strong, "strong": strong}
    found = [row for each in named.items() for row in drawn(*each, counts, earlier, generator)]
    generator.shuffle(found)
    chosen.out.mkdir(parents=True, exist_ok=True)
    ids = [chosen.first_id + k for k in range(len(found))]
    sheet = [{"id": k, "question": row["prompt"], "reply": row["text"]} for k, row in zip(ids, found, strict=True)]
    key = [{"id": k, **row} for k, row in zip(ids, found, strict=True)]
    for name, lines in (("sheet", sheet), ("key", key)):
        write_text(chosen.out / f"{name}.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))


if __name__ == "__main__":
    main()
