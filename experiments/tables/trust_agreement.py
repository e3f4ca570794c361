"""Tables of agreement between labellers, of the alternative annotator test, and of the labels that intervals need."""

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
from rich.table import Table

from auctionsim.errors import InputError
from auctionsim.trust import IntervalEstimate, cohen_kappa
from auctionsim.trust.few_labels import LabelBudget, LabelPilot
from auctionsim.trust.raters import AltTest, RatingTable, alt_test, disagreement_of, krippendorff_alpha, weighted_kappa
from auctionsim.trust.raters.alternative import FEWEST_ITEMS

FEWEST_SHARED = 10
"""Replies that a pair must share for a row."""


def agreement_table(ratings: RatingTable, field: str, seed: int) -> Table:
    """Return agreement of all raters, then of each pair.

    Raises:
        ValueError: Fewer than two raters, or no reply that two of them rated.
    """
    scale = field == "rating"
    level = "ordinal" if scale else "nominal"
    prompts = [item[:2] if isinstance(item, tuple) else item for item in ratings.items]
    alpha = krippendorff_alpha(ratings, level, seed, prompts)
    several = ratings.pairable
    split = float((disagreement_of(several).entropy > 0).mean())
    table = Table(
        title=f"Agreement on '{field}', 95 % intervals",
        caption=f"Krippendorff's α at the {level} level; its interval is a bootstrap over prompts. Of the replies with "
        f"two labels or more, raters differ on {split:.0%}. Pairs: "
        + ("quadratically weighted κ" if scale else "Cohen's κ")
        + f", its interval over replies as draws; pairs with {FEWEST_SHARED} shared replies or more. A labeller "
        "who saw disputed replies alone agrees less for that reason.",
    )
    for title in ("raters", "statistic", "value", "replies"):
        table.add_column(title)
    table.add_row("all", "α", alpha.text, str(len(several.items)))
    for one, other in itertools.combinations(range(len(ratings.raters)), 2):
        both = ~np.isnan(ratings.values[[one, other]]).any(0)
        if both.sum() < FEWEST_SHARED:
            continue
        names = f"{ratings.raters[one]}, {ratings.raters[other]}"
        first, second = (ratings.values[k][both].tolist() for k in (one, other))
        table.add_row(names, "κ", _pair(first, second, scale, seed), str(int(both.sum())))
    return table


def _pair(first: list[float], second: list[float], scale: bool, seed: int) -> str:
    try:
        found: IntervalEstimate = weighted_kappa(first, second, seed=seed) if scale else cohen_kappa(first, second)
    except InputError:
        return "one value alone"
    return found.text


def stands_in(ratings: RatingTable, judge: str, epsilon: float, alignment: str) -> AltTest:
    """Return the alternative annotator test of one rater against those with whom it shares replies enough.

    Raises:
        ValueError: No such rater, or fewer than two others with 30 replies shared.
    """
    row = ratings.only([judge]).values[0]
    verdicts = {item: float(value) for item, value in zip(ratings.items, row, strict=True) if not np.isnan(value)}
    others = [name for name in ratings.raters if name != judge]
    shared = {name: int((~np.isnan(ratings.only([name]).values[0] + row)).sum()) for name in others}
    enough = [name for name in others if shared[name] >= FEWEST_ITEMS]
    if len(enough) < 2:
        most = ", ".join(f"{name} {count}" for name, count in shared.items())
        raise InputError(f"{judge} must share {FEWEST_ITEMS} replies with each of two others, got {most or 'none'}")
    return alt_test(ratings.only(enough), verdicts, epsilon, alignment)


def alt_test_table(judge: str, found: AltTest) -> Table:
    """Return the alternative annotator test of a judge, one annotator a row."""
    verdict = "may" if found.passed else "may not"
    table = Table(
        title=f"{judge} {verdict} stand in for the others at ε = {found.epsilon:g}",
        caption=f"Winning rate {found.winning_rate:.2f} (at least .5 passes), mean advantage {found.advantage:.2f}. "
        "Advantage: share of replies on which it agrees with the other labellers at least as well. p is adjusted for "
        "all annotators (Benjamini and Yekutieli). Labellers who share fewer than 30 replies with it are left out.",
    )
    for title in ("annotator", "replies", f"advantage of {judge}", "of the annotator", "p", "won"):
        table.add_column(title)
    for one in found.annotators:
        shares = f"{one.judge_advantage:.2f}", f"{one.annotator_advantage:.2f}", f"{one.adjusted:.3f}"
        table.add_row(one.annotator, str(one.num_items), *shares, "yes" if one.won else "no")
    return table


def budget_table(reading: str, pilot: LabelPilot, budgets: Sequence[LabelBudget], num_judged: int) -> Table:
    """Return how many labels intervals of some widths need, alone and beside a reading."""
    table = Table(
        title=f"Labels for the share of bad replies among {num_judged:,}",
        caption=f"From {pilot.num_labels} labelled replies: standard deviation {pilot.label_variance**0.5:.2f}, "
        f"correlation of label and reading {pilot.correlation:.2f}. Replies to label are drawn at random; '-': more "
        "than there are. A reading that was fitted on these labels looks better than it is.",
    )
    for title in ("full width of the 95 % interval", "labels alone", f"beside {reading}"):
        table.add_column(title, justify="right")
    for row in _budget_rows(budgets):
        table.add_row(*row)
    return table


def _budget_rows(budgets: Sequence[LabelBudget]) -> Iterator[tuple[str, str, str]]:
    for one in budgets:
        alone, beside = ("-" if count is None else f"{count:,}" for count in (one.alone, one.beside_judge))
        yield f"{one.width:g}", alone, beside
