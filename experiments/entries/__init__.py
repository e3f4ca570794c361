"""Published systems as they run on the board, a file each: every file of this folder is run when it is imported."""

import importlib
import pkgutil

from auctionsim.experiments.entries.loading import load_entry, refusal
from auctionsim.experiments.entries.registry import (
    APPROXIMATELY,
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
    "APPROXIMATELY",
    "CLAIMS",
    "IN_EXPECTATION",
    "NEITHER",
    "TRUTHFUL",
    "SystemEntry",
    "load_entry",
    "refusal",
    "register",
    "system",
    "systems",
    "withdraw",
]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
