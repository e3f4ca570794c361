"""Settles labels of drawn sheets: what two labellers agree on stands, else a third decides; writes the shipped file.

python tools/settle_labels.py OUT.jsonl --drawn SHEETS --drawn MORE --labels a=A.jsonl --labels b=B.jsonl \
    --labels c=C.jsonl --about "WHO" --kind "language model" --instructions INSTRUCTIONS.md --date 2026-11-26

Each file of labels has {"id", "bad", "kind", "rating"} a line, of some or all of the ids. A reply's weight is how many
stored replies its stratum has over how many of them were drawn.
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
    "Of each category's stored replies, without replacement, by strata: untouched, under an amplification of 3 or "
    "more, in between (tools/label_sheet.py says how many). A weight is how many stored replies of its stratum a "
    "labelled one stands for."
)


def rows(path: Path) -> dict[int, dict[str, Any]]:
    """Return a file's rows by id."""
    return {row["id"]: row for row in map(json.loads, path.read_text().splitlines())}


def settled(key: dict[str, Any], labels: list[Label], weight: float) -> GoldLabel:
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
        weight,
    )


def main() -> None:
    """Write the labels, and beside them how they came about."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--drawn", type=Path, action="append", required=True)
    parser.add_argument("--labels", action="append", required=True)
    for name in ("about", "kind", "instructions", "date"):
        parser.add_argument(f"--{name}", required=True)
    chosen = parser.parse_args()
    named = [entry.partition("=")[::2] for entry in chosen.labels]
    votes = {name: rows(Path(path)) for name, path in named}
    found = []
    keys = {number: key for folder in chosen.drawn for number, key in rows(folder / "key.jsonl").items()}
    drawn = Counter((key["surface"], key["stratum"]) for key in keys.values())
    for number, key in keys.items():
        own = [
            Label(name, bool(by_id[number]["bad"]), by_id[number]["kind"], by_id[number]["rating"])
            for name, by_id in votes.items()
            if number in by_id
        ]
        found.append(settled(key, own, key["stratum_size"] / drawn[key["surface"], key["stratum"]]))
    labellers = tuple(Labeller(name, chosen.kind, chosen.about) for name, _ in named)
    labelling = Labelling(Path(chosen.instructions).read_text(), labellers, chosen.date, SAMPLING)
    labels = write_labels(chosen.out, found, labelling)
    print(f"{len(labels.labels)} labels, {Counter(label.settled for label in labels.labels)}")
    print(Counter((label.category, label.kind) for label in labels.labels))


if __name__ == "__main__":
    main()
