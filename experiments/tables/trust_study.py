"""How far scores of replies can be trusted: the trust table, the default quality where it was not fitted, verdicts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from auctionsim.experiments.running.run import Row, Section, markdown_table
from auctionsim.experiments.tables.expectations import UNKNOWN, Expectation, expectations_table, verdict_of
from auctionsim.report.wording import NOTHING, number, percent
from auctionsim.trust.agreement import IntervalEstimate
from auctionsim.trust.gate import ALL, GATE_KINDS, GateReport
from auctionsim.trust.labels import GoldLabels
from auctionsim.trust.table_rows import TrustRow

VERDICTS, MUTUAL, KL, QUALITY, WINDOWS = "judged_", "mutual_information", "kl", "quality", "window_"
EMBEDDED = ("relevance", "own_relevance", "closeness")
LEAST_AUC, MOST_BRIER, LEAST_PARTIAL, KL_AUC = 0.85, 0.12, 0.3, (0.75, 0.85)
"""What the default quality must reach where it was not fitted, and where the AUC of `kl` was expected."""


def maker_of(reading: str) -> str:
    """Return what a score is read by: a language model as a judge, MiniLM, the model that replied, or the text."""
    if reading.startswith((VERDICTS, MUTUAL)):
        return "Gemma-3-270M" if reading.endswith("gemma3_270m") else "SmolLM2"
    if reading == KL:
        return "the model that replied"
    return "MiniLM" if reading.startswith(EMBEDDED) else "text, MiniLM" if reading == QUALITY else "text"


def trust_section(
    labels: GoldLabels,
    rows: Sequence[TrustRow],
    left_out: Sequence[Mapping[str, Any]],
    missing: Mapping[str, str],
    figures: Mapping[str, str],
) -> Section:
    """Return the section: expectations, every score by kind of failure, biases, quality on categories kept out.

    Args:
        labels: What scores were held against.
        rows: One a score.
        left_out: Numbers of `quality` by category that was kept out of the fit, as its file has them.
        missing: Scores that are not here, with the reason.
        figures: File names, with captions.
    """
    counts = ", ".join(f"{sum(one.kind == kind for one in labels.labels)} {kind}" for kind in _kinds(labels))
    parts = [
        f"Scores of {len(labels.labels)} labelled replies in {len(labels.categories)} categories "
        f"({', '.join(labels.categories)}): {counts}. **{labels.labelled_by}** The AUC is the probability that a bad "
        "reply scores worse than a good one, with 95 % intervals whose draws are prompts. The gate: 60 labels, the "
        "lower end above .6, a position bias below the median margin where a judge compares two slots, and no attack "
        "that moves bad replies by half the distance to the good mean (upper 95 % end). Each score is judged on the "
        "kind of failure that it is for, what is made of several on all kinds together.",
        "What was expected, each by a stated rule, and what came out:",
        expectations_table(expectations(rows, left_out)),
        "Every score against the labels, by kind of failure; bold where the gate is passed:",
        markdown_table([_agreement(row) for row in rows]),
        "Why scores fail the gate, on the kind of failure on which they come nearest (their highest AUC):",
        markdown_table([_failure(row) for row in rows if not row.passes_on]) if _failing(rows) else "None fails.",
        "Biases and attacks, on all kinds together. Attack: the one that moves bad replies farthest towards the good "
        "mean, in shares of that distance. Brand: the largest mean change when a brand's name gives way to a rival's, "
        "likewise. Equal length: how often a good reply is put before a bad one of its own length to the same prompt. "
        "Untouched: liking for the untouched model's replies given the label, in standard deviations (a judge that is "
        "that model likes its own). Position: what standing first is worth against the median margin, in log odds:",
        markdown_table([_biases(row) for row in rows]),
    ]
    if left_out:
        parts.append(
            "`quality` on each category, kept out of the fit and of the choice of its readings; one that is never "
            "fitted is in none of the fits. Partial: rank correlation with the labels given mentions per word:"
        )
        parts.append(markdown_table([_category(one) for one in left_out]))
    if missing:
        parts.append("Not here: " + "; ".join(f"`{name}` ({why})" for name, why in missing.items()) + ".")
    return Section("How far scores of replies can be trusted", "\n\n".join(parts), figures)


def expectations(rows: Sequence[TrustRow], left_out: Sequence[Mapping[str, Any]]) -> list[Expectation]:
    """Return what was expected of the scores, with verdicts."""
    verdicts = [row for row in rows if row.reading.startswith(VERDICTS)]
    windows = [row for row in rows if row.reading.startswith(WINDOWS) and row.reading.endswith("repetition")]
    return [
        _passing("The packaged models fail as verdict judges: no verdict passes the gate on any kind", verdicts, ()),
        _separating(rows),
        _passing("Repetition in a window passes the gate on loops", windows, ("loops",)),
        _blind(windows),
        _kl(rows),
        *_quality(left_out),
    ]


def _passing(expected: str, rows: Sequence[TrustRow], kinds: tuple[str, ...]) -> Expectation:
    if not rows:
        return Expectation(expected, "none of them is here", UNKNOWN)
    met = [row for row in rows if (set(kinds) <= set(row.passes_on) if kinds else not row.passes_on)]
    aucs = [report.auc for row in rows if (report := row.reports[kinds[0] if kinds else ALL]).auc is not None]
    spread = f", AUC {min(a.value for a in aucs):.2f} to {max(a.value for a in aucs):.2f}" if aucs else ""
    against = [f"`{row.reading}` ({', '.join(row.passes_on) or 'passes nowhere'})" for row in rows if row not in met]
    others = f"; against it {', '.join(against)}" if against else ""
    outcome = f"{len(met)} of {len(rows)}{spread}{others}"
    return Expectation(expected, outcome, verdict_of(len(met), len(rows)))


def _separating(rows: Sequence[TrustRow]) -> Expectation:
    expected = "Mutual information by the same models does separate good from bad: its AUC's lower end is above .6"
    aucs = {row.reading: row.reports[ALL].auc for row in rows if row.reading.startswith(MUTUAL)}
    known = {name: auc for name, auc in aucs.items() if auc is not None}
    outcome = "; ".join(f"`{name}` {auc.text}" for name, auc in known.items()) or "none of them is here"
    return Expectation(expected, outcome, verdict_of(sum(auc.low > 0.6 for auc in known.values()), len(known)))


def _blind(windows: Sequence[TrustRow]) -> Expectation:
    expected = "They are blind to drift: there the interval of their AUC reaches down to .5"
    aucs = [auc for row in windows if (auc := row.reports["drift"].auc) is not None]
    if not aucs:
        return Expectation(expected, "none of them is here", UNKNOWN)
    met = sum(auc.low <= 0.5 for auc in aucs)
    values = [auc.value for auc in aucs]
    outcome = f"{met} of {len(aucs)}, AUC {min(values):.2f} to {max(values):.2f}"
    return Expectation(expected, outcome, verdict_of(met, len(aucs)))


def _kl(rows: Sequence[TrustRow]) -> Expectation:
    low, high = KL_AUC
    expected = (
        f"`kl` has an AUC near .8 ({low:g} to {high:g}), and nothing of it is left given mentions: the interval of its "
        "partial rank correlation reaches 0"
    )
    row = next((row for row in rows if row.reading == KL), None)
    if row is None or (auc := row.reports[ALL].auc) is None or row.partial is None:
        return Expectation(expected, "`kl` of the labelled replies is not here", UNKNOWN)
    met = (low <= auc.value <= high) + (row.partial.low <= 0)
    return Expectation(expected, f"AUC {auc.text}, partial {row.partial.text}", verdict_of(met, 2))


def _quality(left_out: Sequence[Mapping[str, Any]]) -> Iterator[Expectation]:
    rules: tuple[tuple[str, Callable[[Mapping[str, Any]], float], Callable[[float], bool]], ...] = (
        (f"AUC of at least {LEAST_AUC:g}", lambda one: one["auc"]["value"], lambda value: value >= LEAST_AUC),
        (
            f"Brier score below {MOST_BRIER:g}",
            lambda one: one["calibration"]["brier"],
            lambda value: value < MOST_BRIER,
        ),
        (
            f"partial rank correlation of at least {LEAST_PARTIAL:g} given mentions",
            lambda one: one["partial"]["value"],
            lambda value: value >= LEAST_PARTIAL,
        ),
    )
    for words, value_of, holds in rules:
        values = {one["category"]: value_of(one) for one in left_out}
        met = sum(holds(value) for value in values.values())
        outcome = "; ".join(f"{name} {number(value, 3)}" for name, value in values.items()) or "it is not fitted yet"
        yield Expectation(
            f"`quality` on a category that was kept out of its fit: {words}, in every category",
            outcome,
            verdict_of(met, len(values)),
        )


def _kinds(labels: GoldLabels) -> list[str]:
    return list(dict.fromkeys(sorted((one.kind for one in labels.labels), key=lambda kind: kind != "good")))


def _failing(rows: Sequence[TrustRow]) -> bool:
    return any(not row.passes_on for row in rows)


def _agreement(row: TrustRow) -> dict[str, str]:
    line = {"score": f"`{row.reading}`", "read by": maker_of(row.reading), "better": _better(row.reports[ALL].better)}
    for kind in GATE_KINDS:
        report = row.reports[kind]
        text = NOTHING if report.auc is None else _interval(report.auc)
        line[kind] = f"**{text}**" if report.passed else text
    line["partial, given mentions"] = NOTHING if row.partial is None else _interval(row.partial)
    return line | {"passes on": ", ".join(row.passes_on) or "nothing"}


def _better(better: str) -> str:
    return better.split(maxsplit=1)[0]


def _interval(estimate: IntervalEstimate) -> str:
    return f"{estimate.value:.2f} ({estimate.low:.2f} to {estimate.high:.2f})".replace("-", "−")


def _failure(row: TrustRow) -> dict[str, str]:
    report = nearest(row)
    return {"score": f"`{row.reading}`", "on": report.kind, "rules that fail": report.failure}


def nearest(row: TrustRow) -> GateReport:
    """Return the report on the kind of failure on which a score does best, by its AUC."""
    return max(row.reports.values(), key=lambda report: -1.0 if report.auc is None else report.auc.value)


def _biases(row: TrustRow) -> dict[str, str]:
    report = row.reports[ALL]
    worst, brand, position = report.worst_attack, row.brand, report.position
    return {
        "score": f"`{row.reading}`",
        "worst attack": NOTHING if worst is None else f"{worst.attack} {_interval(worst.movement)}",
        "far": NOTHING if worst is None else percent(worst.far_share),
        "brand": NOTHING if brand is None else f"{brand.brand} {_interval(brand.change)}",
        "equal length": NOTHING if row.length is None else _interval(row.length.equal_length),
        "untouched": NOTHING if row.untouched is None else _interval(row.untouched),
        "position": NOTHING
        if position is None
        else f"{_interval(position.bias)} against {position.median_margin:.2f}, first in "
        f"{percent(position.first_slot_share)}",
    }


def _category(one: Mapping[str, Any]) -> dict[str, str]:
    parts = {name: IntervalEstimate(**one[name]) for name in ("auc", "partial")}
    calibration = one["calibration"]
    return {
        "category": one["category"],
        "replies": str(one["num_replies"]),
        "AUC": _interval(parts["auc"]),
        "Brier": number(calibration["brier"]),
        "Brier of the base rate": number(calibration["base_rate"] * (1 - calibration["base_rate"])),
        "expected calibration error": number(calibration["expected_error"]),
        "partial": _interval(parts["partial"]),
        "made of": ", ".join(one["readings"]),
    }


def score_rows(rows: Sequence[TrustRow]) -> list[Row]:
    """Return one flat row a score and kind of failure."""
    flat = []
    for row in rows:
        for kind, report in row.reports.items():
            auc, worst = report.auc, report.worst_attack
            line: Row = {"reading": row.reading, "read_by": maker_of(row.reading), "kind": kind}
            line |= {"better": report.better, "num_good": report.num_good, "num_bad": report.num_bad}
            line |= {"num_unscored": report.num_unscored, "good_mean": report.good_mean, "bad_mean": report.bad_mean}
            line |= _flat("auc", auc) | {"passed": report.passed, "failure": report.failure}
            line |= {"attack": None if worst is None else worst.attack}
            line |= _flat("attack_movement", None if worst is None else worst.movement)
            line |= _flat("partial", row.partial) | _flat("untouched", row.untouched)
            line |= _flat("equal_length", None if row.length is None else row.length.equal_length)
            line |= {"brand": None if row.brand is None else row.brand.brand}
            line |= _flat("brand_change", None if row.brand is None else row.brand.change)
            line |= _flat("position_bias", None if report.position is None else report.position.bias)
            line |= {"position_margin": None if report.position is None else report.position.median_margin}
            flat.append(line)
    return flat


def _flat(name: str, estimate: IntervalEstimate | None) -> Row:
    values = (None, None, None) if estimate is None else estimate
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


def category_rows(left_out: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return one flat row a category that was kept out of the fit of `quality`."""
    return [
        {
            "category": one["category"],
            "n": one["num_replies"],
            "readings": ", ".join(one["readings"]),
            **_flat("auc", IntervalEstimate(**one["auc"])),
            **_flat("partial", IntervalEstimate(**one["partial"])),
            **_flat("partial_rating", IntervalEstimate(**one["partial_rating"])),
            **{name: one["calibration"][name] for name in ("brier", "expected_error", "base_rate")},
        }
        for one in left_out
    ]


def reliability_rows(left_out: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return one row a category and bin of the reliability table of `quality` where it was not fitted."""
    return [{"category": one["category"], **row} for one in left_out for row in one["calibration"]["table"]]
