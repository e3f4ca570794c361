"""The printed optimum against a linear program over all honest mechanisms, and what supports above 0 change."""

import torch
from finite_list import FiniteList
from honest_program import Types, best_honest_objective, types_of
from torch import Tensor

from auctionsim.mechanisms import VirtualWelfareMaximizer
from auctionsim.priors import Empirical, product
from auctionsim.substrates import Lottery, Substrate

F64 = torch.float64


def referee_case(seed: int, types: int = 6) -> tuple[Substrate, list[Types], float]:
    """Return a random market of two bidders: a lottery or a list, with crosstalk and organic exposure."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=g, dtype=F64)

    entries = 2 + int(torch.randint(5, (), generator=g))
    exposures = rand(entries, 2) * (rand(entries, 2) < 0.8)
    losses = rand(entries) * (rand(()) < 0.7)
    losses[0] = 0
    bidders = []
    for _ in range(2):
        start = 0.0 if rand(()) < 0.3 else float(3 * rand(()))
        width, scale = float(0.2 + 2 * rand(())), 10.0 ** int(torch.randint(-1, 2, (), generator=g))
        values = start + width * rand(types)
        values[0] = start
        chances = 0.02 + rand(types) ** 3  # many of them irregular
        bidders.append(types_of(scale * values, chances))
    if seed % 2:
        reference = rand(entries)
        substrate: Substrate = Lottery(exposures.unsqueeze(2), losses, reference / reference.sum())
    else:
        substrate = FiniteList(exposures.view(1, entries, 2, 1), losses.unsqueeze(0))
    return substrate, bidders, float(rand(()))


def compare(seed: int) -> tuple[float, float, float]:
    """Return the printed optimum, the mean of what truthful bidders pay less the loss, and the program's."""
    substrate, bidders, user_weight = referee_case(seed)
    priors = [Empirical(one.values, one.chances) for one in bidders]
    rule = VirtualWelfareMaximizer(substrate, priors, user_weight)
    valuations, chances = product(priors, 2).profiles(36)
    outcome = rule(valuations)
    earned = outcome.payments.sum(1) - user_weight * substrate.user_loss(outcome.allocation)
    found = substrate.finite_range()
    program = best_honest_objective(bidders, found.exposures[0, :, :, 0], found.user_losses[0], user_weight)
    return rule.optimum().objective, float((chances * earned).sum()), program


def close(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-6 * max(1.0, abs(other))
