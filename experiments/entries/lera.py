"""LERA: a cheap score lets a few ads pass, the language model's own score picks one of them."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="lera",
        label="LERA",
        carrier="prompt-ad",
        mechanism="two-stage",
        citation=(
            'Sun, Song, Zhang, Chen, Chu, Zhang, Yu, Xu, Zheng and Deng (2026), "LERA: LLM-Enhanced RAG for Ad Auction '
            'in Generative Chatbots", arXiv 2605.16474'
        ),
        sold="The one place for an ad in a reply that the model writes with the ad before it.",
        pays=(
            "The ads with the best bids times a cheap score pass, and of these the one with the best bid times the "
            "model's own score wins. It pays the larger of the two bids at which it would have dropped out."
        ),
        claim=TRUTHFUL,
        claims=(
            "A critical-value payment over both stages makes truth best for advertisers that maximise utility "
            "(abstract)."
        ),
        exposure="Being the ad that is inserted, worth its relevance; an ad that lost has nothing.",
        assumed=(
            "The cheap score is how often a brand is named, averaged over its wordings, in place of distances of "
            "embeddings; the second how often it is with the wording in use, in place of the model's logits over "
            "candidates. Of two brands one passes, so here the first stage decides. The ad is a sentence in the system "
            "message."
        ),
        settings={"reserve": 0.0},
    )
)
