"""Position auctions in AI-generated content: ads between the sentences, the best set for revenue."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="position-auctions",
        label="Positions in generated content",
        carrier="insertion",
        mechanism="optimum",
        citation=(
            'Balseiro, Bhawalkar, Deng, Feng, Mao, Mehta, Mirrokni, Paes Leme, Wang and Zuo (2025), "Position Auctions '
            'in AI-Generated Content", arXiv 2506.03309'
        ),
        sold="Positions between the sentences of a finished reply, where an advertiser's sentences stand.",
        pays=(
            "The set of ads is chosen that brings the platform most, and each advertiser pays the least that it could "
            "have bid for what it got."
        ),
        claim=TRUTHFUL,
        claims=(
            "Dominant-strategy truthful, individually rational mechanisms, best for welfare or for revenue, computed "
            "exactly for the multinomial logit model of clicks and nearly so for the cascade model (as reviews of the "
            "paper report it)."
        ),
        exposure="Clicks by the multinomial logit or the cascade model: each ad shown takes clicks from the others.",
        assumed=(
            "The revenue rule of the two; prior of values U[0,1]. Clicks are namings as measured, in place of a model "
            "of clicks, and the listed numbers of sentences are in place of a choice among all positions."
        ),
    )
)
