"""The token auction: each next word comes from a blend of the advertisers' models, weighted by bids."""

from auctionsim.experiments.entries.registry import IN_EXPECTATION, SystemEntry, register

register(
    SystemEntry(
        name="token-auction",
        label="Token auction",
        carrier="token-mixture",
        mechanism="token-second-price",
        citation=(
            'Duetting, Mirrokni, Paes Leme, Xu and Zuo (2024), "Mechanism Design for Large Language Models", arXiv '
            "2310.10826"
        ),
        sold="A weight in the blend of language models, one for each advertiser, from which each next word is drawn.",
        pays=(
            "Each advertiser pays for how far its bid moved the blend towards its own model: for each word that it "
            "turned, the bid at which the word would have turned."
        ),
        claim=IN_EXPECTATION,
        claims=(
            "Two properties of incentives are shown to be the same as a monotone blend, and every monotone blend has a "
            "second-price rule (abstract). Preferences are over laws of the next word, so the claim is one in "
            "expectation."
        ),
        exposure=(
            "How near the law of the next word is to the law that the advertiser's own model has, one word at a time. "
            "No value of a reply as a whole is assumed."
        ),
        assumed=(
            "Each advertiser's model is here the same small model with a sentence for the brand in its prompt, and the "
            "untouched model is in the blend as well. Bids weigh the measured settings of the list instead of each "
            "word anew, and pay by namings of the brand."
        ),
    )
)
