"""What a comparison of mechanisms concludes: its tables, and the paper's menu against VCG by a stated rule."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from auctionsim.experiments.running.run import Claim, Section, markdown_table, quoted
from auctionsim.experiments.tables.mechanisms import MENU
from auctionsim.report.records import MechanismRow, MenuOption
from auctionsim.report.wording import estimate as written
from auctionsim.report.wording import number, percent, setting

if TYPE_CHECKING:
    from auctionsim.experiments.studies.compare import CompareSettings

VCG_ALONE = "VCG"
FIGURES = {
    "trade_off.png": "Every mechanism over the user weight; A solid, B dashed (Fig. 5).",
    "menu.png": "What the menu offers each brand, at which price (Fig. 4); example replies are in the report.",
    "training.png": "The learned mechanisms' objective while they are trained (Fig. 9).",
}


def comparison_section(
    rows: Sequence[MechanismRow],
    menus: Mapping[float, Sequence[MenuOption]],
    reference: str,
    settings: "CompareSettings",
) -> Section:
    """Return the section of one comparison.

    Args:
        rows: Of every user weight, mechanism and replicate.
        menus: What the paper's menu offers, by user weight.
        reference: The VCG at user weight 0.
        settings: What was compared.
    """
    surface, feature, prior = settings.surface, settings.feature, settings.prior
    claim = menu_against_vcg(rows, surface)
    parts = [
        f"`{feature}` of `{surface}` is sold; valuations {prior}, truthful bids, mechanisms designed on replicate A; "
        f"means ± standard errors over {rows[0].revenue.n:,} profiles, regret over {rows[0].regret.n:,}. Regret is the "
        "largest among bidders; the optimum is the best that a mechanism can do on the same replicate in which truth "
        "is dominant and every type of the prior gets u ≥ 0 (a bid below the support is threatened), so that only a "
        "rule with regret can be above it, under bids that it does not get."
    ]
    for weight in dict.fromkeys(row.user_weight for row in rows):
        for replicate in ("A", "B"):
            own = [row for row in rows if (row.user_weight, row.replicate) == (weight, replicate)]
            where = "where they were designed" if replicate == "A" else "where other prompts and seeds pay"
            parts.append(f"User weight {weight:g}, replicate {replicate} ({where}):")
            parts.append(markdown_table([_line(row) for row in own]))
    parts.append(claim.evidence)
    parts.append(f"“{reference}” ignores the user; the VCG beside it has the table's user weight.")
    for weight, options in menus.items():
        prompt = next((option.prompt for option in options if option.prompt), "")
        asked = f", with the model's reply to “{quoted(prompt)}”" if prompt else ""
        parts.append(f"The menu at user weight {weight:g}, rivals at null{asked}:")
        parts.append(markdown_table([_entry(option, bool(prompt)) for option in options]))
    return Section(f"Mechanisms compared: {surface}, {feature}", "\n\n".join(parts), FIGURES, (claim,))


def menu_against_vcg(rows: Sequence[MechanismRow], surface: str) -> Claim:
    """Judge whether the menu's truthful revenue exceeds VCG's at the same user weight, on replicate B."""
    compared = []
    for weight in dict.fromkeys(row.user_weight for row in rows):
        menu, vcg = (
            next(r for r in rows if (r.mechanism, r.replicate, r.user_weight) == (name, "B", weight))
            for name in (MENU, VCG_ALONE)
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
    return Claim("menu against VCG revenue", verdict, evidence)


def _entry(option: MenuOption, with_reply: bool) -> dict[str, str]:
    levers = setting(float(f"{option.num_neurons:.3g}"), float(f"{option.amplification:.3g}"))
    numbers = (option.price, option.exposure, option.user_loss)
    line = {"brand": option.brand, "levers": levers}
    line |= dict(zip(("price", "exposure", "user loss"), (f"{value:.4f}" for value in numbers), strict=True))
    return {**line, "reply": quoted(option.reply)} if with_reply else line


def _line(row: MechanismRow) -> dict[str, str]:
    return {
        "mechanism": row.mechanism,
        "revenue": written(row.revenue),
        "user loss": written(row.user_loss),
        "objective": written(row.objective),
        "of the optimum": percent(row.objective_share),
        "regret": f"{written(row.regret)} ({row.regret_is})",
        "IR violation": written(row.ir_violation),
        "objective, IR kept": number(row.objective_ir),
        "under best responses": number(row.objective_best_response),
    }
