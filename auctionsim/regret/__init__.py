"""How much a bidder could gain by lying: ex post, ex interim, in equilibrium, and on a deployed mechanism."""

from auctionsim.regret.confidence import bounded_mean_interval
from auctionsim.regret.estimate import Game, RegretEstimate, quasi_linear
from auctionsim.regret.ex_interim import ex_interim_regret
from auctionsim.regret.ex_post import ex_post_regret
from auctionsim.regret.exploitability import Distance, exploitability, nash_conv

__all__ = [
    "Distance",
    "Game",
    "RegretEstimate",
    "bounded_mean_interval",
    "ex_interim_regret",
    "ex_post_regret",
    "exploitability",
    "nash_conv",
    "quasi_linear",
]
