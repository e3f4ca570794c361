"""Fine-tuning with multiple reward models: the model is tuned for the groups' sum of rewards."""

from auctionsim.experiments.entries.registry import TRUTHFUL, SystemEntry, register

register(
    SystemEntry(
        name="multiple-reward-models",
        label="Multiple reward models",
        carrier="low-rank",
        mechanism="vcg",
        citation=(
            'Sun, Chen, Wang, Chu, Chen and Deng (2024), "Mechanism Design for LLM Fine-tuning with Multiple Reward '
            'Models", arXiv 2405.16276'
        ),
        sold="How far the model's weights are tuned towards what each group wants.",
        pays=(
            "The tuning with the greatest sum of reported rewards, less a cost for moving the model, is taken; each "
            "group pays what it takes from the rest."
        ),
        claim=TRUTHFUL,
        claims=(
            "Extended VCG (affine maximizer) payments implement every rule that maximises welfare under a "
            "regularisation in dominant strategies; only approximately so if reports are perturbed (abstract)."
        ),
        exposure="The expected reward of the tuned model under a group's own reward model.",
        assumed=(
            "A reward is a bid per naming of the brand, and all groups weigh alike. Tuning is a small update fitted "
            "for each brand and added at a listed strength, not a new training for each profile of reports."
        ),
    )
)
