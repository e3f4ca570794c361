"""The segment auction: for each part of the reply one ad is drawn, likelier the more it bids."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="segment-auction",
        label="Segment auction",
        carrier="segments",
        mechanism="segment-auction",
        citation=(
            'Hajiaghayi, Lahaie, Rezaei and Shin (2024), "Ad Auctions for LLMs via Retrieval Augmented Generation", '
            "arXiv 2406.09459"
        ),
        sold=(
            "A place for an ad among the texts that the model reads before it writes a part of its reply, drawn by "
            "chance."
        ),
        pays=(
            "The ad that is drawn pays the bid at which it would just have been drawn, never more than its bid; the "
            "chance grows with bid times relevance."
        ),
        claim=TRUTHFUL,
        claims=(
            "Dominant-strategy truthful and individually rational, and best for a logarithmic welfare (Theorem 1), "
            "where relevances of parts are independent."
        ),
        exposure="Clicks on the ad that was drawn for a part of the reply; an ad that was not drawn has none.",
        assumed=(
            "Relevance is how often the brand is named where it alone is shown. The reply may name a brand that was "
            "not drawn, which the paper does not count. The reply has one part: there the paper has its theorem."
        ),
        settings={"segments": 1.0, "reserve": 0.0},
    )
)
