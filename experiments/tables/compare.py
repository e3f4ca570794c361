"""What a comparison of mechanisms concludes: its tables, and the paper's menu against VCG by a stated rule."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from auctionsim.experiments.running.run import PaperClaim, Section, markdown_table, quoted
from auctionsim.experiments.tables.mechanisms import MENU, VCG, recipe_sentence
from auctionsim.report.records import MenuOption
from auctionsim.report.wording import estimate as written
from auctionsim.report.wording import number, percent, setting
from auctionsim.scoring import MechanismRow, tidy

FIGURES = {
    "trade_off.png": "Every mechanism over the user weight; A solid, B dashed (Fig. 5).",
    "menu.png": "What the menu offers each brand, at which price (Fig. 4); example replies are in the report.",
    "training.png": "The learned mechanisms' objective while they are trained (Fig. 9).",
}


def comparison_section(
    rows: Sequence[MechanismRow],
    menus: Mapping[float, Sequence[MenuOption]],
    reference: str,
    surface: str,
    feature: str,
    prior: str,
) -> Section:
    """Return the section of one comparison.

    Args:
        rows: Of every user weight, mechanism and replicate.
        menus: What the paper's menu offers, by user weight.
        reference: The VCG at user weight 0.
        surface: Its name.
        feature: What is sold.
        prior: Valuations, as text.
    """
    claims = (menu_against_vcg(rows, surface),) if {MENU, VCG} <= {row.mechanism for row in rows} else ()
    quick = any(row.recipe for row in rows)
    parts = [
        f"`{feature}` of `{surface}` is sold; valuations {prior}, truthful bids, mechanisms designed on replicate A; "
        f"means ± standard errors over {rows[0].revenue.n:,} profiles, regret over {rows[0].regret.n:,}. Regret is the "
        "largest among bidders; the optimum is the best that a mechanism can do on the same replicate in which truth "
        "is dominant and every type of the prior gets u ≥ 0 (a bid below the support is threatened), so that only a "
        f"rule with regret can be above it, under bids that it does not get. {recipe_sentence(quick=quick)}"
    ]
    for weight in dict.fromkeys(row.user_weight for row in rows):
        for replicate in ("A", "B"):
            own = [row for row in rows if (row.user_weight, row.replicate) == (weight, replicate)]
            where = "where they were designed" if replicate == "A" else "where other prompts and seeds pay"
            parts.append(f"User weight {weight:g}, replicate {replicate} ({where}):")
            parts.append(markdown_table([_line(row) for row in own]))
    parts += [claim.evidence for claim in claims]
    parts.append(f"“{reference}” ignores the user; the VCG beside it has the table's user weight.")
    for weight, options in menus.items():
        prompt = next((option.prompt for option in options if option.prompt), "")
        replies = f", with the model's reply to “{quoted(prompt)}”" if prompt else ""
        parts.append(f"The menu at user weight {weight:g}, rivals at null{replies}:")
        parts.append(markdown_table([_entry(option, bool(prompt)) for option in options]))
    return Section(f"Mechanisms compared: {surface}, {feature}", "\n\n".join(parts), FIGURES, claims)


def menu_against_vcg(rows: Sequence[MechanismRow], surface: str) -> PaperClaim:
    """Judge whether the menu's truthful revenue exceeds VCG's at the same user weight, on replicate B."""
    compared = []
    for weight in dict.fromkeys(row.user_weight for row in rows):
        menu, vcg = (
            next(r for r in rows if (r.mechanism, r.replicate, r.user_weight) == (name, "B", weight))
            for name in (MENU, VCG)
        )
        error = ((menu.revenue.standard_error or 0.0) ** 2 + (vcg.revenue.standard_error or 0.0) ** 2) ** 0.5
        compared.append((weight, menu, vcg, menu.revenue.mean - vcg.revenue.mean > 2 * error))
    better = sum(higher for *_, higher in compared)
    verdict = "holds" if better == len(compared) else "holds in part" if better else "does not hold"
    shown = "; ".join(
        f"user weight {weight:g}: menu {written(menu.revenue)}, VCG {written(vcg.revenue)} "
        f"(the menu's regret {written(menu.regret)}, IR violation {written(menu.ir_violation)})"
        for weight, menu, vcg, _ in compared
    )
    evidence = (
        f"Truthful revenue on replicate B of `{surface}`: {shown}. Rule: the claim holds where the menu's revenue is "
        "higher by more than two standard errors at every user weight, in part where it is so at some. A menu that has "
        "regret does not get truthful bids, so this flatters it; VCG gets them."
    )
    return PaperClaim("menu against VCG revenue", verdict, evidence)


def _entry(option: MenuOption, with_reply: bool) -> dict[str, str]:
    levers = setting(float(f"{option.num_neurons:.3g}"), float(f"{option.amplification:.3g}"))
    numbers = (option.price, option.exposure, option.user_loss)
    line = {"brand": option.brand, "levers": levers}
    line |= dict(zip(("price", "exposure", "user loss"), (f"{value:.4f}" for value in numbers), strict=True))
    return {**line, "reply": quoted(option.reply)} if with_reply else line


def _line(row: MechanismRow) -> dict[str, str]:
    return {
        "mechanism": row.titled,
        "revenue": written(row.revenue),
        f"user loss ({row.loss}, {row.loss_unit})": written(row.user_loss),
        "objective": written(row.objective),
        "of the optimum": percent(None if row.objective_share is None else row.objective_share.mean),
        "regret": f"{written(row.regret)} ({row.regret_is})",
        "IR violation": written(row.ir_violation),
        "objective, IR kept": number(row.objective_ir),
        "under best responses": number(row.objective_best_response),
    }


def menu_table(options: Sequence[MenuOption], title: str) -> Table:
    """Return what the menu offers, with the reply under each entry where the model was asked."""
    prompt = next((option.prompt for option in options if option.prompt), "")
    table = Table(title=f"{title}: {prompt}" if prompt else title, show_lines=bool(prompt))
    for name in ("brand", "levers", "price", "exposure", "user loss"):
        table.add_column(name, justify="left" if name in ("brand", "levers") else "right")
    if prompt:
        table.add_column("example reply", ratio=1)
    for option in options:
        numbers = (f"{value:.4f}" for value in (option.price, option.exposure, option.user_loss))
        reply = (option.reply.strip(),) if prompt else ()
        levers = setting(float(f"{option.num_neurons:.4g}"), float(f"{option.amplification:.3g}"))
        table.add_row(option.brand, levers, *numbers, *reply)
    return table


def flat(rows: Sequence[MechanismRow]) -> dict[str, Any]:
    """Return both replicates' rows of one mechanism as one record; a number that there is not is NaN."""
    record: dict[str, Any] = {}
    for row in tidy(rows):
        replicate = row["replicate"]
        for name, value in row.items():
            if name in ("mechanism", "replicate", "user_weight"):
                continue
            if name in ("recipe", "loss", "loss_unit"):  # the same on both replicates
                record[name] = value
                continue
            base, mark, end = _split(name)
            record[f"{base}_{replicate}{mark}{end}"] = float("nan") if value is None else value
    return record


def _split(name: str) -> tuple[str, str, str]:
    """Return revenue_standard_error as revenue, _, standard_error: the replicate is written after the quantity."""
    for end in ("standard_error", "draws"):
        if name.endswith("_" + end):
            return name.removesuffix("_" + end), "_", end
    return name, "", ""
