"""A market: campaigns with budgets bid for many query types, tick by tick, on measured surfaces."""

from auctionsim.market.actors import Actors, DayNews, Platform, Users
from auctionsim.market.campaigns import Campaigns
from auctionsim.market.category import CampaignTally, CategoryMarket, Tally, TickCall
from auctionsim.market.clicks import ClickModel
from auctionsim.market.controllers import CampaignTerms, Controller, Orders, State, TickNews, TickStart
from auctionsim.market.day_records import DayRecord, DayState, MarketState, TickRecord
from auctionsim.market.market import Market
from auctionsim.market.pipeline_regret import PipelineRegret, pipeline_regret
from auctionsim.market.placements import Placement
from auctionsim.market.query_types import QueryTypes
from auctionsim.market.simulation import Simulation, SimulationSettings
from auctionsim.market.users import RetainedUsers, UserType

__all__ = [
    "Actors",
    "CampaignTally",
    "CampaignTerms",
    "Campaigns",
    "CategoryMarket",
    "ClickModel",
    "Controller",
    "DayNews",
    "DayRecord",
    "DayState",
    "Market",
    "MarketState",
    "Orders",
    "PipelineRegret",
    "Placement",
    "Platform",
    "QueryTypes",
    "RetainedUsers",
    "Simulation",
    "SimulationSettings",
    "State",
    "Tally",
    "TickCall",
    "TickNews",
    "TickRecord",
    "TickStart",
    "UserType",
    "Users",
    "pipeline_regret",
]
