"""Pacing controllers, a kind a file: every file of this folder is run when it is imported."""

import importlib
import pkgutil

from auctionsim.agents.pacing.answers import AnswerBook, read_answers
from auctionsim.agents.pacing.external_bidders import AnswerCounts, External, external, replayed
from auctionsim.agents.pacing.loading import load_controllers
from auctionsim.agents.pacing.observations import observed_numbers
from auctionsim.agents.pacing.registry import controller, controllers, register, withdraw
from auctionsim.agents.pacing.tick import after_bidding, open_share, shares_behind, tick_orders

__all__ = [
    "AnswerBook",
    "AnswerCounts",
    "External",
    "after_bidding",
    "controller",
    "controllers",
    "external",
    "load_controllers",
    "observed_numbers",
    "open_share",
    "read_answers",
    "register",
    "replayed",
    "shares_behind",
    "tick_orders",
    "withdraw",
]

for _file in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_file.name}")
