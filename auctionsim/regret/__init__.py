"""How much a bidder could gain by lying: ex post, ex interim, in equilibrium, and on a deployed mechanism."""

from auctionsim.regret.estimate import Game, RegretEstimate, quasi_linear
from auctionsim.regret.ex_post import ex_post_regret

__all__ = ["Game", "RegretEstimate", "ex_post_regret", "quasi_linear"]
