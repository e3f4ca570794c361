"""auctionsim: a laboratory for auctions of influence over a language model."""

from auctionsim.gymnasium_ids import register_ids
from auctionsim.outcome import Outcome

__version__ = "0.1.0"

__all__ = ["Outcome", "__version__"]

register_ids()
