"""The rows of the board: every mechanism on one carrier, published systems, and what each carrier could bring."""

from collections.abc import Mapping, Sequence

from auctionsim.experiments.entries.registry import SystemEntry
from auctionsim.experiments.running.board_cell import CARRIERS, MECHANISMS, SYSTEMS, Price, RowName
from auctionsim.experiments.running.board_range import prompt_values, view_of
from auctionsim.experiments.running.carrier_cell import CarrierCell
from auctionsim.mechanisms.table import table

OPTIMUM = "optimum"
SAME_HERE = ("optimum-ignored",)
"""Mechanisms that are another one under the board's prior, U[0, 1]: bids below a support that starts at 0."""

TRAINED_FOR_MINUTES = ("regret-net", "regret-transformer")
"""Mechanisms that are networks trained for minutes: a row is designed 32 times, on both replicates, at each price."""
NO_ROW = (*SAME_HERE, *TRAINED_FOR_MINUTES)

REPLY_KL = tuple(Price("reply_kl", weight) for weight in (0.0, 0.02, 0.1, 0.25))
QUALITY = tuple(Price("quality", weight) for weight in (0.0, 0.25, 1.0, 4.0))
WORDS = tuple(Price("reply_kl", 0.1, words) for words in (0.03, 0.1, 0.3))
"""What a word of an ad costs beside reply_kl, in nats, at a user weight of .1: systems of all kinds in one order."""


def mechanism_rows(carrier: str, cell: CarrierCell) -> list[RowName]:
    """Return a row for each mechanism of the table that can be designed on a carrier's list.

    Args:
        carrier: Its name.
        cell: A list of it: what mechanisms need of a view is asked of this one.
    """
    price = REPLY_KL[0]
    view = view_of(cell, prompt_values(cell, "A", price), price)
    names = [name for name, one in table().items() if name not in NO_ROW and one.refusal(view) is None]
    return [RowName(MECHANISMS, name, carrier, name) for name in names]


def system_rows(systems: Mapping[str, SystemEntry]) -> list[RowName]:
    """Return a row for each published system."""
    return [
        RowName(SYSTEMS, one.name, one.carrier, one.mechanism, tuple(sorted(one.settings.items())))
        for one in systems.values()
    ]


def carrier_rows(carriers: Sequence[str]) -> list[RowName]:
    """Return a row for each carrier: the best truthful mechanism on it."""
    return [RowName(CARRIERS, name, name, OPTIMUM) for name in carriers]


def prices_of(row: RowName) -> tuple[Price, ...]:
    """Return the prices of the user's loss at which a row is scored; only systems are scored at a price of words."""
    return (*REPLY_KL, *QUALITY, *(WORDS if row.table != MECHANISMS else ()))
