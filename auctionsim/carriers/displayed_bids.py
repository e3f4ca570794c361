"""Displayed bids: the system message lists the sponsors and what each pays, and leaves the rest to the model.

The law of the replies then depends on bids. Nothing that must not read bids, such as candidates that a lottery is drawn
from, can be made with this carrier: it says so by `reads_bids`.
"""

from collections.abc import Sequence

import torch

from auctionsim.brands import Brand
from auctionsim.carriers.ad_wordings import ad_text, filled, wordings
from auctionsim.carriers.counted import FramedCarrier
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.carriers.wording_strength import name_strengths
from auctionsim.language_models.framing import Framing
from auctionsim.storage import Stored

_MOST = 5
_LINE = "{brand} pays %d."
_RULE = (
    "Of the packaged displays the one under which a brand's name gains most when its own bid is the highest and the "
    "others' are 1 instead of the other way round: in mean log probability after the stems of split A, on the first "
    "prompts of its contexts, averaged over brands."
)


class DisplayedBids(FramedCarrier):
    """Sponsors and what they pay, shown in the system message; lever (bid), 0 is not shown.

    Sponsors are listed in the bidders' order, whatever they pay.

    Args:
        brands: The bidders.
        category: What they sell.
        display: The sentence before the list, with the place {category}.
        most: The highest bid that is shown.
        rule: How the sentence was chosen, one sentence.
    Raises:
        ValueError: A sentence with another place, or a brand whose line does not name it.
    """

    name = "displayed-bids"
    whole = ("bid",)
    reads_bids = True

    def __init__(
        self,
        brands: Sequence[Brand],
        category: str,
        display: str = wordings("displays")[0],
        *,
        most: int = _MOST,
        rule: str = "As given.",
    ) -> None:
        super().__init__(brands, category, most)
        self.display, self.rule_of_choice = display, rule
        filled(display, {"category": category})
        for brand in self.brands:
            ad_text(_LINE % 1, brand, category)

    def framing(self, counts: Sequence[int]) -> Framing:
        """Return the sentence, and a line for each sponsor that pays."""
        pairs = zip(self.brands, counts, strict=True)
        lines = [ad_text(_LINE % bid, brand, self.category) for brand, bid in pairs if bid]
        if not lines:
            return Framing()
        return Framing(system="\n".join([filled(self.display, {"category": self.category}), *lines]))

    def stored(self) -> Stored:
        """Return the sentence, the highest bid, and the rule by which the sentence was chosen."""
        most = int(self.levers[0].high)
        record = {"category": self.category, "display": self.display, "most": most, "rule": self.rule_of_choice}
        return Stored(record, {})


def _fitted(inputs: FittingInputs) -> DisplayedBids:
    displays, count = wordings("displays"), len(inputs.brands)
    carriers = [DisplayedBids(inputs.brands, inputs.category, display) for display in displays]
    own = torch.eye(count, dtype=torch.bool)
    high, low = torch.where(own, _MOST, 1), torch.where(own, 1, _MOST)
    rows = [[c.framing(bids[i].tolist()) for bids in (high, low) for c in carriers] for i in range(count)]
    first, second = name_strengths(inputs, rows).mean(1).chunk(2)
    best = int((first - second).argmax())
    return DisplayedBids(inputs.brands, inputs.category, displays[best], rule=_RULE)


def _made(brands: tuple[Brand, ...], stored: Stored) -> DisplayedBids:
    fields = stored.fields
    most, rule = fields.whole("most", 1), fields.text("rule")
    return DisplayedBids(brands, fields.text("category"), fields.text("display"), most=most, rule=rule)


register(
    CarrierEntry(
        "displayed-bids",
        "displayed bids",
        "The number beside a brand in a list of sponsors that the model reads.",
        "",
        _fitted,
        _made,
    )
)
