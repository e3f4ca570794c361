"""Bidders: strategies from valuations to bids, fixed or learned."""

if __name__ == "agents":
    raise ImportError("import auctionsim.agents: the folder 'agents' is installed under that name")

from auctionsim.agents.best_response import BestResponse
from auctionsim.agents.closed_forms import RiskAverse, closed_form_equilibrium
from auctionsim.agents.equilibrium import AscentSettings, EquilibriumLearner
from auctionsim.agents.exponential_weights import ExponentialWeights, HedgeSettings, learn_by_context
from auctionsim.agents.grid_exploration import GridExploration
from auctionsim.agents.networks import LearningStep
from auctionsim.agents.saving import SavedBidders, load_strategies, save_strategies
from auctionsim.agents.strategies import ByContext, Shading, Strategy, TableStrategy, Truthful, UniformBids
from auctionsim.agents.win_rate_shading import WinRateShading

__all__ = [
    "AscentSettings",
    "BestResponse",
    "ByContext",
    "EquilibriumLearner",
    "ExponentialWeights",
    "GridExploration",
    "HedgeSettings",
    "LearningStep",
    "RiskAverse",
    "SavedBidders",
    "Shading",
    "Strategy",
    "TableStrategy",
    "Truthful",
    "UniformBids",
    "WinRateShading",
    "closed_form_equilibrium",
    "learn_by_context",
    "load_strategies",
    "save_strategies",
]
