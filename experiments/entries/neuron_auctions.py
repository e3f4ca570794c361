"""Neuron Auctions: a price list for turning up a brand's own neurons inside the model."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="neuron-auctions",
        label="Neuron Auctions",
        carrier="neurons",
        mechanism="posted-showings",
        citation='Liu, Zeng, Kong, Yun and Wang (2026), "LLM Advertisement based on Neuron Auctions", arXiv 2605.08326',
        sold="How strongly the neurons that stand for a brand are turned up inside the model while it writes.",
        pays=(
            "Each advertiser has a price list of its own, a price for each strength. It is given the strength that is "
            "worth most to it at its bid, and pays the listed price whatever the others bid."
        ),
        claim=TRUTHFUL,
        claims=(
            "Strategy-proof (abstract): an advertiser chooses from a menu that does not depend on its own bid, so a "
            "true bid chooses best."
        ),
        exposure=(
            "How much an advertiser gains from its own neurons, taken not to depend on the others, since brands are "
            "found to use nearly orthogonal neurons."
        ),
        assumed=(
            "The paper publishes neither its prices nor its menus nor its neurons. Here each menu is one offer beside "
            "nothing, at one measured strength, taken where it is worth its price to the brand alone; prices are those "
            "that bring most, less the user's loss, for values from U[0, 1], where the paper learns menus of many."
        ),
    )
)
