"""Which Gymnasium ids exist: written as strings, so that importing auctionsim imports no environment."""

import gymnasium

SETTING_OF_ID = {
    "auctionsim/NeuronAuction-v0": "neuron-auction",
    "auctionsim/NeuronPayAsBid-v0": "neuron-pay-as-bid",
    "auctionsim/NeuronMenu-v0": "neuron-menu",
    "auctionsim/NeuronAffine-v0": "neuron-affine",
    "auctionsim/NeuronAuctionLive-v0": "neuron-auction-live",
    "auctionsim/NeuronPayAsBidLive-v0": "neuron-pay-as-bid-live",
    "auctionsim/NeuronMenuLive-v0": "neuron-menu-live",
    "auctionsim/NeuronAffineLive-v0": "neuron-affine-live",
    "auctionsim/FirstPrice-v0": "first-price",
    "auctionsim/SecondPrice-v0": "second-price",
    "auctionsim/Crosstalk-v0": "crosstalk",
    "auctionsim/CrosstalkPayAsBid-v0": "crosstalk-pay-as-bid",
}

MARKET_OPTIONS_OF_ID: dict[str, dict[str, str | int]] = {
    "auctionsim/Market-v0": {"learner": "campaign"},
    "auctionsim/MarketPlatform-v0": {"learner": "platform", "days": 7},
}


def register_ids() -> None:
    """Register every id with its scalar and its vector face; a second call changes nothing."""
    for name, setting in SETTING_OF_ID.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point="auctionsim.envs.gymnasium_env:NeuronAuctionEnv",
                vector_entry_point="auctionsim.envs.vector_env:NeuronAuctionVectorEnv",
                kwargs={"setting": setting},
            )
    for name, options in MARKET_OPTIONS_OF_ID.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                name,
                entry_point="auctionsim.envs.market_env:MarketEnv",
                vector_entry_point="auctionsim.envs.market_env:MarketVectorEnv",
                kwargs=dict(options),
            )
