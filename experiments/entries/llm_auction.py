"""LLM-Auction: the model itself reads the bids and writes by them, and namings are paid for at the bid."""

from auctionsim.experiments.entries.registry import NEITHER, SystemEntry, register

register(
    SystemEntry(
        name="llm-auction",
        label="LLM-Auction",
        carrier="displayed-bids",
        mechanism="shown-bids-first-price",
        citation=(
            'Zhao, Hu, Song, Chen, Zhu, Xu and Zheng (2025), "LLM-Auction: Generative Auction towards LLM-Native '
            'Advertising", arXiv 2512.10551'
        ),
        sold="The attention of a model that reads every advertiser's bid and writes the reply by it.",
        pays="Each advertiser pays its bid for each unit of exposure that the reply gives it.",
        claim=NEITHER,
        claims=(
            "A simple first price is shown to have favourable incentives, as the model's allocation is monotone and "
            "continuous in bids (abstract). It is a first price: truthful bids are not claimed to be dominant."
        ),
        exposure="Expected clicks on the ad in the reply, as a reward model sees them.",
        assumed=(
            "The paper trains its model for the auction; ours is untrained, it only reads the bids in its system "
            "message, rounded to the listed ones. So its allocation need not be monotone."
        ),
    )
)
