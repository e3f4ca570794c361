"""Retrieved segments: sentences about a brand, put before the question as background; its lever says how many.

Several brands' segments stand one after the other in the bidders' order, each brand's weakest first, so that the lever
goes from little to much: the strongest alone would leave nothing to sell.
"""

from collections.abc import Sequence

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import ad_text, checked_wordings, wordings
from auctionsim.carriers.counted import FramedCarrier
from auctionsim.carriers.protocol import checked_brands
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.carriers.wording_strength import name_strengths, weak_to_strong
from auctionsim.language_models.framing import Framing
from auctionsim.storage import Stored

_RULE = (
    "The packaged segments from weak to strong by the mean over brands of the mean log probability of the brand's name "
    "after the stems of split A, on the first prompts of its contexts, with that segment alone before the prompt."
)


class Segments(FramedCarrier):
    """Background sentences about each brand before the question; lever (segments), how many, the first ranked first.

    Args:
        brands: The bidders.
        category: What they sell.
        texts: Sentences with the places {brand} and {category}, the first ranked first.
        rule: How they were ranked, one sentence.
    Raises:
        ValueError: A segment that does not name the brands.
    """

    name = "segments"
    whole = ("segments",)

    def __init__(
        self,
        brands: Sequence[Brand],
        category: str,
        texts: Sequence[str] = wordings("segments"),
        *,
        rule: str = "As listed.",
    ) -> None:
        self.texts, self.rule_of_order = checked_wordings(texts, checked_brands(brands, self.name), category), rule
        super().__init__(brands, category, len(self.texts))

    def framing(self, counts: Sequence[int]) -> Framing:
        """Return the segments in one paragraph with the question, in the bidders' order."""
        pairs = zip(self.brands, counts, strict=True)
        texts = [ad_text(text, brand, self.category) for brand, count in pairs for text in self.texts[:count]]
        return Framing(before="".join(f"{text} " for text in texts))

    def stored(self) -> Stored:
        """Return the segments and the rule by which they were ranked."""
        return Stored({"category": self.category, "texts": list(self.texts), "rule": self.rule_of_order}, {})


def _fitted(inputs: FittingInputs) -> Segments:
    texts = checked_wordings(wordings("segments"), inputs.brands, inputs.category)
    rows = [[Segments([brand], inputs.category, [text]).framing([1]) for text in texts] for brand in inputs.brands]
    ranked = [texts[k] for k in weak_to_strong(name_strengths(inputs, rows))]
    return Segments(inputs.brands, inputs.category, ranked, rule=_RULE)


def _made(brands: tuple[Brand, ...], stored: Stored) -> Segments:
    fields = stored.fields
    return Segments(brands, fields.text("category"), fields.texts("texts"), rule=fields.text("rule"))


register(
    CarrierEntry(
        "segments",
        "retrieved segments",
        "How many sentences about a brand stand before the question as background.",
        'Hajiaghayi, Lahaie, Rezaei and Shin (2024), "Ad Auctions for LLMs via Retrieval Augmented Generation"',
        _fitted,
        _made,
    )
)
