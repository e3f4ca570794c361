"""How far scores of replies can be trusted: every score against gold labels, biases, attacks, the gate's answers.

auctionsim trust study --out runs/trust-study

No language model takes a pass: verdicts and mutual information of labelled replies are read from the scores that ship,
or from a folder of one's own; what is in neither is named as missing, with the command that takes it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.data import quality_folder, scores_folder
from auctionsim.experiments.figures.trust_study import draw_agreement, draw_reliability
from auctionsim.experiments.running.run import Run, Section
from auctionsim.experiments.tables.trust_study import category_rows, reliability_rows, score_rows, trust_section
from auctionsim.kept import key_digest
from auctionsim.readings.quality import parse_quality
from auctionsim.trust import read_labels
from auctionsim.trust.table_rows import TrustTable, shipped_trust_rows

AGREEMENT, RELIABILITY = "trust.png", "reliability.png"
CAPTIONS = {
    AGREEMENT: "AUC of every score by kind of failure, 95 % intervals; full where the gate is passed. .5 is chance, "
    "the dotted line the gate's bound for the lower end.",
    RELIABILITY: "`quality` on each category, kept out of the fit: the share of bad replies over the predicted "
    "probability, ten bins, area by replies.",
}


@dataclass(frozen=True)
class TrustStudySettings:
    """What is held against labels.

    Attributes:
        folder: Run folder.
        judges: More judges than the default one, whose scores are looked for.
        scores: Folder of scores of one's own, beside those that ship; None: there is none.
        seed: Seed of the intervals' bootstrap.
    """

    folder: Path
    judges: tuple[str, ...] = ("gemma3-270m",)
    scores: Path | None = None
    seed: int = 0


class TrustStudy(NamedTuple):
    """What was found.

    Attributes:
        table: One row a score, and the scores that are not here.
        section: Of the results.
    """

    table: TrustTable
    section: Section


def main(settings: TrustStudySettings, command: str, console: Console) -> TrustStudy:
    """Hold every score against the labels that ship, draw, and write tables and section.

    Args:
        settings: What to hold against them.
        command: What the user typed, for run.json.
        console: Told which score it is at.
    Raises:
        ValueError: A file of labels, scores or weights that is damaged.
    """
    run = Run(settings.folder, settings, inputs_of())
    run.begin(command)
    with console.status("reading") as status:
        table = shipped_trust_rows(
            settings.scores,
            settings.judges,
            settings.seed,
            lambda name, done, total: status.update(f"{name}: {done} of {total} texts"),
            passes=False,
        )
    left_out = _left_out()
    scores, reliability = score_rows(table.rows), reliability_rows(left_out)
    draw_agreement(scores, settings.folder / AGREEMENT)
    tables = {"scores": scores}
    figures = {AGREEMENT: CAPTIONS[AGREEMENT]}
    if left_out:
        draw_reliability(reliability, settings.folder / RELIABILITY)
        tables |= {"quality": category_rows(left_out), "reliability": reliability}
        figures = CAPTIONS
    about = trust_section(read_labels(), table.rows, left_out, table.left_out, figures)
    run.finish(tables, about, command=command, console=console)
    return TrustStudy(table, about)


def inputs_of() -> dict[str, str]:
    """Return the digests of what is read: labels, weights of `quality`, scores that ship."""
    files = [path for folder in (quality_folder(), scores_folder()) for path in sorted(folder.glob("*.json"))]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {"labels": read_labels().digest, "scores": key_digest(digests)}


def _left_out() -> list[Mapping[str, Any]]:
    """Return the numbers of `quality` on categories kept out of its fit, and on those that no fit has seen.

    There are none before it is fitted.
    """
    files = sorted(quality_folder().glob("quality@*.json"))
    if not files:
        return []
    content = parse_quality(files[-1].read_bytes())[1]
    unseen = [{**one, "category": f"{one['category']} (never fitted)"} for one in content.get("never_fitted", ())]
    return [*content["left_out"], *unseen]
