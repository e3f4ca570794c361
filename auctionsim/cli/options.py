"""Options that several commands share, and how their values are read."""

import math
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import typer

from auctionsim.cli import completions
from auctionsim.cli.computing import LARGEST
from auctionsim.console import PlainConsole, TableConsole
from auctionsim.errors import InputError
from auctionsim.files import require_file, require_folder

if TYPE_CHECKING:
    from auctionsim.brands import Brand
    from auctionsim.substrates import ResponseSurface

_T = TypeVar("_T")

DEBUG, VERBOSE, PLUGIN = "--debug", "--verbose", "--plugin"
"""Options that may stand anywhere in a command."""

console = TableConsole()
errors = PlainConsole(stderr=True, soft_wrap=True)


def noted_brands(context: Any, text: str) -> str:
    """Return a line of brands as it is; say beside it which of them are common words too."""
    if context.resilient_parsing:  # a shell completes a command that is not finished
        return text
    from auctionsim.brands import parse_brands

    note_common_words(parse_brands(text))
    return text


def note_common_words(brands: "Iterable[Brand]") -> None:
    """Print a note, on the error stream, if a brand is a common word that counts in any case."""
    from auctionsim.common_words import note_on

    note = note_on(brands)
    if note is not None:
        errors.print(f"note: {note}")


Category = Annotated[str, typer.Option(help="What the brands sell; fills the prompt templates.")]
Brands = Annotated[
    str,
    typer.Option(
        help="Rival brands, NAME,NAME; aliases after |, as in 'Coca-Cola|Coke,Pepsi'; NAME:case counts in that "
        "spelling only, as in 'Apple:case|iPhone,Samsung'.",
        callback=noted_brands,
    ),
]
Model = Annotated[str, typer.Option(help="'smollm2' (packaged), a Hugging Face id, or a folder.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps …", autocompletion=completions.devices)]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16 or float16.", autocompletion=completions.dtypes)]
COMPARED = "optimum,affine,menu,vcg,pay-as-bid"
Mechanisms = Annotated[str, typer.Option(help="Names of mechanisms, separated by commas.")]
Quick = Annotated[
    bool,
    typer.Option("--quick/--full", help="Recipe of learned mechanisms: quick (tables then say so) or full."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")]
Prompts = Annotated[
    Path | None,
    typer.Option(
        help='File of prompts instead of the templates: JSON {"context": ["prompt", …]}, JSON lines or CSV with '
        "context and prompt, or text with one prompt a line."
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1,
        show_default="AUCTIONSIM_THREADS, OMP_NUM_THREADS, or the cores less one",
        help="Threads that compute; stands before the command. How sums round depends on it.",
    ),
]
Plugins = Annotated[
    list[Path] | None,
    typer.Option(
        PLUGIN, help="Run this Python file first: it registers what is yours. Repeatable; may stand anywhere too."
    ),
]
SurfaceName = Annotated[
    str,
    typer.Option(
        "--surface", help="Name of a packaged surface, or a .safetensors file.", autocompletion=completions.surfaces
    ),
]
PriorText = Annotated[
    str,
    typer.Option(
        "--prior",
        help="Valuations: uniform:0,1  exponential:1  beta:2,5  normal:.5,.2,0,1  empirical:.2,.5; "
        "';' between bidders; mixtures as .6*beta:2,8+.4*beta:8,2.",
    ),
]
DEFAULT_METHOD = "path_per_user_harm"  # auctionsim.neurons.methods.DEFAULT_METHOD, without loading torch
Method = Annotated[str, typer.Option(help="Identification method.")]
Feature = Annotated[
    str,
    typer.Option(
        help="Feature that is sold: what bidders pay for, such as slot_probability.",
        autocompletion=completions.features,
    ),
]


Loss = Annotated[
    str, typer.Option(help="User loss that is charged: a name such as kl, or weights such as kl-.5*length.")
]


def offered(feature: str, loss: str) -> tuple[str, ...]:
    """Return the words that name an offer in a run folder's name: the default loss goes without saying."""
    return (feature, *loss_words(loss))


def loss_words(loss: str) -> tuple[str, ...]:
    """Return the words that name a loss in a run folder's name, none for the default: 0.5*kl and 5*kl differ in them.

    Raises:
        ValueError: The text is no loss.
    """
    from auctionsim.substrates.offer import Offer

    charges = Offer(("any",), loss).charges
    if charges == (("kl", 1.0),):
        return ()
    signs = str.maketrans({".": "p", "-": "m", "+": ""})
    weights = [() if weight == 1 else (repr(weight).translate(signs),) for _, weight in charges]
    return tuple(word for weight, (name, _) in zip(weights, charges, strict=True) for word in (*weight, name))


def folder_to_write(path: Path | None) -> Path | None:
    """Refuse a run folder that cannot be written, before any work; None stands for one in runs/."""
    require_folder(Path("runs") if path is None else path)
    return path


def file_to_write(path: Path | None) -> Path | None:
    """Refuse a file that cannot be written, before any work."""
    if path is not None:
        require_file(path)
    return path


def file_or_folder_to_write(path: Path | None) -> Path | None:
    """Refuse a place that cannot be written, before any work: a .json file, or a folder."""
    if path is not None:
        (require_file if path.suffix == ".json" else require_folder)(path)
    return path


Gold = Annotated[
    Path | None,
    typer.Option(
        help="A sheet of gold labels (`surface label`), its key beside it: the loss is corrected by them first.",
        show_default="none",
        dir_okay=False,
    ),
]


def surface_named(name: str, gold: Path | None = None, loss: str = "kl") -> "ResponseSurface":
    """Return a packaged surface, or the one in a file; its loss corrected by a sheet of gold labels, if one is named.

    Raises:
        ValueError: Labels that do not correct this loss of this surface.
    """
    if gold is not None:
        from auctionsim.experiments.running.gold_labels import corrected_surface

        return corrected_surface(name, gold, loss)
    from auctionsim.substrates import ResponseSurface

    return ResponseSurface.load(name) if Path(name).suffix == ".safetensors" else ResponseSurface.packaged(name)


def by_name(names: Iterable[str], load: Callable[[str], _T]) -> dict[str, _T]:
    """Load measurements, each under its packaged name or, for a file, a name without a path.

    A run folder's surface.safetensors or list.safetensors is called by its folder.

    Raises:
        ValueError: Two have the same name: one would be lost.
    """
    measurements: dict[str, _T] = {}
    for name in names:
        path = Path(name)
        is_file = path.suffix == ".safetensors"
        short = (path.resolve().parent.name if path.stem in ("surface", "list") else path.stem) if is_file else name
        if short in measurements:
            raise InputError(f"two measurements are called {short!r}: rename one of the files")
        measurements[short] = load(name)
    return measurements


def numbers(text: str) -> tuple[float, ...]:
    """Read finite numbers separated by commas.

    Raises:
        ValueError: Something else.
    """
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise InputError(f"several values must be numbers separated by commas, got {text!r}")
    return values


def whole_numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas.

    Raises:
        ValueError: Something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"whole numbers separated by commas are needed, got {text!r}") from None


def mechanism_names(text: str) -> tuple[str, ...]:
    """Read names of mechanisms separated by commas; whether there are such is the table's to say."""
    return tuple(part.strip() for part in text.split(","))


def seed_numbers(text: str) -> tuple[int, ...]:
    """Read seeds separated by commas.

    Raises:
        ValueError: Something else than whole numbers from 0 to `LARGEST`, or one of them twice.
    """
    seeds = whole_numbers(text)
    for seed in seeds:
        if not 0 <= seed <= LARGEST:
            raise InputError(f"seeds must be whole numbers from 0 to {LARGEST}, got {seed}")
    if len(set(seeds)) < len(seeds):
        raise InputError(f"each seed is one repetition, got one twice: {text!r}")
    return seeds


class Words(NamedTuple):
    """A command's words, put in the order in which they are parsed.

    Attributes:
        arguments: Plugins first, as the program's own options; then the command.
        debug: Show the traceback of an error.
        verbose: Show what is logged.
    """

    arguments: list[str]
    debug: bool
    verbose: bool


def arranged(words: Sequence[str]) -> Words:
    """Take `--debug`, `--verbose` and `--plugin FILE` from where they stand, anywhere before a `--`.

    Example:
        >>> arranged(["demo", "--plugin", "mine.py", "--debug"]).arguments
        ['--plugin', 'mine.py', 'demo']
    """
    end = words.index("--") if "--" in words else len(words)
    plugins: list[str] = []
    rest: list[str] = []
    before = iter(words[:end])
    for word in before:
        if word == PLUGIN:
            value = next(before, None)
            if value is None:
                return Words([PLUGIN], DEBUG in words, VERBOSE in words)  # for the parser to refuse
            plugins += [word, value]
        elif word.startswith(f"{PLUGIN}="):
            plugins.append(word)
        else:
            rest.append(word)
    command = [word for word in rest if word not in (DEBUG, VERBOSE)]
    return Words([*plugins, *command, *words[end:]], DEBUG in rest, VERBOSE in rest)


def command_line() -> str:
    """Return what the user typed, for provenance: all that decides what is done."""
    return shlex.join(["auctionsim", *arranged(sys.argv[1:]).arguments])
