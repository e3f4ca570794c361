"""Commands about neurons: find them, compare the ways to find them, measure how they interfere."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auctionsim.cli.computing import prepare
from auctionsim.cli.options import (
    DEFAULT_METHOD,
    Brands,
    Category,
    Device,
    Dtype,
    Method,
    Model,
    Prompts,
    Seed,
    command_line,
    console,
    file_to_write,
    folder_to_write,
    note_common_words,
    numbers,
    whole_numbers,
)
from auctionsim.errors import InputError

if TYPE_CHECKING:
    from auctionsim.brands import Brand

app = typer.Typer(help="Find brands' neurons in a model, and compare ways to find them.", invoke_without_command=True)

BRAND_SETS = "running shoes:Nike,Adidas;smartphones:Apple,Samsung;charities:UNICEF,Oxfam;coffee:Starbucks,Dunkin"

BrandSets = Annotated[str, typer.Option(help="CATEGORY:BRAND,BRAND;CATEGORY:BRAND,…")]


@app.callback()
def neurons(
    context: typer.Context,
    category: Category = "running shoes",
    brands: Brands = "Nike,Adidas",
    prompts: Prompts = None,
    count: Annotated[int, typer.Option(min=1, help="Neurons a brand.")] = 512,
    method: Method = DEFAULT_METHOD,
    overlap: Annotated[bool, typer.Option(help="Let rivals share neurons: an ablation.")] = False,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Where to save them (.safetensors).", callback=file_to_write)] = None,
) -> None:
    """Find brands' neurons; print where they are, and how near orthogonal the brands are."""
    if context.invoked_subcommand is not None:
        return
    prepare(context)
    from auctionsim.brands import parse_brands
    from auctionsim.experiments.running.preparation import Stages
    from auctionsim.experiments.tables.measured import neurons_table
    from auctionsim.language_models import load_model
    from auctionsim.neurons import identify
    from auctionsim.neurons.identification import identification_steps
    from auctionsim.prompts import build_prompts, read_prompts

    bidders = parse_brands(brands)
    questions = (build_prompts(category) if prompts is None else read_prompts(prompts)).split("identify")
    steps = identification_steps(questions, method)
    with Stages(console) as stages:
        with stages.stage("loading the model", 1):
            loaded = load_model(model, device, dtype)
        with stages.stage("finding neurons", steps) as tick:
            ranking = identify(
                loaded, bidders, questions, method, num_neurons=count, seed=seed, overlap=overlap, progress=tick
            )
    console.print(neurons_table(ranking))
    if out is not None:
        ranking.save(out)
        console.print(f"neurons: {out}", soft_wrap=True)


@app.command("compare")
def compare(
    brand_sets: BrandSets = BRAND_SETS,
    methods: Annotated[str | None, typer.Option(help="Names of methods, separated by commas; default: all.")] = None,
    num_neurons: Annotated[str, typer.Option(help="Values of this lever, separated by commas.")] = "32,128,384,1000",
    amplification: Annotated[
        str, typer.Option(help="Values of this lever, separated by commas.")
    ] = "1.25,1.5,2,2.5,3,4,6",
    limits: Annotated[
        str, typer.Option(help="Limits on neutral_kl, the divergence on neutral text, separated by commas.")
    ] = "0.01,0.02,0.05,0.1",
    reply_prompts: Annotated[int, typer.Option(min=0, help="Prompts per context whose replies are sampled.")] = 2,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped comparison continues from it.", callback=folder_to_write)
    ] = Path("runs/neurons-compare"),
) -> None:
    """Show each method's frontier: how much more often brands are named, at which harm on neutral text and replies."""
    from auctionsim.experiments.running.frontier import FrontierSettings
    from auctionsim.experiments.studies.neurons_compare import CompareMethodsSettings, main
    from auctionsim.language_models import load_model
    from auctionsim.neurons import METHODS
    from auctionsim.prompts import build_prompts

    parsed = parse_brand_sets(brand_sets)
    note_common_words(brand for _, brands in parsed for brand in brands)
    settings = CompareMethodsSettings(
        brand_sets=parsed,
        methods=tuple(METHODS) if methods is None else tuple(name.strip() for name in methods.split(",")),
        folder=out,
        grid=FrontierSettings(whole_numbers(num_neurons), numbers(amplification), numbers(limits)),
        reply_prompts=reply_prompts,
        seed=seed,
    )
    with console.status("loading the model"):
        loaded = load_model(model, device, dtype)
    main(settings, loaded, build_prompts, command_line(), console)


TRIPLES = (
    "running shoes:Nike,Adidas,Puma;smartphones:Apple,Samsung,Google;"
    "charities:UNICEF,Oxfam,Greenpeace;coffee:Starbucks,Dunkin,Nestle"
)


@app.command("crosstalk")
def crosstalk(
    brand_sets: BrandSets = TRIPLES,
    num_neurons: Annotated[int, typer.Option(min=1, help="Neurons of an amplified brand.")] = 512,
    amplification: Annotated[float, typer.Option(help="Factor of an amplified brand.")] = 1.5,
    samples: Annotated[int, typer.Option(min=1, help="Replies per prompt and combination of brands.")] = 2,
    method: Method = DEFAULT_METHOD,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    measured: Annotated[
        str | None,
        typer.Option(
            help="Measured lists with every subset of their brands, separated by commas; then no model is loaded."
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Run folder; a stopped run continues from it.", callback=folder_to_write)
    ] = Path("runs/crosstalk"),
) -> None:
    """Report how orthogonal brands' neurons are, and what one brand's amplification does to another's exposure."""
    from auctionsim.experiments.running.measured import subsets_named
    from auctionsim.experiments.studies.crosstalk import CrosstalkSettings, KeptBrandSets, main, report
    from auctionsim.language_models import load_model
    from auctionsim.prompts import build_prompts

    if measured is not None:
        kept_sets = KeptBrandSets(tuple(name.strip() for name in measured.split(",")), out)
        report(kept_sets, [subsets_named(name) for name in kept_sets.names], command_line(), console)
        return
    settings = CrosstalkSettings(
        brand_sets=parse_brand_sets(brand_sets),
        folder=out,
        num_neurons=num_neurons,
        amplification=amplification,
        samples=samples,
        method=method,
        seed=seed,
    )
    with console.status("loading the model"):
        loaded = load_model(model, device, dtype)
    main(settings, loaded, build_prompts, command_line(), console)


def parse_brand_sets(text: str) -> "tuple[tuple[str, tuple[Brand, ...]], ...]":
    """Read CATEGORY:BRAND,BRAND;CATEGORY:BRAND,…

    Raises:
        ValueError: Another form, or a brand named twice.
    """
    from auctionsim.brands import parse_brands

    brand_sets = []
    for part in text.split(";"):
        category, colon, names = part.partition(":")
        if not colon or not category.strip():
            raise InputError(f"brand sets are written CATEGORY:BRAND,BRAND;…, got {text!r}")
        brand_sets.append((category.strip(), parse_brands(names)))
    named = [brand.name for _, brands in brand_sets for brand in brands]
    if len(set(named)) < len(named):
        raise InputError(f"a brand is named twice in {text!r}")
    return tuple(brand_sets)
