"""The mechanisms that ship are what their command makes, on any processor: as good and as honest, not the same bits."""

from pathlib import Path

import pytest
import torch

from auctionsim.envs.live import packaged_surface
from auctionsim.envs.settings import PRIOR, USER_WEIGHT, shipped_mechanism
from auctionsim.mechanisms import Mechanism, load_mechanism, train_affine_maximizer
from auctionsim.priors import Uniform, product
from auctionsim.regret import ex_post_regret
from auctionsim.substrates import ResponseSurface


def unlike(made: Mechanism, ships: Mechanism, surface: ResponseSurface) -> list[str]:
    """Return in what two trainings of one command differ by more than training does on another processor.

    A trained menu is another one wherever float32 rounds otherwise: its choices differ, not its objective or regret.
    Objectives are compared on the same 4,000 profiles: the mean difference, with three of its own standard errors taken
    off, must stay below 2 % of what ships; mean regret, likewise on 200 profiles, below 2 % of the objective.
    """
    valuations = product(PRIOR, 2, 1).sample(4000, torch.Generator().manual_seed(1))
    outcomes = [rule(valuations) for rule in (made, ships)]
    one, other = (o.payments.sum(1) - USER_WEIGHT * surface.user_loss(o.allocation) for o in outcomes)
    stake = 0.02 * float(other.mean())
    regrets = [ex_post_regret(rule, surface, valuations[:200], budget=448).lower.mean(1) for rule in (made, ships)]
    gaps = {"objective": one - other, "regret": regrets[0] - regrets[1]}
    return [
        f"{name}: {float(gap.mean()):.5f} of at most {stake:.5f}"
        for name, gap in gaps.items()
        if abs(float(gap.mean())) - 3 * float(gap.std()) / len(gap) ** 0.5 > stake
    ]


@pytest.mark.slow
def test_the_mechanisms_that_ship_are_made_by_their_command(tmp_path: Path) -> None:
    from auctionsim.experiments.studies.shipped_mechanisms import save_mechanisms

    surface = packaged_surface()
    for path in save_mechanisms(tmp_path):
        kind = path.name.split(".")[0]
        made, ships = load_mechanism(path, surface), shipped_mechanism(kind, surface)
        assert type(made) is type(ships)
        assert [point[0] for point in made.history] == [point[0] for point in ships.history]  # the same steps
        assert unlike(made, ships, surface) == []


@pytest.mark.parametrize(("prior", "user_weight"), [(PRIOR, 3.0), (Uniform(0, 0.5), USER_WEIGHT)])
def test_a_mechanism_of_other_settings_is_not_taken_for_one_that_ships(prior: Uniform, user_weight: float) -> None:
    surface = packaged_surface()
    other = train_affine_maximizer(surface, prior, user_weight, steps=150, seed=0)
    assert unlike(other, shipped_mechanism("affine", surface), surface)
