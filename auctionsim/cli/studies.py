"""Commands about the whole: the demo, the study, one reply twice, reports, benchmarks."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from auctionsim.cli.options import (
    Brands,
    Category,
    Device,
    Dtype,
    Feature,
    Loss,
    Model,
    Prompts,
    Seed,
    command_line,
    console,
    file_to_write,
    folder_to_write,
    note_common_words,
    offered,
)
from auctionsim.errors import InputError
from auctionsim.files import require_file

if TYPE_CHECKING:
    from auctionsim.brands import Brand


def demo(
    category: Category = "running shoes",
    brands: Brands = "Nike,Adidas",
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Find neurons and measure anew, about 10 minutes on two cores; without it a packaged measurement is "
            "taken, about a minute.",
        ),
    ] = False,
    prompts: Prompts = None,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    samples: Annotated[int, typer.Option(min=1, help="Replies per prompt and setting of the levers.")] = 3,
    feature: Feature = "slot_probability",
    loss: Annotated[
        str | None,
        typer.Option(
            help="The user loss that is charged: a name, or weights over names such as kl-0.5*length.",
            show_default="quality of a packaged measurement, kl of a new one",
        ),
    ] = None,
    limit: Annotated[
        float, typer.Option(help="Most user loss that a brand's best setting may cause, in the loss's unit.")
    ] = 0.3,
    out: Annotated[
        Path | None, typer.Option(help="Run folder.", show_default="runs/demo-…", callback=folder_to_write)
    ] = None,
) -> None:
    """Tell one auction and write one HTML page about it; with --measure everything is made anew on a real model."""
    from auctionsim.brands import parse_brands
    from auctionsim.experiments.running.preparation import slug

    bidders = parse_brands(brands)
    charged = loss or ("kl" if measure else "quality")
    if not measure:
        given = {"--prompts": prompts, "--model": model != "smollm2", "--device": device != "auto"}
        given |= {"--dtype": dtype != "auto", "--samples": samples != 3, "--limit": limit != 0.3}
        _packaged_demo(
            category, bidders, (feature, charged), seed, out, [name for name, is_set in given.items() if is_set]
        )
        return
    from auctionsim.experiments.running.demo_settings import DemoSettings
    from auctionsim.experiments.running.reply_losses import readings_besides
    from auctionsim.experiments.studies.demo import main
    from auctionsim.measurement import MeasurementSettings
    from auctionsim.substrates import Offer

    special = () if (feature, charged) == ("slot_probability", "kl") else offered(feature, charged)
    folder = out or Path("runs") / slug("demo", category, *(brand.name for brand in bidders), str(seed), *special)
    settings = DemoSettings(
        category=category,
        brands=bidders,
        folder=folder,
        prompts_file=prompts,
        model=model,
        device=device,
        dtype=dtype,
        seed=seed,
        sold_feature=feature,
        loss=charged,
        measurement=MeasurementSettings(
            samples=samples, seed=seed, readings=readings_besides(Offer((feature,), charged))
        ),
        user_loss_limit=limit,
    )
    console.print(
        "Neurons are found, replies sampled and measured, mechanisms designed and compared, and two bidders trained: "
        "about 10 minutes on two cores with the packaged model. The same command goes on after a stop."
    )
    main(settings, command_line(), console)


def _packaged_demo(
    category: str,
    bidders: "tuple[Brand, ...]",
    offer: tuple[str, str],
    seed: int,
    out: Path | None,
    unused: list[str],
) -> None:
    from auctionsim.experiments.running.demo_settings import PackagedDemoSettings
    from auctionsim.experiments.running.preparation import slug
    from auctionsim.experiments.studies.demo_packaged import main, packaged_measurement

    if unused:
        raise InputError(f"{unused[0]} is of a new measurement: add --measure (about 10 minutes on two cores)")
    if len(bidders) != 2:
        raise InputError(f"the demo auctions two brands, got {len(bidders)}")
    surface = packaged_measurement(category, bidders)
    feature, loss = offer
    special = () if offer == ("slot_probability", "quality") else offered(feature, loss)
    folder = out or Path("runs") / slug("demo-packaged", surface, str(seed), *special)
    console.print(
        f"One auction on the packaged measurement {surface}, then five mechanisms compared, then a page: about a "
        "minute on two cores. No model is run.\n"
    )
    main(PackagedDemoSettings(surface, folder, seed, feature, loss), command_line(), console)
    again = "make demo ARGS=--measure, or auctionsim demo --measure"
    console.print(f"To find neurons and measure anew on the model itself (about 10 minutes): {again}")


def say(
    prompt: Annotated[str, typer.Argument(help="What the user asks.")],
    boost: Annotated[list[str], typer.Option(help="BRAND=NEURONSxFACTOR, as in Nike=64x2; once per brand.")],
    category: Category = "running shoes",
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    tokens: Annotated[int, typer.Option(min=1, help="Longest reply, in tokens.")] = 64,
    temperature: Annotated[float, typer.Option(min=0.0, help="Temperature of sampling.")] = 0.7,
    loss: Loss = "kl",
) -> None:
    """Print a reply untouched and boosted, side by side, from the same random numbers."""
    from auctionsim.experiments.studies.say import parse_boosts, say_twice

    boosts = parse_boosts(boost)
    note_common_words(one.brand for one in boosts)
    with console.status("asking the model"):
        replies = say_twice(
            prompt, boosts, category, load=(model, device, dtype), seed=seed, tokens=tokens, heat=temperature, loss=loss
        )
    console.print(f"neurons: {'taken up from' if replies.were_kept else 'kept in'} {replies.neurons}", soft_wrap=True)
    table = Table(show_lines=True, title=prompt)
    table.add_column("untouched", ratio=1)
    table.add_column(f"boosted: {', '.join(boost)}", ratio=1)
    table.add_row(replies.untouched, replies.boosted)
    console.print(table)
    hits = ", ".join(
        f"{b.brand.name} {before} → {after}"
        for b, before, after in zip(boosts, replies.hits_untouched, replies.hits_boosted, strict=True)
    )
    console.print(f"hits: {hits}; user loss {replies.user_loss:.3f} ({replies.loss})")


def study(
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped study continues from it.", callback=folder_to_write)
    ] = Path("runs/study"),
    results: Annotated[
        Path,
        typer.Option(help="Page to write; with --only, a page of this name in the run folder.", callback=file_to_write),
    ] = Path("docs/results.md"),
    remeasure: Annotated[bool, typer.Option("--remeasure", help="Measure the surfaces anew; takes hours.")] = False,
    only: Annotated[str | None, typer.Option(help="Stages, separated by commas; default: all.")] = None,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    workers: Annotated[int, typer.Option(min=0, help="Ray workers that measure; 0 measures in this process.")] = 0,
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
) -> None:
    """Run every experiment once, reduced, from the packaged surfaces; write docs/results.md and one report."""
    from auctionsim.cli.study_stages import planned
    from auctionsim.experiments.running.recipes import FanOut
    from auctionsim.experiments.running.study_surfaces import StudySettings
    from auctionsim.experiments.studies.study import main

    chosen = () if only is None else tuple(part.strip() for part in only.split(","))
    fan_out = FanOut(device, dtype, workers, address)
    settings = StudySettings(out, results, remeasure, model, fan_out, seed, chosen)
    main(settings, planned, command_line(), console)


def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders: any folder with a run.json.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="File of the page.",
            show_default="report.html in the folder, or here where there are several",
            callback=file_to_write,
        ),
    ] = None,
) -> None:
    """Write one page about one or more runs: their tables, figures and replies, and links to the data."""
    from auctionsim.report import write_runs_report

    path = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    require_file(path)
    console.print(f"report: {write_runs_report(runs, path)}", soft_wrap=True)


def bench(names: Annotated[list[str] | None, typer.Argument(help="Names of benchmarks; default: all.")] = None) -> None:
    """Run the benchmarks of a checkout; each prints ratios against a baseline of the same run.

    One benchmark takes options of its own behind two dashes: bench against -- --against ../before.
    """
    import runpy

    folder = Path(__file__).parent.parent.parent / "benchmarks"
    benchmarks = {path.stem: path for path in sorted(folder.glob("*.py"))}
    if not benchmarks:
        raise InputError("benchmarks come with a checkout of the project, not with the installed package")
    words = names or [name for name in benchmarks if name != "against"]  # which needs the path of another checkout
    count = next((place for place, word in enumerate(words) if word.startswith("-")), len(words))
    chosen, options = words[:count], words[count:]
    unknown = [name for name in chosen if name not in benchmarks]
    if unknown:
        raise InputError(f"no benchmark {', '.join(unknown)}: there are {', '.join(benchmarks)}")
    if options and len(chosen) != 1:
        raise InputError(f"options such as {options[0]} belong to one benchmark, got {len(chosen)}")
    sys.argv = [*sys.argv[:1], *options]
    for name in chosen:
        console.rule(name)
        runpy.run_path(str(benchmarks[name]), run_name="__main__")
