"""The affine maximizer's line in the table of mechanisms: its full and its quick recipe."""

from auctionsim.mechanisms.affine_maximizer import AFFINE_FILE, AffineMaximizer
from auctionsim.mechanisms.affine_training import train_affine_maximizer
from auctionsim.mechanisms.table import Entry, Problem, Published, register

QUICK_STEPS = 60  # of the quick recipe: it starts near its end


def _designed(problem: Problem) -> AffineMaximizer:
    view, priors, user_weight, seed, quick, _ = problem
    if quick:
        return train_affine_maximizer(view, priors, user_weight, steps=QUICK_STEPS, seed=seed)
    return train_affine_maximizer(view, priors, user_weight, seed=seed)


register(
    Entry(
        "affine",
        "affine maximizer",
        "A learned list of joint allocations with boosts and weights: exactly truthful, with crosstalk too.",
        _designed,
        AFFINE_FILE,
        pays="Of a fixed list of replies, with a learned bonus each, the one of the greatest weighted worth is given; "
        "each bidder pays what its bid takes from the others and the bonus.",
        published=Published(
            "Roberts (1979), The characterization of implementable choice rules; learned ones: Curry, Sandholm and "
            "Dickerson (2023), Differentiable economics for randomized affine maximizer auctions, arXiv:2202.02872",
            "Truth is a dominant strategy and nobody loses by taking part.",
            "any exposure that the platform knows, on a list fixed before the bids",
        ),
        is_learned=True,
    )
)
