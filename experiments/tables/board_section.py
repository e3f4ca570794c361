"""The board as a section: what each system sells, who pays, whether its claim held, and who brings most."""

from collections.abc import Iterator, Mapping, Sequence

from auctionsim.experiments.running.board_cell import CARRIERS, MECHANISMS, SYSTEMS, BoardCell, Price
from auctionsim.experiments.running.run import Row, Section, markdown_table
from auctionsim.experiments.tables.board_ranks import AFTER, BLOCKS, CARRIERS_AFTER, block_of
from auctionsim.experiments.tables.board_scores import (
    MEANINGS,
    interval_text,
    placed,
    regret_columns,
    score_lines,
    signed,
    small,
    weight_lines,
)
from auctionsim.experiments.tables.board_tables import BoardNames, BoardTables
from auctionsim.experiments.tables.board_verdicts import LOWER_BOUND, RULE, TOLERANCE, IncentiveVerdict
from auctionsim.experiments.tables.carrier_orders import TOGETHER
from auctionsim.experiments.tables.loss_matrix import rows_of
from auctionsim.readings.registry import reading
from auctionsim.report.wording import NOTHING, number

TITLE = "The board: every mechanism and system on one exposure"
TITLES: Mapping[str, str] = {
    SYSTEMS: "Published systems that act before or inside the reply",
    AFTER: "Published systems that put ads on the page after the reply",
    MECHANISMS: "Mechanisms on one carrier",
    CARRIERS: "The optimum on each carrier before or inside the reply",
    CARRIERS_AFTER: "The optimum on each carrier after the reply",
}


def one_of(loss: str) -> str:
    """Return what one unit of a loss is called, as in "money per …"."""
    unit = reading(loss).unit.split()[0]
    return unit.removesuffix("s") if unit.endswith("s") else f"unit of {unit}"


def board_section(
    cells: Sequence[BoardCell],
    tables: BoardTables,
    names: BoardNames,
    prices: Sequence[Price],
    gaps: Sequence[str],
    figures: Mapping[str, str],
) -> Section:
    """Return the section.

    Args:
        cells: Of all rows, categories and prices.
        tables: Made of them.
        names: What the rows are.
        prices: At which every column is shown, the first one first.
        gaps: What has no row, a sentence each.
        figures: File names, with captions.
    """
    parts = [*_manner(cells), *(f"**{line}**" for line in headlines(tables, prices[0])), *_columns()]
    parts += ["### What each system is, and whether its claim held", RULE, *_systems(tables.verdicts, names)]
    for block in BLOCKS:
        parts += _block(block, cells, tables, names, prices)
    parts += [*_words(tables.words), *_capped(tables.capped), *_rules(cells, names), *gaps]
    return Section(TITLE, "\n\n".join(parts), figures)


def headlines(tables: BoardTables, price: Price) -> Iterator[str]:
    """Yield a sentence a block: who brings most at a price, who is not told apart, and what the board can tell."""
    for block in BLOCKS:
        rows = rows_of(tables.ranks, {"block": block, "category": TOGETHER, **price._asdict()})
        if not rows:
            continue
        first, rest = rows[0], rows[1:]
        level = [row for row in rest if row["behind_low"] <= 0]
        sentence = (
            f"{TITLES[block]}, at λ = {_price(price)}: {first['label']} brings most on B, an objective of "
            f"{interval_text(first, 'objective')}"
        )
        if level:
            sentence += "; not told apart from it: " + ", ".join(
                f"{row['label']} ({signed(row['objective'])})" for row in level
            )
        elif rest:
            sentence += f"; every other of the {len(rows)} is told to be below it"
        sentence += _with_others(rows_of(_cells_of(tables, block), {**price._asdict(), "name": first["name"]}))
        if first["resolved"] is not None:
            sentence += (
                f". The smallest difference that is told for sure between neighbours: {small(first['resolved'])}"
            )
        yield f"{sentence}."


def _cells_of(tables: BoardTables, block: str) -> list[Row]:
    return {SYSTEMS: tables.systems, AFTER: tables.after, MECHANISMS: tables.mechanisms}.get(block, tables.carriers)


def _with_others(rows: Sequence[Row]) -> str:
    """Return what is to be said of a row's objective where bidders gain by other bids than truthful ones."""
    largest = max(row["regret_max"] for row in rows)
    if largest <= TOLERANCE:
        return ""
    answers = [
        row["objective"] if row["objective_best_response"] is None else row["objective_best_response"] for row in rows
    ]
    words = signed(sum(answers) / len(answers))
    return (
        f". That is with truthful bids: on B a bidder gains up to {number(largest)} by another bid, and under best "
        f"responses the objective is {words}"
    )


def terminal_lines(cells: Sequence[BoardCell], tables: BoardTables, price: Price, block: str) -> list[dict[str, str]]:
    """Return a block's rows at a price with the columns that a terminal has room for."""
    ranks = rows_of(tables.ranks, {"block": block})
    kept = (
        "row",
        "rank",
        "places",
        "objective",
        "of optimum",
        "revenue",
        "reply_kl",
        "regret, largest",
        "regret, largest (A)",
    )
    return [{name: line[name] for name in kept} for line in score_lines(cells, ranks, price)]


def _price(price: Price) -> str:
    return f"{price.user_weight:g} per {one_of(price.loss)} of {price.loss}"


def _manner(cells: Sequence[BoardCell]) -> Iterator[str]:
    """Yield what is sold, how it is scored and what ranks mean, a paragraph each."""
    categories = list(dict.fromkeys(cell.category for cell in cells))
    counts = {block: len({cell.row for cell in cells if block_of(cell) == block}) for block in BLOCKS}
    yield (
        f"{_count(counts[SYSTEMS] + counts[AFTER], 'published system')} and {_count(counts[MECHANISMS], 'mechanism')} "
        f"on one language model, in {', '.join(categories)}. All sell the same unit: `named`, the probability "
        "that the page names the brand at least once, whatever their authors sold. A bidder's value is money per unit "
        "of it, drawn from U[0, 1]. A mechanism chooses a distribution over the joint settings that the carrier was "
        "measured at; payments and regret are expected over what is drawn. Rows are ordered by the objective, "
        "revenue − λ · the user's loss. No row is left out for a claim that is broken."
    )
    yield (
        "Everything is designed on replicate A's prompts and stems, knobs included, and scored on B's. What a "
        "design charges was fixed on A, but for rules that charge by what is delivered: so at λ = 0 the objective "
        "is A's own revenue, chance and choice of knobs on A included; what B gives for it shows in IR, in regret "
        "and in best responses alone."
    )
    yield (
        "All categories together are the mean of the categories. Intervals are Student's, from bootstrap draws of "
        "prompts within contexts and of profiles, the same for every row. Two rows have different ranks only where "
        "paired intervals set all above apart from all below; `places` are those that single pairs, at 95 % each, "
        "leave a row."
    )


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _columns() -> Iterator[str]:
    """Yield what each column is, a line each."""
    yield "### What each column is"
    yield "\n".join(f"- **{name}**: {words}." for name, words in MEANINGS.items())
    yield "A plain 0 is none; 0.0000 is less than .00005; – is not known, or does not apply."


def _systems(listed: Sequence[IncentiveVerdict], names: BoardNames) -> Iterator[str]:
    """Yield a table of verdicts, then five lines a system: what is sold, who pays, the claim, what was assumed."""
    yield markdown_table([_verdict_line(one, names) for one in listed])
    for one in listed:
        entry = names.systems[one.name]
        carrier, rule = names.carriers.get(entry.carrier), names.mechanisms.get(entry.mechanism)
        door = carrier.label if carrier else entry.carrier
        lines = [
            f"**{entry.label}** (`{entry.name}`: {door}; {rule.label if rule else entry.mechanism})",
            f"Sold: {entry.sold}",
            f"Who pays: {entry.pays}",
            f"Claim: {entry.claim}. {entry.claims} About which exposure: {entry.exposure} Source: {entry.citation}",
            f"What was assumed to run it here: {entry.assumed}",
            f"**Verdict: {one.verdict}.** {one.sentence}",
        ]
        first, *more = (" ".join(line.split()) for line in lines)  # a system's own text is one line, whatever it holds
        yield "\n".join([first, "", *(f"- {line}" for line in more)])


def _verdict_line(one: IncentiveVerdict, names: BoardNames) -> dict[str, str]:
    line = {"system": names.label(SYSTEMS, one.name), "claim": one.claim, "verdict": f"**{one.verdict}**"}
    for where, largest, mean, kind in (
        ("where it was designed", one.regret_max_A, one.regret_A, one.regret_is_A),
        ("on other prompts", one.regret_max, one.regret, one.regret_is),
    ):
        least = "≥ " * (kind == LOWER_BOUND)
        line[f"largest gain {where} (mean)"] = f"{least}{small(largest)} ({small(mean)})"
    return line


def _block(
    block: str, cells: Sequence[BoardCell], tables: BoardTables, names: BoardNames, prices: Sequence[Price]
) -> Iterator[str]:
    own = [cell for cell in cells if block_of(cell) == block]
    if not own:
        return
    ranks = rows_of(tables.ranks, {"block": block})
    yield f"### {TITLES[block]}"
    if block == MECHANISMS:
        used = [names.carriers[one] for one in dict.fromkeys(c.row.carrier for c in own) if one in names.carriers]
        yield "The carrier: " + "; ".join(f"{one.label} ({one.sold.rstrip('.')})" for one in used) + "."
    if block in (AFTER, CARRIERS_AFTER):
        yield "The reply's law stays as it is, so reply_kl is 0 whatever is shown; what the user pays is words."
    for price in prices if BLOCKS[block] != CARRIERS else ():
        lines = [*score_lines(cells, ranks, price)]
        if lines:
            yield f"At λ = {_price(price)}, all categories together:"
            yield markdown_table(lines)
    for loss in dict.fromkeys(cell.price.loss for cell in own):
        yield f"Objective by λ, money per {one_of(loss)} of {loss} and reply, ranks in brackets:"
        yield markdown_table([*weight_lines(ranks, loss)])


def _words(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield "### One order of all systems, words of ads charged"
    yield (
        "Before, inside and after the reply are in one order only where the user's loss counts words of ads: "
        f"λ · (reply_kl + ρ · ad words) at λ = {rows[0]['user_weight']:g}, every system designed anew at each ρ. "
        "Objective on B, all categories together, ranks in brackets:"
    )
    lines = []
    for label in dict.fromkeys(row["label"] for row in rows):
        line = {"row": label}
        for words in dict.fromkeys(row["words"] for row in rows):
            there = rows_of(rows, {"label": label, "words": words})
            line[f"ρ = {words:g}"] = placed(there[0], "objective") if there else NOTHING
        lines.append(line)
    yield markdown_table(lines)


def _capped(rows: Sequence[Row]) -> Iterator[str]:
    if not rows:
        return
    yield "### Revenue at equal reply_kl"
    yield (
        "Rows at one λ differ in what they cost the user. Here each is a public lottery over its own designs at the "
        "user weights above, or nobody shown: the one that earns most at a reply_kl on B of at most the cap. What a "
        "design charges was fixed on A (but for rules that charge by what is delivered); that the cap is kept is B's, "
        "and the interval counts what its prompts move. Revenue, all categories together, rank and places in brackets, "
        "then the reply_kl that is spent:"
    )
    for block in (SYSTEMS, MECHANISMS):
        own = rows_of(rows, {"block": block, "category": TOGETHER})
        if own:
            yield f"{TITLES[block]}:"
            yield markdown_table([_cap_line(own, label) for label in dict.fromkeys(row["label"] for row in own)])


def _cap_line(rows: Sequence[Row], label: str) -> dict[str, str]:
    line = {"row": label}
    for cap in dict.fromkeys(row["cap"] for row in rows):
        there = rows_of(rows, {"label": label, "cap": cap})
        text = NOTHING
        if there:
            (one,) = there
            ranks = f"{one['rank']}; {one['best_rank']}–{one['worst_rank']}"
            text = f"{interval_text(one, 'revenue', 3)} ({ranks}), {number(one['reply_kl'])}"
        line[f"≤ {cap:g}"] = text
    return line


def _rules(cells: Sequence[BoardCell], names: BoardNames) -> Iterator[str]:
    """Yield what the mechanisms of the board are: who pays what, what is claimed about which exposure, and regret."""
    own = [cell for cell in cells if cell.row.table == MECHANISMS]
    if not own:
        return
    yield "### What each mechanism is"
    yield "Regret over all categories and prices, as in the columns above:"
    lines = []
    for name in dict.fromkeys(cell.row.name for cell in own):
        entry = names.mechanisms.get(name)
        published = entry.published if entry else None
        lines.append(
            {
                "mechanism": entry.label if entry else name,
                "who gets and pays what": (entry.pays or entry.summary) if entry else NOTHING,
                "claim": f"{published.claims} About: {published.exposure}" if published else NOTHING,
                "source": published.source if published else NOTHING,
                **regret_columns([cell for cell in own if cell.row.name == name]),
            }
        )
    yield markdown_table(lines)
