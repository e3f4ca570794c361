"""Which neuron is sold to which brand: rival brands get disjoint sets."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.errors import InputError


def assign_disjoint(scores: Float[Tensor, "brand neuron"], count: int) -> Int[Tensor, "brand rank"]:
    """Let the brands take turns, each taking its best neuron that is still free, until each has `count`.

    The first turn of a round goes from brand to brand, so that no brand always chooses first.

    Args:
        scores: (brand, neuron); only neurons of positive score are taken.
        count: Neurons a brand gets.
    Returns:
        (brand, rank) indices of neurons, best first, no neuron twice.
    Raises:
        ValueError: A brand runs out of neurons with a positive score.
    """
    brands = len(scores)
    ranked = scores.argsort(dim=1, descending=True, stable=True).tolist()
    taken: set[int] = set()
    chosen: list[list[int]] = [[] for _ in range(brands)]
    nexts = [0] * brands
    for turn in range(count):
        for offset in range(brands):
            brand = (turn + offset) % brands
            while nexts[brand] < len(ranked[brand]) and ranked[brand][nexts[brand]] in taken:
                nexts[brand] += 1
            if nexts[brand] == len(ranked[brand]) or scores[brand, ranked[brand][nexts[brand]]] <= 0:
                raise InputError(
                    f"brand {brand} has only {len(chosen[brand])} free neurons of positive score, {count} needed"
                )
            neuron = ranked[brand][nexts[brand]]
            taken.add(neuron)
            chosen[brand].append(neuron)
    return torch.tensor(chosen)


def assign_overlapping(scores: Float[Tensor, "brand neuron"], count: int) -> Int[Tensor, "brand rank"]:
    """Give each brand its `count` best neurons, whoever else has them: an ablation.

    Raises:
        ValueError: A brand has fewer neurons with a positive score.
    """
    positive = (scores > 0).sum(1)
    if bool((positive < count).any()):
        brand = int((positive < count).nonzero()[0])
        raise InputError(f"brand {brand} has only {int(positive[brand])} neurons of positive score, {count} needed")
    return scores.argsort(dim=1, descending=True, stable=True)[:, :count]
