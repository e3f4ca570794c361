"""The segment auction without replacement: no ad is drawn for two parts of one reply."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="segment-auction-without-replacement",
        label="Segment auction, no ad twice",
        carrier="segments",
        mechanism="segment-auction-without-replacement",
        citation=(
            'Hajiaghayi, Lahaie, Rezaei and Shin (2024), "Ad Auctions for LLMs via Retrieval Augmented Generation", '
            "arXiv 2406.09459"
        ),
        sold="A place for an ad in one of the parts of a reply, drawn by chance, no ad in more than one of them.",
        pays=(
            "As in the segment auction, part by part: the ad that is drawn pays the bid at which it would just have "
            "been drawn."
        ),
        claim=TRUTHFUL,
        claims=(
            "The paper extends its incentive-compatible prices from one ad to several (abstract). An advertiser that "
            "waits for a cheaper later part is not what its theorem on a single part is about."
        ),
        exposure="Clicks on the ad where it was drawn, once per reply.",
        assumed=(
            "Two parts of a reply, the fewest that differ from one; with two brands both then have a part, and only a "
            "reserve of ours makes them pay. What is drawn is shown together by the measured setting that shows these "
            "brands, and being shown at all is sold at one price, where the paper prices each part for itself."
        ),
        settings={"segments": 2.0},
    )
)
