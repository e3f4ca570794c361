"""A language model in which it is known which neurons write a brand's name."""

import torch

from auctionsim.language_models import LanguageModel
from auctionsim.testing import fake_language_model

BRANDS = ("Nike", "Puma")
PER_BRAND = 4
NUM_NEURONS = 48
OTHERS = 0.1  # how strongly the other neurons write


def planted_model(seed: int = 0) -> LanguageModel:
    """Neurons that fire at every position and write a brand's unembedding direction; the others write weakly."""
    model = fake_language_model(seed, num_neurons=NUM_NEURONS)
    head = model.network.get_output_embeddings().weight  # type: ignore[operator]
    for ffn in model.feed_forwards:
        ffn.down_projection.weight.data *= OTHERS  # type: ignore[operator]
    for brand, neurons in enumerate(planted_neurons()):
        (token,) = model.text_ids(f" {BRANDS[brand]}")
        direction = head[token] - head.mean(0)
        direction = direction / direction.norm()
        direction[0] = 0.0  # the residual's constant direction stays what it is
        for flat in neurons:
            layer, neuron = divmod(flat, NUM_NEURONS)
            feed_forward = model.network.get_submodule(f"model.layers.{layer}.mlp")
            for name in ("gate_proj", "up_proj"):
                weight = feed_forward.get_parameter(f"{name}.weight")
                weight.data[neuron] = 0.0
                weight.data[neuron, 0] = 1.5  # fires with the constant direction
            feed_forward.get_parameter("down_proj.weight").data[:, neuron] = 0.3 * direction
    return model


def planted_neurons() -> list[list[int]]:
    """Return each brand's planted neurons as layer · neurons a layer + index, over all three layers."""
    generator = torch.Generator().manual_seed(7)
    places = torch.randperm(3 * NUM_NEURONS, generator=generator)[: len(BRANDS) * PER_BRAND]
    return [sorted(some) for some in places.view(len(BRANDS), PER_BRAND).tolist()]
