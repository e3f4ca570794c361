"""Which causal architectures of transformers decode here, and why the others do not: the table in docs/models.md.

Every architecture that the installed transformers can build by itself is made tiny and random, loaded as any model is,
and decoded under an intervention of each row's own. What is loaded must equal an uncached pass, token by token.
"""

import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from auctionsim.files import write_text
from auctionsim.language_models import LanguageModel, assembled
from auctionsim.testing import fake_tokenizer
from auctionsim.testing.decoding import decoding_error
from auctionsim.testing.tiny_networks import causal_architectures, tiny_network

LIMIT = 1e-5
"""How far logits may be from those of an uncached pass, in their standard deviations."""

_PROSE = """# Models

This page is for those who bring a model. It tells whether a causal language model of transformers works here, and
if not, why.

Of the {all} causal architectures of transformers {transformers}, **{decodes} decode here, {refused} are refused when
they are loaded**, and {not_built} are not built by transformers alone. None decodes wrongly in silence, and none
breaks in the middle.

Written by `python -m auctionsim.experiments.studies.architectures` in {seconds} seconds of one core, with torch
{torch}. For each architecture a tiny random model is made from the default configuration, with each of its kinds of
layers, and loaded. What loads is decoded: prompts of 13 and 7 tokens in one batch of three rows, each row with an
intervention of its own, 12 greedy tokens, past a sliding window of 8. Two things are compared with an uncached pass
that uses the library's attention: the logits that score a reply and its greedy tokens, and the same through the
library's cache, by which neurons are found. They are equal to
{limit} of their standard deviation (most of them to 1e-12 in float64, which torch does not have for experts
multiplied in groups).

**Your model is checked in the same way each time it is loaded**, with its own weights, dtype and device. A few short
passes must be equal within the rounding of its arithmetic, or one line says what is wrong
(`auctionsim.language_models.checking`). A configuration that differs from the default, with layers of other kinds or
widths, may be refused although its architecture is in the first table. Not checked: texts beyond the model's own
context length, and rotary scalings that change with the length of a text.

The neurons of a mixture of experts are those of its shared expert, which every token passes. Routed experts are not
sold.

## Decode

| architecture | class | neurons: the input of | equal to |
|---|---|---|---|"""

Verdict = Literal["decodes", "refused", "not built", "wrong"]


@dataclass(frozen=True)
class Architecture:
    """What became of one architecture.

    Attributes:
        kind: The model type in its configuration, as "llama".
        name: Its class.
        verdict: "decodes": equal to an uncached pass; "refused": when it was loaded; "not built": transformers itself
            cannot make it alone; "wrong": anything else, which must not be.
        detail: Where its neurons are; else the reason.
        error: The largest difference from an uncached pass, in standard deviations of the logits; None where it does
            not decode.
    """

    kind: str
    name: str
    verdict: Verdict
    detail: str
    error: float | None = None


def judge(kind: str, name: str, tokenizer: Any) -> Architecture:
    """Build one architecture tiny and random, load it, and decode it."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            network = tiny_network(kind)
    except Exception as error:  # noqa: BLE001  whatever transformers says is the reason
        return Architecture(kind, name, "not built", _line(error))
    try:
        model = assembled(kind, network, tokenizer)
    except ValueError as error:
        return Architecture(kind, name, "refused", _line(error))
    try:
        worst = _error(model)
    except Exception as error:  # noqa: BLE001  breaking in the middle is what is looked for
        return Architecture(kind, name, "wrong", f"breaks while it decodes: {_line(error)}")
    return Architecture(kind, name, "decodes" if worst < LIMIT else "wrong", _neurons(model), worst)


def judge_all() -> list[Architecture]:
    """Judge every causal architecture of the installed transformers, in their order of names."""
    tokenizer = fake_tokenizer()
    return [judge(kind, name, tokenizer) for kind, name in sorted(causal_architectures().items())]


def page(architectures: list[Architecture], seconds: float) -> str:
    """Return docs/models.md."""
    counts = {
        verdict: sum(row.verdict == verdict for row in architectures) for verdict in ("decodes", "refused", "not built")
    }
    lines = [
        _PROSE.format(
            all=len(architectures),
            transformers=version("transformers"),
            torch=version("torch").partition("+")[0],
            seconds=f"{seconds:.0f}",
            limit=f"{LIMIT:g}",
            **{verdict.replace(" ", "_"): count for verdict, count in counts.items()},
        )
    ]
    lines += [
        f"| `{r.kind}` | {r.name} | `{r.detail}` | {'1e-12' if (r.error or 0) < 1e-12 else '1e-5'} |"
        for r in architectures
        if r.verdict == "decodes"
    ]
    for title, verdict in (("Refused when loaded", "refused"), ("Not built by transformers alone", "not built")):
        lines += ["", f"## {title}", "", "| architecture | class | reason |", "|---|---|---|"]
        lines += [f"| `{r.kind}` | {r.name} | {_cell(r.detail)} |" for r in architectures if r.verdict == verdict]
    return "\n".join(lines) + "\n"


def main(path: Path = Path("docs/models.md")) -> None:
    """Judge every architecture and write the table.

    Raises:
        SystemExit: One decodes wrongly; nothing is written.
    """
    began = time.process_time()
    architectures = judge_all()
    wrong = [f"{row.kind}: {row.detail} (difference {row.error})" for row in architectures if row.verdict == "wrong"]
    if wrong:
        raise SystemExit("\n".join(wrong))
    write_text(path, page(architectures, time.process_time() - began))


def _error(model: LanguageModel) -> float:
    """Return the largest difference, in float64 where the network computes in it."""
    single = decoding_error(model).worst
    if single >= LIMIT:
        return single
    model.network.double()
    try:
        return decoding_error(model).worst
    except RuntimeError:
        return single


def _neurons(model: LanguageModel) -> str:
    """Return the name of the first down projection, its block's number left open."""
    down = model.feed_forwards[0].down_projection
    name = next(name for name, module in model.network.named_modules() if module is down)
    return ".".join("*" if part.isdigit() else part for part in name.split("."))


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}" if not lines else " ".join(lines)[:240] if len(lines) < 3 else lines[0][:240]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("->", "→")


if __name__ == "__main__":
    main()
