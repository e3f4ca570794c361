"""Quality-preserving advertising: one ad is drawn for a reply, by a law kept near that of replies without ads."""

from auctionsim.experiments.entries.registry import IN_EXPECTATION, SystemEntry, register

register(
    SystemEntry(
        name="quality-preserving",
        label="Quality-preserving auction",
        carrier="segments",
        mechanism="kl-tilt",
        citation='Han and Dai (2026), "Mechanism Design for Quality-Preserving LLM Advertising", arXiv 2605.10964',
        sold="The chance that a reply is written with an advertiser's text before it, instead of without any ad.",
        pays=(
            "The law that says whose text is used is moved by bids, at a cost for moving it; each advertiser pays for "
            "how far its bid moved it."
        ),
        claim=IN_EXPECTATION,
        claims=(
            "A KL-regularised choice of one ad with Myerson's payments, and a screened VCG for several, are both "
            "dominant-strategy truthful and individually rational (abstract); the first is a lottery."
        ),
        exposure="Being the ad that the reply is written with; an ad without a gain for welfare is screened out.",
        assumed=(
            "The first of the two mechanisms. Payments are those of Groves for the same law, equal to Myerson's up "
            "to what a bidder gets at a bid of 0. The law to stay near shows somebody in a share of replies that "
            "design chooses, each brand alone and all together alike; several brands in one reply are the paper's "
            "other mechanism. Distance from the reply without ads is measured, not judged by similarity of texts."
        ),
    )
)
