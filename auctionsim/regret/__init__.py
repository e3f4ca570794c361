"""Regret, what a bidder could gain by lying: ex post, ex interim, in equilibrium, and on a deployed mechanism."""

from auctionsim.regret.certificates import RegretCertificate, regret_certificate
from auctionsim.regret.confidence import bounded_mean_interval
from auctionsim.regret.corners import corner_regret
from auctionsim.regret.deployed import DeployedRegret, deployed_regret
from auctionsim.regret.estimate import Game, RegretEstimate, quasi_linear
from auctionsim.regret.ex_interim import ex_interim_regret
from auctionsim.regret.ex_post import ex_post_regret
from auctionsim.regret.exploitability import Distance, exploitability, nash_conv
from auctionsim.regret.settings import BoundSettings, InterimSettings
from auctionsim.regret.sources import RegretSources, menu_regret_sources

__all__ = [
    "BoundSettings",
    "DeployedRegret",
    "Distance",
    "Game",
    "InterimSettings",
    "RegretCertificate",
    "RegretEstimate",
    "RegretSources",
    "bounded_mean_interval",
    "corner_regret",
    "deployed_regret",
    "ex_interim_regret",
    "ex_post_regret",
    "exploitability",
    "menu_regret_sources",
    "nash_conv",
    "quasi_linear",
    "regret_certificate",
]
