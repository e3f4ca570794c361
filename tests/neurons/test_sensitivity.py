"""Effects and harms are derivatives with respect to log amplification: against finite differences and exact sums."""

import pytest
import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models import LanguageModel, divergence, read_neurons, scale_neurons
from auctionsim.language_models.change import untouched
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.prefixes import prefill
from auctionsim.neurons import attribution, harm
from auctionsim.neurons.harm import reply_harm
from auctionsim.testing import fake_language_model

MODEL = fake_language_model(dtype=torch.float64)
STEMS = ("I would recommend", "The best choice is")
PROMPTS = ("Which running shoes would you choose?", "Name a few good shoes.")


def slot_log_probability(model: LanguageModel, brand: Brand, prompt: str, stem: str, scales: Tensor) -> float:
    """log Σ_names P(name | prompt, stem) by full passes."""
    ids = model.chat_ids(prompt)
    total = 0.0
    for name in brand.names:
        stem_ids, name_ids = model.text_ids(stem), model.text_ids(f" {name}")
        sequence = torch.tensor([[*ids, *stem_ids, *name_ids]])
        with scale_neurons(model, scales, first_position=len(ids) - 1):
            log_p = torch.log_softmax(model.network(sequence).logits[0], -1)
        start = len(ids) + len(stem_ids)
        positions = range(start, start + len(name_ids))
        total += float(sum(log_p[at - 1, token] for at, token in zip(positions, name_ids, strict=True)).exp())
    return float(torch.tensor(total, dtype=torch.float64).log())


def test_attribution_is_the_finite_difference_of_log_scale() -> None:
    brands = (Brand("Nike"), Brand("Adidas", ("Puma",)))
    found = attribution(MODEL, brands, PROMPTS, STEMS)
    assert found.shape == (2, MODEL.num_layers, MODEL.num_neurons)
    step = 0.02
    for layer, neuron in ((0, 3), (0, 40), (1, 7), (1, 21), (2, 0), (2, 47)):
        for index, brand in enumerate(brands):
            ends = []
            for sign in (1, -1):
                scales = torch.ones(1, MODEL.num_layers, MODEL.num_neurons, dtype=torch.float64)
                scales[0, layer, neuron] = torch.tensor(sign * step).exp()
                values = [slot_log_probability(MODEL, brand, p, s, scales) for p in PROMPTS for s in STEMS]
                ends.append(sum(values) / len(values))
            slope = (ends[0] - ends[1]) / (2 * step)
            assert found[index, layer, neuron].item() == pytest.approx(slope, rel=0.01, abs=2e-4)


def test_attributions_of_prompts_and_brands_are_independent() -> None:
    model = fake_language_model()
    brands = (Brand("Nike"), Brand("Adidas", ("Puma",)), Brand("wear"))
    together = attribution(model, brands, PROMPTS, STEMS)
    apart = torch.stack([attribution(model, brands, (p,), (s,)) for p in PROMPTS for s in STEMS]).mean(0)
    torch.testing.assert_close(together, apart, rtol=1e-3, atol=1e-5)
    for index, brand in enumerate(brands):
        torch.testing.assert_close(
            together[index], attribution(model, (brand,), PROMPTS, STEMS)[0], rtol=1e-3, atol=1e-5
        )


def exact_harm(model: LanguageModel, ids: Tensor) -> Tensor:
    """F_k = mean_s Σ_t E_y[(a_s · d log p_t(y) / d a_s)²], every next token summed over."""
    total = torch.zeros(model.num_layers, model.num_neurons)
    with torch.enable_grad(), read_neurons(model, gradients=True) as activations:
        log_p = torch.log_softmax(model.network(ids).logits[0].float(), -1)
        probability = log_p.detach().exp()
        for t in range(ids.shape[1]):
            for token in range(model.vocabulary_size):
                if probability[t, token] < 1e-6:
                    continue
                gradients = torch.autograd.grad(log_p[t, token], list(activations.values()), retain_graph=True)
                for layer, (a, g) in enumerate(zip(activations.values(), gradients, strict=True)):
                    total[layer] += probability[t, token] * (a.detach() * g)[0].square().sum(0) / ids.shape[1]
    return total


def test_harm_is_the_exact_fisher_information_on_average(generator: torch.Generator) -> None:
    """Sampled labels against the sum over all labels, within the sampling error of 400 draws."""
    model = fake_language_model(num_layers=1, num_neurons=6)
    exact = exact_harm(model, torch.tensor([[model.tokenizer.bos_token_id, *model.text_ids("shoe")]]))
    draws = torch.stack([harm(model, ("shoe",), generator, samples=1) for _ in range(400)])
    error = draws.std(0) / len(draws) ** 0.5
    assert ((draws.mean(0) - exact).abs() <= 4.5 * error).all()
    assert (exact > 0).all()


def test_harm_predicts_the_divergence_of_one_position() -> None:
    """A text of one token has no terms between positions: KL(untouched ‖ scaled) = ½ F (log s)² + O(log s)³."""
    model = fake_language_model(num_layers=1, num_neurons=6)
    ids = torch.tensor([model.text_ids("s")])
    assert ids.shape == (1, 1)
    fisher = exact_harm(model, ids)
    untouched = model.network(ids).logits.double()
    for neuron in range(6):
        scales = torch.ones(1, 1, 6)
        scales[0, 0, neuron] = torch.tensor(0.05).exp()
        with scale_neurons(model, scales):
            moved = model.network(ids).logits.double()
        p, q = torch.log_softmax(untouched, -1), torch.log_softmax(moved, -1)
        kl = (p.exp() * (p - q)).sum().item()
        assert kl == pytest.approx(0.5 * fisher[0, neuron].item() * 0.05**2, rel=0.1)
        assert divergence(untouched, moved).item() == pytest.approx(kl, abs=1e-5)


def test_harm_is_deterministic_and_averages_texts() -> None:
    model = fake_language_model()

    def seeded() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    texts = ("The river rises in the hills.", "Bees dance.")
    assert torch.equal(harm(model, texts, seeded()), harm(model, texts, seeded()))
    one = seeded()
    apart = (harm(model, texts[:1], one) + harm(model, texts[1:], one)) / 2
    torch.testing.assert_close(harm(model, texts, seeded()), apart)


def test_reply_harm_is_the_fisher_information_at_the_positions_of_the_reply() -> None:
    """By a pass over the whole sequence, with the same reply and the same next tokens drawn."""
    model, tokens = fake_language_model(end_gain=2.5), 5
    ids = model.chat_ids(PROMPTS[0])
    generator = torch.Generator().manual_seed(11)
    found = reply_harm(model, PROMPTS[0], generator, replies=1, tokens=tokens)
    again = torch.Generator().manual_seed(11)
    uniforms = torch.rand(1, tokens, generator=again)
    said = sample_replies(model, prefill(model, ids, tokens), untouched(model), uniforms)
    whole = torch.tensor([[*ids, *said.tokens[0, :-1].tolist()]])
    length, start = int(said.lengths[0]), len(ids) - 1
    with torch.enable_grad(), read_neurons(model, gradients=True) as read:
        log_p = torch.log_softmax(model.network(whole).logits[0, start:].float(), -1)
        drawn = torch.multinomial(log_p.detach().exp(), 1, generator=again)
        gradients = torch.autograd.grad(log_p.gather(1, drawn)[:length].sum(), list(read.values()))
    for layer, (a, g) in enumerate(zip(read.values(), gradients, strict=True)):
        product = (a.detach() * g)[0, start : start + length]
        torch.testing.assert_close(found[layer], product.square().mean(0), rtol=1e-3, atol=1e-7)
