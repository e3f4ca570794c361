"""Ads in the system message: a sentence of a finite list for each brand, and its lever says which.

Several brands' sentences stand one after the other in the bidders' order, in one paragraph behind what the system
message says already.
"""

from collections.abc import Sequence

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import ad_text, checked_wordings, prompt_ad, wordings
from auctionsim.carriers.counted import FramedCarrier
from auctionsim.carriers.protocol import checked_brands
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.carriers.wording_strength import name_strengths, weak_to_strong
from auctionsim.language_models.framing import Framing
from auctionsim.storage import Stored

_RULE = (
    "The packaged wordings ordered from weak to strong by the mean over brands of the mean log probability of the "
    "brand's name after the stems of split A, on the first prompts of its contexts."
)


class PromptAd(FramedCarrier):
    """A sentence about each brand in the system message; lever (wording), 0 none, else its number on the list.

    Args:
        brands: The bidders.
        category: What they sell.
        wordings: Sentences with the places {brand} and {category}, weak ones first.
        rule: How they were ordered, one sentence.
    Raises:
        ValueError: A wording that does not name the brands.
    """

    name = "prompt-ad"
    whole = ("wording",)

    def __init__(
        self,
        brands: Sequence[Brand],
        category: str,
        wordings: Sequence[str] = wordings("prompt"),
        *,
        rule: str = "As listed.",
    ) -> None:
        self.wordings = checked_wordings(wordings, checked_brands(brands, self.name), category)
        self.rule_of_order = rule
        super().__init__(brands, category, len(self.wordings))

    def framing(self, counts: Sequence[int]) -> Framing:
        """Return the sentences, in the bidders' order."""
        pairs = zip(self.brands, counts, strict=True)
        return Framing(system=" ".join(ad_text(self.wordings[n - 1], brand, self.category) for brand, n in pairs if n))

    def stored(self) -> Stored:
        """Return the wordings and the rule by which they were ordered."""
        texts = {"category": self.category, "wordings": list(self.wordings), "rule": self.rule_of_order}
        return Stored(texts, {})


def _fitted(inputs: FittingInputs) -> PromptAd:
    texts = checked_wordings(wordings("prompt"), inputs.brands, inputs.category)
    ads = [[prompt_ad(brand, inputs.category, text) for text in texts] for brand in inputs.brands]
    ordered = [texts[k] for k in weak_to_strong(name_strengths(inputs, ads))]
    return PromptAd(inputs.brands, inputs.category, ordered, rule=_RULE)


def _made(brands: tuple[Brand, ...], stored: Stored) -> PromptAd:
    fields = stored.fields
    return PromptAd(brands, fields.text("category"), fields.texts("wordings"), rule=fields.text("rule"))


register(
    CarrierEntry(
        "prompt-ad",
        "system-prompt ad",
        "Which of a few sentences about a brand the system message has.",
        'Tang, Sun, Curran, Schaub and Shin (2024), "GenAI Advertising: Risks of Personalizing Ads with LLMs"',
        _fitted,
        _made,
    )
)
