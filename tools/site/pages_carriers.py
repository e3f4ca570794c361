"""A page per carrier and per reading, and the table of each kind; the table of environments."""

import inspect
import math
from typing import Any

import gymnasium
from pages_mechanisms import cell, stopped

from auctionsim import readings
from auctionsim.carriers import carrier_entry, carrier_names
from auctionsim.gymnasium_ids import MARKET_OPTIONS_OF_ID, SETTING_OF_ID
from auctionsim.readings.protocol import HIGHER, IS_ONE, LOWER, Reading

NEEDS = {
    "text": "the replies alone, so it can be read again of stored replies without the model",
    "references": "the replies and untouched replies to the same prompts",
    "model": "passes of the model over the replies",
    "prompt": "prompts and the model, no reply, so it is exact",
}
LOSS = {
    None: "no: it shows, and nothing is charged for it as it stands",
    IS_ONE: "yes, as it stands",
    LOWER: "yes: by how much it rises above the untouched reply's mean",
    HIGHER: "yes: by how much it falls below the untouched reply's mean",
}


def carrier_pages() -> dict[str, str]:
    """Return the page of each carrier and the table of all, by their paths."""
    pages, rows = {}, []
    for name in carrier_names():
        entry = carrier_entry(name)
        module = inspect.getmodule(entry.made)
        about = " ".join((inspect.getdoc(module) or "").split("\n\n")[0].split())
        pages[f"reference/carriers/{name}.md"] = "\n\n".join(
            [
                f"# {entry.label[0].upper()}{entry.label[1:]}", about, "## What is sold", stopped(entry.sold),
                "## Use it",
                f"```python\nfrom auctionsim.brands import parse_brands\n"
                f"from auctionsim.carriers import FittingInputs, carrier_entry\n"
                f"from auctionsim.prompts import build_prompts\nfrom auctionsim.testing import fake_language_model\n\n"
                f'inputs = FittingInputs(fake_language_model(), parse_brands("Nike,Puma"), "running shoes", '
                f'build_prompts("running shoes"))\ncarrier = carrier_entry("{name}").fit(inputs)\n'
                "print(carrier.levers)\n```",
                "With a model of `auctionsim.language_models.load_model` in the fake one's place it is fitted on that. "
                "[Carriers](../../carriers.md) says how one is measured and sold.",
                "## Parameters", "What it is fitted from: the model, the brands, the category, the prompts and a seed "
                "(`auctionsim.carriers.FittingInputs`). What it can be set to are its levers.",
                "## Is truth the best bid?", "That is the mechanism's, not the carrier's: see [mechanisms]"
                "(../mechanisms/index.md).",
                "## Source", stopped(entry.source) if entry.source else "Nobody is known to have sold this before.",
            ]
        ) + "\n"  # fmt: skip
        rows.append(f"| [`{name}`]({name}.md) | {entry.label} | {cell(stopped(entry.sold))} |")
    pages["reference/carriers/index.md"] = "\n".join(
        ["# Carriers", "", "What moves a reply, and is sold. [Carriers](../../carriers.md) says how to use them.", "",
         "| name | label | what is sold |", "|---|---|---|", *rows, ""]
    )  # fmt: skip
    return pages


def reading_pages() -> dict[str, str]:
    """Return the page of each reading and the table of all, by their paths."""
    pages, rows = {}, []
    for name in readings.names():
        one = readings.reading(name)
        pages[f"reference/readings/{name}.md"] = reading_page(one)
        rows.append(
            f"| [`{name}`]({name}.md) | {cell(one.unit)} | {one.per} | {one.needs} | {'yes' if one.loss else 'no'} |"
        )
    pages["reference/readings/index.md"] = "\n".join(
        ["# Readings", "", "What a reply is worth: features that are sold, losses that are charged, and more. "
         "[Judging](../../judging.md) says how far each can be trusted.", "",
         "| name | unit | per | needs | a loss |", "|---|---|---|---|---|", *rows, ""]
    )  # fmt: skip
    return pages


def reading_page(one: Reading) -> str:
    """Write one reading's page."""
    how: Any = vars(one).get("read") or vars(one).get("scorer")
    while hasattr(how, "func"):
        how = how.func
    about = [" ".join(text.split("\n\n")[0].split()) for text in (inspect.getdoc(how), module_doc(how)) if text]
    low, high = (
        "−∞" if math.isinf(one.bounds[0]) else f"{one.bounds[0]:g}",
        "∞" if math.isinf(one.bounds[1]) else f"{one.bounds[1]:g}",
    )
    basis = "another model, a prompt or fitted weights" if one.basis else "its own code"
    table = ["| property | value |", "|---|---|", f"| unit | {cell(one.unit)} |", f"| per | {one.per} |",
             f"| bounds | {low} to {high} |", f"| needs | {NEEDS[one.needs]} |",
             f"| a loss of the user | {LOSS[one.loss]} |", f"| rests on | {basis} |"]  # fmt: skip
    use = "It is scored while a surface is measured." if one.needs == "prompt" else (
        "Read the stored replies of a measurement:\n\n"
        f"```sh\nauctionsim surface read running-shoes-2@3 --reading {one.name}\n```"
    )  # fmt: skip
    return "\n\n".join(
        [f"# {one.name}", *dict.fromkeys(about), "\n".join(table), "## Use it",
         f'```python\nfrom auctionsim import readings\n\nprint(readings.reading("{one.name}").unit)\n```', use,
         "## Is it trusted?",
         stopped(one.admission or "A score becomes a loss by the gate of [judging](../../judging.md)"),
         "## Source", f"The docstring of its file names what it rests on: see `{how.__module__}`."]
    ) + "\n"  # fmt: skip


def module_doc(how: Any) -> str:
    """Return the docstring of the module that a function is of."""
    return inspect.getdoc(inspect.getmodule(how)) or ""


def environment_pages() -> dict[str, str]:
    """Return the table of environments, each with its page in docs/environments."""
    import auctionsim  # noqa: F401  # registers the ids

    rows = []
    for name in (*SETTING_OF_ID, *MARKET_OPTIONS_OF_ID):
        spec = gymnasium.spec(name)
        setting = SETTING_OF_ID.get(name, "market")
        page = "live-model" if setting.endswith("-live") else setting
        given = ", ".join(f"`{key}={value!r}`" for key, value in spec.kwargs.items())
        rows.append(f"| `{name}` | [{page.replace('-', ' ')}](../environments/{page}.md) | {given} |")
    text = ["# Environments by id", "", "Every id that `import auctionsim` registers with Gymnasium. "
            "[Environments](../environments.md) says how they are used, wrapped and trained on.", "",
            "| id | page | is made with |", "|---|---|---|", *rows, "", "```python", "import gymnasium as gym", "",
            "import auctionsim", "", 'env = gym.make("auctionsim/FirstPrice-v0")', "```", ""]  # fmt: skip
    return {"reference/environments.md": "\n".join(text)}
