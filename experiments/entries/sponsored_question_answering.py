"""Sponsored question answering: the answer is fused with the ad of one advertiser."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="sponsored-question-answering",
        label="Sponsored question answering",
        carrier="prompt-ad",
        mechanism="winner-second-price",
        citation='Mordo, Tennenholtz and Kurland (2024), "Sponsored Question Answering", arXiv 2407.04471',
        sold="Being the one advertiser whose ad is fused with the answer.",
        pays=(
            "The advertiser that brings the platform most wins, and pays the least bid with which it would still have "
            "won."
        ),
        claim=TRUTHFUL,
        claims=(
            "Bidding the true value of the sponsored answer is a dominant strategy, and outcomes have the properties "
            "of VCG (abstract)."
        ),
        exposure="The sponsored answer is shown, or it is not; who loses has nothing.",
        assumed=(
            "The paper adds what the answer is worth to the user to each bid; here only bid times exposure decides who "
            "wins, and the user counts in the reserve and the strength. Fusion is a sentence in the system message."
        ),
    )
)
