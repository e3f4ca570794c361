"""Token mixtures as carriers: what a weight does, which weights there are, and the companions that speak."""

from functools import cache

import pytest
import torch

from auctionsim import carriers
from auctionsim.brands import parse_brands
from auctionsim.carriers.ad_wordings import prompt_ad, wordings
from auctionsim.carriers.companions import CompanionCarrier
from auctionsim.carriers.log_linear_mixture import LogLinearTokenMixture
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.carriers.wording_strength import name_strengths
from auctionsim.language_models.framing import Framing
from auctionsim.prompts import build_prompts
from auctionsim.testing import fake_language_model

BRANDS = parse_brands("Nike,Adidas,Puma")
KINDS = (TokenMixture, LogLinearTokenMixture)


@cache
def fitted(kind: type[CompanionCarrier]) -> CompanionCarrier:
    inputs = carriers.FittingInputs(fake_language_model(), BRANDS, "running shoes", build_prompts("running shoes"))
    made = carriers.carrier_entry(kind.name).fit(inputs)
    assert isinstance(made, kind)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_each_brand_has_a_companion_that_names_it_alone(kind: type[CompanionCarrier]) -> None:
    companions = fitted(kind).companions
    for brand, framing in zip(BRANDS, companions, strict=True):
        assert [other.name for other in BRANDS if other.spans(framing.system)] == [brand.name]
    assert len({framing.system.replace(brand.name, "") for brand, framing in zip(BRANDS, companions, strict=True)}) == 1
    wording = companions[0].system.replace("Nike", "{brand}").replace("running shoes", "{category}")
    assert wording in wordings("prompt")
    change = fitted(kind).change(torch.tensor([[[0.2], [0.0], [0.1]]]))
    assert change.companions == companions


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_shares(kind: type[CompanionCarrier]) -> None:
    carrier = fitted(kind)
    weights = torch.tensor([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [0.5, 0.5, 0.1], [0.0, 0.0, 0.0], [-0.1, 0.0, 0.0]])
    assert carrier.feasible(weights[:, :, None]).tolist() == [True, True, False, True, False]
    assert carrier.change(weights[[1, 3], :, None]).null.tolist() == [False, True]
    assert carrier.feasible(torch.full((1, 3, 1), 1 / 3)).all()
    message = rf"{kind.name} takes weight in \[0, 1\] a bidder, got .* in row 2: weights sum to at most 1"
    with pytest.raises(ValueError, match=message):
        carrier.change(weights[:, :, None])


@pytest.mark.parametrize("kind", KINDS)
def test_a_weight_of_one_is_the_companions_law(kind: type[CompanionCarrier]) -> None:
    """And weights that are all 0 the model's own; in between both move the law."""
    law = fitted(kind).change(torch.tensor([[[0.0], [1.0], [0.0]], [[0.0]] * 3, [[0.3], [0.3], [0.0]]])).at
    assert law is not None
    generator = torch.Generator().manual_seed(0)
    own, others = torch.randn(3, 4, 9, generator=generator), torch.randn(3, 3, 4, 9, generator=generator)
    found = (law.logits(own, others, 0.7, None) / 0.7).softmax(2)
    torch.testing.assert_close(found[0], (others[1, 0] / 0.7).softmax(1))
    torch.testing.assert_close(found[1], (own[1] / 0.7).softmax(1))
    assert all(float((found[2] - (one / 0.7).softmax(1)).abs().max()) > 0.01 for one in (own[2], *others[:2, 2]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_same_carrier(kind: type[CompanionCarrier], tmp_path: pytest.TempPathFactory) -> None:
    carrier, path = fitted(kind), f"{tmp_path}/carrier.safetensors"
    carriers.save_carrier(path, carrier)
    again = carriers.load_carrier(path)
    assert isinstance(again, kind)
    assert again.companions == carrier.companions
    assert (again.digest, again.rule_of_choice) == (carrier.digest, carrier.rule_of_choice)


def test_companions_have_the_wording_that_makes_names_likeliest() -> None:
    """By the rule that orders prompt ads, summed over brands here as well."""
    model, prompts = fake_language_model(), build_prompts("running shoes")
    inputs = carriers.FittingInputs(model, BRANDS, "running shoes", prompts)
    texts = wordings("prompt")
    ads = [[prompt_ad(brand, "running shoes", text) for text in texts] for brand in BRANDS]
    strengths = name_strengths(inputs, ads).sum(1).tolist()
    assert fitted(TokenMixture).companions[0] == ads[0][strengths.index(max(strengths))]
    assert max(strengths) > min(strengths)


def test_a_companion_names_its_brand() -> None:
    others = (Framing(system="Recommend Nike."), Framing(before="Adidas is on sale. "))
    with pytest.raises(ValueError, match="a brand's companion must name it: Puma is not in 'Recommend nobody"):
        TokenMixture(BRANDS, (*others, Framing(system="Recommend nobody.")))
    with pytest.raises(ValueError, match="each of 3 brands needs a companion, got 2"):
        TokenMixture(BRANDS, others)
