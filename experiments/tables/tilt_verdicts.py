"""Verdicts on what is said of tilts, each by a rule that it states."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from auctionsim.experiments.running.run import Row
from auctionsim.experiments.running.tilt_auctions import REFERENCE
from auctionsim.experiments.running.tilt_policies import BEST_OF_MAJORITY, BEST_OF_N, DIVERGENCES, FORWARD, REVERSE
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.mechanisms.best_of import best_of_n_bound
from auctionsim.readings.registry import reading

HOLDS, IN_PART, FAILS = "holds", "in part", "does not hold"
EXACT = 1e-9
Tables = Mapping[str, Sequence[Row]]


def verdict_rows(settings: TiltsSettings, tables: Tables) -> list[dict[str, str]]:
    """Return one row a statement: the rule, what was found, the verdict."""
    found = [
        _split(tables),
        _rough_estimate(tables),
        _forward_is_milder(tables),
        _strong_tilts_fall(settings, tables),
        _promises(settings, tables),
        *([_bids_cost(settings, tables)] if any(map(_is_sold, settings.judges)) else []),
        _best_of_n_spends(tables),
        _best_of_n_close(tables),
        _majority_rises(tables),
        *([_forward_varied(tables), _entropy_at_reward(tables), _levers_varied(tables)] if tables["diversity"] else []),
    ]
    return [
        {"statement, and the rule": said, "found": numbers, "verdict": f"**{word}**"} for said, numbers, word in found
    ]


Verdict = tuple[str, str, str]


def _word(true: int, total: int) -> str:
    return HOLDS if true == total else FAILS if not true else IN_PART


def _split(tables: Tables) -> Verdict:
    written = [row for row in tables["tables"] if "loss" in row]
    residual = max(
        *(row["residual"] for row in tables["random"]),
        *(abs(row["loss"] - row["reward_gap"] - row["proxy_gap"]) for row in written),
    )
    excess = max(
        *(row["bound_excess"] for row in tables["random"]),
        *(row["proxy_gap"] - row["proxy_gap_bound"] for row in written),
    )
    return (
        "What a proxy loses splits exactly into reward gap and proxy gap, and the proxy gap keeps its bound, for every "
        "divergence: both to 1e-9 on all tables",
        f"largest residual {residual:.1e}, largest excess over the bound {max(excess, 0):.1e}",
        HOLDS if residual <= EXACT and excess <= EXACT else FAILS,
    )


def _rough_estimate(tables: Tables) -> Verdict:
    written = [row for row in tables["tables"] if row["family"] == REVERSE]
    over = [row for row in written if row["loss"] > row["rough_estimate"] + EXACT]
    shares = {row["beta"]: row["rough_estimate_exceeded"] for row in tables["random"] if row["family"] == REVERSE}
    worst = max(over, key=lambda row: row["loss"] - row["rough_estimate"], default=None)
    example = (
        f"; {worst['table']}, β = {worst['setting']:g}: {worst['loss']:.4f} lost, estimate "
        f"{worst['rough_estimate']:.4f}"
        if worst
        else ""
    )
    return (
        "E*[e^(ε/β) ε] bounds what the reverse KL's proxy loses: exceeded on no table",
        f"random tables: exceeded on {max(shares.values()):.1%} at most over β{example}",
        HOLDS if not over and not any(shares.values()) else FAILS,
    )


def _forward_is_milder(tables: Tables) -> Verdict:
    pairs = [
        (row, other)
        for row in tables["tables"]
        for other in tables["tables"]
        if row["family"] == FORWARD and other["family"] == REVERSE
        if (row["table"], row["setting"]) == (other["table"], other["setting"])
    ]
    worse = [f"{one['table']} at β = {one['setting']:g}" for one, other in pairs if one["loss"] > other["loss"] + EXACT]
    shares = [row["loses_more_than_reverse"] for row in tables["random"] if row["family"] == FORWARD]
    real = [row for row in tables["curves"] if row["family"] == FORWARD]
    below = sum(row["over_reverse_high"] < 0 for row in real)
    above = sum(row["over_reverse_low"] > 0 for row in real)
    return (
        "The forward KL is the milder one: at the same β it never loses more than the reverse KL",
        f"it loses more on {len(worse)} of {len(pairs)} written tables and β ({'; '.join(worse)}), and on "
        f"{min(shares):.0%} to {max(shares):.0%} of random tables, by β; on real replies it is worth less in "
        f"{below} of "
        f"{len(real)} cases and β, more in {above}, by intervals",
        HOLDS if not worse and not any(shares) and not below else FAILS,
    )


def _strong_tilts_fall(settings: TiltsSettings, tables: Tables) -> Verdict:
    strong = _strongest(settings, tables)
    tilts = [row for row in strong if row["family"] in DIVERGENCES]
    down, up = ([row for row in tilts if part(row)] for part in (_falls, lambda row: row["over_middle_low"] > 0))
    drawn = [f"{row['family']} ({row['case']})" for row in strong if row not in tilts and _falls(row)]
    return (
        "On real replies a strong tilt is truly worth less than a middle one of its divergence: the interval of the "
        "difference lies below 0",
        f"{len(down)} of {len(tilts)}; {len(up)} lie above 0. Of best-of draws below 0: {'; '.join(drawn) or 'none'}",
        _word(len(down), len(tilts)),
    )


def _falls(row: Row) -> bool:
    return bool(row["over_middle_high"] < 0)


def _strongest(settings: TiltsSettings, tables: Tables) -> list[Row]:
    """Return every case's rows of every family at its strongest setting."""
    ends = (settings.betas[0], float(settings.draws[-1]))
    return [row for row in tables["curves"] if row["setting"] == ends[row["family"] not in DIVERGENCES]]


def _promises(settings: TiltsSettings, tables: Tables) -> Verdict:
    strong = [row for row in tables["curves"] if row["setting"] == settings.betas[0] and row["family"] == REVERSE]
    broken = [row for row in strong if row["promise_kept_high"] < 0]
    return (
        f"The proxy promises too much: of the reverse KL at β = {settings.betas[0]:g}, the interval of true value less "
        "promise lies below 0",
        f"{len(broken)} of {len(strong)} cases; not told apart: "
        f"{'; '.join(row['case'] for row in strong if row not in broken) or 'none'}",
        _word(len(broken), len(strong)),
    )


def _best_of_n_spends(tables: Tables) -> Verdict:
    rows = [row for name in ("tables", "curves") for row in tables[name] if row["family"] == BEST_OF_N]
    kept = [row["kl"] <= best_of_n_bound(int(row["setting"])) + EXACT for row in rows]
    return (
        "Best-of-n spends at most log n − (n − 1)/n of KL, exact",
        f"{sum(kept)} of {len(kept)} tables, cases and n",
        HOLDS if all(kept) else FAILS,
    )


def _best_of_n_close(tables: Tables) -> Verdict:
    rows = [row for row in tables["equal_kl"] if row["family"] == BEST_OF_N and row.get("over_reverse") is not None]
    below = [row for row in rows if row["over_reverse_high"] < 0]
    worst = min(rows, key=lambda row: row["over_reverse"], default=None)
    numbers = "" if worst is None else f"; at most {-worst['over_reverse']:.3f} behind ({worst['case']})"
    return (
        "At equal KL best-of-n is truly worth as much as the reverse KL's tilt: no interval of the difference lies "
        "below 0",
        f"{len(rows) - len(below)} of {len(rows)} cases{numbers}",
        _word(len(rows) - len(below), len(rows)),
    )


def _majority_rises(tables: Tables) -> Verdict:
    values = _by_draws(tables["tables"], "table", BEST_OF_MAJORITY, lambda row: row["value"])
    falls = [name for name, some in values.items() if any(b < a - EXACT for a, b in pairwise(some))]
    ends = _by_draws(tables["curves"], "case", BEST_OF_MAJORITY, lambda row: row["over_middle_high"])
    lower = [name for name, some in ends.items() if some[-1] < 0]
    return (
        "Best-of-majority is never worth less with more draws: exact on tables; on real replies no interval of "
        "the most "
        "draws less the middle number lies below 0",
        f"falls on {len(falls)} of {len(values)} tables ({', '.join(falls) or 'none'}) and in {len(lower)} of "
        f"{len(ends)} cases ({'; '.join(lower) or 'none'})",
        _word(len(values) + len(ends) - len(falls) - len(lower), len(values) + len(ends)),
    )


def _by_draws(rows: Sequence[Row], key: str, family: str, value: Callable[[Row], float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for row in rows:
        if row["family"] == family:
            found.setdefault(row[key], []).append(value(row))
    return found


def _forward_varied(tables: Tables) -> Verdict:
    rows = [row for row in tables["diversity"] if row["family"] == FORWARD]
    above = [row for row in rows if row["vendi_of_law_over_reverse_low"] > 0]
    below = [row for row in rows if row["vendi_of_law_over_reverse_high"] < 0]
    where = ", ".join(f"{row['beta']:g}" for row in below)
    return (
        "At the same β the forward KL leaves more varied replies than the reverse KL: the interval of the "
        "difference of "
        "Vendi scores lies above 0",
        f"{len(above)} of {len(rows)} lists and β; {len(below)} lie below 0 (β = {where or '–'})",
        _word(len(above), len(rows)),
    )


def _entropy_at_reward(tables: Tables) -> Verdict:
    rows = [row for row in tables["equal_reward"] if row["family"] != REVERSE and row.get("entropy") is not None]
    most = max((row["entropy_over_reverse"] for row in rows), default=0.0)
    ahead = [row for row in rows if row["entropy_over_reverse_low"] > 0]
    varied = [row for row in rows if row["vendi_of_law_over_reverse_low"] > 0]
    return (
        "At the same reward no divergence leaves more entropy than the reverse KL (a theorem, from an even reference): "
        "no interval of the difference lies above 0",
        f"{len(ahead)} of {len(rows)} do; the nearest comes to {most:.3f} of KL. By Vendi score, which no theorem is "
        f"about, {len(varied)} of {len(rows)} do",
        HOLDS if not ahead else FAILS,
    )


def _levers_varied(tables: Tables) -> Verdict:
    rows = [row for row in tables["equal_exposure"] if row.get("self_bleu_over_tilt") is not None]
    more = [row for row in rows if row["self_bleu_over_tilt_high"] < 0]
    pools = {row["list"]: row["self_bleu"] for row in tables["diversity"] if row["family"] == REFERENCE}
    numbers = "; ".join(
        f"{row['list']} at exposure {row['exposure']:.2f}: self-BLEU {row['self_bleu_over_tilt']:.2f} "
        f"[{row['self_bleu_over_tilt_low']:.2f}, {row['self_bleu_over_tilt_high']:.2f}] over the tilt's "
        f"{row['self_bleu_of_tilt']:.2f} (the whole pool's is {pools[row['list']]:.2f}), Vendi "
        f"{row['vendi_of_set_over_tilt']:.2f} "
        f"[{row['vendi_of_set_over_tilt_low']:.2f}, {row['vendi_of_set_over_tilt_high']:.2f}]"
        for row in rows
    )
    return (
        "At the same exposure the levers leave more varied replies than the reverse KL's tilt of the stored ones: the "
        "interval of the difference of self-BLEU lies below 0 (part of it is the pool, whose replies come again)",
        numbers or "no exposure that both reach",
        _word(len(more), len(rows)) if rows else FAILS,
    )


def _bids_cost(settings: TiltsSettings, tables: Tables) -> Verdict:
    strong = _strongest(settings, tables)
    paid = [row for row in strong if row["case"] in {f"labels, {name}" for name in settings.judges if _is_sold(name)}]
    worse = [row for row in paid if row["gain_high"] < 0]
    scores = [row for row in strong if row["case"].startswith("labels, ") and row not in paid]
    better = [row for row in scores if row["gain_low"] > 0]
    return (
        "Choosing by what bids pay alone costs the user: at every family's strongest setting the interval of the "
        "rating "
        "less the reference's lies below 0",
        f"{len(worse)} of {len(paid)} families; by judges' scores {len(better)} of {len(scores)} lie above 0",
        _word(len(worse), len(paid)),
    )


def _is_sold(name: str) -> bool:
    return reading(name).per == "brand"
