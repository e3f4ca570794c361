"""A page per mechanism of the table, and the table of all."""

import inspect
from functools import cache
from typing import Any

from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.protocol import bic_proof_of, dsic_proof_of
from auctionsim.mechanisms.table import Entry, Problem, table
from auctionsim.priors import Uniform

VIEWS = (
    ("Items(2)", "one item for two bidders", "from auctionsim.substrates import Items"),
    (
        'ResponseSurface.packaged("running-shoes-2@1").sell("slot_probability")',
        "the packaged surface of two running-shoe brands",
        "from auctionsim.substrates import ResponseSurface",
    ),
    (
        'Randomised(MeasuredList.packaged("running-shoes-2-segments@1").sell("mention_probability", loss="reply_kl"))',
        "lotteries over a packaged list of replies with segments",
        "from auctionsim.substrates import MeasuredList, Randomised",
    ),
    ("Units(2, 2)", "two units for two bidders", "from auctionsim.substrates import Units"),
    ("Positions(2, (1.0, 0.5))", "two positions for two bidders", "from auctionsim.substrates import Positions"),
    ("Bundles.llg()", "two local bidders and a global one", "from auctionsim.substrates import Bundles"),
)
"""Views that examples are made on: expression, words, import; the first that has what is needed is taken."""
SLOW = ("linear-program",)
"""Mechanisms that no page designs while it is written: it takes them more than a second."""


@cache
def view_of(number: int) -> Any:
    """Return one of the views."""
    expression, _, line = VIEWS[number]
    names: dict[str, Any] = {}
    exec(line, names)
    return eval(expression, names)


def place_of(entry: Entry) -> int | None:
    """Return the number of the first view that has what a mechanism needs; None where none has."""
    return next((number for number in range(len(VIEWS)) if entry.refusal(view_of(number)) is None), None)


def mechanism_pages() -> dict[str, str]:
    """Return the page of each mechanism and the table of all, by their paths."""
    pages = {f"reference/mechanisms/{name}.md": mechanism_page(entry) for name, entry in table().items()}
    rows = [
        f"| [`{name}`]({name}.md) | {entry.label} | {cell(entry.summary)} | {honesty_of(entry.name)[0]} |"
        for name, entry in table().items()
    ]
    head = "| name | label | what it does | truthful |\n|---|---|---|---|"
    pages["reference/mechanisms/index.md"] = (
        "# Mechanisms\n\nEvery mechanism that is designed, compared and saved by name. "
        "A mechanism of your own has a row, too: [bring your own](../../bring-your-own.md).\n\n"
        '"Proved" means that truth is a best bid whatever the others bid, by a proof on the view of its page. '
        '"On average" means that truth is best on average over truthful rivals. '
        '"No proof" does not say that lies pay: `auctionsim.regret` measures that.\n\n'
        + "\n".join([head, *rows])
        + "\n"
    )
    return pages


def mechanism_page(entry: Entry) -> str:
    """Write one mechanism's page."""
    parts = [f"# {entry.label}", entry.summary]
    if entry.pays:
        parts.append(f"**Who gets what, and who pays.** {entry.pays}")
    parts += ["## Is truth the best bid?", honesty_of(entry.name)[1]]
    if entry.published:
        parts.append(
            f"Its authors claim: {stopped(entry.published.claims)} "
            f"They claim it about this exposure: {stopped(entry.published.exposure)}"
        )
    parts += ["## What it needs", needs(entry), "## Use it", usage(entry), "## Parameters", parameters(entry)]
    parts += ["## Source", stopped(entry.published.source) if entry.published else
              "The table names no publication. The docstring of its class names what it rests on."]  # fmt: skip
    if entry.codec and inspect.getdoc(entry.codec.kind):
        kind = entry.codec.kind
        about = str(inspect.getdoc(kind)).partition("\n\n")[0]
        parts += ["## In Python", f"Its class is `{kind.__name__}` of `{kind.__module__}`:", about]
    return "\n\n".join(parts) + "\n"


@cache
def honesty_of(name: str) -> tuple[str, str]:
    """Return a word and a sentence on whether truth is a best bid under a mechanism of the table."""
    return honesty(table()[name])


def honesty(entry: Entry) -> tuple[str, str]:
    """Return a word and a sentence on whether truth is a best bid."""
    number = place_of(entry)
    kind: Any = entry.codec.kind if entry.codec else None
    if entry.is_learned or entry.name in SLOW or number is None:
        if kind is not None and kind.dsic_proof is not Mechanism.dsic_proof:
            return "where proved", (
                "It has a proof where the view allows one. "
                "`auctionsim.mechanisms.protocol.dsic_proof_of` tells of a designed mechanism and its view."
            )
        if kind is not None and kind.bic_proof is not Mechanism.bic_proof:
            return "on average", "Truth is a best bid on average over truthful rivals, as far as its proof says."
        return "no proof", "There is no proof. How much a lie can gain is measured: `auctionsim auction regret`."
    view, words = view_of(number), VIEWS[number][1]
    mechanism = entry.designed(Problem(view, Uniform(0, 1)))
    proof = dsic_proof_of(mechanism, view)
    if proof:
        return "proved", f"Yes, whatever the others bid. On {words} the proof is: {stopped(proof)}"
    average = bic_proof_of(mechanism, view, Uniform(0, 1))
    if average:
        return "on average", f"On average over truthful rivals, on {words}: {stopped(str(average.reason))}"
    return "no proof", f"There is no proof on {words}. How much a lie can gain is measured: `auctionsim.regret`."


def needs(entry: Entry) -> str:
    """Say what a mechanism needs of a view."""
    if not entry.needs:
        return "Nothing beyond what every view has."
    return "\n".join(f"- {stopped(need.words)}" for need in entry.needs)


def usage(entry: Entry) -> str:
    """Show a mechanism's use, in Python where a packaged view has what it needs, and on the command line."""
    number, parts = place_of(entry), []
    if number is not None:
        expression, words, line = VIEWS[number]
        quick = ", quick=True" if entry.is_learned else ""
        parts.append(
            f"On {words}:\n\n```python\n"
            "from auctionsim.mechanisms import design\nfrom auctionsim.priors import Uniform\n"
            f'{line}\n\nauction = design("{entry.name}", {expression}, Uniform(0, 1){quick})\n```'
        )
    parts.append(f"```sh\nauctionsim auction design {entry.name} --out rule.safetensors\n```"
                 if entry.codec else "It has no file form: make it in Python.")  # fmt: skip
    return "\n\n".join(parts)


def parameters(entry: Entry) -> str:
    """List what a design may be given."""
    rows = [
        "| `priors` | what valuations are drawn from |",
        "| `user_weight` | money per unit of user loss, 0 or more |",
    ]
    if entry.is_learned:
        rows.append("| `seed`, `quick` | of the training; the quick recipe is shorter |")
    for name, knob in entry.knobs.items():
        values = "values of the view" if callable(knob) else ", ".join(f"{value:g}" for value in knob)
        rows.append(f"| `{name}` | a knob that `auctionsim.mechanisms.tuned` chooses: {values} |")
    return "\n".join(["| parameter | means |", "|---|---|", *rows])


def stopped(text: str) -> str:
    """Return a text as a sentence: its first letter a capital, a stop at its end."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def cell(text: str) -> str:
    """Return a text for a table's cell."""
    return " ".join(text.split()).replace("|", "\\|")
