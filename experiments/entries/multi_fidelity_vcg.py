"""Incentive-aware multi-fidelity optimisation: VCG over strengths that are found by trial."""

from auctionsim.experiments.entries.registry import APPROXIMATELY, SystemEntry, register

register(
    SystemEntry(
        name="multi-fidelity-vcg",
        label="Multi-fidelity VCG",
        carrier="residual-vector",
        mechanism="vcg",
        citation=(
            'Liu, Wang, Gan, Wang, Xie, Guo and Conitzer (2026), "Incentive-Aware Multi-Fidelity Optimization for '
            'Generative Advertising in Large Language Models", arXiv 2604.06263'
        ),
        sold="A strength for each advertiser, with which it steers what the model writes.",
        pays=(
            "The strengths with the greatest welfare found by trial are taken, and each advertiser pays what it takes "
            "from the others, found by trial as well."
        ),
        claim=APPROXIMATELY,
        claims=(
            "Approximately strategy-proof and individually rational: VCG on estimates from a bounded number of "
            "generations (abstract)."
        ),
        exposure="Expected value of the generated response to an advertiser at the chosen strengths.",
        assumed=(
            "Strength is that of a vector added to the residual stream. All listed settings were measured equally "
            "well, so there is no search by cheap and dear trials, and estimates are those of replicate A."
        ),
    )
)
