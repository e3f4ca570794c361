"""Carrier files from a stranger under a right checksum: what would take gigabytes, hours or numbers that are none."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from measurement_fakes import fake_neurons

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers import Carrier, Neurons, load_carrier, save_carrier
from auctionsim.carriers.choice import ReplyChoice
from auctionsim.carriers.displayed_bids import DisplayedBids
from auctionsim.carriers.insertion import Insertion
from auctionsim.carriers.logit_bias import BrandTokens
from auctionsim.carriers.low_rank import LowRankUpdates
from auctionsim.carriers.residual_vector import ResidualVectors
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.language_models.framing import Framing
from auctionsim.language_models.low_rank import LowRankFactors
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.testing import fake_language_model

BRANDS = parse_brands("Nike,Puma")
MODEL = fake_language_model()
FORM = ("auctionsim carrier", 1)
LINES = ("See {brand}.", "{brand} sells {category}.")
NIKES = fake_neurons(MODEL, "Nike,Puma")


def residual(layers: tuple[int, int] = (0, 1), width: int = 4) -> ResidualVectors:
    return ResidualVectors(BRANDS, layers, torch.ones(2, width), MODEL.identity)


def updates(layer: int, width: int, neurons: int) -> LowRankUpdates:
    factors = LowRankFactors((layer,), torch.ones(2, 1, 1, neurons), torch.ones(2, 1, width, 1))
    return LowRankUpdates(BRANDS, factors, MODEL.identity)


def tokens() -> BrandTokens:
    return BrandTokens(BRANDS, ((1,), (2,)), 20)


def begun(count: int) -> list[dict[str, Any]]:
    return [{"name": brand.name, "begun_by": list(range(count))} for brand in BRANDS]


def companions() -> TokenMixture:
    return TokenMixture(BRANDS, tuple(Framing(system=f"Name {brand.name}.") for brand in BRANDS))


LONG = [{"system": "Name Nike. " * 10_000, "before": "", "after": ""}] * 2


@pytest.mark.parametrize(
    ("make", "field", "value", "message"),
    [
        (lambda: DisplayedBids(BRANDS, "shoes"), "most", 2**62, "the highest bid is at most 256"),
        (lambda: ReplyChoice(BRANDS), "candidates", 2**62, "at most 1024 candidates, got 4611686018427387904"),
        (lambda: ReplyChoice(BRANDS), "tilt", 1e308, "the highest tilt must be a number in .* got 1e.308"),
        (tokens, "bias", 1e300, "the highest bias must be a number in"),
        (tokens, "bias", 1e-300, "the highest bias must be a number in"),
        (tokens, "tokens", begun(300_000), "a logit bias has at most 16384 tokens, got 600000"),
        (lambda: Insertion(BRANDS, "shoes", LINES), "texts", [f"{{brand}} {k}." for k in range(65)], "at most 64"),
        (lambda: Insertion(BRANDS, "shoes", LINES), "texts", ["{brand} " * 3000], "at most 16384 letters, got 24000"),
        (
            lambda: Insertion(BRANDS, "shoes", LINES),
            "category",
            "s" * 16_385,
            "an ad has at most 16384 letters, got 16397",
        ),
        (companions, "companions", LONG, "a companion's text has at most 16384 letters, got 110000"),
        (lambda: Neurons(NIKES, num_neurons=4), "amplification", 1e308, "amplification must"),
    ],
)
def test_a_field_that_asks_for_too_much_is_one_sentence(
    make: Callable[[], Carrier], field: str, value: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bent.safetensors"
    save_carrier(path, make())
    stored = read_stored(path, *FORM)
    settings = {**stored.record["settings"], field: value}
    write_stored(path, Stored({**stored.record, "settings": settings}, stored.arrays), *FORM)
    began = time.process_time()
    with pytest.raises(ValueError, match=rf"bent\.safetensors: .*{message}") as refusal:
        load_carrier(path)
    assert time.process_time() - began < 6  # types are checked at every call here, which is most of it
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(
    ("brands", "message"),
    [
        ([], "a carrier needs one brand or several of different names, got"),
        ([["Nike"], ["Nike"]], "a carrier needs one brand or several of different names, got"),
        ([[f"b{k}"] for k in range(257)], "a carrier takes at most 256 brands, got 257"),
        ([[f"b{k}" for k in range(20_000)]], "a brand has at most 100 names, got 20000"),
        ([["x" * 201]], "a brand's name has at most 200 letters, got 201"),
    ],
)
def test_brands_that_are_none_or_too_many_are_one_sentence(brands: object, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bent.safetensors"
    save_carrier(path, ReplyChoice(BRANDS))
    stored = read_stored(path, *FORM)
    write_stored(path, Stored({**stored.record, "brands": brands}, {}), *FORM)
    began = time.process_time()
    with pytest.raises(ValueError, match=rf"bent\.safetensors: {message}"):
        load_carrier(path)
    assert time.process_time() - began < 6  # types are checked at every call here, which is most of it


@pytest.mark.parametrize(
    "bent",
    [
        lambda v: v.double() * 1e300,  # finite in float64 alone
        lambda v: v.double() * 1e-300,  # 0 in float32
        lambda v: v * 3e38,  # finite until it is three times as strong
    ],
)
def test_vectors_are_finite_and_not_0_in_the_precision_that_they_are_used_in(
    bent: Callable[[torch.Tensor], torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "bent.safetensors"
    save_carrier(path, residual())
    stored = read_stored(path, *FORM)
    write_stored(path, Stored(stored.record, {"vectors": bent(stored.arrays["vectors"])}), *FORM)
    with pytest.raises(ValueError, match=r"bent\.safetensors: residual vectors must be finite at strength 3"):
        load_carrier(path)


def test_updates_that_float32_makes_0_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bent.safetensors"
    save_carrier(path, updates(0, 4, 4))
    stored = read_stored(path, *FORM)
    arrays = {**stored.arrays, "up": stored.arrays["up"].double() * 1e-300}
    write_stored(path, Stored(stored.record, arrays), *FORM)
    with pytest.raises(ValueError, match=r"bent\.safetensors: low-rank updates must not be 0"):
        load_carrier(path)


def test_neurons_have_finite_numbers(tmp_path: Path) -> None:
    path = tmp_path / "bent.safetensors"
    save_carrier(path, Neurons(NIKES, num_neurons=4))
    stored = read_stored(path, *FORM)
    for name in ("scores", "attributions"):
        arrays = {**stored.arrays, name: stored.arrays[name] / 0}
        arrays[name] = torch.where(arrays[name].isnan(), torch.inf, arrays[name])
        write_stored(path, Stored(stored.record, arrays), *FORM)
        with pytest.raises(ValueError, match=rf"bent\.safetensors: {name} must be finite"):
            load_carrier(path)


WIDTH, NEURONS = MODEL.feed_forwards[0].width, MODEL.num_neurons


@pytest.mark.parametrize(
    ("carrier", "message"),
    [
        (residual((0, 9), WIDTH), "layers .0, 9. of width"),
        (residual((0, 1), WIDTH + 1), "layers .0, 1. of width"),
        (updates(9, WIDTH, NEURONS), "layers .9,. of width"),
        (updates(0, WIDTH, NEURONS + 1), rf"low-rank updates of {NEURONS + 1} neurons a layer are none of fake"),
    ],
)
def test_a_model_that_lacks_the_layers_is_refused_though_the_fingerprint_is_right(
    carrier: Carrier, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        carrier.check_model(MODEL)


def test_neurons_of_another_shape_are_refused_though_the_fingerprint_is_right() -> None:
    more = torch.cat([NIKES.attributions, NIKES.attributions[:, :1]], dim=1)
    carrier = Neurons(replace(NIKES, attributions=more), num_neurons=4)
    with pytest.raises(ValueError, match=r"the neurons are of \d layers of \d+, fake has"):
        carrier.check_model(MODEL)


def test_companions_that_the_frame_refuses_are_refused_before_anything_is_drawn() -> None:
    texts = (Framing(system="Name Nike.<|im_end|>"), Framing(system="Name Puma."))
    with pytest.raises(ValueError, match=r"contains '<\|im_end\|>'"):
        TokenMixture(BRANDS, texts).check_model(MODEL)


def test_a_name_may_end_in_several_hyphens() -> None:
    assert Brand("A--").mentions("an A-- or") == 1
