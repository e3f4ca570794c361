"""Planted neurons are found, scores are the formulas, rivals share nothing, equal input gives equal rankings."""

import math
from typing import Any

import pytest
import torch
from planted import PER_BRAND, planted_model, planted_neurons
from torch import Tensor

from auctionsim.brands import Brand, parse_brands
from auctionsim.language_models import LanguageModel, read_neurons
from auctionsim.language_models.intervention import Intervention
from auctionsim.neurons import METHODS, attribution, harm, identify
from auctionsim.neurons.evidence import HARM_FLOOR, PATH_POINTS, Evidence
from auctionsim.neurons.harm import reply_harm
from auctionsim.neurons.identification import identification_steps, rank
from auctionsim.neurons.methods import contrast
from auctionsim.neurons.sensitivity import slot_sensitivity
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.readings.neutral_text import HELD_OUT_TEXTS, RANKING_TEXTS, VALIDATION_TEXTS
from auctionsim.readings.slots import SlotScorer
from auctionsim.testing import fake_language_model

BRANDS = parse_brands("Nike,Puma")
STEMS = ("I would recommend", "The best choice is", "Popular brands include", "You might like")
PROMPTS = PromptSet(("request",), (build_prompts("running shoes").everything[:2],))
PLANTED = planted_model()


@pytest.mark.parametrize(
    "method", ["attribution", "contrast", "selective", "integrated_gradients", "logit_lens", "path"]
)
def test_planted_neurons_are_found(method: str) -> None:
    """Precision@k = 1. Firing rates cannot tell them (they fire at every token); per unit of harm they rank low."""
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


def test_contrast_is_against_the_mean_rival() -> None:
    effects = torch.tensor([[[4.0, -1.0]], [[1.0, 2.0]], [[3.0, 2.0]]])  # (brand, layer, neuron)
    assert torch.equal(contrast(effects), torch.tensor([[[2.0, -3.0]], [[-2.5, 1.5]], [[0.5, 1.5]]]))
    assert torch.equal(contrast(effects[:1]), effects[:1])


def evidence(model: LanguageModel, brands: tuple[Brand, ...] = BRANDS, **settings: Any) -> Evidence:
    return Evidence(model, brands, PROMPTS, STEMS, **{"num_neurons": 8, "amplification": 2.0, "seed": 3} | settings)


def test_effects_and_harms_are_means_over_prompts_and_texts() -> None:
    model = fake_language_model()
    found = evidence(model)
    torch.testing.assert_close(
        found.effects, attribution(model, BRANDS, PROMPTS.everything, STEMS), rtol=1e-3, atol=1e-5
    )
    generator = torch.Generator().manual_seed(3)
    fisher = torch.stack([harm(model, (text,), generator) for text in RANKING_TEXTS]).mean(0)
    torch.testing.assert_close(found.harm, fisher + HARM_FLOOR * fisher.mean(), rtol=1e-2, atol=1e-6)


def test_user_harm_weighs_neutral_text_and_replies_alike() -> None:
    model = fake_language_model()
    found = evidence(model)
    generator = torch.Generator().manual_seed(3)
    fisher = torch.stack([reply_harm(model, prompt, generator) for prompt in found.prompts]).mean(0)
    in_replies = fisher + HARM_FLOOR * fisher.mean()
    torch.testing.assert_close(found.user_harm, found.harm / found.harm.mean() + in_replies / in_replies.mean())
    assert found.user_harm.mean().item() == pytest.approx(2.0)
    assert torch.equal(METHODS["path_per_user_harm"].score(found), found.user_path / found.user_harm)


def test_harm_aware_scores_divide_by_harm() -> None:
    found = evidence(fake_language_model())
    for name in ("attribution", "contrast", "selective", "integrated_gradients", "logit_lens", "path"):
        assert torch.equal(METHODS[f"{name}_per_harm"].score(found), METHODS[name].score(found) / found.harm)
    assert torch.equal(
        METHODS["selective"].score(found),
        torch.minimum(METHODS["attribution"].score(found), METHODS["contrast"].score(found)),
    )


def test_integrated_gradients_add_up_to_the_change_in_log_probability() -> None:
    """Completeness: Σ_k ∫ ∂f/∂s_k = f(1) − f(0), up to the midpoint rule; Sundararajan et al. (2017), prop. 1."""
    model = fake_language_model(dtype=torch.float64)
    found = evidence(model)

    def log_p(level: float) -> Tensor:
        change = Intervention(torch.full((1, model.num_layers, model.num_neurons), level))
        parts = [slot_sensitivity(model, BRANDS, p, STEMS, change).log_probability for p in PROMPTS.everything]
        return torch.stack(parts).mean(0)

    torch.testing.assert_close(found.integral.sum((1, 2)), (log_p(1.0) - log_p(0.0)).float(), rtol=0.1, atol=0.1)


def test_the_path_begins_at_the_null_and_amplifies_what_it_found() -> None:
    """With an amplification next to none every point is the null: the mean of log P and log odds effects."""
    model = fake_language_model(dtype=torch.float64)
    still = evidence(model, amplification=1 + 1e-9)
    odds = [
        slot_sensitivity(model, BRANDS, still.prompts[k % 2], STEMS, log_odds=True).effects for k in range(PATH_POINTS)
    ]
    torch.testing.assert_close(still.path, torch.stack([still.effects, *odds]).mean(0), rtol=1e-4, atol=1e-6)
    moved = evidence(model, amplification=3.0)
    assert not torch.allclose(moved.path, still.path, rtol=0.05)


def test_the_path_buys_more_than_first_order_effects() -> None:
    """On a random model, too, integrating along the path finds sets that raise the name more."""
    model = fake_language_model(5)
    found = evidence(model, num_neurons=16, amplification=3.0)
    score = SlotScorer(model, BRANDS, STEMS)
    gained = []
    for method in ("attribution", "path"):
        ranking = rank(found, method)
        change = ranking.intervention(torch.tensor([[[16.0, 3.0], [0.0, 1.0]], [[0.0, 1.0], [16.0, 3.0]]]))
        after = torch.stack([score(p, change).mean(1) for p in PROMPTS.everything]).mean(0).diagonal()
        gained.append(float(after.log().sum()))
    assert gained[1] > gained[0]


@pytest.mark.parametrize("brands", [BRANDS, BRANDS[:1]])
def test_mean_difference_is_cohens_d(brands: tuple[Brand, ...]) -> None:
    model = fake_language_model()
    found = evidence(model, brands)
    own = _activations_of_names(model, brands[0])
    if len(brands) == 2:
        other = _activations_of_names(model, brands[1])
    else:
        other = torch.cat([_activations(model, model.text_ids(text)) for text in RANKING_TEXTS])
    pooled = (own.var(0) * (len(own) - 1) + other.var(0) * (len(other) - 1)) / (len(own) + len(other) - 2)
    expected = (own.mean(0) - other.mean(0)) / pooled.sqrt()
    torch.testing.assert_close(METHODS["mean_difference"].score(found)[0], expected, rtol=2e-2, atol=2e-3)


def test_lape_is_low_entropy_of_firing_rates() -> None:
    model = fake_language_model()
    found = METHODS["lape"].score(evidence(model))
    groups = [_activations_of_names(model, brand) for brand in BRANDS]
    groups.append(torch.cat([_activations(model, model.text_ids(text)) for text in RANKING_TEXTS]))
    rate = torch.stack([(group > 0).float().mean(0) for group in groups])
    share = rate / rate.sum(0)
    surprise = -(share * share.clamp_min(1e-30).log()).sum(0)
    torch.testing.assert_close(found[1], (math.log(3) - surprise) * rate[1], rtol=1e-2, atol=1e-3)


def test_logit_lens_is_what_a_neuron_writes_towards_the_name() -> None:
    model = fake_language_model()
    found = evidence(model)
    head = model.network.get_output_embeddings().weight
    (token,) = model.text_ids(" Nike")
    direction = head[token] - head.mean(0)
    for ffn in model.feed_forwards:
        expected = found.slots.activations[0, ffn.layer] * (ffn.write_vectors() @ direction)
        torch.testing.assert_close(METHODS["logit_lens"].score(found)[0, ffn.layer], expected, rtol=1e-3, atol=1e-5)


def _activations(model: LanguageModel, ids: list[int]) -> Tensor:
    with torch.inference_mode(), read_neurons(model) as read:
        model.network(torch.tensor([ids]))
    return torch.stack([activation[0] for activation in read.values()], dim=1)  # (position, layer, neuron)


def _activations_of_names(model: LanguageModel, brand: Brand) -> Tensor:
    parts = []
    for prompt in PROMPTS.everything:
        for stem in STEMS:
            name = model.continuation_ids(stem, brand.name)
            parts.append(_activations(model, [*model.chat_ids(prompt), *model.text_ids(stem), *name])[-len(name) :])
    return torch.cat(parts)


@pytest.mark.parametrize("method", METHODS)
def test_rankings_hold_the_best_scores_and_all_that_is_needed_to_redo_them(method: str) -> None:
    model = fake_language_model()
    found = identify(model, BRANDS, PROMPTS, method, num_neurons=8, seed=3, stems=STEMS)
    gathered = evidence(model)
    scores = METHODS[method].score(gathered).flatten(1)
    torch.testing.assert_close(found.scores, scores.gather(1, found.ranking), rtol=1e-2, atol=1e-4)
    assert found.ranking.flatten().unique().numel() == 16
    assert (found.scores > 0).all()
    assert (found.scores.diff(dim=1) <= 0).all()
    assert (found.method, found.model, found.prompts_digest) == (method, model.identity, PROMPTS.digest)
    assert torch.equal(found.references, gathered.slots.activations.flatten(1).gather(1, found.ranking))
    promoting = gathered.slots.gradients.flatten(1).gather(1, found.ranking)
    assert torch.equal(found.signs, torch.where(promoting < 0, -1.0, 1.0))
    again = identify(model, BRANDS, PROMPTS, method, num_neurons=8, seed=3, stems=STEMS)
    assert again.digest == found.digest


def test_overlapping_sets_are_each_brands_own_best() -> None:
    model = fake_language_model()
    found = identify(model, BRANDS, PROMPTS, "attribution", num_neurons=40, stems=STEMS, overlap=True)
    effects = attribution(model, BRANDS, PROMPTS.everything, STEMS).flatten(1)
    for brand in range(2):
        assert set(found.ranking[brand].tolist()) == set(effects[brand].topk(40).indices.tolist())
    assert found.overlap(40)[0, 1] > 0
    assert found.method == "attribution, overlapping"


@pytest.mark.parametrize("method", METHODS)
def test_progress_is_told_as_often_as_announced(method: str) -> None:
    ticks: list[None] = []
    identify(fake_language_model(), BRANDS, PROMPTS, method, num_neurons=2, progress=lambda: ticks.append(None))
    assert len(ticks) == identification_steps(PROMPTS, method)


def test_the_default_method_looks_along_the_path() -> None:
    assert identification_steps(PROMPTS) == 2 + len(RANKING_TEXTS) + 2 + PATH_POINTS


def test_one_brand_alone_has_neurons_too() -> None:
    found = identify(fake_language_model(), (Brand("Adidas"),), PROMPTS, num_neurons=5)
    assert found.ranking.shape == (1, 5)


@pytest.mark.parametrize(
    ("brands", "method", "count", "message"),
    [
        ((), "attribution", 4, "at least one brand, got none"),
        (BRANDS, "path", 0, "num_neurons must be an integer >= 1, got 0"),
        (BRANDS, "magic", 4, "method must be one of attribution, contrast, .*, got 'magic'"),
        (BRANDS, "attribution", 0, "num_neurons must be an integer >= 1, got 0"),
        (BRANDS, "attribution", 140, r"brand . has only \d+ free neurons of positive score, 140 needed"),
    ],
)
def test_what_cannot_be_identified_is_refused(brands: tuple[Brand, ...], method: str, count: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        identify(fake_language_model(), brands, PROMPTS, method, num_neurons=count)


def test_harm_is_measured_on_other_texts_than_those_it_is_reported_on() -> None:
    every = (*RANKING_TEXTS, *VALIDATION_TEXTS, *HELD_OUT_TEXTS)
    assert len(set(every)) == len(every)
