"""How far scores of replies can be trusted: every score against gold labels, biases, attacks, the gate's answers.

auctionsim trust study --out runs/trust-study

No language model is loaded: verdicts and mutual information of labelled replies are read from the scores that ship, or
from a folder of one's own; what is in neither is named as missing, with the command that takes it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from auctionsim.data import quality_folder, scores_folder
from auctionsim.errors import ModelUnavailableError
from auctionsim.experiments.figures.trust_study import draw_agreement, draw_reliability
from auctionsim.experiments.running.run import Run, Section
from auctionsim.experiments.tables.trust_study import category_rows, reliability_rows, score_rows, trust_section
from auctionsim.kept import key_digest
from auctionsim.readings import reading
from auctionsim.readings.judge import judge_suffix, register_judge
from auctionsim.readings.quality import parse_quality
from auctionsim.trust import GoldLabels, ScoreStore, read_labels
from auctionsim.trust.candidates import Candidate, candidates, measured_candidates
from auctionsim.trust.table_rows import TrustRow, trust_rows

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
        seed: Of the intervals' bootstrap.
    """

    folder: Path
    judges: tuple[str, ...] = ("gemma3-270m",)
    scores: Path | None = None
    seed: int = 0


class TrustStudy(NamedTuple):
    """What was found.

    Attributes:
        rows: One a score.
        missing: Scores that are not here, with the reason.
        section: Of the results.
    """

    rows: tuple[TrustRow, ...]
    missing: Mapping[str, str]
    section: Section


class _Kept(NamedTuple):
    """Rows of scores that could be had, and why others could not."""

    rows: list[TrustRow]
    missing: dict[str, str]


def main(
    settings: TrustStudySettings, labels: GoldLabels, command: str, console: Console, chosen: Sequence[str] = ()
) -> TrustStudy:
    """Hold every score against the labels, draw, and write tables and section.

    Args:
        settings: What to hold against them.
        labels: Gold labels.
        command: What the user typed, for run.json.
        console: Told which score it is at.
        chosen: Names of scores; none: all that the trust table is about.
    Raises:
        ValueError: A file of labels, scores or weights that is damaged.
    """
    run = Run(settings.folder, settings, inputs_of(labels))
    run.begin(command)
    kept = _kept_rows(settings, labels, console, chosen)
    left_out = _left_out()
    scores, reliability = score_rows(kept.rows), reliability_rows(left_out)
    draw_agreement(scores, settings.folder / AGREEMENT)
    tables = {"scores": scores}
    figures = {AGREEMENT: CAPTIONS[AGREEMENT]}
    if left_out:
        draw_reliability(reliability, settings.folder / RELIABILITY)
        tables |= {"quality": category_rows(left_out), "reliability": reliability}
        figures = CAPTIONS
    about = trust_section(labels, kept.rows, left_out, kept.missing, figures)
    run.finish(tables, about, command=command, console=console)
    return TrustStudy(tuple(kept.rows), kept.missing, about)


def inputs_of(labels: GoldLabels) -> dict[str, str]:
    """Return the digests of what is read: labels, weights of `quality`, scores that ship."""
    files = [path for folder in (quality_folder(), scores_folder()) for path in sorted(folder.glob("*.json"))]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {"labels": labels.digest, "scores": key_digest(digests)}


def _kept_rows(settings: TrustStudySettings, labels: GoldLabels, console: Console, chosen: Sequence[str]) -> _Kept:
    for judge in settings.judges:
        register_judge(judge)
    every = candidates(tuple(judge_suffix(judge) for judge in settings.judges))
    store = ScoreStore(settings.scores, scores_folder())
    found = _Kept([], {})
    for one in every:
        if chosen and one.reading not in chosen:
            continue
        try:
            reason = _lacking(one, settings.scores)
            if reason is None:
                console.print(f"{one.reading}", soft_wrap=True)
                found.rows.extend(trust_rows(labels, [one], store, seed=settings.seed))
        except ModelUnavailableError as error:
            reason = str(error)
        if reason is not None:
            found.missing[one.reading] = reason
    measured = [one for one in measured_candidates() if not chosen or one.reading in chosen]
    if labels.digest == read_labels().digest:
        found.rows.extend(trust_rows(labels, [], store, measured=measured, seed=settings.seed))
    return found


def _lacking(one: Candidate, scores: Path | None) -> str | None:
    """Return why a score that takes passes of a language model is not here; None where it is, or takes none."""
    if one.most is None:
        return None
    folders = [folder for folder in (scores, scores_folder()) if folder is not None]
    places = [ScoreStore(folder).file(reading(one.reading)) for folder in folders]
    if any(path is not None and path.exists() for path in places):
        return None
    return "its scores are not kept: `auctionsim trust table --scores FOLDER` takes them"


def _left_out() -> list[Mapping[str, Any]]:
    """Return the numbers of `quality` on categories kept out of its fit; none before it is fitted."""
    files = sorted(quality_folder().glob("quality@*.json"))
    if not files:
        return []
    return list(parse_quality(files[-1].read_bytes())[1]["left_out"])
