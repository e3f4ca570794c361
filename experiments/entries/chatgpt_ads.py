"""Ads below ChatGPT's answers: a marked line for the winner of a second-price auction."""

from auctionsim.experiments.entries.registry import NEITHER, SystemEntry, register

register(
    SystemEntry(
        name="chatgpt-ads",
        label="Ads in ChatGPT",
        carrier="slots",
        mechanism="winner-second-price",
        citation='OpenAI (2026), "Ads in ChatGPT: The Basics", help.openai.com, article 20001207',
        sold="A marked ad below the answer, which stays as it was written.",
        pays=(
            "The best bid times relevance wins the place, and the winner pays the least bid with which it would still "
            "have won."
        ),
        claim=NEITHER,
        claims=(
            "No claim about incentives: a relevance-weighted second-price auction is named, for which bids are a "
            "maximum per click or per thousand showings."
        ),
        exposure="A click on the ad, or a showing of it.",
        assumed=(
            "Relevance is how often the page names the brand where its ad alone is shown, so a name in the answer "
            "itself counts too. One ad per page, of the size that suits the platform best; targeting and budgets are "
            "left out."
        ),
    )
)
