"""Published systems as they run on the board, a file each."""

from auctionsim.experiments.entries.registry import (
    CLAIMS,
    IN_EXPECTATION,
    NEITHER,
    TRUTHFUL,
    SystemEntry,
    register,
    system,
    systems,
    withdraw,
)

__all__ = [
    "CLAIMS",
    "IN_EXPECTATION",
    "NEITHER",
    "TRUTHFUL",
    "SystemEntry",
    "register",
    "system",
    "systems",
    "withdraw",
]
