"""Pacing controllers, a kind a file: every file of this folder is run when it is imported."""

import importlib
import pkgutil

from auctionsim.agents.pacing.loading import load_controllers
from auctionsim.agents.pacing.registry import controller, controllers, register, withdraw
from auctionsim.agents.pacing.tick import after_bidding, open_share, shares_behind, tick_orders

__all__ = [
    "after_bidding",
    "controller",
    "controllers",
    "load_controllers",
    "open_share",
    "register",
    "shares_behind",
    "tick_orders",
    "withdraw",
]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
