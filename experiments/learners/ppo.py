"""PPO on RLlib: one small policy a bidder, each on its own reward."""

from auctionsim.agents.ppo import PPOSettings
from auctionsim.experiments.learners.registry import CorpusLearner, LearnedPlay, LearningTask, register

UPDATES, ROUNDS = 60, 16
SETTINGS = PPOSettings(steps=4096, minibatch=4096, start=1.0)


def learn_by_ppo(task: LearningTask) -> LearnedPlay:
    """Train independent PPO bidders; bids are the policies' means."""
    from auctionsim.agents.ppo import Policies, Running, train_ppo
    from auctionsim.envs import NeuronAuctionEnvRunner, build_game, observation_layout, register_envs

    updates = task.updates(UPDATES)
    observe = ("valuation", "context") if task.contexts else ("valuation",)
    shown = observation_layout(build_game(setting=task.setting, observe=observe, rounds=ROUNDS))
    trained = train_ppo(
        register_envs(),
        {"setting": task.setting, "rounds": ROUNDS, "with_user_loss": False},
        task.game.bid_high.tolist(),
        seed=task.seed,
        iterations=updates,
        policies=Policies(layout=shown),
        settings=SETTINGS,
        running=Running(env_runner=NeuronAuctionEnvRunner),
    )
    return LearnedPlay(trained.strategies, updates * SETTINGS.steps)


register(
    CorpusLearner(
        "ppo",
        "PPO",
        f"RLlib's PPO, one policy a bidder, {UPDATES} updates of {SETTINGS.steps} auctions, from truth on; bids are "
        "the policy's mean",
        learn_by_ppo,
        on_ray=True,
    )
)
