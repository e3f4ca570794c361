"""MOSAIC: several replies are written, and one is shown, chosen by the advertisers' rewards."""

from auctionsim.experiments.entries.registry import IN_EXPECTATION, SystemEntry, register

register(
    SystemEntry(
        name="mosaic",
        label="MOSAIC",
        carrier="choice",
        mechanism="kl-tilt",
        citation=(
            'Soumalias, Curry and Seuken (2025), "Truthful Aggregation of LLMs with an Application to Online '
            'Advertising", NeurIPS 2025, arXiv 2405.05905'
        ),
        sold="The chance that, of several finished replies, one that an advertiser likes is the one that is shown.",
        pays=(
            "Each advertiser pays what its report takes from the others and from the user, who is charged for as "
            "distance from the untouched model."
        ),
        claim=IN_EXPECTATION,
        claims=(
            "Truthful reports are a dominant strategy, and utility follows what an advertiser adds to welfare "
            "(abstract); utility is the expectation over the reply that is drawn."
        ),
        exposure="An advertiser's reward for a whole reply, any function of it that the advertiser reports.",
        assumed=(
            "Rewards are bids per naming of the brand instead of functions of replies. The rule weighs the measured "
            "settings of one strength, not single candidates. Where nobody bids, a share of replies that design "
            "chooses shows somebody, each brand alone and all together alike; the paper has the untouched model there, "
            "with which a rule over settings could sell nothing. Advertisers' descriptions, by which the paper writes "
            "better candidates, are left out."
        ),
    )
)
