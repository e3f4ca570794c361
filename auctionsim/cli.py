"""The command `auctionsim`: parses, calls one function, prints; a mistake ends in one line and a non-zero exit."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from auctionsim.substrates import ResponseSurface

app = typer.Typer(
    help="A laboratory for auctions of influence over a language model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console()
errors = Console(stderr=True, soft_wrap=True)

Category = Annotated[str, typer.Option(help="What the brands sell; fills the prompt templates.")]
Brands = Annotated[str, typer.Option(help="Rival brands, NAME,NAME; aliases after |, as in 'Coca-Cola|Coke,Pepsi'.")]
Model = Annotated[str, typer.Option(help="'smollm2' (packaged), a Hugging Face id, or a folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps …")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.")]
Seed = Annotated[int, typer.Option(min=0, help="Of everything that is drawn.")]
Prompts = Annotated[Path | None, typer.Option(help='JSON file {"context": ["prompt", …]} instead of the templates.')]
Grid = Annotated[str, typer.Option(help="Comma-separated values of the lever.")]


def main() -> None:
    """Run the command; turn a caller's mistake into one clear line."""
    try:
        app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        errors.print("interrupted: the same command goes on where it stopped")
        sys.exit(130)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except Exception as error:
        message = _one_line(error)
        if message is None:
            raise
        errors.print(f"error: {escape(message)}")
        sys.exit(2)


def _one_line(error: Exception) -> str | None:
    """Return the sentence for a mistake of the caller's, None for a defect of ours."""
    if hasattr(error, "format_message"):  # typer's own: a wrong option or command
        return " ".join(str(error.format_message()).split())
    if isinstance(error, (ValueError, OSError)) or type(error).__name__ == "ModelUnavailableError":
        return " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("auctionsim"):
        return f"{error.name} is not installed: pip install 'auctionsim[all]'"
    return None


@app.command()
def demo(
    category: Category = "running shoes",
    brands: Brands = "Nike,Adidas",
    prompts: Prompts = None,
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    samples: Annotated[int, typer.Option(min=1, help="Replies a prompt and setting.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Run folder [default: runs/demo-…].")] = None,
) -> None:
    """Run everything once, small, on a real model, and write one HTML page about it."""
    from auctionsim.brands import parse_brands
    from auctionsim.experiments.demo import DemoSettings, run
    from auctionsim.experiments.preparation import slug
    from auctionsim.measurement import MeasurementSettings

    bidders = parse_brands(brands)
    folder = out or Path("runs") / slug("demo", category, *(brand.name for brand in bidders), str(seed))
    settings = DemoSettings(
        category=category,
        brands=bidders,
        folder=folder,
        prompts_file=prompts,
        model=model,
        device=device,
        dtype=dtype,
        seed=seed,
        measurement=MeasurementSettings(samples=samples, seed=seed),
    )
    run(settings, _command(), console)


@app.command()
def say(
    prompt: Annotated[str, typer.Argument(help="What the user asks.")],
    boost: Annotated[list[str], typer.Option(help="BRAND=NEURONSxFACTOR, as in Nike=64x2; once a brand.")],
    category: Category = "running shoes",
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    tokens: Annotated[int, typer.Option(min=1, help="Longest reply.")] = 64,
    temperature: Annotated[float, typer.Option(min=0.0)] = 0.7,
) -> None:
    """Print a reply untouched and boosted, side by side, from the same random numbers."""
    from auctionsim.experiments.say import parse_boosts, say_twice

    boosts = parse_boosts(boost)
    with console.status("asking the model"):
        said = say_twice(
            prompt, boosts, category, load=(model, device, dtype), seed=seed, tokens=tokens, heat=temperature
        )
    table = Table(show_lines=True, title=escape(prompt))
    table.add_column("untouched", ratio=1)
    table.add_column(f"boosted: {', '.join(boost)}", ratio=1)
    table.add_row(escape(said.untouched), escape(said.boosted))
    console.print(table)
    hits = ", ".join(
        f"{escape(b.brand.name)} {before} → {after}"
        for b, before, after in zip(boosts, said.hits_untouched, said.hits_boosted, strict=True)
    )
    console.print(f"hits: {hits}; user loss {said.user_loss:.3f} nats a token")


@app.command()
def doctor() -> None:
    """Print versions, the model found, device and dtype."""
    import platform

    from auctionsim.language_models.loading import choose_device, choose_dtype, load_model, packaged_gguf_or_none
    from auctionsim.neurons.brand_neurons import package_versions

    device = choose_device("auto")
    table = Table(show_header=False)
    table.add_row("python", platform.python_version())
    for name, version in package_versions().items():
        table.add_row(name, version)
    table.add_row("device", str(device))
    table.add_row("dtype", str(choose_dtype("auto", device)).removeprefix("torch."))
    gguf = packaged_gguf_or_none()
    table.add_row("packaged model", "not installed" if gguf is None else str(gguf))
    console.print(table)
    model = load_model()
    console.print(
        f"{escape(model.identity)} loads: {model.num_layers} layers of {model.num_neurons} neurons, "
        f"{model.device}, {str(model.dtype).removeprefix('torch.')}"
    )


surface_app = typer.Typer(help="Measured surfaces.", no_args_is_help=True)
app.add_typer(surface_app, name="surface")


@surface_app.command("measure")
def surface_measure(
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
        num_neurons=_numbers(num_neurons), amplification=_numbers(amplification), samples=samples, seed=seed
    )
    asked = build_prompts(category) if prompts is None else read_prompts(prompts)
    asked.split("test")
    with Stages(console) as stages:
        with stages.stage("loading the model", 1):
            loaded = load_model(model, device, dtype)
        most = int(settings.num_neurons[-1])
        neurons = kept_neurons(out, loaded, bidders, asked, most, seed, stages)
        provenance = {"category": category, "command": _command(), "commit": commit_or_none()}
        kept_surface(out, loaded, neurons, asked, settings, provenance, stages)
    console.print(f"surface: {out / 'surface.safetensors'}", soft_wrap=True)


@app.command()
def neurons(
    category: Category = "running shoes",
    brands: Brands = "Nike,Adidas",
    prompts: Prompts = None,
    count: Annotated[int, typer.Option(min=1, help="Neurons a brand.")] = 512,
    method: Annotated[str, typer.Option(help="Identification method.")] = "selective_per_harm",
    model: Model = "smollm2",
    device: Device = "auto",
    dtype: Dtype = "auto",
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="Where to save them (.safetensors).")] = None,
) -> None:
    """Find brands' neurons; print where they are, and how near orthogonal the brands are."""
    from auctionsim.brands import parse_brands
    from auctionsim.experiments.preparation import Stages
    from auctionsim.experiments.surfaces import neurons_table
    from auctionsim.language_models import load_model
    from auctionsim.neurons import identify
    from auctionsim.neurons.identification import identification_steps
    from auctionsim.prompts import build_prompts, read_prompts

    bidders = parse_brands(brands)
    asked = (build_prompts(category) if prompts is None else read_prompts(prompts)).split("identify")
    with Stages(console) as stages:
        with stages.stage("loading the model", 1):
            loaded = load_model(model, device, dtype)
        with stages.stage("finding neurons", identification_steps(asked)) as tick:
            found = identify(loaded, bidders, asked, method, num_neurons=count, seed=seed, progress=tick)
    console.print(neurons_table(found))
    if out is not None:
        found.save(out)
        console.print(f"neurons: {out}", soft_wrap=True)


@app.command()
def bench(names: Annotated[list[str] | None, typer.Argument(help="Which; all where none is named.")] = None) -> None:
    """Run the benchmarks of a checkout; each prints ratios against a baseline of the same run."""
    import runpy

    folder = Path(__file__).parent.parent / "benchmarks"
    there = {path.stem: path for path in sorted(folder.glob("*.py"))}
    if not there:
        raise ValueError("benchmarks come with a checkout of the project, not with the installed package")
    unknown = [name for name in names or () if name not in there]
    if unknown:
        raise ValueError(f"no benchmark {', '.join(unknown)}: there are {', '.join(there)}")
    sys.argv = sys.argv[:1]  # benchmarks read options of their own when they are run as files
    for name in names or there:
        console.rule(name)
        runpy.run_path(str(there[name]), run_name="__main__")


auction_app = typer.Typer(help="Auctions on a measured surface.", no_args_is_help=True)
app.add_typer(auction_app, name="auction")


@auction_app.command("compare")
def auction_compare(
    surface: Annotated[str, typer.Option(help="A packaged surface's name, or a file.")] = "running-shoes-2@1",
    feature: Annotated[str, typer.Option(help="What is sold.")] = "slot_probability",
    user_weights: Annotated[str, typer.Option(help="λ, commas between.")] = "0,0.5,1,2",
    seed: Seed = 0,
) -> None:
    """Score every mechanism at every user weight: revenue, user loss, share of the optimum, regret, IR."""
    from auctionsim.experiments.auctions import compared_tables

    for table in compared_tables(_surface(surface), feature, _numbers(user_weights), seed):
        console.print(table)


@surface_app.command("show")
def surface_show(name: Annotated[str, typer.Argument(help="A packaged surface's name, or a file.")]) -> None:
    """Print what a surface holds: levers, contexts, and every brand alone at each setting."""
    from auctionsim.experiments.surfaces import single_settings_table

    for table in single_settings_table(_surface(name)):
        console.print(table)


def _surface(name: str) -> "ResponseSurface":
    from auctionsim.substrates import ResponseSurface

    return ResponseSurface.load(name) if Path(name).suffix == ".safetensors" else ResponseSurface.packaged(name)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"a lever's grid is written as numbers with commas between, got {text!r}") from None


def _command() -> str:
    return shlex.join(["auctionsim", *sys.argv[1:]])
