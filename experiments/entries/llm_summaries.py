"""Auctions with LLM summaries: one paragraph about all ads, more of it for those that bid more."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="llm-summaries",
        label="LLM summaries",
        carrier="segments",
        mechanism="proportional-prominence",
        citation=(
            'Dubey, Feng, Kidambi, Mehta and Wang (2024), "Auctions with LLM Summaries", KDD 2024, arXiv 2404.08126'
        ),
        sold="A share of the prominence in a paragraph that the model writes about all the ads.",
        pays=(
            "Shares are in proportion to bids. Each advertiser pays its bid times its expected clicks, less what "
            "smaller bids of its own would have brought it for nothing."
        ),
        claim=TRUTHFUL,
        claims=(
            "Incentive compatible where prominence grows with the bid, the model is faithful to it, and clicks are "
            "predicted without bias (the paper's three conditions); among mechanisms that a factor of all bids leaves "
            "as they are, nothing else is lost (as reviews of the paper report it)."
        ),
        exposure="Clicks that are predicted from an ad's own share of prominence.",
        assumed=(
            "A share is a lottery over the measured settings: one brand alone, or all of them. So a brand may be named "
            "in its rivals' shares, which breaks the paper's faithfulness by as much as the model does."
        ),
    )
)
