"""Where a language model is computed and in which dtype: what the machine has, and on CPUs what is faster there."""

import logging

import torch
from torch import nn

from auctionsim.caching import cache_folder
from auctionsim.errors import InputError
from auctionsim.language_models.probe import remembered_dtype

_log = logging.getLogger(__name__)

_MOST_TIMED = 10**9  # parameters of a model that is loaded in two dtypes to be timed


def choose_device(device: str) -> torch.device:
    """Resolve "auto" to the best device that is there.

    Raises:
        ValueError: A device that torch does not know or that is not there.
    """
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        chosen = torch.device("mps" if torch.backends.mps.is_available() else "cpu")
        _log.info("there is no CUDA device: %s computes", chosen)
        return chosen
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
    return chosen


def choose_dtype(dtype: str, device: torch.device) -> torch.dtype:
    """Resolve "auto" to bfloat16 where the device computes in it, else float32.

    Raises:
        ValueError: Not one of auto, float32, bfloat16, float16.
    """
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype in known:
        return known[dtype]
    if dtype != "auto":
        raise InputError(f"dtype must be auto, {', '.join(known)}, got {dtype!r}")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and _cpu_computes_bfloat16():
        return torch.bfloat16
    return torch.float32


def _cpu_computes_bfloat16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "AVX512" in capabilities and bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def timed_dtype(network: nn.Module) -> torch.dtype:
    """Return the dtype that decodes faster here; bfloat16 where that cannot be timed, or a copy may not fit."""
    if sum(parameter.numel() for parameter in network.parameters()) > _MOST_TIMED:
        return torch.bfloat16
    return remembered_dtype(network.eval(), cache_folder() / "probes")
