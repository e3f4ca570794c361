"""Which dtype a CPU decodes faster in: found by timing a few decode steps, once a machine and model."""

import copy
import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from auctionsim.errors import DamagedFileError
from auctionsim.files import write_text
from auctionsim.language_models.architecture import find_feed_forwards
from auctionsim.language_models.change import untouched
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import prefill
from auctionsim.records import Record, json_in

_log = logging.getLogger(__name__)

_ROWS, _PROMPT, _STEPS, _REPETITIONS = 32, 8, 3, 3
_DTYPES = (torch.float32, torch.bfloat16)


def remembered_dtype(network: nn.Module, folder: Path) -> torch.dtype:
    """Return the faster of float32 and bfloat16 for this network, timing them only where `folder` has no answer.

    The answer is kept by processor, threads, torch's version and the network's shapes, so that every process of a
    machine, and a measurement that goes on tomorrow, decode in the same dtype.

    Args:
        network: A causal transformers model on the CPU, in either dtype; it is left as it is.
        folder: Where answers are kept.
    Raises:
        ValueError: The kept answer is damaged.
    """
    shapes = sorted((name, list(parameter.shape)) for name, parameter in network.named_parameters())
    setting = [platform.machine(), _processor(), torch.get_num_threads(), torch.__version__, shapes]
    path = folder / f"dtype-{hashlib.sha256(json.dumps(setting).encode()).hexdigest()[:16]}.json"
    if path.exists():
        return _read(path)
    found = faster_dtype({kind: copy.deepcopy(network).to(kind) for kind in _DTYPES})
    _log.info("%s decodes faster here than the other dtype; kept in %s", found, path)
    write_text(path, json.dumps({"dtype": str(found).removeprefix("torch.")}))
    return found


def faster_dtype(networks: dict[torch.dtype, nn.Module], clock: Callable[[], float] = time.perf_counter) -> torch.dtype:
    """Return the key of the network whose decode steps take least time; each counts by its best repetition."""
    best = dict.fromkeys(networks, float("inf"))
    models = {kind: _Endless("probed", "", n, None, find_feed_forwards(n)) for kind, n in networks.items()}
    for repetition in range(1 + _REPETITIONS):
        for kind, model in models.items():
            prefix = prefill(model, list(range(3, 3 + _PROMPT)), _STEPS)
            began = clock()
            sample_replies(model, prefix, untouched(model), torch.zeros(_ROWS, _STEPS), temperature=0.0)
            if repetition > 0:  # the first warms up
                best[kind] = min(best[kind], clock() - began)
    return min(best, key=lambda kind: best[kind])


class _Endless(LanguageModel):
    """A model that nobody reads: without a tokenizer, and no token ends its replies."""

    @property
    def end_ids(self) -> tuple[int, ...]:
        return ()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("model name")), "")


def _read(path: Path) -> torch.dtype:
    """Return a kept answer.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        name = Record(json_in(path), "it").text("dtype")
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[name]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedFileError(f"{path} is damaged: remove it, the dtypes are timed again") from error
