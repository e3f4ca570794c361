"""The demo on a packaged measurement: one auction told, the mechanisms compared, one page; no model takes a pass."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from auctionsim.accounts.packaged import packaged_story
from auctionsim.brands import Brand
from auctionsim.data import packaged_names, replies_beside, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.experiments.running.demo_settings import PackagedDemoSettings
from auctionsim.experiments.running.designs import UNKEPT, Designs
from auctionsim.experiments.running.preparation import PeakMemory, Stages, commit_or_none
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.running.run_folder import finish
from auctionsim.experiments.tables.demo import compared, designed
from auctionsim.experiments.tables.told_auction import told_auction
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.report import Findings, write_report
from auctionsim.storage import stored_format
from auctionsim.substrates import ResponseSurface

TOLD = ("vcg", "optimum", "pay-as-bid")
"""Rules that the told auction is shown under, the first one with its replies."""


def packaged_measurement(category: str, brands: tuple[Brand, ...]) -> str:
    """Return the newest packaged surface of these brands whose replies were kept.

    Raises:
        ValueError: None ships; the message names those that do.
    """
    wanted = (category.lower(), tuple(brand.name for brand in brands))
    there: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for name in packaged_names():
        path = surfaces_folder() / f"{name}.safetensors"
        if stored_format(path) != ResponseSurface.file_format or not replies_beside(path).exists():
            continue
        known = ResponseSurface.packaged(name).provenance
        names = tuple(Brand.read(one).name for one in known["brands"])
        if len(names) == 2:
            there.setdefault((str(known["category"]).lower(), names), []).append(name)
    if wanted not in there:
        packaged = "; ".join(f"{what} ({', '.join(names)})" for what, names in sorted(there))
        raise InputError(
            f"no measurement of {', '.join(wanted[1])} in {category!r} is packaged: add --measure to measure them, or "
            f"take one of {packaged}"
        )
    return max(there[wanted], key=lambda name: ("attribution" not in name, int(name.rpartition("@")[2])))


def main(settings: PackagedDemoSettings, command: str, console: Console, designs: Designs = UNKEPT) -> Path:
    """Print one auction, compare the mechanisms, and write the report.

    Args:
        settings: Of the demo.
        command: What the user typed, for the report.
        console: Where the auction is told and progress is shown.
        designs: Makes the mechanisms.
    Returns:
        The report's path.
    Raises:
        ValueError: No such measurement, or no such feature or loss in it.
    """
    measured = ResponseSurface.packaged(settings.surface)
    sold = measured.sell(settings.sold_feature, loss=settings.loss)
    run = Run(settings.folder, settings, {"surface": measured.digest})
    run.begin(command)
    designs = designs.kept_in(run.folder / "designs")
    with PeakMemory() as memory:
        story = packaged_story(
            settings.surface,
            TOLD,
            feature=settings.sold_feature,
            loss=settings.loss,
            user_weight=settings.user_weight,
            seed=settings.seed,
        )
        for line in told_auction(story):
            console.print(line, markup=False, highlight=False)
        console.print()
        with Stages(console) as stages:
            rules = designed(settings, run, sold, designs, stages)
            rows = compared(settings, run, sold, rules, designs, stages)
    findings = Findings(
        title=f"An auction of neurons: {' against '.join(one.name for one in story.account.bidders)}",
        command=command,
        category=str(measured.provenance["category"]),
        brands=tuple(one.name for one in story.account.bidders),
        model=str(measured.provenance["model"]),
        settings={**asdict(settings), "folder": settings.folder.name},
        versions=package_versions(),
        commit=commit_or_none(),
        neurons=None,
        sold_neurons=int(measured.levers[0].high),
        surface=measured,
        sold_feature=settings.sold_feature,
        user_weight=settings.user_weight,
        mechanisms=rows,
        story=story,
        stage_seconds=stages.seconds,
        peak_memory_gib=memory.gib,
    )
    report = write_report(findings, settings.folder)
    more = {"surface_name": settings.surface, "mechanisms": [row._asdict() for row in rows]}
    finish(settings.folder, run.plan, command, (report.name,), more)
    console.print(f"report: {report}", soft_wrap=True)
    return report
