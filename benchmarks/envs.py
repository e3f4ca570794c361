"""How fast rounds are played: the pure game, its vector face, and RLlib's runner against ours on the same environment.

A reset of all rows is printed in steps: how many steps of the same rows take as long.

Each line is the best of some repetitions on one thread, so that a ratio compares two numbers of the same run.

    python benchmarks/envs.py
"""

import time
from collections.abc import Callable

import gymnasium
import numpy as np
import torch

import auctionsim  # noqa: F401  registers the ids
from auctionsim.agents.ppo import Running
from auctionsim.envs import AuctionGame, build_game
from auctionsim.envs.live import packaged_surface
from auctionsim.mechanisms import Menu, MenuAuction
from auctionsim.priors import Uniform
from auctionsim.substrates import ResponseSurface

REPETITIONS = 3
BATCH = 8192


def best_rate(play: Callable[[], int]) -> float:
    """Return rounds a second, the best of some repetitions after one to warm up."""
    play()
    rates = []
    for _ in range(REPETITIONS):
        began = time.perf_counter()
        rounds = play()
        rates.append(rounds / (time.perf_counter() - began))
    return max(rates)


def game_rate(game: AuctionGame, episodes: int = 4) -> float:
    """Play whole episodes of truthful bids in batches."""
    generator = torch.Generator().manual_seed(0)

    def play() -> int:
        for _ in range(episodes):
            state = game.draw(BATCH, generator)
            for _ in range(game.rounds):
                state, _ = game.step(state, game.valuations(state))
        return episodes * game.rounds * BATCH

    return best_rate(play)


def vector_rate(name: str, num_envs: int) -> float:
    """Step a Gymnasium vector environment with a constant bid, autoresets included."""
    env = gymnasium.make_vec(name, num_envs=num_envs)
    env.reset(seed=0)
    action = np.full(env.action_space.shape, 0.5, dtype=np.float32)

    def play() -> int:
        rounds = 0
        for _ in range(170):
            rounds += int(env.step(action)[4].get("_payment", np.zeros(1)).sum())
        return rounds

    return best_rate(play)


def reset_ratio(name: str, num_envs: int) -> float:
    """Return how many steps one reset of all rows takes, each the best of some repetitions."""
    env = gymnasium.make_vec(name, num_envs=num_envs)
    env.reset(seed=0)
    action = np.full(env.action_space.shape, 0.5, dtype=np.float32)

    def step() -> int:
        for _ in range(10):
            env.step(action)
        return 10

    def reset() -> int:
        env.reset()
        return 1

    resets, steps = [], []
    for _ in range(REPETITIONS):
        resets.append(best_rate(reset))
        env.reset()
        steps.append(best_rate(step))
    return max(steps) / max(resets)


def single_rate(name: str) -> float:
    """Step one Gymnasium environment."""
    env = gymnasium.make(name)
    action = np.full(1, 0.5, dtype=np.float32)

    def play() -> int:
        for seed in range(32):
            env.reset(seed=seed)
            while not env.step(action)[2]:
                pass
        return 32 * 16

    return best_rate(play)


def menu_game(surface: ResponseSurface) -> AuctionGame:
    """Offer every node of the surface's grid at a price of half its strength: a menu of realistic size."""
    nodes = torch.cartesian_prod(*(torch.tensor(grid.values) for grid in surface.grids))
    lowest, highest = nodes.amin(0), nodes.amax(0)
    prices = ((nodes - lowest) / (highest - lowest)).prod(1) / 2
    levers = nodes.expand(surface.num_bidders, *nodes.shape)
    menu = MenuAuction(surface, Menu(levers, prices.expand(surface.num_bidders, len(prices))))
    return AuctionGame(menu, surface, Uniform(0.0, 1.0))


def runner_rates(setting: str) -> tuple[float, float]:
    """Sample the same policies on the same environment with RLlib's runner and with the natively batched one."""
    from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

    from auctionsim.agents.ppo import PPOSettings, bidder_config
    from auctionsim.agents.ray_session import global_state_kept, ray_running
    from auctionsim.envs import NeuronAuctionEnvRunner, register_envs

    rates = []
    with ray_running(), global_state_kept():
        for runner in (MultiAgentEnvRunner, NeuronAuctionEnvRunner):
            config = bidder_config(
                register_envs(),
                {"setting": setting},
                [[1.0], [1.0]],
                seed=0,
                iterations=1,
                running=Running(env_runner=runner),
                settings=PPOSettings(),
            )
            sampler = config.build_algo().env_runner

            def play(sampler: MultiAgentEnvRunner = sampler) -> int:
                return sum(len(episode) for episode in sampler.sample())

            rates.append(best_rate(play))
    return rates[0], rates[1]


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    surface = packaged_surface()
    rows = [
        ("game, second price", game_rate(build_game("second-price")), 1e6),
        ("game, packaged surface, menu of every node", game_rate(menu_game(surface), 1), 1e5),
        ("game, packaged surface, the menu that ships", game_rate(build_game("neuron-menu"), 1), 1e5),
        ("game, packaged surface, virtual welfare", game_rate(build_game("neuron-auction"), 1), None),
        ("the same, budgets of one half", game_rate(build_game("neuron-auction", budgets=0.5), 1), None),
        ("vector environment, second price, 4096 rows", vector_rate("auctionsim/SecondPrice-v0", 4096), None),
        ("single environment, second price", single_rate("auctionsim/SecondPrice-v0"), None),
    ]
    for what, rate, wanted in rows:
        aim = "" if wanted is None else f"   wanted {wanted:,.0f}"
        print(f"{what:48s} {rate:14,.0f} rounds/s{aim}")
    for name in ("auctionsim/SecondPrice-v0", "auctionsim/NeuronAuction-v0"):
        print(f"{f'reset / step, 4096 rows, {name}':56s} {reset_ratio(name, 4096):6.1f}")
    plain, batched = runner_rates("second-price")
    print(f"{'RLlib runner, its own':48s} {plain:14,.0f} rounds/s")
    print(f"{'RLlib runner, natively batched':48s} {batched:14,.0f} rounds/s   {batched / plain:.1f}x, wanted 2x")


if __name__ == "__main__":
    main()
