"""The table of mechanisms with trainings of a few steps, for tests of what is done with a design."""

from dataclasses import replace

from auctionsim.experiments.running.designs import Designs
from auctionsim.mechanisms import Entry, train_affine_maximizer, train_menu
from auctionsim.mechanisms.table import table


def tiny_entries(*, entries: int = 2, steps: int = 2, batch: int = 32) -> dict[str, Entry]:
    """Return the whole table, its menu and its affine maximizer trained for `steps` steps."""
    whole, sizes = dict(table()), {"steps": steps, "batch": batch}
    affine, menu = whole["affine"], whole["menu"]
    whole["affine"] = replace(
        affine, design=lambda p: train_affine_maximizer(p.view, p.priors, p.user_weight, **sizes, seed=p.seed)
    )
    whole["menu"] = replace(
        menu, design=lambda p: train_menu(p.view, p.priors, p.user_weight, entries=entries, **sizes, seed=p.seed)
    )
    return whole


TINY = Designs(entries=tiny_entries())
