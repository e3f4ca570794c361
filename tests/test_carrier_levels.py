"""Levels of a carrier: where a pilot's divergences reach the targets, and the joint settings that are made of them."""

import pytest
import torch

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers.choice import ReplyChoice
from auctionsim.carriers.counted import CountedCarrier
from auctionsim.carriers.logit_bias import BrandTokens, name_tokens
from auctionsim.carriers.slots import Slots
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.language_models import Framing
from auctionsim.measurement import MeasurementSettings
from auctionsim.measurement.levels import Pilot, joint_list, levels_at, pilot
from auctionsim.prompts import build_prompts
from auctionsim.testing import fake_language_model

BRANDS = parse_brands("Nike,Puma")
BIAS = BrandTokens(BRANDS, ((5,), (6,)), 400)


def found(carrier: BrandTokens | CountedCarrier | ReplyChoice, *rows: list[float]) -> Pilot:
    return Pilot(carrier.ladder().double(), torch.tensor(rows, dtype=torch.float64))


def test_between_rungs_levels_lie_on_the_line_that_reaches_the_target() -> None:
    """Rungs of the bias are 2, 3, 3.5, 4, 4.5, 5 and 6; the first target lies between the null and the first rung."""
    rising = [1.0, 1.5, 2.0, 3.0, 5.0, 6.0, 9.0]
    some = levels_at(found(BIAS, rising, rising), BIAS, (0.5, 1.0, 2.5, 4.0))
    for own in some:
        assert own.flatten().tolist() == pytest.approx([1.0, 2.0, 3.75, 4.25])


def test_a_ladder_that_falls_again_is_climbed_where_it_first_reaches_a_target() -> None:
    bent = [0.4, 2.0, 0.3, 0.2, 1.0, 1.5, 1.9]
    flat = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1]
    first, second = levels_at(found(BIAS, bent, flat), BIAS, (0.5, 1.0, 2.0, 4.0))
    assert first.flatten().tolist() == pytest.approx([2.0625, 2.375, 3.0, 6.0])
    assert second.flatten().tolist() == [6.0], "targets out of reach are the end of the ladder, once"


def test_whole_levers_take_the_rung_next_to_a_target_once() -> None:
    class Steps(Slots):
        name = "steps"

    steps = Steps(BRANDS, "running shoes")
    high = int(steps.levers[0].high)
    row = [0.9 * 1.5**k for k in range(high)]
    for own in levels_at(found(steps, row, row), steps, (0.5, 1.0, 0.9 * 1.5 ** (high - 1))):
        assert own.flatten().tolist() == [1.0, float(high)]


def test_where_nothing_moves_the_reply_rungs_are_spread_evenly() -> None:
    slots = Slots(BRANDS, "running shoes", [f"{{brand}} {k}." for k in range(9)])
    still = [0.0] * 9
    for own in levels_at(found(slots, still, still), slots):
        assert own.flatten().tolist() == [1.0, 4.0, 6.0, 9.0]
    (never, moved) = levels_at(
        found(ReplyChoice(BRANDS), [0.0] * 6, [0.1, 0.2, 0.6, 1.0, 1.1, 1.2]), ReplyChoice(BRANDS)
    )
    assert len(never) == 4, "a brand that is never named gets rungs, too"
    assert moved.flatten()[-1] == 8.0


def test_levers_of_two_kinds_are_refused() -> None:
    class Mixed(Slots):
        name = "mixed"
        whole = ("slot",)

    mixed = Mixed(BRANDS, "running shoes")
    mixed.levers = (*mixed.levers, mixed.levers[0]._replace(name="other"))
    with pytest.raises(ValueError, match="levers of mixed must all be whole numbers or all continuous"):
        levels_at(Pilot(torch.ones(1, 2), torch.ones(2, 1)), mixed)


def test_a_list_has_the_null_each_brand_alone_and_all_together() -> None:
    levels = [torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[4.0], [5.0]])]
    listed = joint_list(BIAS, [own.double() for own in levels])
    assert listed[:, :, 0].tolist() == [[0, 0], [1, 0], [2, 0], [3, 0], [0, 4], [0, 5], [2, 5], [3, 5]]
    single = BrandTokens(BRANDS[:1], ((5,),), 400)
    assert joint_list(single, levels[:1])[:, :, 0].tolist() == [[0], [1], [2], [3]]


def test_every_combination_of_levels_is_listed_where_wanted() -> None:
    levels = [torch.tensor([[1.0], [2.0]]).double(), torch.tensor([[4.0], [5.0]]).double()]
    listed = joint_list(BIAS, levels, combined=True)[:, :, 0].tolist()
    assert listed == [[0, 0], [1, 0], [2, 0], [0, 4], [0, 5], [1, 4], [1, 5], [2, 4], [2, 5]]
    mixture = TokenMixture(BRANDS, tuple(Framing(system=f"{brand.name}.") for brand in BRANDS))
    with pytest.raises(ValueError, match="token-mixture cannot carry out"):
        joint_list(mixture, [torch.tensor([[0.25], [0.75]]).double()] * 2, combined=True)


def test_shares_that_do_not_fit_together_are_split() -> None:
    companions = tuple(Framing(system=f"{brand.name}.") for brand in BRANDS)
    mixture = TokenMixture(BRANDS, companions)
    levels = [torch.tensor([[0.25], [0.75]]).double()] * 2
    assert joint_list(mixture, levels)[-1, :, 0].tolist() == [0.375, 0.375]


def test_more_settings_than_are_measured_are_refused() -> None:
    brands = tuple(Brand(name) for name in "ABCDEFG")
    many = BrandTokens(brands, tuple((k,) for k in range(5, 12)), 400)
    levels = [torch.tensor([[1.0], [2.0], [3.0], [4.0]]).double()] * 7
    with pytest.raises(ValueError, match="at most 25 joint settings are measured, logit-bias has 31"):
        joint_list(many, levels)


def test_a_pilot_reads_every_rung_of_every_brand_alone() -> None:
    model = fake_language_model()
    tokens = tuple(name_tokens(model, brand) for brand in BRANDS)
    carrier = BrandTokens(BRANDS, tokens, model.vocabulary_size)
    settings = MeasurementSettings(samples=1, max_new_tokens=3, readings=("reply_kl",), leads=())
    seen = pilot(model, carrier, build_prompts("running shoes").first(8), settings)
    assert torch.equal(seen.ladder, carrier.ladder().double())
    assert seen.reply_kl.shape == (2, len(seen.ladder))
    assert bool((seen.reply_kl > 0).all())
    assert bool((seen.reply_kl[:, -1] > seen.reply_kl[:, 0]).all())
