"""How finished runs become docs/results.md: the paper's claims, a table of experiments, every section with figures."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.experiments.running.preparation import slug
from auctionsim.experiments.running.run import CLAIMS, PaperClaim, Section, kept_section, markdown_table
from auctionsim.experiments.running.run_folder import run_record
from auctionsim.files import read_text_bounded, replacing, sweep, write_text

MOST_PAGE_BYTES = 1 << 24
"""Of a page of results that a section is written into: 16 MiB."""
_HEADING, _EXPERIMENTS = "\n## ", "Experiments"


class Finished(NamedTuple):
    """One finished experiment.

    Attributes:
        name: Of its folder.
        shows: The paper's figures, or what it is about.
        command: What reproduces it.
        commit: Of the code that computed it.
        seconds: How long it took, parts that an earlier run kept included, measurements that it kept not.
        section: What it says.
        folder: Where its figures are.
    """

    name: str
    shows: str
    command: str
    commit: str
    seconds: float
    section: Section
    folder: Path


def write_results(path: Path, finished: Sequence[Finished], model: str, command: str) -> Path:
    """Write the page and copy the figures beside it, into images/results.

    Args:
        path: Of the page.
        finished: In the order of the page.
        model: On which the surfaces were measured.
        command: What makes the page again.
    """
    images = path.parent / "images" / "results"
    sweep(images)
    sweep(path.parent, below=False)
    parts = [
        "# Results",
        f"Written by `{command}` from the data of its runs; nothing here is typed by hand. The model is `{model}`; all "
        "numbers are about it, and about the prompts, brands and scoring of this project, which reconstruct the "
        "paper's (its own are not public). ± is one standard error. Every table is also a parquet and a CSV file in "
        "the run's folder, with the number of draws behind each mean. The *optimum*, here and in every share of it, is "
        "among mechanisms in which truth is dominant and every type of the prior gets u ≥ 0; what bids below a prior's "
        "support would get is the designer's threat (decision 15). Slots are scored on stems that differ between "
        "identification, A and B; losses are computed in float32 (docs/measuring.md).",
        "## The paper's claims on this model",
        markdown_table(_claims(finished)),
        *_evidence(finished),
        f"## {_EXPERIMENTS}",
        markdown_table([_line(one) for one in finished]),
    ]
    parts += [_block(one, images) for one in finished]
    write_text(path, "\n\n".join(parts) + "\n")
    return path


def replace_section(path: Path, one: Finished) -> Path:
    """Write one run's section into a page that is there, in the place of the one of its title, else at the end.

    The paper's claims on the page stay as they are: the run must speak of none.

    Args:
        path: Of the page.
        one: The run.
    Raises:
        ValueError: No such page, or a run that judges a claim of the paper's.
    """
    if one.section.claims:
        raise InputError(f"{one.name} judges claims of the paper's, which stand on the whole page: run the study")
    text = read_text_bounded(path, MOST_PAGE_BYTES) if path.is_file() else ""
    first, *blocks = text.split(_HEADING)
    places = {block.partition("\n")[0]: k for k, block in enumerate(blocks)}
    if not first.startswith("# Results\n") or _EXPERIMENTS not in places:
        raise InputError(f"{path} is no page of results that `auctionsim study` wrote")
    table = blocks[places[_EXPERIMENTS]].rstrip("\n").split("\n")
    line = markdown_table([_line(one)]).rpartition("\n")[2]
    same = [k for k, row in enumerate(table) if row.startswith(f"| {_link(one.section.title)} |")]
    if same:
        table[same[0]] = line
    else:
        table.append(line)
    blocks[places[_EXPERIMENTS]] = "\n".join(table) + "\n"
    images = path.parent / "images" / "results"
    sweep(images)
    sweep(path.parent, below=False)
    block = _block(one, images).removeprefix("## ") + "\n"
    if one.section.title in places:
        blocks[places[one.section.title]] = block
    else:
        blocks.append(block)
    write_text(path, _HEADING.join(part.rstrip("\n") + "\n" for part in (first, *blocks)))
    return path


def finished_run(folder: Path, name: str, shows: str) -> Finished:
    """Return a finished run as the page has it.

    Args:
        folder: Of the run.
        name: Of its folder on the page.
        shows: The paper's figures, or what it is about.
    Raises:
        FileNotFoundError: The run is not finished.
    """
    record, section = run_record(folder), kept_section(folder)
    seconds = float(record["seconds"])
    return Finished(name, shows, str(record["command"]), str(record["commit"] or ""), seconds, section, folder)


def _block(one: Finished, images: Path) -> str:
    """Return a run's heading, command, section and figures, which are copied beside the page."""
    parts = [f"## {one.section.title}", f"```\n{one.command}\n```", one.section.text]
    for file, caption in one.section.figures.items():
        kept = images / f"{slug(one.name)}-{file}"
        with replacing(kept) as draft:
            shutil.copyfile(one.folder / file, draft)
        parts.append(f"![{caption}](images/results/{kept.name})\n\n*{caption}*")
    return "\n\n".join(parts)


def _claims(finished: Sequence[Finished]) -> list[dict[str, str]]:
    judged = [(claim, one) for name in CLAIMS for one in finished for claim in one.section.claims if claim.name == name]
    missing = [name for name in CLAIMS if name not in {claim.name for claim, _ in judged}]
    rows = [
        {"claim": claim.name, "verdict": f"**{claim.verdict}**", "judged by": _link(one.section.title)}
        for claim, one in judged
    ]
    return rows + [{"claim": name, "verdict": "not judged by these runs", "judged by": "–"} for name in missing]


def _evidence(finished: Sequence[Finished]) -> list[str]:
    claims: list[PaperClaim] = [claim for one in finished for claim in one.section.claims]
    ordered = sorted(claims, key=lambda claim: CLAIMS.index(claim.name))
    return [f"- **{claim.name}: {claim.verdict}.** {claim.evidence}" for claim in ordered]


def _line(one: Finished) -> dict[str, str]:
    return {
        "experiment": _link(one.section.title),
        "shows": one.shows,
        "command": f"`{one.command}`",
        "minutes": f"{one.seconds / 60:.1f}",
        "commit": one.commit or "–",
    }


def _link(title: str) -> str:
    """Return a link to a heading of the page, as GitHub names headings."""
    kept = "".join(sign for sign in title.lower() if sign.isalnum() or sign in " -_")
    return f"[{title}](#{kept.replace(' ', '-')})"
