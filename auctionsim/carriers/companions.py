"""What token mixtures share: a companion prompt for each brand, which advertises it, and weights that are shares."""

from abc import ABC
from typing import ClassVar, TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import checked_ad, prompt_ad, wordings
from auctionsim.carriers.counted import SHORT
from auctionsim.carriers.protocol import Carrier, checked_brands
from auctionsim.carriers.registry import FittingInputs
from auctionsim.carriers.wording_strength import name_strengths
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.framing import Framing
from auctionsim.language_models.laws import fit_shares
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.token_laws import CompanionMixture
from auctionsim.levers import Lever
from auctionsim.storage import Stored

_RULE = (
    "Of the packaged wordings of a prompt ad the one with the largest mean over brands of the mean log probability of "
    "the brand's name after the stems of split A, on the first prompts of its contexts; the same for all brands."
)


class CompanionCarrier(Carrier, ABC):
    """Laws of the next token after brands' own prompts, mixed into the reply's by weight; lever (weight).

    All weights together are at most 1; what they leave is the untouched prompt's. A decoding step computes a row for
    the reply's own prompt and one for each brand.

    Attributes:
        mixture: How laws are combined.

    Args:
        brands: The bidders.
        companions: The text around the prompt that each brand's companion adds.
        rule: How they were chosen, one sentence.
    Raises:
        ValueError: Not a companion for each brand, or one that does not name its brand.
    """

    mixture: ClassVar[type[CompanionMixture]]
    levers = (Lever("weight", 0.0, 1.0, 0.0),)

    def __init__(self, brands: tuple[Brand, ...], companions: tuple[Framing, ...], *, rule: str = "As given.") -> None:
        checked_brands(brands, self.name)
        if len(companions) != len(brands):
            raise InputError(f"each of {len(brands)} brands needs a companion, got {len(companions)}")
        for brand, framing in zip(brands, companions, strict=True):
            for text in framing:
                checked_ad(text, "a companion's text")
            if not any(brand.spans(text) for text in framing):
                raise InputError(f"a brand's companion must name it: {brand.name} is not in {' '.join(framing)!r:.200}")
        self.brands, self.companions, self.rule_of_choice = brands, companions, rule

    def check_model(self, model: LanguageModel) -> None:
        """Refuse a model whose frame refuses the companions, or whose context they fill.

        Raises:
            ValueError: A companion around a short prompt already breaks a rule of `Framing`.
            UnsupportedError: What the model's template says by itself cannot be kept beside the texts.
        """
        for framing in self.companions:
            framing.ids(model, SHORT)

    def feasible(self, allocation: Tensor) -> Bool[Tensor, " row"]:
        """Tell which rows can be carried out: weights in [0, 1] that sum to at most 1."""
        return super().feasible(allocation) & fit_shares(allocation[:, :, 0])

    @property
    def rule(self) -> str:
        """What weights obey."""
        return ": weights sum to at most 1"

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the mixtures, a row each."""
        del context
        law = self.mixture(self.companions, self.checked(allocation)[:, :, 0])
        return Change(law.num_rows, at=law)

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return weights up to all."""
        return torch.tensor([[0.05], [0.1], [0.2], [0.35], [0.5], [0.75], [1.0]])

    def stored(self) -> Stored:
        """Return the companions' texts and the rule by which they were chosen."""
        texts = [framing._asdict() for framing in self.companions]
        return Stored({"companions": texts, "rule": self.rule_of_choice}, {})


_C = TypeVar("_C", bound=CompanionCarrier)


def fitted_mixture(kind: type[_C], inputs: FittingInputs) -> _C:
    """Return a mixture whose companions have the strongest of the packaged wordings, measured as its rule says."""
    texts = wordings("prompt")
    ads = [[prompt_ad(brand, inputs.category, text) for text in texts] for brand in inputs.brands]
    strongest = int(name_strengths(inputs, ads).mean(1).argmax())
    return kind(inputs.brands, tuple(own[strongest] for own in ads), rule=_RULE)


def stored_mixture(kind: type[_C], brands: tuple[Brand, ...], stored: Stored) -> _C:
    """Return the mixture whose `stored` this is."""
    records = stored.fields.records("companions")
    companions = tuple(Framing(*(record.text(name) for name in Framing._fields)) for record in records)
    return kind(brands, companions, rule=stored.fields.text("rule"))
