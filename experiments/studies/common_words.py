"""The list of common words that ships with the package, made anew from the packaged model's vocabulary.

python -m auctionsim.experiments.studies.common_words [--out FILE]
"""

import re
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

LIST = Path(str(resources.files("auctionsim.data"))) / "common_words.txt"


def words_of(vocabulary: Iterable[str]) -> list[str]:
    """Return the words among a byte-level vocabulary's tokens: a space (Ġ), then two or more small letters; sorted."""
    return sorted(token[1:] for token in vocabulary if re.fullmatch(r"Ġ[a-z]{2,}", token))


def main(out: Annotated[Path, typer.Option(help="Where the list goes.")] = LIST) -> None:
    """Write the list, one word a line."""
    from auctionsim.language_models import load_model

    out.write_text("\n".join(words_of(load_model().tokenizer.get_vocab())) + "\n", encoding="utf-8")
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
