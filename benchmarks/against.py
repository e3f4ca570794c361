"""Whether decoding and environments became slower than in another checkout: both in turn, a process each, pair by pair.

The same work runs on both, through names that stay (`load_model`, `sample_replies`, `build_game`, gymnasium's ids). A
pair is one process of this checkout and one of the other, whichever began the pair before second now. Ratios are of
processor seconds, this one's to the other's, so that a busy machine does little harm; below 1 is faster. The matrix
products of a step are the same code in both: how far their ratio is from 1 is what the machine does to the others.

    python benchmarks/against.py --against ../before [--what decoding envs] [--pairs 5] [--tokens 32] [--dtype auto]
    make bench ARGS='against -- --against ../before'
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent
PRODUCTS = "products of a step"
WANTED = 1.03


def use_checkout(root: Path) -> None:
    """Import auctionsim, its agents, environments and experiments from one checkout, whatever is installed.

    Raises:
        ValueError: No checkout of the project.
    """
    package = root / "auctionsim"
    if not (package / "__init__.py").is_file():
        raise ValueError(f"{root} is no checkout of auctionsim: it has no auctionsim/__init__.py")
    sys.path.insert(0, str(root))
    places = [str(package), str(root)]  # agents, envs and experiments lie in the root
    spec = importlib.util.spec_from_file_location(
        "auctionsim", package / "__init__.py", submodule_search_locations=places
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["auctionsim"] = module
    spec.loader.exec_module(module)


def seconds(work: Callable[[], object], repetitions: int = 2) -> float:
    """Return processor seconds of a run, the least of some after one to warm up."""
    work()
    found = []
    for _ in range(repetitions):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


def decoding(options: argparse.Namespace) -> dict[str, float]:
    """Return seconds a token: replies with an intervention a row and without, prompts, and a step's products."""
    import torch

    from auctionsim.language_models import Intervention, join, load_model, prefill, sample_replies, untouched
    from auctionsim.prompts import build_prompts
    from benchmarks.decoding import PROMPTS, TEMPERATURE, cell_scales, ending_ignored, products

    model = ending_ignored(load_model(device="cpu", dtype=options.dtype))
    prompts = [model.chat_ids(prompt) for prompt in build_prompts("running shoes").everything[:PROMPTS]]
    scales = cell_scales(model)
    rows = len(scales) * len(prompts)
    uniforms = torch.rand(rows, options.tokens, generator=torch.Generator().manual_seed(0))
    touched = Intervention(scales.repeat(len(prompts), 1, 1))

    def begun() -> object:
        return join([prefill(model, ids, options.tokens) for ids in prompts]).repeat(len(scales))

    def sampled(change: Intervention) -> Callable[[], object]:
        return lambda: sample_replies(model, begun(), change, uniforms, temperature=TEMPERATURE)  # type: ignore[arg-type]

    tokens = rows * options.tokens
    return {
        "replies, an intervention a row": seconds(sampled(touched)) / tokens,
        "replies, untouched": seconds(sampled(untouched(model))) / tokens,
        "prompts of the replies": seconds(begun) / tokens,
        PRODUCTS: seconds(products(model, rows), 5) / rows,
    }


def envs(options: argparse.Namespace) -> dict[str, float]:
    """Return seconds a round: the pure game under three mechanisms, the vector face and the single one."""
    del options
    import gymnasium
    import numpy as np
    import torch

    from auctionsim.envs import build_game

    generator, found = torch.Generator().manual_seed(0), {}
    for name, batch in (("second-price", 8192), ("neuron-menu", 2048), ("neuron-auction", 2048)):
        game = build_game(name)

        def episode(game=game, batch=batch) -> None:  # type: ignore[no-untyped-def]
            state = game.draw(batch, generator)
            for _ in range(game.rounds):
                state, _ = game.step(state, game.valuations(state))

        found[f"game, {name}"] = seconds(episode, 5) / (game.rounds * batch)
    vector = gymnasium.make_vec("auctionsim/SecondPrice-v0", num_envs=4096)
    vector.reset(seed=0)
    bids = np.full(vector.action_space.shape, 0.5, dtype=np.float32)
    found["vector environment"] = seconds(lambda: [vector.step(bids) for _ in range(170)]) / (170 * 4096)
    single = gymnasium.make("auctionsim/SecondPrice-v0")

    def episodes() -> None:
        for seed in range(64):
            single.reset(seed=seed)
            while not single.step(bids[0])[2]:
                pass

    found["single environment"] = seconds(episodes, 5) / (64 * 16)
    return found


WORK = {"decoding": decoding, "envs": envs}


def measured(root: Path, what: str, options: argparse.Namespace) -> dict[str, float]:
    """Return what a process of one checkout measures.

    Raises:
        RuntimeError: The process failed; its errors are shown.
    """
    words = [sys.executable, __file__, "--one", str(root), "--what", what]
    words += ["--tokens", str(options.tokens), "--dtype", options.dtype]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "PYTHONPATH": ""})
    if done.returncode:
        raise RuntimeError(f"{what} failed in {root}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def lines(pairs: list[tuple[dict[str, float], dict[str, float]]]) -> list[str]:
    """Return the table: each ratio pair by pair, its median and range; then shares of the limit and of hooks."""
    table = []
    for name in pairs[0][0]:
        ratios = [here[name] / there[name] for here, there in pairs]
        each = " ".join(f"{ratio:.3f}" for ratio in ratios)
        middle = statistics.median(ratios)
        table.append(f"{name:34s} {middle:.3f}  {min(ratios):.3f} to {max(ratios):.3f}   [{each}]")
    if PRODUCTS in pairs[0][0]:
        touched, untouched = list(pairs[0][0])[:2]
        for which, side in (("this checkout", 0), ("the other", 1)):
            share = statistics.median(pair[side][PRODUCTS] / pair[side][touched] for pair in pairs)
            hooks = statistics.median(1 - pair[side][untouched] / pair[side][touched] for pair in pairs)
            rest = statistics.median(pair[side][touched] - pair[side][PRODUCTS] for pair in pairs)
            table.append(
                f"{which}: {share:.1%} of the limit of its products, hooks {hooks:.1%}, beside the products "
                f"{rest * 1e6:.0f} µs a token"
            )
    return table


def main(arguments: list[str] | None = None) -> None:
    """Print the table; or, in a process of its own, one checkout's seconds as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, help="the other checkout")
    parser.add_argument("--what", nargs="+", choices=sorted(WORK), default=sorted(WORK))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=32, help="new tokens a row")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one is not None:
        use_checkout(options.one.resolve())
        print(json.dumps(WORK[options.what[0]](options)))
        return
    if options.against is None or options.pairs < 1:
        parser.error("name the other checkout by --against, and at least one pair")
    other = options.against.resolve()
    for what in options.what:
        pairs = []
        for turn in range(options.pairs):
            order = (HERE, other) if turn % 2 == 0 else (other, HERE)
            found = {root: measured(root, what, options) for root in order}
            pairs.append((found[HERE], found[other]))
            each = ", ".join(f"{name} {found[HERE][name] / found[other][name]:.3f}" for name in found[HERE])
            print(f"pair {turn + 1}: {each}", flush=True)
        print(f"{what}: seconds here to seconds in {other}, {options.pairs} pairs; wanted <= {WANTED}")
        print("\n".join(lines(pairs)), flush=True)


if __name__ == "__main__":
    main()
