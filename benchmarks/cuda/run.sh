#!/usr/bin/env bash
# The check of an accelerator, at most eight minutes: what must be equal there, how fast replies are sampled, one small measurement.
#
#   benchmarks/cuda/run.sh                                   from the project's root or anywhere; the table goes to the screen
#   OUT=folder WHEELS=folder MODEL=folder PYTHON=python3 benchmarks/cuda/run.sh [--device cuda] [--seconds 480] [--shapes smollm2,qwen3-4b,llama-3-8b]
#
# Needs a Python with torch and transformers. What else the project imports is taken from the folder of wheels WHEELS,
# without a network. MODEL is a folder of SmolLM2-135M-Instruct; without it, and without the package that carries it,
# weights are random. OUT gets cuda.md. It writes nothing else and changes no setting of the device.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -c 'import torch, transformers' || { echo "this check needs a Python with torch and transformers" >&2; exit 2; }
missing=$("$python" - <<'PYTHON_CODE'
from importlib.util import find_spec
NEEDED = {
    "numpy": "numpy", "scipy": "scipy", "jaxtyping": "jaxtyping", "wadler_lindig": "wadler_lindig", "psutil": "psutil",
    "safetensors": "safetensors", "gymnasium": "gymnasium", "cloudpickle": "cloudpickle", "farama_notifications": "Farama-Notifications",
}
print(" ".join(package for module, package in NEEDED.items() if find_spec(module) is None))
PYTHON_CODE
)
if [ -n "$missing" ]; then
    [ -n "${WHEELS:-}" ] || { echo "not installed here: $missing; name a folder of their wheels by WHEELS=folder" >&2; exit 2; }
    # shellcheck disable=SC2086
    "$python" -m pip install --quiet --no-index --no-deps --find-links "$WHEELS" --target "$scratch/packages" $missing || exit 2
fi
cd "$root" || exit 2
PYTHONPATH="$root:$scratch/packages${PYTHONPATH:+:$PYTHONPATH}" AUCTIONSIM_CACHE="${AUCTIONSIM_CACHE:-$scratch/cache}" \
    HF_HUB_OFFLINE=1 "$python" -m benchmarks.cuda.check "$@"
