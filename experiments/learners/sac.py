"""SAC on RLlib: off-policy, one small actor and two critics a bidder, each on its own reward."""

from auctionsim.agents.sac import SACSettings
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register

SAMPLINGS, ROUNDS = 250, 16
SETTINGS = SACSettings(start=1.0)


def learn_by_sac(task: LearningTask) -> LearnedPlay:
    """Train independent SAC bidders; bids are the policies' squashed means."""
    from auctionsim.agents.ppo import Running
    from auctionsim.agents.sac import train_sac
    from auctionsim.envs import NeuronAuctionEnvRunner, build_game, observation_layout, register_envs

    samplings = task.updates(SAMPLINGS)
    observe = ("valuation", "context") if task.contexts else ("valuation",)
    shown = observation_layout(build_game(setting=task.setting, observe=observe, rounds=ROUNDS))
    trained = train_sac(
        register_envs(),
        {"setting": task.setting, "rounds": ROUNDS, "with_user_loss": False},
        task.game.bid_high.tolist(),
        seed=task.seed,
        iterations=samplings,
        layout=shown,
        settings=SETTINGS,
        running=Running(env_runner=NeuronAuctionEnvRunner),
    )
    return LearnedPlay(trained.strategies, samplings * SETTINGS.episodes * ROUNDS)


register(
    CorpusLearner(
        "sac",
        "SAC",
        f"RLlib's SAC, one actor and two critics a bidder, {SAMPLINGS} samplings of {SETTINGS.episodes * ROUNDS} "
        f"auctions and {SETTINGS.updates} updates after each, from truth on; bids are the policy's squashed mean",
        learn_by_sac,
        on_ray=True,
    )
)
