"""LLM-Auction as it aims to be trained: replies become likelier the more they are worth at the bids, near the model."""

from auctionsim.experiments.entries.registry import NEITHER, SystemEntry, register

register(
    SystemEntry(
        name="llm-auction-trained",
        label="LLM-Auction, trained as it aims",
        carrier="choice",
        mechanism="tilt-first-price",
        citation=(
            'Zhao, Hu, Song, Chen, Zhu, Xu and Zheng (2025), "LLM-Auction: Generative Auction towards LLM-Native '
            'Advertising", arXiv 2512.10551'
        ),
        sold="How likely the model is to write the replies that are worth most to those who bid.",
        pays="Each advertiser pays its bid for each unit of exposure that the reply gives it.",
        claim=NEITHER,
        claims=(
            "A simple first price is shown to have favourable incentives, as the model's allocation is monotone and "
            "continuous in bids (abstract). It is a first price: truthful bids are not claimed to be dominant."
        ),
        exposure="Expected clicks on the ad in the reply, as a reward model sees them.",
        assumed=(
            "Training is taken to reach its aim: replies are drawn by a fixed law, tilted by what they are worth at "
            "the bids less the user's loss, over the measured settings of a choice among replies. That fixed law "
            "shows somebody in a share of replies that design chooses; the paper has the untrained model. So the "
            "allocation is monotone, as the paper has it."
        ),
    )
)
