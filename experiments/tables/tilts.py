"""What tilts by a proxy show: verdicts by stated rules, values on the same axes, terms of what is lost, diversity."""

from collections.abc import Callable, Mapping, Sequence

from auctionsim.experiments.running.run import Row, Section, markdown_table
from auctionsim.experiments.running.tilt_auctions import REFERENCE, UNTOUCHED
from auctionsim.experiments.running.tilt_policies import DIVERGENCES, FORWARD, REVERSE
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.experiments.tables.tilt_verdicts import verdict_rows

Tables = Mapping[str, Sequence[Row]]
NOT_REACHED = "not reached"


def section(settings: TiltsSettings, tables: Tables, figures: Mapping[str, str]) -> Section:
    """Return the section: verdicts first, then the tables that they are read from."""
    parts = [
        _opening(settings),
        markdown_table(verdict_rows(settings, tables)),
        "The overrated third reply: π_ref = (.7, .2, .1), r = (0, 1, 0), proxy (0, 1, 1.2). True value of the proxy's "
        "tilt by β, of best-of draws by n:",
        markdown_table(_grid_rows(tables["tables"], "overrated third reply", lambda row: f"{row['value']:.4f}")),
        "The same table, reverse and forward KL: what is lost against the tilt by the true reward is the reward "
        "gap and "
        "the proxy gap together; the proxy gap stays below its bound.",
        markdown_table(_terms(tables["tables"])),
        f"{settings.tables} random tables of 2 to 8 replies, rewards U[0, 1], a proxy off by normal noise of .5. Mean "
        "true value of the proxy's tilt; in brackets the share of tables on which it loses more than the reverse KL's:",
        markdown_table(_random(tables["random"])),
        "Real replies, every family at its strongest setting: what the proxy's law gains over the reference, truly, in "
        "the case's unit, with its 95 % interval. `promise` is what the proxy says that the reverse KL's gains.",
        markdown_table(_by_family(_ends(settings, tables["curves"]), "gain", promise=True)),
        f"Where a family has spent {settings.kl:g} of KL (between its settings: linear), its true value over the "
        "reverse KL's:",
        markdown_table(_by_family(tables["equal_kl"], "over_reverse")),
    ]
    if tables["diversity"]:
        parts += _diversity(settings, tables)
    return Section("What a strong tilt breaks", "\n\n".join(parts), figures)


def _opening(settings: TiltsSettings) -> str:
    return (
        "A tilt maximises E_q r̂ − β D(q‖π_ref) for a proxy reward r̂; what it is worth is E_q r of the true "
        "one. D is one "
        "of six divergences (Jensen–Shannon on this project's scale, half of Wang et al.'s; its α is 1 − theirs). "
        f"Best-of-n and best-of-majority (answers with {settings.share:.0%} of the draws, else the most frequent) are "
        "laws over the same replies, exact, without drawing. KL spent is KL(q‖π_ref), the win rate how often q's reply "
        "is truly better than the reference's, ties as half. "
        "Settings of a list: one of its settings is chosen, the reference is every setting alike, the proxy is what "
        f"bids of {settings.bid:g} on `{settings.exposure}` less {settings.user_weight:g} × `{settings.loss}` are "
        "worth "
        "on replicate A (its first prompt alone, or all), the truth the same on B's prompts. "
        "Labels: the replies to one prompt that were labelled, weighted by how many stored ones each stands for; the "
        "proxy is a judge's score, or `hits`, what bids of 1 pay for; the truth is the labels' rating, both in "
        "standard "
        "deviations over the labelled replies. The labels are a language model's, not people's. Intervals are "
        f"percentile bootstraps over prompts within contexts or categories ({settings.resamples:,} resamples), a "
        "prompt "
        "drawn with all its replies; the proxy's own noise is not redrawn. Differences are paired."
    )


def _grid_rows(rows: Sequence[Row], table: str, shown: Callable[[Row], str]) -> list[dict[str, str]]:
    """Return a line a family, a column a setting; best-of draws have their own settings in the same columns."""
    own = [row for row in rows if row["table"] == table]
    lines = []
    for family in dict.fromkeys(row["family"] for row in own):
        some = [row for row in own if row["family"] == family]
        letter = "β" if family in DIVERGENCES else "n"
        head = {"family": f"{family}, {letter} = " + ", ".join(format(row["setting"], "g") for row in some)}
        lines.append(head | {f"{k}": shown(row) for k, row in enumerate(some, 1)})
    widest = max(lines, key=len)
    return [{name: line.get(name, "–") for name in widest} for line in lines]


def _terms(rows: Sequence[Row]) -> list[dict[str, str]]:
    shown = [row for row in rows if row["table"] != "two outcomes" and row["family"] in (REVERSE, FORWARD)]
    return [
        {
            "table": row["table"],
            "divergence": row["family"],
            "β": f"{row['setting']:g}",
            "J(π*)": f"{row['best_value']:.4f}",
            "J(π̂)": f"{row['value']:.4f}",
            "lost": f"{row['loss']:.4f}",
            "(E* − Ê)(r − r̂)": f"{row['reward_gap']:.4f}",
            "(E* − Ê) r̂": f"{row['proxy_gap']:.4f}",
            "its bound": f"{row['proxy_gap_bound']:.4f}",
            "E*[e^(ε/β) ε]": f"{row['rough_estimate']:.4g}",
        }
        for row in shown
    ]


def _random(rows: Sequence[Row]) -> list[dict[str, str]]:
    lines = []
    for family in dict.fromkeys(row["family"] for row in rows):
        own = [row for row in rows if row["family"] == family]
        values = {f"β = {row['beta']:g}": f"{row['value']:.3f} ({row['loses_more_than_reverse']:.0%})" for row in own}
        exceeded = max(row["rough_estimate_exceeded"] for row in own)
        lines.append({"divergence": family} | values | {"E*[e^(ε/β) ε] exceeded, at most": f"{exceeded:.1%}"})
    return lines


def _ends(settings: TiltsSettings, rows: Sequence[Row]) -> list[Row]:
    ends = (settings.betas[0], float(settings.draws[-1]))
    return [row for row in rows if row["setting"] == ends[row["family"] not in DIVERGENCES]]


def _by_family(rows: Sequence[Row], name: str, *, promise: bool = False) -> list[dict[str, str]]:
    """Return a line a case, a column a family."""
    lines = []
    for case in dict.fromkeys(row["case"] for row in rows):
        own = {row["family"]: row for row in rows if row["case"] == case}
        first = own[REVERSE]
        promised = first["proxy_gain"] if promise else None
        line = {"case": f"{case} ({first['prompts']} prompts, {first['replies']} replies)" if promise else case}
        line |= {} if promised is None else {"promise": f"{promised:.2f}"}
        shown = {
            family: NOT_REACHED if row.get(name) is None else with_interval(row, name, 2)
            for family, row in own.items()
            if promise or family != REVERSE
        }
        lines.append(line | shown)
    return lines


def _diversity(settings: TiltsSettings, tables: Tables) -> list[str]:
    size = settings.set_size
    return [
        "An auction (`KLTilt`) over the stored replies to each of A's prompts, all settings' replies together: "
        "exposure "
        "from stored texts, losses from stored values. `effective` is the effective sample size 1/Σ q² of the replies "
        "that the tilted law stands on: near 1 the numbers are about one stored reply. Entropy, distinct "
        "replies "
        f"of {size} draws and the Vendi score of the law are exact; EAD, self-BLEU and Vendi of sets are of {size} "
        f"draws with replacement, {settings.sets} sets a prompt. `{UNTOUCHED}` starts from a reference in which "
        f"{settings.untouched:.0%} is the untouched model's.",
        markdown_table([_tilted(row) for row in tables["diversity"] if _is_shown(settings, row)]),
        f"The same readings over the levers, of {size} stored replies to a prompt under each setting:",
        markdown_table([_lever(row) for row in tables["levers"]]),
        "At the same β a divergence that tilts less leaves more. At the same reward (half-way from the reference "
        "to the "
        "most) the reverse KL spends least KL of all laws, so from an even reference it leaves the most entropy by "
        "construction:",
        markdown_table([_at_reward(row) for row in tables["equal_reward"]]),
    ]


def _is_shown(settings: TiltsSettings, row: Row) -> bool:
    """Tell whether the page has a row: both KLs at every β, the others at the middle one; the table has all."""
    return row["family"] not in DIVERGENCES or row["family"] in (REVERSE, FORWARD) or row["beta"] == _middle(settings)


def _middle(settings: TiltsSettings) -> float:
    return settings.betas[len(settings.betas) // 2]


def _tilted(row: Row) -> dict[str, str]:
    beta = "–" if row["beta"] is None else f"{row['beta']:g}"
    return {
        "list": row["list"],
        "law": row["family"],
        "β": beta,
        "exposure": f"{row['exposure']:.2f}",
        "user loss": f"{row['user_loss']:.3f}",
        "revenue": f"{row['revenue']:.3f}",
        "KL": f"{row['kl']:.2f}",
        "effective": f"{row['effective_replies']:.1f}",
        "entropy": f"{row['entropy']:.2f}",
        "distinct": f"{row['distinct']:.2f}",
        "Vendi of law": with_interval(row, "vendi_of_law", 2)
        if row["family"] == REFERENCE
        else f"{row['vendi_of_law']:.2f}",
        "EAD": f"{row['ead']:.2f}",
        "self-BLEU": f"{row['self_bleu']:.2f}",
        "Vendi of sets": f"{row['vendi_of_set']:.2f}",
    }


def _lever(row: Row) -> dict[str, str]:
    return {
        "list": row["list"],
        "setting": row["setting"],
        "exposure": f"{row['exposure']:.2f}",
        "user loss": f"{row['user_loss']:.3f}",
        "distinct": f"{row['distinct']:.2f}",
        "EAD": with_interval(row, "ead", 2),
        "self-BLEU": with_interval(row, "self_bleu", 2),
        "Vendi of sets": with_interval(row, "vendi_of_set", 2),
    }


def _at_reward(row: Row) -> dict[str, str]:
    head = {"list": row["list"], "divergence": row["family"], "reward": f"{row['reward']:.2f}"}
    if row.get("entropy") is None:
        return head | dict.fromkeys(
            ("entropy", "over reverse KL", "Vendi of law", "over reverse KL, Vendi"), NOT_REACHED
        )
    return head | {
        "entropy": f"{row['entropy']:.2f}",
        "over reverse KL": with_interval(row, "entropy_over_reverse", 3),
        "Vendi of law": f"{row['vendi_of_law']:.2f}",
        "over reverse KL, Vendi": with_interval(row, "vendi_of_law_over_reverse", 3),
    }


def with_interval(row: Row, name: str, digits: int) -> str:
    """Write a mean with its interval, "0.12 [0.10, 0.14]"."""
    return f"{row[name]:.{digits}f} [{row[f'{name}_low']:.{digits}f}, {row[f'{name}_high']:.{digits}f}]"
