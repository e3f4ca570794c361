"""Platforms: who chooses the rule of each day, one a file: fixed, scheduled, or bandits that learn from rewards."""

from auctionsim.market.platforms.bandit import Bandit
from auctionsim.market.platforms.contests import (
    BidderPopulation,
    RuleScore,
    RuleTransfer,
    rule_contest,
    rule_transfers,
)
from auctionsim.market.platforms.exp3 import Exp3, exploration_for
from auctionsim.market.platforms.fixed import FixedRule
from auctionsim.market.platforms.pilot import pilot_scale, rewards_alone
from auctionsim.market.platforms.rewards import PlatformReward, RewardScale
from auctionsim.market.platforms.scheduled import ScheduledRules
from auctionsim.market.platforms.table import PlatformEntry, platform, platform_entry, platform_names, register
from auctionsim.market.platforms.thompson import ThompsonSampling
from auctionsim.market.platforms.ucb import UpperConfidenceBound

__all__ = [
    "Bandit",
    "BidderPopulation",
    "Exp3",
    "FixedRule",
    "PlatformEntry",
    "PlatformReward",
    "RewardScale",
    "RuleScore",
    "RuleTransfer",
    "ScheduledRules",
    "ThompsonSampling",
    "UpperConfidenceBound",
    "exploration_for",
    "pilot_scale",
    "platform",
    "platform_entry",
    "platform_names",
    "register",
    "rewards_alone",
    "rule_contest",
    "rule_transfers",
]
