"""Which neurons are sold as a brand's: gathers evidence, scores by one method, and lets rivals share nothing."""

from collections.abc import Callable

import torch

from auctionsim.brands import Brand
from auctionsim.errors import InputError
from auctionsim.language_models.model import LanguageModel
from auctionsim.neurons.assignment import assign_disjoint, assign_overlapping
from auctionsim.neurons.brand_neurons import BrandNeurons, package_versions
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.methods import DEFAULT_METHOD, METHODS, Method
from auctionsim.prompts import PromptSet


def identify(
    model: LanguageModel,
    brands: tuple[Brand, ...],
    prompts: PromptSet,
    method: str = DEFAULT_METHOD,
    *,
    num_neurons: int = 512,
    amplification: float = 2.0,
    seed: int = 0,
    stems: tuple[str, ...] | None = None,
    overlap: bool = False,
    progress: Callable[[], None] | None = None,
) -> BrandNeurons:
    """Rank each brand's neurons, no neuron for two brands.

    Args:
        model: The language model.
        brands: The bidders; rivals of one another.
        prompts: What replies are begun to; use a split that is not measured on.
        method: One of `METHODS`.
        num_neurons: Neurons a brand.
        amplification: The highest that will be sold, > 1; the path methods look at what happens up to it.
        seed: Of the tokens drawn to estimate harm, and of random scores.
        stems: Beginnings of a reply; None takes those of the prompts, which no other split has.
        overlap: Let rivals have the same neurons: an ablation.
        progress: Called after each of `identification_steps(prompts, method)` steps.
    Returns:
        The rankings, with all that is needed to redo them.
    Raises:
        ValueError: No brand, an unknown method, an amplification that is none, or too few neurons of positive score.
    """
    _method(method)
    evidence = Evidence(
        model,
        brands,
        prompts,
        prompts.stem_texts if stems is None else stems,
        num_neurons=num_neurons,
        amplification=amplification,
        seed=seed,
        progress=progress,
    )
    return rank(evidence, method, overlap=overlap)


def rank(evidence: Evidence, method: str, *, overlap: bool = False) -> BrandNeurons:
    """Rank each brand's neurons by one method; several methods can share the evidence.

    Raises:
        ValueError: An unknown method, or too few neurons of positive score.
    """
    found, count = _method(method), evidence.num_neurons
    slots = evidence.slots
    scores = found.score(evidence).flatten(1)
    ranking = assign_overlapping(scores, count) if overlap else assign_disjoint(scores, count)
    return BrandNeurons(
        brands=evidence.brands,
        ranking=ranking,
        scores=scores.gather(1, ranking),
        attributions=slots.effects,
        method=f"{method}, overlapping" if overlap else method,
        model=evidence.model.identity,
        prompts_digest=evidence.prompt_set.digest,
        versions=package_versions(),
        signs=torch.where(slots.gradients < 0, -1.0, 1.0).flatten(1).gather(1, ranking),
        references=slots.activations.flatten(1).gather(1, ranking),
    )


def identification_steps(prompts: PromptSet, *methods: str) -> int:
    """Return how often gathering the evidence for these methods (none: the default one) reports progress."""
    kinds = {kind for name in methods or (DEFAULT_METHOD,) for kind in _method(name).needs}
    return sum(Evidence.steps(kind, prompts) for kind in {"slots", *kinds})


def _method(name: str) -> Method:
    if name not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)}, got {name!r}")
    return METHODS[name]
