"""Low-rank updates of weights: a brand's small addition to the down projections, as large as its lever says.

It is fitted on the model's own replies to the prompts of split A: gradient steps raise the log probability that a reply
names the brand, less what that costs, the KL from the untouched model before the name and after it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.own_replies import (
    NamedReplies,
    effect_of,
    effect_on,
    factor_at_cost,
    named_replies,
    own_replies,
)
from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.carriers.residual_vector import check_fitted_on, check_place
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.low_rank import LowRankFactors, LowRankUpdate, read_projections
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import Lever
from auctionsim.storage import Stored

LARGEST = 3.0
"""The lever's highest value."""
RANK = 4
"""Of an update in each layer that has one."""
STEPS = 8
"""Of gradient, each on the replies to `_PROMPTS_A_STEP` prompts."""
RULE = (
    "rank 4 in layers a tenth of the depth apart, from two fifths of it up; begun at the leading singular vectors of "
    "the gradient, then 8 steps of Adam on naming less the KL of a reply of 48 tokens, on own replies to the "
    "prompts of split A; scale 1 costs a KL of 1 a reply of 48 tokens there"
)
_FROM = 0.4  # share of the layers that are left alone
_PROMPTS_A_STEP = 4
_RATE = 0.3  # of Adam, as a share of the factors' mean size
_BEGIN = 0.25  # nats a reply that the update costs before the first step


class LowRankUpdates(Carrier):
    """A low-rank update of the down projections a brand, in force from the prompt's last token on; one lever, scale.

    Scale 1 costs about one nat a reply of 48 tokens: the KL at temperature .7 of the changed law from the untouched
    one, on own replies to the prompts that it was fitted on, the brand's name in all of them. Replies that are drawn
    under the change name it more rarely and cost less.

    Args:
        brands: The bidders.
        factors: An update a brand.
        model: Name and fingerprint of the model that they were fitted on.
        rule: How it was fitted, in words.
    Raises:
        ValueError: Not as many updates as brands, or one that is 0.
    Source:
        Hu et al. (2022), "LoRA: Low-rank adaptation of large language models", for the update; the start at the
        gradient's singular vectors is that of Wang, Yu, Li (2024), "LoRA-GA: Low-rank adaptation with gradient
        approximation", in outline. What is raised, and at which cost, is ours.
    """

    name = "low-rank"

    def __init__(self, brands: tuple[Brand, ...], factors: LowRankFactors, model: str, *, rule: str = RULE) -> None:
        if not brands or factors.num_updates != len(brands):
            raise InputError(
                f"low-rank updates must be one a brand, got {factors.num_updates} for {len(brands)} brands"
            )
        self.brands, self.model, self.fitted_by = brands, model, rule
        down, up = (part.detach().float().cpu().clone() for part in (factors.down, factors.up))
        if not bool(((down != 0).flatten(1).any(1) & (up != 0).flatten(1).any(1)).all()):
            raise InputError("low-rank updates must not be 0")
        self.factors = LowRankFactors(factors.layers, down, up)
        self.levers = (Lever("scale", 0.0, LARGEST, 0.0),)

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the updates, each times its bidder's scale."""
        del context
        scale = self.checked(allocation)[:, :, 0].float().cpu()
        return Change(len(scale), inside=LowRankUpdate(self.factors, scale))

    def check_model(self, model: LanguageModel) -> None:
        """Refuse a model that the updates were not fitted on."""
        check_fitted_on(self.model, model, "low-rank updates")
        check_place(model, self.factors.layers, self.factors.up.shape[2])
        if self.factors.down.shape[3] != model.num_neurons:
            raise InputError(
                f"low-rank updates of {self.factors.down.shape[3]} neurons a layer are none of {model.name}, which has "
                f"{model.num_neurons}"
            )

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return scales at which replies drawn on SmolLM2 have moved by some .2 to 6 nats."""
        return torch.tensor([[0.8], [1.1], [1.4], [1.7], [2.1], [2.6]])

    def stored(self) -> Stored:
        """Return the factors, their layers, and the rule."""
        record = {"layers": list(self.factors.layers), "model": self.model, "rule": self.fitted_by}
        return Stored(record, {"down": self.factors.down.clone(), "up": self.factors.up.clone()})


def _fitted(inputs: FittingInputs) -> LowRankUpdates:
    model = inputs.model.in_float32
    generator = torch.Generator().manual_seed(inputs.seed)
    own = own_replies(model, inputs.prompts.split("A").everything, inputs.brands, generator)
    step = max(1, model.num_layers // 10)
    layers = tuple(range(min(int(_FROM * model.num_layers), model.num_layers - 1), model.num_layers, step))
    updates = []
    for number, brand in enumerate(inputs.brands):
        named = named_replies(model, own, brand, number, generator)
        updates.append(_of_brand(model, named, layers, generator))
    down, up = (torch.cat([part.cpu() for part in parts]) for parts in zip(*updates, strict=True))
    return LowRankUpdates(inputs.brands, LowRankFactors(layers, down, up), inputs.model.identity)


def _of_brand(
    model: LanguageModel, named: Sequence[NamedReplies], layers: tuple[int, ...], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return one brand's factors, scaled so that they cost one nat."""
    some = named[::2]  # every second prompt: of all contexts

    def cost(down: Tensor, up: Tensor, factor: float) -> float:
        return float(effect_on(model, some, _update(layers, down, factor * up)).cost)

    down, up = _first_factors(model, named, layers)
    up = up * factor_at_cost(lambda factor: cost(down, up, factor), 0.1, _BEGIN, tries=3)
    down, up = _descended(model, named, layers, (down, up), generator)
    return down, up * factor_at_cost(lambda factor: cost(down, up, factor), 1.0, 1.0)


def _update(layers: tuple[int, ...], down: Tensor, up: Tensor) -> LowRankUpdate:
    return LowRankUpdate(LowRankFactors(layers, down, up), torch.ones(1, 1))


def _first_factors(
    model: LanguageModel, named: Sequence[NamedReplies], layers: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Return the leading part of d naming / d W, W each layer's down projection: (1, layer, …) down and up."""
    total = torch.zeros(len(layers), model.feed_forwards[0].width, model.num_neurons, device=model.device)
    for each in named:
        with torch.enable_grad(), read_projections(model, layers) as seen:
            score = effect_of(model, each, None).naming
            gradients = torch.autograd.grad(score, [output for _, output in seen.values()])
        for place, ((activation, _), gradient) in enumerate(zip(seen.values(), gradients, strict=True)):
            total[place] += gradient.flatten(0, -2).T @ activation.flatten(0, -2)
    rank = min(RANK, *total.shape[1:])
    left, size, right = torch.linalg.svd(total, full_matrices=False)
    size = size[:, :rank] / size.amax().clamp_min(torch.finfo(size.dtype).tiny)
    return right[None, :, :rank], (left[:, :, :rank] * size.unsqueeze(1))[None]


def _descended(
    model: LanguageModel,
    named: Sequence[NamedReplies],
    layers: tuple[int, ...],
    factors: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Return factors after `STEPS` steps of Adam on cost − naming, each on replies to some of the prompts."""
    down, up = (factor.clone().requires_grad_() for factor in factors)
    groups = [{"params": [factor], "lr": _RATE * float(factor.detach().abs().mean())} for factor in (down, up)]
    optimiser = torch.optim.Adam(groups, betas=(0.8, 0.95))
    waiting: list[int] = []
    for _ in range(STEPS):
        if len(waiting) < _PROMPTS_A_STEP:
            waiting += torch.randperm(len(named), generator=generator).tolist()
        some, waiting = waiting[:_PROMPTS_A_STEP], waiting[_PROMPTS_A_STEP:]
        optimiser.zero_grad()
        with torch.enable_grad():
            for number in some:  # one at a time: a graph of all would take gigabytes
                effect = effect_of(model, named[number], _update(layers, down, up))
                loss = effect.cost - effect.mean_naming
                (loss / len(some)).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return down.detach(), up.detach()


def _made(brands: tuple[Brand, ...], stored: Stored) -> LowRankUpdates:
    fields = stored.fields.only("layers", "model", "rule")
    layers = fields.wholes("layers")
    down, up = (stored.array(name, (len(brands), len(layers), None, None)) for name in ("down", "up"))
    return LowRankUpdates(brands, LowRankFactors(layers, down, up), fields.text("model"), rule=fields.text("rule"))


register(
    CarrierEntry(
        "low-rank",
        "low-rank update",
        "How much of a small update of the model's weights, fitted so that it names the brand, is added to them.",
        'Hu et al. (2022), "LoRA: Low-rank adaptation of large language models"',
        _fitted,
        _made,
    )
)
