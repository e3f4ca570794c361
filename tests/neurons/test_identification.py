"""Planted neurons are found, scores are the formulas, rivals share nothing, equal input gives equal rankings."""

import pytest
import torch
from planted import PER_BRAND, planted_model, planted_neurons

from auctionsim.brands import Brand, parse_brands
from auctionsim.neurons import METHODS, attribution, harm, identify
from auctionsim.neurons.identification import identification_steps
from auctionsim.neurons.neutral_text import HELD_OUT_TEXTS, RANKING_TEXTS
from auctionsim.prompts import STEMS, PromptSet, build_prompts
from auctionsim.substrates.slots import SlotScorer
from auctionsim.testing import fake_language_model

BRANDS = parse_brands("Nike,Puma")
PROMPTS = PromptSet(("request",), (build_prompts("running shoes").everything[:2],))
PLANTED = planted_model()


@pytest.mark.parametrize("method", ["attribution", "contrast"])
def test_planted_neurons_are_found(method: str) -> None:
    """Precision@k = 1. (Per unit of harm they rank low, rightly: they fire on every text.)"""
    found = identify(PLANTED, BRANDS, PROMPTS, method, num_neurons=PER_BRAND)
    assert [sorted(ranks) for ranks in found.ranking.tolist()] == planted_neurons()


def test_planted_neurons_do_what_they_are_sold_for() -> None:
    """Amplifying a brand's found neurons raises its probability and not its rival's; random neurons move neither so."""
    found = identify(PLANTED, BRANDS, PROMPTS, "attribution", num_neurons=PER_BRAND)
    score = SlotScorer(PLANTED, BRANDS, STEMS)
    null, many = [0.0, 1.0], [float(PER_BRAND), 3.0]
    levers = torch.tensor([[null, null], [many, null], [null, many]])
    untouched, nike, puma = score(PROMPTS.everything[0], found.scales(levers)).mean(1)
    assert nike[0] > 1.5 * untouched[0] > 0
    assert puma[1] > 1.5 * untouched[1] > 0
    assert nike[1] <= untouched[1] * 1.05
    assert puma[0] <= untouched[0] * 1.05


def test_scores_are_the_formulas() -> None:
    effects = torch.tensor([[[4.0, -1.0]], [[1.0, 2.0]], [[3.0, 2.0]]])  # (brand, layer, neuron)
    costs = torch.tensor([[0.5, 2.0]])
    contrast = torch.tensor([[[2.0, -3.0]], [[-2.5, 1.5]], [[0.5, 1.5]]])
    assert torch.equal(METHODS["attribution"](effects, costs), effects)
    assert torch.equal(METHODS["contrast"](effects, costs), contrast)
    assert torch.equal(METHODS["contrast"](effects[:1], costs), effects[:1])
    assert torch.equal(METHODS["attribution_per_harm"](effects, costs)[0], torch.tensor([[8.0, -0.5]]))
    expected = torch.tensor([[[4.0, -1.5]], [[-5.0, 0.75]], [[1.0, 0.75]]])
    assert torch.equal(METHODS["selective_per_harm"](effects, costs), expected)


@pytest.mark.parametrize("method", METHODS)
def test_rankings_are_made_of_effects_and_harms(method: str) -> None:
    model = fake_language_model()
    found = identify(model, BRANDS, PROMPTS, method, num_neurons=8, seed=3, stems=STEMS)
    effects = attribution(model, BRANDS, PROMPTS.everything, STEMS)
    torch.testing.assert_close(found.attributions, effects, rtol=1e-3, atol=1e-5)
    generator = torch.Generator().manual_seed(3)
    costs = torch.stack([harm(model, (text,), generator) for text in RANKING_TEXTS]).mean(0)
    scores = METHODS[method](effects, costs).flatten(1)
    torch.testing.assert_close(found.scores, scores.gather(1, found.ranking), rtol=1e-2, atol=1e-4)
    assert found.ranking.flatten().unique().numel() == 16
    assert (found.scores > 0).all()
    assert (found.scores.diff(dim=1) <= 0).all()
    assert found.method == method
    assert found.model == model.identity
    assert found.prompts_digest == PROMPTS.digest
    again = identify(model, BRANDS, PROMPTS, method, num_neurons=8, seed=3, stems=STEMS)
    assert again.digest == found.digest


def test_progress_is_told_as_often_as_announced() -> None:
    ticks: list[None] = []
    identify(fake_language_model(), BRANDS, PROMPTS, num_neurons=2, progress=lambda: ticks.append(None))
    assert len(ticks) == identification_steps(PROMPTS) == 2 + len(RANKING_TEXTS)


def test_one_brand_alone_has_neurons_too() -> None:
    found = identify(fake_language_model(), (Brand("Adidas"),), PROMPTS, num_neurons=5)
    assert found.ranking.shape == (1, 5)


@pytest.mark.parametrize(
    ("brands", "method", "count", "message"),
    [
        ((), "attribution", 4, "at least one brand, got none"),
        (BRANDS, "magic", 4, "method must be one of attribution, contrast, .*, got 'magic'"),
        (BRANDS, "attribution", 0, "num_neurons must be an integer >= 1, got 0"),
        (BRANDS, "attribution", 140, r"brand . has only \d+ free neurons of positive score, 140 needed"),
    ],
)
def test_what_cannot_be_identified_is_refused(brands: tuple[Brand, ...], method: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        identify(fake_language_model(), brands, PROMPTS, method, num_neurons=count)


def test_harm_is_measured_on_other_texts_than_those_it_is_reported_on() -> None:
    assert not set(RANKING_TEXTS) & set(HELD_OUT_TEXTS)
    assert len(set(RANKING_TEXTS)) == len(RANKING_TEXTS)
