"""Data-driven mechanisms: VCG whose transfers rest on what users did after the ads were shown."""

from auctionsim.experiments.entries.registry import IN_EXPECTATION, SystemEntry, register

register(
    SystemEntry(
        name="data-driven-vcg",
        label="Data-driven VCG",
        carrier="prompt-ad",
        mechanism="delivered-vcg",
        citation=(
            'Bergemann, Bojko, Duetting, Paes Leme, Xu and Zuo (2024), "Data-Driven Mechanism Design: Jointly '
            'Eliciting Preferences and Information", arXiv 2412.16132'
        ),
        sold="A place in what an assistant recommends, chosen by reported values and predicted exposures.",
        pays=(
            "Each advertiser is charged for what the others and the user were seen to lose by it, after the reply was "
            "shown, instead of what was predicted."
        ),
        claim=IN_EXPECTATION,
        claims=(
            "Efficient choices in posterior equilibrium where utility is affine in an unbiased estimate, as of clicks; "
            "approximately so where the estimate is only consistent (abstract)."
        ),
        exposure=(
            "Clicks or other engagement observed after the allocation, an estimate of a state that all values rest on."
        ),
        assumed=(
            "Advertisers hold no information about exposure of their own, so only the transfers are tried, not the "
            "reports of signals. The carrier is ours, a sentence in the system message: the paper names none."
        ),
    )
)
