"""The code of docs/bring-your-own.md runs as it stands, block after block, and does what the page says."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from auctionsim import readings
from auctionsim.mechanisms import table
from auctionsim.substrates import Substrate

PAGE = (Path(__file__).parent.parent / "docs" / "bring-your-own.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def names() -> Iterator[dict[str, Any]]:
    found: dict[str, Any] = {"__name__": "bring_your_own"}
    before = set(readings.names())
    for number, block in enumerate(BLOCKS):
        exec(compile(block, f"docs/bring-your-own.md, block {number}", "exec"), found)
    yield found
    for name in set(readings.names()) - before:
        readings.unregister(name)
    table.withdraw("take-it")


def test_a_model_from_a_folder_and_a_feature_on_it(names: dict[str, Any]) -> None:
    assert names["model"].fingerprint == names["fake"].fingerprint
    assert isinstance(names["sold"], Substrate)
    assert names["exposure"].shape == (1, 2, 1)
    assert names["loss"].tolist() == [0.0]  # the untouched model


def test_a_feature_sees_the_beginning_only(names: dict[str, Any]) -> None:
    live, off, context = names["live"], names["off"], torch.tensor([0])
    assert live.features[-1] == "early_mention"
    assert names["sold"].charged_loss.name == "said_before"
    batch = live.replies(live.prompts.prompts[0][0], off, (0, 0), 1)
    brands = live.carrier.brands
    whole = names["named_early"](batch.replies, brands, words=10**6)
    assert whole == [[float(brand.hits(text) > 0) for brand in brands] for text in batch.texts]
    assert names["named_early"](batch.replies, brands, words=0) == [[0.0, 0.0]]
    assert batch.values["said_before"] == names["said_before"](batch.replies, brands)
    assert set(live.observe(off, context).losses) == {"kl", "said_before"}


def test_a_prior_follows_from_three_functions(names: dict[str, Any]) -> None:
    prior = names["Triangle"]()
    assert prior.monopoly_price == pytest.approx(1 / 3, abs=1e-4)
    draws = prior.sample((20_000,), torch.Generator().manual_seed(0), torch.float64)
    assert float(draws.mean()) == pytest.approx(1 / 3, abs=0.01)
    levels = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert torch.allclose(prior.cdf(prior.quantile(levels)), levels)


def test_a_mechanism_charges_its_price(names: dict[str, Any]) -> None:
    surface = names["surface"]
    auction = names["TakeItOrLeaveIt"](surface, 0.3)
    outcome = auction(torch.tensor([[[0.2], [0.29]], [[0.3], [0.0]]], dtype=torch.float64))
    assert outcome.payments[0].tolist() == [0.0, 0.0]
    exposure = surface.exposure(outcome.allocation)
    assert float(outcome.payments[1, 0]) == pytest.approx(0.3 * float(exposure[1, 0, 0]))
    assert float(outcome.payments[1, 1]) == 0
    assert names["game"].num_bidders == 2


def test_a_substrate_of_ones_own_is_sold_and_bid_on(names: dict[str, Any]) -> None:
    """Where the user minds a filled strip more than anybody pays for it, nothing is shown; half is an equilibrium."""
    strip, bids = names["strip"], torch.tensor([[[0.5], [0.75]]], dtype=torch.float64)
    auction = names["PayAsBid"](strip, 0.6)
    assert auction(bids).allocation.flatten().tolist() == [0.0, 1.0]
    assert names["PayAsBid"](strip, 0.8)(bids).allocation.flatten().tolist() == [0.0, 0.0]
    truth = names["exploitability"](names["PayAsBid"](strip), strip, names["Uniform"](0, 1), draws=64)
    half = names["exploitability"](
        names["PayAsBid"](strip), strip, names["Uniform"](0, 1), strategies=names["half"], draws=64
    )
    assert half.value < 0.02 < truth.value


def test_stored_replies_are_auctioned_and_a_wrong_reward_is_valued(names: dict[str, Any]) -> None:
    lottery, outcome = names["kept"], names["tilted"]
    assert lottery.losses == ("kl",)
    assert 1 <= float(lottery.effective_replies(outcome.allocation)) < len(lottery.reference)
    valued = names["valued"]
    assert torch.allclose(valued.loss, valued.reward_gap + valued.proxy_gap)
