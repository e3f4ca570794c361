"""What a strong tilt breaks: a proxy's tilts valued truly, best-of draws beside them, and what is left of variety.

auctionsim auction tilts

Three kinds of replies: small tables that are written down or drawn at random, where every number is exact; settings of
a measured list, designed on replicate A and valued by B; labelled replies, where a judge's score, or what bids pay, is
the proxy and the labels' rating the truth. Then KL tilts, as an auction, over the model's own stored replies.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from rich.console import Console

from auctionsim.experiments.figures.tilts import draw_diversity, draw_values
from auctionsim.experiments.running.prompt_bootstrap import PromptBootstrap
from auctionsim.experiments.running.run import Row, Run, Section
from auctionsim.experiments.running.tilt_auctions import diversity_rows
from auctionsim.experiments.running.tilt_cases import PromptCase, StoredList, label_cases, setting_cases, stored_list
from auctionsim.experiments.running.tilt_curves import (
    TABLES,
    curve_rows,
    equal_kl_rows,
    prompt_values,
    random_table_rows,
    table_rows,
)
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.experiments.tables.tilts import section
from auctionsim.trust import GoldLabels, read_labels

NAME = "tilts"
SHOWS = "what a strong tilt breaks: misspecified rewards, best-of draws, diversity"
NAMES = ("tables", "curves", "equal_kl", "diversity", "equal_reward", "equal_exposure", "levers")
VALUES, DIVERSITY = "tilt_values.png", "tilt_diversity.png"
CAPTIONS = {
    VALUES: "True value over KL spent, a panel a table or case: every divergence over β, best-of draws over n. Grey: "
    "the reference's.",
    DIVERSITY: "Vendi score of the law of replies over the reward, then Vendi score and self-BLEU of sets of one size "
    "over exposure, a row a list: tilts over β (lines), the reference (cross) and settings of the levers (stars).",
}


class TiltsFound(NamedTuple):
    """What was found.

    Attributes:
        tables: Rows by table.
        section: Of the results.
    """

    tables: Mapping[str, Sequence[Row]]
    section: Section


def main(settings: TiltsSettings, command: str, console: Console) -> TiltsFound:
    """Tilt by proxies and value truly, on tables, settings and labelled replies; read diversity; draw; write.

    Args:
        settings: What to tilt.
        command: What the user typed, for run.json.
        console: Told how far it is.
    Raises:
        ValueError: A list without replies, or a score that the trust table does not know.
    """
    lists = {name: stored_list(name) for name in settings.lists}
    labels = read_labels() if settings.judges else None
    run = Run(settings.folder, settings, _digests(lists, labels))
    run.begin(command)
    tables: dict[str, list[Row]] = {name: [] for name in NAMES}
    for name, table in TABLES.items():
        tables["tables"] += run.part(f"table {name}", partial(table_rows, name, table, settings.grid))
    random = partial(random_table_rows, settings.tables, settings.betas, settings.seed)
    tables["random"] = run.part("random tables", random)
    for case, cases in _cases(settings, lists, labels).items():
        console.print(case, soft_wrap=True)
        _sorted_into(tables, run.part(case, partial(_case_rows, settings, case, cases)))
    for name in settings.varied:
        console.print(f"{name}: diversity", soft_wrap=True)
        _sorted_into(tables, run.part(f"replies {name}", partial(diversity_rows, settings, name, lists[name])))
    draw_values(tables["tables"], tables["curves"], settings.folder / VALUES)
    draw_diversity(tables["diversity"], tables["levers"], settings.folder / DIVERSITY)
    about = section(settings, tables, CAPTIONS)
    run.finish({name: rows for name, rows in tables.items() if rows}, about, command=command, console=console)
    return TiltsFound(tables, about)


def inputs_of(settings: TiltsSettings) -> dict[str, str]:
    """Return the digests of what is read: lists with their replies, and labels where judges are held against them."""
    lists = {name: stored_list(name) for name in settings.lists}
    return _digests(lists, read_labels() if settings.judges else None)


def _digests(lists: Mapping[str, StoredList], labels: GoldLabels | None) -> dict[str, str]:
    replies = {f"{name} replies": one.stored.digest for name, one in lists.items()}
    read = {} if labels is None else {"labels": labels.digest}
    return {name: one.digest for name, one in lists.items()} | replies | read


def _cases(
    settings: TiltsSettings, lists: Mapping[str, StoredList], labels: GoldLabels | None
) -> dict[str, "partial[list[PromptCase]]"]:
    """Return what makes the prompts of each case, by name."""
    named: dict[str, partial[list[PromptCase]]] = {}
    for name, found in lists.items():
        for words, designed_on in (("one prompt of A", 1), ("all of A", None)):
            named[f"{name}, {words}"] = partial(
                setting_cases, found, settings.exposure, settings.loss, settings.money, designed_on
            )
    if labels is not None:
        named |= {f"labels, {judge}": partial(label_cases, labels, judge) for judge in settings.judges}
    return named


def _case_rows(settings: TiltsSettings, case: str, made: "partial[list[PromptCase]]") -> list[Row]:
    cases = made()
    values = prompt_values(cases, settings.grid)
    bootstrap = PromptBootstrap([one.stratum for one in cases], settings.resamples, settings.seed)
    known: Row = {"case": case, "replies": sum(len(one.p) for one in cases)}
    rows = [{"table": "curves", **known, **row} for row in curve_rows(values, settings.grid, bootstrap)]
    equal = equal_kl_rows(values, settings.grid, bootstrap, settings.kl)
    return rows + [{"table": "equal_kl", **known, **row} for row in equal]


def _sorted_into(tables: dict[str, list[Row]], rows: Sequence[Row]) -> None:
    """Put a part's rows into the tables that they belong to."""
    for row in rows:
        tables.setdefault(row["table"], []).append({key: value for key, value in row.items() if key != "table"})
