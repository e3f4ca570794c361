"""Which neurons carry a brand: methods that score every neuron, and the ranking that is auctioned."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.checks import checked_count
from auctionsim.language_models.loading import LanguageModel
from auctionsim.neurons.assignment import assign_disjoint
from auctionsim.neurons.brand_neurons import BrandNeurons, package_versions
from auctionsim.neurons.neutral_text import RANKING_TEXTS
from auctionsim.neurons.sensitivity import attribution, harm
from auctionsim.prompts import NAMING_STEMS, PromptSet

DEFAULT_METHOD = "selective_per_harm"

Scores = Float[Tensor, "brand layer neuron"]


def by_attribution(effects: Scores, costs: Float[Tensor, "layer neuron"]) -> Scores:
    """Score A_ik: first-order effect on the brand's own name, whatever else it does."""
    del costs
    return effects


def by_contrast(effects: Scores, costs: Float[Tensor, "layer neuron"]) -> Scores:
    """Score A_ik − mean over rivals of A_jk; A_ik for a brand alone."""
    del costs
    return _contrast(effects)


def by_attribution_per_harm(effects: Scores, costs: Float[Tensor, "layer neuron"]) -> Scores:
    """Score A_ik / F_k: effect per unit of Fisher information on neutral text."""
    return effects / costs


def by_selectivity_per_harm(effects: Scores, costs: Float[Tensor, "layer neuron"]) -> Scores:
    """Score min(A_ik, A_ik − mean rival A_jk) / F_k: a neuron must help the brand, and help it more than its rivals."""
    return torch.minimum(effects, _contrast(effects)) / costs


METHODS: dict[str, Callable[[Scores, Float[Tensor, "layer neuron"]], Scores]] = {
    "attribution": by_attribution,
    "contrast": by_contrast,
    "attribution_per_harm": by_attribution_per_harm,
    "selective_per_harm": by_selectivity_per_harm,
}


def identify(
    model: LanguageModel,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    method: str = DEFAULT_METHOD,
    *,
    num_neurons: int = 512,
    seed: int = 0,
    stems: tuple[str, ...] = NAMING_STEMS,
    progress: Callable[[], None] | None = None,
) -> BrandNeurons:
    """Rank each brand's neurons, no neuron for two brands.

    Args:
        model: The language model.
        brands: The bidders; rivals of one another.
        prompts: What replies are begun to; use a split that is not measured on.
        method: One of `METHODS`.
        num_neurons: Neurons a brand.
        seed: Of the tokens drawn to estimate harm.
        stems: Beginnings of a reply that call for a name.
        progress: Called after each of `identification_steps(prompts)` steps.
    Returns:
        The rankings, with all that is needed to redo them.
    Raises:
        ValueError: No brand, an unknown method, or too few neurons of positive score.
    """
    if not brands:
        raise ValueError("identify needs at least one brand, got none")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    checked_count(num_neurons, "num_neurons")
    generator = torch.Generator().manual_seed(seed)
    tick = progress or (lambda: None)
    effects = torch.zeros(len(brands), model.num_layers, model.num_neurons)
    for prompt in prompts.everything:
        effects += attribution(model, brands, (prompt,), stems) / len(prompts.everything)
        tick()
    costs = torch.zeros(model.num_layers, model.num_neurons)
    for text in RANKING_TEXTS:
        costs += harm(model, (text,), generator) / len(RANKING_TEXTS)
        tick()
    costs = costs.clamp_min(torch.finfo(torch.float32).tiny)  # a neuron that never fires costs nothing and does nothing
    scores = METHODS[method](effects, costs).flatten(1)
    ranking = assign_disjoint(scores, num_neurons)
    return BrandNeurons(
        brands=brands,
        ranking=ranking,
        scores=scores.gather(1, ranking),
        attributions=effects,
        method=method,
        model=model.identity,
        prompts_digest=prompts.digest,
        versions=package_versions(),
    )


def identification_steps(prompts: PromptSet) -> int:
    """Return how often `identify` reports progress."""
    return len(prompts.everything) + len(RANKING_TEXTS)


def _contrast(effects: Scores) -> Scores:
    rivals = len(effects) - 1
    if rivals == 0:
        return effects
    return effects - (effects.sum(0, keepdim=True) - effects) / rivals
