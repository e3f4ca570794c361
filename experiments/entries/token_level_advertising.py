"""Token-level advertising (LAMA): a reply is decoded from a mixture of advertisers, weighed by what they bid for it."""

from auctionsim.experiments.entries.registry import IN_EXPECTATION, SystemEntry, register

register(
    SystemEntry(
        name="token-level-advertising",
        label="Token-level advertising (LAMA)",
        carrier="token-mixture",
        mechanism="posterior-mixture",
        citation='"Token-Level Advertising" (2026), arXiv 2608.27382',
        sold="The chance that the reply goes on as one advertiser's own model would write it.",
        pays=(
            "Whose model writes is drawn by odds that rise with bids and are brought up to date at each word. Each "
            "advertiser pays its bid for the odds that it has, less what smaller bids would have brought it."
        ),
        claim=IN_EXPECTATION,
        claims=(
            "Markov dominant-strategy truthful and individually rational (abstract): at each word, for reports of what "
            "the continuations from there are worth; nearly the best KL-regularised welfare."
        ),
        exposure="An advertiser's value of how the reply goes on from each word.",
        assumed=(
            "One bid per naming stands for all reports of continuations. The odds of whole replies, and the closed "
            "form of the charge, are ours for the same idea; an advertiser's model is the same small model with a "
            "sentence for the brand in its prompt, blended with the untouched one."
        ),
    )
)
