"""Every carrier that ships keeps what carriers promise, on models of three families: one line of table for each."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from measurement_fakes import fake_neurons

from auctionsim.brands import Brand, parse_brands
from auctionsim.carriers import Carrier, FittingInputs, Neurons, carrier_entry, carrier_names
from auctionsim.carriers.low_rank import LowRankUpdates
from auctionsim.carriers.residual_vector import ResidualVectors
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.language_models.low_rank import LowRankFactors
from auctionsim.prompts import build_prompts
from auctionsim.testing import carrier_checks, check_carrier, fake_language_model
from auctionsim.testing.carrier_kit import MODEL_LAWS
from auctionsim.testing.tiny_networks import tiny_network

BRANDS = parse_brands("Nike,Puma")
PROMPTS = build_prompts("running shoes").first(8)
FAMILIES = ("llama", "gpt2", "gemma3_text")
ORDERED = ("displayed-bids", "insertion", "prompt-ad", "segments", "slots")
"""Carriers that put several brands' texts one after the other: the order of brands is part of what they do."""
OF_TEXTS = ("choice", *ORDERED)
"""Carriers that know nothing of the model but what they were fitted on."""

SLICE = ("null_exact", "lockstep", "hooks_gone")


@cache
def model_of(family: str) -> LanguageModel:
    if family == "llama":
        return fake_language_model()
    return fake_language_model(network=tiny_network(family, positions=512))


def neurons(model: LanguageModel, brands: tuple[Brand, ...]) -> Neurons:
    found = fake_neurons(model, "Nike,Puma")
    order = [BRANDS.index(brand) for brand in brands]
    rows = {name: getattr(found, name)[order] for name in ("ranking", "scores", "attributions")}
    return Neurons(replace(found, brands=brands, **rows), num_neurons=16, amplification=3.0)


UNFITTED = {"neurons": neurons}
"""Carriers whose fit takes long or more neurons than tiny models have: made of random numbers instead."""


def turned_vectors(carrier: ResidualVectors) -> ResidualVectors:
    return ResidualVectors(carrier.brands[::-1], carrier.layers[::-1], carrier.vectors.flip(0), carrier.model)


def turned_updates(carrier: LowRankUpdates) -> LowRankUpdates:
    layers, down, up = carrier.factors.layers, carrier.factors.down, carrier.factors.up
    return LowRankUpdates(carrier.brands[::-1], LowRankFactors(layers, down.flip(0), up.flip(0)), carrier.model)


TURNED: dict[str, Callable[[Any], Carrier]] = {"residual-vector": turned_vectors, "low-rank": turned_updates}
"""Carriers whose fit draws numbers, one brand after the other: with brands in the other order it draws others."""


def turned_of(name: str, family: str) -> Carrier | None:
    """The same carrier with its brands in the other order, unless the order is part of what it does."""
    if name in ORDERED:
        return None
    turn = TURNED.get(name)
    return carrier_of(name, family, BRANDS[::-1]) if turn is None else turn(carrier_of(name, family))


def carrier_of(name: str, family: str, brands: tuple[Brand, ...] = BRANDS) -> Carrier:
    return fitted(name, "llama" if name in OF_TEXTS else family, brands)


@cache
def fitted(name: str, family: str, brands: tuple[Brand, ...]) -> Carrier:
    if name in UNFITTED:
        return UNFITTED[name](model_of(family), brands)
    return carrier_entry(name).fit(FittingInputs(model_of(family), brands, "running shoes", PROMPTS))


@pytest.mark.parametrize("name", carrier_names())
def test_what_ships_passes(name: str) -> None:
    carrier, turned = carrier_of(name, "llama"), turned_of(name, "llama")
    check_carrier(carrier, model_of("llama"), turned=turned, examples=1)


@pytest.mark.parametrize("family", FAMILIES[1:])
@pytest.mark.parametrize("name", carrier_names())
def test_what_ships_passes_on_other_families(name: str, family: str) -> None:
    """What an architecture may break; the rest is checked above, and all of it by `make deep`."""
    _check_some(carrier_of(name, family), model_of(family), SLICE, 1)


@pytest.mark.deep
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", carrier_names())
def test_more_cases(name: str, family: str) -> None:
    carrier, turned = carrier_of(name, family), turned_of(name, family)
    check_carrier(carrier, model_of(family), turned=turned, examples=20)


@pytest.mark.parametrize("name", carrier_names())
def test_one_brand_will_do(name: str) -> None:
    single = carrier_of(name, "llama", BRANDS[:1])
    null = torch.tensor([[[lever.null for lever in single.levers]]], dtype=torch.float64)
    assert bool(single.change(null).null.all())
    strongest = single.ladder()[-1:].double().unsqueeze(1)
    assert not bool(single.change(strongest).null.any())


@pytest.mark.model
def test_a_slice_on_smollm2() -> None:
    _on_smollm2("logit-bias", SLICE, 1)


@pytest.mark.model
@pytest.mark.deep
@pytest.mark.parametrize("name", carrier_names())
def test_what_ships_passes_on_smollm2(name: str) -> None:
    _on_smollm2(name, MODEL_LAWS, 3)


def _on_smollm2(name: str, laws: tuple[str, ...], examples: int) -> None:
    """Check a carrier on SmolLM2, in float32: rounding in bfloat16 hides what is looked for."""
    model = load_model("smollm2", "cpu", "float32")
    inputs = FittingInputs(model, BRANDS, "running shoes", build_prompts("running shoes"))
    carrier = UNFITTED[name](model, BRANDS) if name in UNFITTED else carrier_entry(name).fit(inputs)
    _check_some(carrier, model, laws, examples)


def _check_some(carrier: Carrier, model: LanguageModel, laws: tuple[str, ...], examples: int) -> None:
    names = {check.name for check in carrier_checks(carrier, model)}
    check_carrier(carrier, model, skip=names - set(laws), examples=examples)
