"""Ads in conversations: one ad after the answer, for the highest bid, which is what its advertiser pays."""

from auctionsim.experiments.entries.registry import NEITHER, SystemEntry, register

register(
    SystemEntry(
        name="ads-in-conversations",
        label="Ads in conversations",
        carrier="slots",
        mechanism="winner-first-price",
        citation='Banchio, Mehta and Perlroth (2024), "Ads in Conversations", arXiv 2403.11022',
        sold="The one place for an ad in a conversation.",
        pays="The best bid times relevance wins, and the winner pays its own bid.",
        claim=NEITHER,
        claims=(
            "Equilibria of first- and second-price auctions whose time the platform chooses: first prices are "
            "efficient but late, second prices early but inefficient (abstract). Bidders in a first-price auction bid "
            "below their values."
        ),
        exposure="The ad is shown, worth its quality at that time of the conversation.",
        assumed=(
            "The first-price auction of the two. A reply is one moment: there is no time at which the auction might be "
            "held later, so the effect that the paper is about cannot show."
        ),
    )
)
