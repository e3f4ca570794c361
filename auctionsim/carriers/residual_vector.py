"""Contrastive activation addition: a vector a brand that is added to the residual stream, as strong as its lever says.

Of each reply that the untouched model gives to a prompt of split A there are two versions: with the brand's name at the
place where it is likeliest, and as it was. The vector is the mean difference of the residual stream at that place, on
the name's last token against the reply's own token, behind one layer.
"""

from collections.abc import Sequence
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.own_replies import (
    NamedReplies,
    NamingEffect,
    effect_of_law,
    effect_on,
    factor_at_cost,
    law_of,
    named_replies,
    own_replies,
)
from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.checks import checked_tensor
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.residual_shift import ResidualShift, read_residuals, residual_width
from auctionsim.levers import Lever
from auctionsim.storage import Stored

STRONGEST = 3.0
"""The lever's highest value: some nine nats a reply."""
DEPTHS = (0.3, 0.45, 0.6, 0.75)
"""Of the layers that are tried, as shares of all."""
RULE = (
    "mean difference of the residual stream between a brand's name and the own token at the likeliest place of own "
    "replies to the prompts of split A; behind the layer with the most naming per square root of KL; strength 1 costs "
    "a KL of 1 a reply of 48 tokens there"
)
_FIRST_SHARE = 0.1  # of the stream's mean length, the first length that is tried
_LEAST_COST = 1e-6  # what rounding may make of a cost of 0


class ResidualVectors(Carrier):
    """A vector a brand, added behind one layer of its own from the prompt's last token on; one lever, strength.

    Strength 1 costs about one nat a reply of 48 tokens: the KL at temperature .7 of the changed law from the untouched
    one, on own replies to the prompts that it was fitted on, the brand's name in all of them.

    Args:
        brands: The bidders.
        layers: (brand,) behind which layer each vector is added, 0 at the embedding.
        vectors: (brand, width) what strength 1 adds, in units of the residual stream.
        model: Name and fingerprint of the model that they were fitted on.
        rule: How it was fitted, in words.
    Raises:
        ValueError: Not as many layers or vectors as brands, or a vector that is 0 or not finite.
    Source:
        Rimsky et al. (2024), "Steering Llama 2 via contrastive activation addition", equation 1. They contrast the
        letters of two answers; here names stand against other words in free text, and the layer and the length follow
        from a rule.
    """

    name = "residual-vector"

    def __init__(
        self,
        brands: tuple[Brand, ...],
        layers: tuple[int, ...],
        vectors: Float[Tensor, "brand width"],
        model: str,
        *,
        rule: str = RULE,
    ) -> None:
        checked_tensor(vectors, "residual vectors")
        if vectors.ndim != 2:
            raise InputError(f"residual vectors must be (brand, hidden), got the shape {tuple(vectors.shape)}")
        if not brands or not len(brands) == len(layers) == len(vectors):
            raise InputError(
                f"residual vectors need a layer and a vector a brand, got {len(brands)} brands, {len(layers)} layers "
                f"and {len(vectors)} vectors"
            )
        self.brands, self.layers, self.model, self.fitted_by = brands, layers, model, rule
        self.vectors = vectors.detach().float().cpu().clone()
        together = STRONGEST * self.vectors.abs().sum(0)  # several may stand behind one layer
        if not bool((self.vectors != 0).any(1).all() & together.isfinite().all()):
            raise InputError(f"residual vectors must be finite at strength {STRONGEST:g} in float32, and not 0")
        self.levers = (Lever("strength", 0.0, STRONGEST, 0.0),)

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the vectors, each times its bidder's strength; those behind one layer add up."""
        del context
        strength = self.checked(allocation)[:, :, 0].float().cpu()
        layers = tuple(sorted(set(self.layers)))
        shift = torch.zeros(len(strength), len(layers), self.vectors.shape[1])
        for bidder, layer in enumerate(self.layers):
            shift[:, layers.index(layer)] += strength[:, bidder, None] * self.vectors[bidder]
        return Change(len(strength), inside=ResidualShift(layers, shift))

    def check_model(self, model: LanguageModel) -> None:
        """Refuse a model that the vectors were not fitted on."""
        check_fitted_on(self.model, model, "residual vectors")
        check_place(model, self.layers, self.vectors.shape[1])

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return strengths that cost from about .3 to 6 nats a reply where they were fitted."""
        return torch.tensor([[0.5], [0.75], [1.0], [1.4], [1.9], [2.4]])

    def stored(self) -> Stored:
        """Return the vectors, their layers, and the rule."""
        record = {"layers": list(self.layers), "model": self.model, "rule": self.fitted_by}
        return Stored(record, {"vectors": self.vectors.clone()})


def check_fitted_on(fitted: str, model: LanguageModel, what: str) -> None:
    """Refuse a model with another fingerprint than the one that something was fitted on.

    Raises:
        ValueError: It has; names both.
    """
    if fitted.rpartition(":")[2] != model.identity.rpartition(":")[2]:
        raise InputError(f"the {what} were fitted on {fitted}, not on {model.identity}")


def check_place(model: LanguageModel, layers: Sequence[int], width: int) -> None:
    """Refuse layers that a model lacks, or another width than that of its residual stream.

    Raises:
        ValueError: They are so; names both.
    """
    if max(layers) >= model.num_layers or width != residual_width(model):
        raise InputError(
            f"layers {tuple(layers)} of width {width} are none of {model.name}, which has {model.num_layers} layers of "
            f"width {residual_width(model)}"
        )


class _Contrast(NamedTuple):
    """One layer's candidate for a brand.

    Attributes:
        layer: Behind which it is added.
        vector: (width,) in units of the residual stream.
        worth: Gain of naming per square root of the cost: naming grows with a short vector's length, KL with its
            square.
    """

    layer: int
    vector: Float[Tensor, " width"]
    worth: float


def _fitted(inputs: FittingInputs) -> ResidualVectors:
    model = inputs.model.in_float32
    generator = torch.Generator().manual_seed(inputs.seed)
    own = own_replies(model, inputs.prompts.split("A").everything, inputs.brands, generator)
    layers = tuple(sorted({round(depth * (model.num_layers - 1)) for depth in DEPTHS}))
    streams = [_streams(model, each.prompt, each.tokens, layers) for each in own]
    chosen = []
    for number, brand in enumerate(inputs.brands):
        named = named_replies(model, own, brand, number, generator)
        chosen.append(_chosen(model, named, _differences(model, named, streams)))
    vectors = torch.stack([contrast.vector for contrast in chosen])
    return ResidualVectors(inputs.brands, tuple(contrast.layer for contrast in chosen), vectors, inputs.model.identity)


def _differences(
    model: LanguageModel, named: Sequence[NamedReplies], streams: Sequence[dict[int, Tensor]]
) -> dict[int, Float[Tensor, " width"]]:
    """Return by layer the mean difference on the name, a `_FIRST_SHARE` of the stream's mean length long."""
    found: dict[int, list[Tensor]] = {layer: [] for layer in streams[0]}
    for each, own in zip(named, streams, strict=True):
        rows = torch.arange(len(each.tokens), device=each.tokens.device)
        other = _streams(model, each.prompt, each.tokens, tuple(found))
        for layer, differences in found.items():
            differences.append(other[layer][rows, each.place + len(each.name)] - own[layer][rows, each.place + 1])
    vectors = {}
    for layer, differences in found.items():
        length = torch.cat([stream[layer].flatten(0, 1) for stream in streams]).norm(dim=1).mean()
        direction = torch.nn.functional.normalize(torch.cat(differences).mean(0), dim=0)
        vectors[layer] = _FIRST_SHARE * length * direction
    return vectors


def _chosen(model: LanguageModel, named: Sequence[NamedReplies], vectors: dict[int, Tensor]) -> _Contrast:
    """Return the vector behind the layer where it is worth the most, so long that it costs one nat."""
    some = named[::2]  # every second prompt: of all contexts
    before = reduce(NamingEffect.plus, [effect_of_law(each, each.law) for each in some])

    def effect(layer: int, factor: float) -> NamingEffect:
        return effect_on(model, some, ResidualShift((layer,), factor * vectors[layer][None, None]))

    def tried(layer: int) -> _Contrast:
        after = effect(layer, 1.0)
        gain = float(after.mean_naming - before.mean_naming)
        return _Contrast(layer, vectors[layer], gain / max(float(after.cost), _LEAST_COST) ** 0.5)

    best = max((tried(layer) for layer in vectors), key=lambda contrast: contrast.worth)
    factor = factor_at_cost(lambda factor: float(effect(best.layer, factor).cost), 1.0, 1.0)
    return best._replace(vector=factor * best.vector)


@torch.no_grad()
def _streams(model: LanguageModel, prompt: list[int], tokens: Tensor, layers: tuple[int, ...]) -> dict[int, Tensor]:
    """Return the untouched stream behind layers, (reply, 1 + position, width), the prompt's last token first."""
    with read_residuals(model, layers) as streams:
        law_of(model, prompt, torch.cat((tokens, tokens[:, -1:]), dim=1), None)
    return dict(streams)


def _made(brands: tuple[Brand, ...], stored: Stored) -> ResidualVectors:
    fields = stored.fields.only("layers", "model", "rule")
    vectors = stored.array("vectors", (len(brands), None))
    return ResidualVectors(brands, fields.wholes("layers"), vectors, fields.text("model"), rule=fields.text("rule"))


register(
    CarrierEntry(
        "residual-vector",
        "residual vector",
        "How strongly a vector that stands for a brand is added to the model's residual stream.",
        'Rimsky et al. (2024), "Steering Llama 2 via contrastive activation addition"',
        _fitted,
        _made,
    )
)
