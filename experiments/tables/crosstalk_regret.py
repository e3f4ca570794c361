"""What the brand sets say of the menu's honesty: by stated rules on regret, participation and crosstalk."""

from collections.abc import Mapping, Sequence
from statistics import median

from auctionsim.experiments.running.run import PaperClaim, Row, Section, markdown_table, with_error
from auctionsim.experiments.tables.crosstalk_share import RankCorrelation, rank_correlation
from auctionsim.experiments.tables.mechanisms import AFFINE, MENU, OPTIMUM, VCG
from auctionsim.report.wording import NOTHING, percent
from auctionsim.scoring.records import titled

HOLDS, FAILS = 0.1, 0.5  # of the cases: the claim holds up to the first share, and does not from the second on
WORST = 8
MEASURES = {"regret_of_revenue": "regret / revenue", "ir_violation_of_revenue": "IR violation / revenue"}


def section(
    opening: str, rows: Sequence[Row], figures: Mapping[str, str], *, tolerance: float, seed: int, resamples: int
) -> Section:
    """Return the section: what was done, a summary, the worst cases, the rank correlations, the claim.

    Args:
        opening: What was done.
        rows: Of every brand set, user weight and mechanism.
        figures: File names, with captions.
        tolerance: Regret that counts, as a share of the revenue.
        seed: Of the bootstrap.
        resamples: Of the bootstrap over brand sets.
    """
    claim = strategy_proofness(rows, tolerance)
    sources = list(dict.fromkeys(row["source"] for row in rows))
    menus = [row for row in rows if row["mechanism"] == MENU]
    worst = sorted((row for row in menus if row["regret_of_revenue"] is not None), key=_share, reverse=True)[:WORST]
    parts = (
        opening,
        "Medians over the brand sets in which something can be sold:",
        markdown_table(list(_summary(rows, sources))),
        f"The menus with the most regret for their revenue ({len(worst)} of {len(menus)}):",
        markdown_table([_worst_line(row, rows) for row in worst]),
        " ".join(_with_crosstalk(menus, seed, resamples)),
        _unsold(menus),
        _above_optimum(menus),
        claim.evidence,
    )
    text = "\n\n".join(part for part in parts if part)
    return Section("Menus against measured crosstalk", text, figures, (claim,))


def strategy_proofness(rows: Sequence[Row], tolerance: float) -> PaperClaim:
    """Judge whether the menu is strategy-proof in measured brand sets.

    Args:
        rows: Of every brand set, user weight and mechanism.
        tolerance: Regret that counts, as a share of the revenue.
    """
    cases = [row for row in rows if row["mechanism"] == MENU and row["is_sold"] and row["revenue"] > 0]
    above = [row for row in cases if row["regret_low"] > 0]
    material = [row for row in cases if row["regret_low"] > tolerance * row["revenue"]]
    broken = [row for row in cases if row["ir_violation_low"] > 0]
    honest = [row for row in rows if row["mechanism"] == AFFINE]
    failing = len(material) / len(cases) if cases else None
    if failing is None:
        verdict = "does not hold"
    else:
        verdict = "holds" if failing <= HOLDS else "does not hold" if failing >= FAILS else "holds in part"
    most = max((row["regret_max"] for row in honest), default=0.0)
    counted = (
        f"{len(material)} of {len(cases)} cases (brand sets × user weights in which something is sold)"
        if cases
        else "no case: nothing is sold anywhere, so that the claim has nothing to hold on"
    )
    evidence = (
        f"The 95 % interval of the menu's mean regret lies above {percent(tolerance)} of its revenue in {counted}, "
        f"above 0 in {len(above)}; its mean IR violation's lies above 0 in {len(broken)}. The affine maximizer's "
        f"largest regret is {most:.2g}. Rule: the claim holds where the first is so in at most {percent(HOLDS)} of the "
        f"cases, does not hold from {percent(FAILS)} on, and holds in part between."
    )
    return PaperClaim("strategy-proofness of the menu", verdict, evidence)


def correlation(menus: Sequence[Row], measure: str, *, seed: int, resamples: int) -> RankCorrelation:
    """Return how one of `MEASURES` is ordered with crosstalk over the menus that have both."""
    known = [row for row in menus if row["is_sold"] and row["crosstalk"] is not None and row[measure] is not None]
    x, y = [row["crosstalk"] for row in known], [row[measure] for row in known]
    return rank_correlation(x, y, seed=seed, resamples=resamples)


def _with_crosstalk(menus: Sequence[Row], seed: int, resamples: int) -> list[str]:
    sentences = []
    for weight in dict.fromkeys(row["user_weight"] for row in menus):
        own = [row for row in menus if row["user_weight"] == weight]
        for measure, name in MEASURES.items():
            ranks = correlation(own, measure, seed=seed, resamples=resamples)
            shown = NOTHING if ranks.value is None else f"{ranks.value:+.2f} [{ranks.low:+.2f}, {ranks.high:+.2f}]"
            sentences.append(
                f"At user weight {weight:g} the menu's {name} {ranks.word} with crosstalk over {ranks.n} brand sets "
                f"(Spearman's rank correlation {shown})."
            )
    sentences.append(
        "The intervals are the bootstrap's over brand sets; those that share brands are not independent, so the "
        "intervals are narrower than they should be."
    )
    return sentences


def _summary(rows: Sequence[Row], sources: Sequence[str]) -> list[dict[str, str]]:
    lines = []
    for weight in dict.fromkeys(row["user_weight"] for row in rows):
        for source in sources:
            every = [row for row in rows if row["user_weight"] == weight and row["source"] == source]
            for brands in sorted({row["brands"] for row in every}):
                of_size = [row for row in every if row["brands"] == brands]
                lines.append(_summary_line(of_size, source, brands, weight))
    return lines


def _summary_line(rows: Sequence[Row], source: str, brands: int, weight: float) -> dict[str, str]:
    def middle(mechanism: str, name: str, *, as_percent: bool = False) -> str:
        known = [r[name] for r in rows if r["mechanism"] == mechanism and r["is_sold"] and r[name] is not None]
        if not known:
            return NOTHING
        return percent(median(known)) if as_percent else f"{median(known):.3f}"

    menus = [row for row in rows if row["mechanism"] == MENU]
    menu, affine = (titled(name, menus[0]["recipe"]) for name in ("menu", "affine"))
    return {
        "source": f"`{source}`, {brands} brands",
        "user weight": f"{weight:g}",
        "sold in": f"{sum(row['is_sold'] for row in menus)} of {len(menus)}",
        "crosstalk": middle(MENU, "crosstalk"),
        f"{menu}: regret / revenue": middle(MENU, "regret_of_revenue", as_percent=True),
        "IR violation / revenue": middle(MENU, "ir_violation_of_revenue", as_percent=True),
        f"{menu}: of the optimum": middle(MENU, "objective_share", as_percent=True),
        f"{affine}": middle(AFFINE, "objective_share", as_percent=True),
        "VCG": middle(VCG, "objective_share", as_percent=True),
    }


def _worst_line(row: Row, rows: Sequence[Row]) -> dict[str, str]:
    def row_of(mechanism: str) -> Row:
        keys = ("source", "brand_set", "user_weight")
        return next(r for r in rows if r["mechanism"] == mechanism and all(r[key] == row[key] for key in keys))

    menu, affine = (titled(name, row["recipe"]) for name in ("menu", "affine"))
    return {
        "brand_set": f"{row['brand_set']} (`{row['source']}`)",
        "user weight": f"{row['user_weight']:g}",
        "crosstalk": NOTHING
        if row["crosstalk"] is None
        else with_error(row["crosstalk"], row["crosstalk_standard_error"], 2),
        "regret": f"{with_error(row['regret'], row['regret_standard_error'], 4)} ({row['regret_is']})",
        "regret / revenue": percent(row["regret_of_revenue"]),
        "IR violation": with_error(row["ir_violation"], row["ir_violation_standard_error"], 4),
        f"{menu}: of the optimum": percent(row["objective_share"]),
        f"{affine}": percent(row_of(AFFINE)["objective_share"]),
        "VCG": percent(row_of(VCG)["objective_share"]),
        "optimum": with_error(row_of(OPTIMUM)["objective"], row_of(OPTIMUM)["objective_standard_error"], 4),
    }


def _unsold(menus: Sequence[Row]) -> str:
    none = [row for row in menus if not row["is_sold"]]
    if not none:
        return "Something can be sold in every brand set at every user weight."
    listed = "; ".join(f"{row['brand_set']} (`{row['source']}`) at user weight {row['user_weight']:g}" for row in none)
    return f"Nothing can be sold (the optimum's objective is 0) in {len(none)} of {len(menus)} cases: {listed}."


def _above_optimum(menus: Sequence[Row]) -> str:
    known = [row for row in menus if row["objective_share"] is not None]
    over = [row for row in known if row["objective_share_low"] > 1]
    return (
        "Under truthful bids, which it does not earn, the menu's objective is above the optimum of honest mechanisms "
        f"by more than its interval in {len(over)} of {len(known)} cases."
    )


def _share(row: Row) -> float:
    return float(row["regret_of_revenue"])
