"""Angles, overlaps and elasticities are what they say, on a model whose brands' neurons are known."""

import pytest
import torch
from planted import PER_BRAND, planted_model

from auctionsim.brands import parse_brands
from auctionsim.experiments.running.geometry import geometry
from auctionsim.experiments.running.subsets import joint_settings, subsets
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.identification import rank
from auctionsim.neurons.sensitivity import slot_sensitivity
from auctionsim.prompts import PromptSet, build_prompts

BRANDS = parse_brands("Nike,Puma")
STEMS = ("I would recommend", "The best choice is", "Popular brands include", "You might like")
MODEL = planted_model()
PROMPTS = PromptSet(("request",), (build_prompts("running shoes").everything[:2],))
EVIDENCE = Evidence(MODEL, BRANDS, PROMPTS, STEMS, num_neurons=PER_BRAND, amplification=2.0, seed=0)
NEURONS = rank(EVIDENCE, "attribution")
FOUND = geometry(EVIDENCE, "attribution", NEURONS, PER_BRAND)


def test_angles_are_symmetric_and_one_on_the_diagonal() -> None:
    for name in ("attribution_cosine", "activation_cosine", "write_cosine", "jaccard"):
        matrix = getattr(FOUND, name)
        torch.testing.assert_close(matrix, matrix.T)
        torch.testing.assert_close(matrix.diagonal(), torch.ones(2))
        assert matrix.abs().max() <= 1 + 1e-5


def test_planted_brands_share_no_neuron_and_write_their_own_names() -> None:
    """Each planted neuron writes its brand's unembedding direction: the sums point along those directions."""
    assert FOUND.jaccard[0, 1] == 0
    head = MODEL.network.get_output_embeddings().weight  # type: ignore[operator]
    tokens = [MODEL.text_ids(f" {brand.name}")[0] for brand in BRANDS]
    directions = torch.nn.functional.normalize(head[tokens] - head.mean(0), dim=1)
    expected = float(directions[0] @ directions[1])
    assert float(FOUND.write_cosine[0, 1]) == pytest.approx(expected, abs=0.1)


def test_elasticity_is_the_slope_of_log_probability_in_log_amplification() -> None:
    step = 1e-2
    for amplified in range(2):
        levers = torch.tensor([0.0, 1.0]).repeat(2, 2, 1)
        levers[:, amplified] = torch.tensor([[PER_BRAND, 1 + step], [PER_BRAND, 1 / (1 + step)]])
        logs = []
        for row in range(2):
            change = NEURONS.intervention(levers[row : row + 1])
            parts = [slot_sensitivity(MODEL, BRANDS, p, STEMS, change).log_probability for p in EVIDENCE.prompts]
            logs.append(torch.stack(parts).mean(0))
        slope = (logs[0] - logs[1]) / (2 * torch.tensor(1 + step).log())
        torch.testing.assert_close(FOUND.elasticity[amplified], slope, rtol=2e-2, atol=5e-3)
    assert (FOUND.elasticity.diagonal() > FOUND.elasticity.flip(1).diagonal()).all()


def test_every_combination_is_listed_once() -> None:
    assert subsets(3) == [(), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)]
    settings = joint_settings(2, 8, 1.5)
    null, on = [0.0, 1.0], [8.0, 1.5]
    assert settings.tolist() == [[null, null], [on, null], [null, on], [on, on]]


@pytest.mark.parametrize("count", [0, PER_BRAND + 1])
def test_counts_beyond_the_ranking_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=rf"count must lie in \[1, {PER_BRAND}\], got {count}"):
        geometry(EVIDENCE, "attribution", NEURONS, count)
