"""auctionsim: a laboratory for auctions of influence over a language model."""

import logging
from typing import TYPE_CHECKING

from auctionsim.gymnasium_ids import register_ids

if TYPE_CHECKING:
    from auctionsim.outcome import Outcome

__version__ = "0.2.0"
"""The version; pyproject.toml reads it here."""

__all__ = ["Outcome", "__version__"]

register_ids()
logging.getLogger("auctionsim").addHandler(logging.NullHandler())  # whoever wants to read it adds a handler


def __getattr__(name: str) -> object:
    """Import `Outcome`, and torch with it, at its first use: `auctionsim --help` needs neither."""
    if name == "Outcome":
        from auctionsim.outcome import Outcome

        globals()[name] = Outcome
        return Outcome
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, whether or not they have been used."""
    return sorted({*globals(), *__all__})
