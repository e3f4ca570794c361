"""What three ways to charge lose to error: random lists, estimates off by .05 at most."""

import torch
from finite_list import FiniteList

from auctionsim.mechanisms import VCG, DeliveredVCG, PerMention
from auctionsim.metrics import utility
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import Substrate

F64, ERROR, LISTS, ROWS = torch.float64, 0.05, 10, 12


def lists(seed: int) -> tuple[Substrate, Substrate]:
    """Return estimates and what is delivered: six replies, two bidders, exposures apart by at most `ERROR`."""
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(1, 6, 2, 1, generator=generator, dtype=F64)
    error = ERROR * (2 * torch.rand(truth.shape, generator=generator, dtype=F64) - 1)
    losses = torch.rand(1, 6, generator=generator, dtype=F64)
    losses[:, 0] = 0
    return FiniteList((truth + error).clamp(0, 1), losses), FiniteList(truth, losses)


def test_delivered_pivots_err_most_and_prices_a_mention_least() -> None:
    """A charge on estimates moves a gain by 2 ε v at most, by what a bidder gets; a delivered pivot also by the
    others'; a price a mention only by errors that are no common factor."""
    means, worst = torch.zeros(3, dtype=F64), torch.zeros(3, dtype=F64)
    for seed in range(LISTS):
        estimates, truth = lists(seed)
        values = torch.rand(ROWS, 2, 1, generator=torch.Generator().manual_seed(seed), dtype=F64)
        rules = (DeliveredVCG(estimates, 0.5).delivered(truth), VCG(estimates, 0.5), PerMention(VCG(estimates, 0.5)))
        for k, rule in enumerate(one.delivered(truth) if k == 2 else one for k, one in enumerate(rules)):
            regret = ex_post_regret(rule, truth, values, high=1.0, budget=64)
            means[k] += regret.lower.mean() / LISTS
            worst[k] = max(worst[k], regret.lower.max(), key=float)
            if k == 2:
                assert float(utility(rule(values), truth, values).min()) >= -1e-12
    assert float(worst[1]) <= 2 * ERROR + 1e-9
    assert float(means[0]) > float(means[1]) > float(means[2]) > 0
