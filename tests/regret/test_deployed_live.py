"""Deployed regret where the live model pays, asked about each distinct allocation once."""

import pytest
import torch

from auctionsim.mechanisms import Menu, MenuAuction
from auctionsim.regret import deployed_regret, ex_post_regret
from auctionsim.substrates import AskedOnce, QuadraticSubstrate, Substrate, View
from tests.substrates.test_language_model import LEVERS, LIVE


def test_the_live_model_pays_a_menu_that_was_designed_elsewhere() -> None:
    live = AskedOnce(View(LIVE, ["slot_probability"]))
    assert isinstance(live, Substrate)

    class Model(AskedOnce):
        """What the designer believed: everybody gets twice what the live model pays."""

        def exposure(self, allocation, context=None):
            return 2 * super().exposure(allocation, context)

    believed = Model(View(LIVE, ["slot_probability"]))
    levers = LEVERS[1:, :, :].transpose(0, 1).contiguous()  # bidder, entry, lever
    worth = believed.exposure(LEVERS)[:, :, 0].amax(0)
    menu = MenuAuction(believed, Menu(levers, (0.25 * worth).unsqueeze(1).expand(2, 2).contiguous()))
    v = torch.rand(6, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = deployed_regret(menu, believed, live, v, budget=64)
    assert found.interval.low <= found.gap <= found.interval.high
    assert found.deployed.interval is not None
    assert 1 <= live.asked <= 9  # two entries and the null for each of two bidders
    direct = ex_post_regret(menu, live, v, budget=64)
    torch.testing.assert_close(direct.lower, found.deployed.lower)


def test_memory_changes_no_number(generator: torch.Generator) -> None:
    place = QuadraticSubstrate(2, 0.5)
    once = AskedOnce(place)
    x = (torch.randint(3, (40, 2, 1), generator=generator) / 2).double()
    for _ in range(2):
        torch.testing.assert_close(once.exposure(x), place.exposure(x))
        torch.testing.assert_close(once.user_loss(x), place.user_loss(x))
    assert once.asked <= 9
    weights = torch.rand(4, 2, 1, generator=generator)
    torch.testing.assert_close(once.maximise(weights, 1.0), place.maximise(weights, 1.0))
    with pytest.raises(ValueError, match="features to sell must be some of"):
        AskedOnce(View(place, ["clicks"]))
