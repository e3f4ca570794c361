"""What RLlib's PPO bidders learn with the default settings: truth where it is dominant, the equilibrium at first price.

On truthful mechanisms: the share of the truthful utility that a bidder loses by its learned bids, the others' learned
too (wanted ≤ 2 %). At first price: the mean distance of the learned bids from the equilibrium (wanted ≤ .05).

    python benchmarks/ppo_bidders.py [--seeds 1] [--only SETTING] [--shared] [--iterations N]
"""

import argparse
import time

import torch

from auctionsim.agents.ppo import ITERATIONS, Policies, Running, train_ppo
from auctionsim.agents.ray_session import ray_running
from auctionsim.envs import NeuronAuctionEnvRunner, build_game, register_envs
from auctionsim.experiments.tables.bidder_scores import score_bids

TRUTHFUL = ("second-price", "crosstalk", "neuron-affine", "neuron-auction")
EQUILIBRIUM = ("first-price",)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--shared", action="store_true")
    parser.add_argument("--iterations", type=int, default=ITERATIONS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with ray_running():
        for setting in (*TRUTHFUL, *EQUILIBRIUM):
            for seed in range(options.seeds) if options.only in setting else ():
                row(setting, seed, options.shared, options.iterations)


def row(setting: str, seed: int, shared: bool, iterations: int) -> None:
    """Train once and print one row."""
    game = build_game(setting)
    began, used = time.perf_counter(), time.process_time()
    trained = train_ppo(
        register_envs(),
        {"setting": setting, "with_user_loss": False},
        game.bid_high.tolist(),
        seed=seed,
        iterations=iterations,
        running=Running(env_runner=NeuronAuctionEnvRunner),
        policies=Policies(shared=shared),
    )
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    if setting in TRUTHFUL:
        scores = score_bids(game, trained.strategies, draws=1 << 16)
        lost = max(100 * score.lost_by_bids.value / score.truthful_utility.value for score in scores)
        result = f"loses {lost:6.2f} % of its truthful utility, wanted <= 2"
    else:
        v = torch.linspace(0, 1, 1001).unsqueeze(1)
        off = max(float((strategy(v) - v / 2).abs().mean()) for strategy in trained.strategies)
        result = f"bids are {off:.4f} off the equilibrium on average, wanted <= .05"
    print(f"{setting:16s} seed {seed}: the worse bidder {result}; {cpu:.0f} s of CPU, {wall:.0f} s", flush=True)


if __name__ == "__main__":
    main()
