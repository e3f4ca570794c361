"""Which formula scores a brand's neurons: every identification method, its evidence and its source."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from auctionsim.neurons.evidence import Evidence, Scores


@dataclass(frozen=True)
class Method:
    """A way to score every neuron for every brand; only neurons of positive score are ever sold.

    Attributes:
        score: From evidence to scores (brand, layer, neuron).
        needs: The kinds of evidence it gathers; `slots` is always gathered.
        formula: What it computes, in one line.
        source: Where the idea is from, and what differs.
    """

    score: Callable[[Evidence], Scores]
    needs: tuple[str, ...]
    formula: str
    source: str


def _attribution(evidence: Evidence) -> Scores:
    return evidence.effects


def _contrast(evidence: Evidence) -> Scores:
    return contrast(evidence.effects)


def _selective(evidence: Evidence) -> Scores:
    return torch.minimum(evidence.effects, contrast(evidence.effects))


def _integrated_gradients(evidence: Evidence) -> Scores:
    return evidence.integral


def _path(evidence: Evidence) -> Scores:
    return evidence.path


def _path_per_user_harm(evidence: Evidence) -> Scores:
    return evidence.user_path / evidence.user_harm


def _mean_difference(evidence: Evidence) -> Scores:
    names, others = evidence.names, evidence.texts
    if len(evidence.brands) == 1:
        mean, variance, count = others.mean, others.variance, others.positions
    else:
        every = (names.total, names.squares, names.positions.view(-1, 1, 1))
        sums = [own.sum(0, keepdim=True) - own for own in every]
        mean = sums[0] / sums[2]
        variance, count = (sums[1] / sums[2] - mean.square()).clamp_min(0), sums[2].flatten()
    n, m = names.positions.view(-1, 1, 1), count.view(-1, 1, 1)
    pooled = (n * names.variance + m * variance) / (n + m - 2).clamp_min(1)
    return (names.mean - mean) / pooled.clamp_min(torch.finfo(torch.float32).tiny).sqrt()


def _lape(evidence: Evidence) -> Scores:
    rate = torch.cat((evidence.names.rate, evidence.texts.rate))
    share = rate / rate.sum(0, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
    entropy: torch.Tensor = torch.special.entr(share).sum(0)
    return (math.log(len(rate)) - entropy).clamp_min(0) * rate[: len(evidence.brands)]


def _logit_lens(evidence: Evidence) -> Scores:
    model = evidence.model
    head = model.network.get_output_embeddings().weight.detach().float()  # type: ignore[operator]
    directions = torch.stack(
        [
            torch.stack([head[model.continuation_ids(stem, name)[0]] for stem in evidence.stems for name in b.names])
            .mean(0)
            .sub(head.mean(0))
            for b in evidence.brands
        ]
    )
    written = [ffn.write_vectors().float() @ directions.T for ffn in model.feed_forwards]  # (neuron, brand) a layer
    scores: Scores = evidence.slots.activations * torch.stack(written).permute(2, 0, 1).cpu()
    return scores


def _random(evidence: Evidence) -> Scores:
    generator = torch.Generator().manual_seed(evidence.seed)
    return torch.rand(evidence.effects.shape, generator=generator)


def contrast(effects: Scores) -> Scores:
    """Return A_ik − mean over rivals of A_jk; A_ik for a brand alone."""
    rivals = len(effects) - 1
    if rivals == 0:
        return effects
    return effects - (effects.sum(0, keepdim=True) - effects) / rivals


def _per_harm(method: Method) -> Method:
    return Method(
        score=lambda evidence: method.score(evidence) / evidence.harm,
        needs=(*method.needs, "harm"),
        formula=f"({method.formula}) / (F_k + .03 mean F)",
        source=f"{method.source}; divided by the diagonal Fisher information on neutral text: what is bought per unit "
        "of harm to second order",
    )


_FIRST_ORDER = {
    "attribution": Method(
        _attribution,
        (),
        "A_ik = d log P_i / d log s_k",
        "gradient × activation; Dai et al. (2022), Knowledge neurons, without their integral",
    ),
    "contrast": Method(_contrast, (), "A_ik − mean over rivals A_jk", "the same, against the rivals"),
    "selective": Method(
        _selective, (), "min(A_ik, A_ik − mean over rivals A_jk)", "a neuron must help the brand, and more than rivals"
    ),
    "integrated_gradients": Method(
        _integrated_gradients,
        ("integral",),
        "∫_0^1 d log P_i / d s_k dt at all scales s = t",
        "Dai et al. (2022), Knowledge neurons, eq. 2; all neurons are scaled together instead of one at a time",
    ),
    "logit_lens": Method(
        _logit_lens,
        (),
        "mean activation · w_k · (u_i − mean u), w_k written, u_i unembedding of the name's first token",
        "Geva et al. (2022), Transformer feed-forward layers build predictions; the final norm's gain is left out",
    ),
    "path": Method(
        _path,
        ("harm", "path"),
        "d log odds P_i / d s_k, mean along the amplification that is sold",
        "integrated gradients (Sundararajan et al. 2017) from the untouched model to the sold intervention, which is "
        "itself chosen by the score so far",
    ),
}

METHODS: dict[str, Method] = {
    **_FIRST_ORDER,
    "mean_difference": Method(
        _mean_difference,
        ("names", "texts"),
        "Cohen's d of the activation on the brand's name against the rivals' names (a brand alone: neutral text)",
        "contrastive mean difference; Rimsky et al. (2024), Contrastive activation addition, neuron by neuron",
    ),
    "lape": Method(
        _lape,
        ("names", "texts"),
        "(log C − entropy of p_k / Σ p_k) · p_ik, p firing rates on C groups: each brand's name, and neutral text",
        "Tang et al. (2024), Language-specific neurons; a product takes the place of their two thresholds, and the "
        "gated activation's sign that of the gate's",
    ),
    "random": Method(_random, (), "uniform on [0, 1)", "what any ranking must beat"),
    **{f"{name}_per_harm": _per_harm(method) for name, method in _FIRST_ORDER.items()},
    "path_per_user_harm": Method(
        _path_per_user_harm,
        ("harm", "replies", "user_path"),
        "(d log odds P_i / d s_k, mean along the amplification that is sold) / (F_k / mean F + R_k / mean R)",
        "as path_per_harm; R_k is the Fisher information in the untouched model's replies to what users ask",
    ),
}
"""The identification methods, by the names that `identify` takes."""

DEFAULT_METHOD = "path_per_user_harm"
