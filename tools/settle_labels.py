"""Settles labels of a drawn sheet: what two labellers agree on stands, else a third decides; writes the shipped file.

python tools/settle_labels.py DRAWN OUT.jsonl --labels a=A.jsonl --labels b=B.jsonl --labels c=C.jsonl \
    --about "WHO" --kind "language model" --instructions INSTRUCTIONS.md --date 2026-11-26

Each file of labels has {"id", "bad", "kind", "rating"} a line; the last file may have some of the ids only.
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from auctionsim.brands import Brand
from auctionsim.trust.label_files import write_labels
from auctionsim.trust.labels import GoldLabel, Label, Labeller, Labelling, LabelSource

SAMPLING = (
    "Of each category's packaged replies, without replacement: 15 % untouched, 20 % under an amplification of 3 or "
    "more where there is one, the rest in between (tools/label_sheet.py, seed 0). A weight is how many stored replies "
    "of its stratum a labelled one stands for."
)


def rows(path: Path) -> dict[int, dict[str, Any]]:
    """Return a file's rows by id."""
    return {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}


def settled(key: dict[str, Any], labels: list[Label]) -> GoldLabel:
    """Return the label of one reply: two that agree, else what most of three say."""
    votes = Counter((label.bad, label.kind) for label in labels)
    bad = Counter(label.bad for label in labels).most_common(1)[0][0]
    kinds = Counter(label.kind for label in labels if label.bad == bad)
    kind = max(kinds, key=lambda name: (kinds[name], name == labels[-1].kind))  # a tie is the third labeller's
    agreed = len({(label.bad, label.kind) for label in labels[:2]}) == 1
    how = "agreement" if agreed and len(votes) == 1 else "majority" if max(votes.values()) > 1 else "adjudication"
    source = LabelSource(key["surface"], key["replicate"], key["context"], key["intervention"], key["number"])
    rating = sum(label.rating for label in labels) / len(labels)
    brands = tuple(Brand.read(written) for written in key["brands"])
    return GoldLabel(
        key["category"],
        key["prompt"],
        key["text"],
        brands,
        tuple(labels),
        bad,
        kind,
        rating,
        how,
        source,
        key["weight"],
    )


def main() -> None:
    """Write the labels, and beside them how they came about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("drawn", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--labels", action="append", required=True)
    for name in ("about", "kind", "instructions", "date"):
        parser.add_argument(f"--{name}", required=True)
    chosen = parser.parse_args()
    named = [entry.partition("=")[::2] for entry in chosen.labels]
    votes = {name: rows(Path(path)) for name, path in named}
    found = []
    for number, key in rows(chosen.drawn / "key.jsonl").items():
        own = [
            Label(name, bool(by_id[number]["bad"]), by_id[number]["kind"], by_id[number]["rating"])
            for name, by_id in votes.items()
            if number in by_id
        ]
        found.append(settled(key, own))
    labellers = tuple(Labeller(name, chosen.kind, chosen.about) for name, _ in named)
    labelling = Labelling(Path(chosen.instructions).read_text(), labellers, chosen.date, SAMPLING)
    labels = write_labels(chosen.out, found, labelling)
    print(f"{len(labels.labels)} labels, {Counter(label.settled for label in labels.labels)}")
    print(Counter((label.category, label.kind) for label in labels.labels))


if __name__ == "__main__":
    main()
