"""Commands about neurons and what amplifying them does."""

from pathlib import Path
from typing import Annotated

import typer

from auctionsim.cli.options import (
    Brands,
    Category,
    Device,
    Dtype,
    Grid,
    Model,
    Prompts,
    Seed,
    command_line,
    console,
    numbers,
    surface_named,
)

app = typer.Typer(help="Measured surfaces.", no_args_is_help=True)


@app.command("measure")
def measure(
    out: Annotated[Path, typer.Option(help="Run folder; a stopped measurement goes on from it.")],
    category: Category = "running shoes",
    brands: Brands = "Nike,Adidas",
    prompts: Prompts = None,
    num_neurons: Grid = "0,256,512",
    amplification: Grid = "1,1.5,2",
    samples: Annotated[int, typer.Option(min=1, help="Replies a prompt and setting.")] = 4,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
) -> None:
    """Measure exposure and user loss over every joint setting of the levers, twice (replicates A and B)."""
    from auctionsim.brands import parse_brands
    from auctionsim.experiments.preparation import Stages, commit_or_none, kept_neurons, kept_surface
    from auctionsim.language_models import load_model
    from auctionsim.measurement import MeasurementSettings
    from auctionsim.prompts import build_prompts, read_prompts

    bidders = parse_brands(brands)
    settings = MeasurementSettings(
        num_neurons=numbers(num_neurons), amplification=numbers(amplification), samples=samples, seed=seed
    )
    asked = build_prompts(category) if prompts is None else read_prompts(prompts)
    asked.split("test")
    with Stages(console) as stages:
        with stages.stage("loading the model", 1):
            loaded = load_model(model, device, dtype)
        most = int(settings.num_neurons[-1])
        neurons = kept_neurons(out, loaded, bidders, asked, most, seed, stages)
        provenance = {"category": category, "command": command_line(), "commit": commit_or_none()}
        kept_surface(out, loaded, neurons, asked, settings, provenance, stages)
    console.print(f"surface: {out / 'surface.safetensors'}", soft_wrap=True)


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="A packaged surface's name, or a file.")]) -> None:
    """Print what a surface holds: levers, contexts, and every brand alone at each setting."""
    from auctionsim.experiments.surfaces import single_settings_table

    for table in single_settings_table(surface_named(name)):
        console.print(table)
