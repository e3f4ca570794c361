"""Bits of a measurement in this checkout against another one: two prompts a replicate, nine joint settings, SmolLM2.

    git worktree add ../before COMMIT
    OMP_NUM_THREADS=1 python benchmarks/same_bits.py ../before

Both measure in processes of their own on one machine, by the same code here, with the neurons that ship with
running-shoes-2@3. Compared are every reply's tokens, and mean, standard error and n of every quantity that the other
checkout has. A loss that has no name there is `kl` here.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parents[1]
MEASURE = """
import json, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
import auctionsim
from auctionsim.language_models import load_model
from auctionsim.measurement import MeasurementSettings, measure, read_replies, REPLIES_FILE
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet, build_prompts
folder, samples, tokens, dtype = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
root = Path(auctionsim.__file__).parent
neurons = BrandNeurons.load(root / "data" / "neurons" / "running-shoes-2@3.safetensors")
whole = build_prompts("running shoes")
prompts = PromptSet(whole.contexts[:1], (whole.prompts[0][:8],))
settings = MeasurementSettings(
    num_neurons=(0.0, 512.0), amplification=(1.0, 1.5, 2.0), samples=samples, max_new_tokens=tokens, rows=9 * samples
)
surface = measure(folder, load_model("smollm2", "cpu", dtype), neurons, prompts, settings)
rows = [row._asdict() for row in surface.table()]
replies = [[*reply.place, reply.intervention, reply.token_ids] for reply in read_replies(folder / REPLIES_FILE).replies]
print(json.dumps({"at": str(root), "rows": rows, "replies": replies}))
"""


def measured(checkout: Path, samples: int, tokens: int, dtype: str) -> dict[str, Any]:
    """Measure with the package of a checkout, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, folder, str(samples), str(tokens), dtype],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    found = dict(json.loads(done.stdout.splitlines()[-1]))
    if Path(found["at"]) != checkout / "auctionsim":
        raise RuntimeError(f"the package of {checkout} was wanted, {found['at']} was imported")
    return found


def numbers(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return mean, standard error and n by place and quantity."""
    found = {}
    for row in rows:
        quantity = "kl" if row["quantity"] == "user_loss" else row["quantity"]
        rest = [v for k, v in row.items() if k not in ("quantity", "unit", "mean", "standard_error", "n")]
        found[json.dumps([*rest, quantity])] = [row["mean"], row["standard_error"], row["n"]]
    return found


def main() -> int:
    """Print what is compared and the largest difference; return 1 where a bit differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("other", type=Path, help="A checkout of another commit.")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--dtype", default="bfloat16")
    options = parser.parse_args()
    how = (options.samples, options.tokens, options.dtype)
    there, here = measured(options.other.resolve(), *how), measured(HERE, *how)
    old, new = numbers(there["rows"]), numbers(here["rows"])
    lacking = sorted(set(old) - set(new))
    differing = [place for place in old if place in new and old[place] != new[place]]
    largest = max((abs(a - b) for place in differing for a, b in zip(old[place], new[place], strict=True)), default=0.0)
    same_replies = there["replies"] == here["replies"]
    print(f"replies: {len(here['replies'])}, the same tokens: {same_replies}")
    print(f"numbers: {3 * len(old)} of the other checkout, {3 * len(lacking)} lacking here, differing {len(differing)}")
    print(f"largest difference: {largest}")
    for place in differing:
        print(f"    {place}: {old[place]} there, {new[place]} here")
    return 0 if same_replies and not lacking and not differing else 1


if __name__ == "__main__":
    sys.exit(main())
