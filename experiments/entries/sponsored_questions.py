"""Sponsored questions: lines below the answer are sold, all of them at once, by VCG."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="sponsored-questions",
        label="Sponsored questions",
        carrier="slots",
        mechanism="vcg",
        citation='Bhawalkar, Psomas and Wang (2025), "Sponsored Questions and How to Auction Them", arXiv 2512.03975',
        sold="Lines below the answer, which lead the user on to what an advertiser sells.",
        pays=(
            "The lines with the greatest value are shown, and each advertiser pays what its line takes from the others."
        ),
        claim=TRUTHFUL,
        claims=(
            "VCG over the suggestions and the ads that follow them together is efficient and truthful; two separate "
            "auctions may be inefficient without bound (abstract)."
        ),
        exposure="Value of the whole interaction: the suggestion that the user takes, and the ad shown then.",
        assumed=(
            "Only the first step: lines below the answer name a brand instead of asking a question, and there is no "
            "second auction after the user has chosen one."
        ),
    )
)
