"""Embedding models: a text as a vector of length 1, by mean pooling over an encoder's tokens.

    e(text) = m / ‖m‖,   m = mean of the encoder's last layer over the text's tokens and the special ones at its ends

so the cosine of two texts is the dot product of their vectors. Computed in float32 on the CPU: a text's vector differs
by less than 1e-5 whichever texts it is embedded with.

Source:
    Reimers and Gurevych (2019), "Sentence-BERT: sentence embeddings using Siamese BERT-networks".
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from torch import Tensor, nn

from auctionsim.errors import InputError, ModelUnavailableError
from auctionsim.judges.embedding_files import (
    MINILM,
    check_pooling,
    embedding_folder,
    embedding_identity,
    token_limit,
    unavailable,
)

MOST_KEPT = 20_000
"""Embeddings that are kept a model, the least recently used are dropped: 31 MB of MiniLM's."""

_ROWS = 32  # texts of a batch, of similar lengths
_LOADED: dict[str, "Embedder"] = {}
_LOADING = threading.Lock()

Tokens = tuple[int, ...]
"""Token ids of a text or of a part of it, without special tokens."""


class Embedder:
    """An encoder that embeds texts; threads may share it.

    Args:
        identity: Name and digest of its files, see `embedding_identity`.
        network: An encoder of transformers; it is frozen, in float32, on the CPU.
        tokenizer: Its transformers tokenizer, a fast one.
        longest: Tokens of a text that are read, special ones included, >= 3.
        most_kept: Embeddings that are kept.
    """

    def __init__(
        self, identity: str, network: Any, tokenizer: Any, longest: int, *, most_kept: int = MOST_KEPT
    ) -> None:
        self.identity, self.longest, self.most_kept = identity, longest, most_kept
        self.dimension = int(network.config.hidden_size)
        self._network, self._tokenizer = network.float().eval().requires_grad_(False), tokenizer
        self._kept: OrderedDict[Tokens, Tensor] = OrderedDict()
        self._lock = threading.Lock()  # of the tokenizer, which holds its settings, and of what is kept
        self._before, self._after = self._special()

    def embed(self, texts: Sequence[str]) -> Float[Tensor, "text dimension"]:
        """Return texts' embeddings, float32, each of length 1.

        Raises:
            ValueError: A text without any token, such as an empty one.
        """
        parts = self.tokens(texts)
        for text, part in zip(texts, parts, strict=True):
            if not part:
                raise InputError(f"a text to be embedded needs a token, got {text!r:.60}")
        return self.embed_tokens(parts)

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """Return each text's tokens, all of them and no special ones; () for a text of white space or no text."""
        if not texts:
            return []
        plain = [text.encode(errors="replace").decode() for text in texts]  # half a surrogate pair is a question mark
        with self._lock:
            ids = self._tokenizer(plain, add_special_tokens=False, padding=False, truncation=False, verbose=False)
        return [tuple(part) for part in ids["input_ids"]]

    def embed_tokens(self, parts: Sequence[Tokens]) -> Float[Tensor, "part dimension"]:
        """Return the embeddings of parts of texts, each of at least one token; beyond `longest` nothing is read."""
        room = self.longest - len(self._before) - len(self._after)
        cut = [part[:room] for part in parts]
        if not all(cut):
            raise InputError("a part to be embedded needs a token, got one of none")
        with self._lock:
            rows = {part: self._kept[part] for part in cut if part in self._kept}
            new = sorted({part for part in cut if part not in rows}, key=lambda part: (len(part), part))
            for start in range(0, len(new), _ROWS):
                batch = new[start : start + _ROWS]
                rows.update(zip(batch, self._forward(batch), strict=True))
            for part in cut:
                self._kept[part] = rows[part]
                self._kept.move_to_end(part)
            while len(self._kept) > self.most_kept:
                self._kept.popitem(last=False)
        return torch.stack([rows[part] for part in cut]) if cut else torch.empty(0, self.dimension)

    @torch.inference_mode()
    def _forward(self, batch: Sequence[Tokens]) -> Float[Tensor, "part dimension"]:
        rows = [torch.tensor([*self._before, *part, *self._after]) for part in batch]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self._tokenizer.pad_token_id or 0)
        lengths = torch.tensor([len(row) for row in rows])
        mask = torch.arange(ids.shape[1]) < lengths.unsqueeze(1)
        hidden = self._network(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        pooled = (hidden * mask.unsqueeze(2)).sum(1) / lengths.unsqueeze(1)
        return nn.functional.normalize(pooled, dim=1).clone()

    def _special(self) -> tuple[Tokens, Tokens]:
        """Return the special tokens before and after a text."""
        encoded = self._tokenizer("a", return_special_tokens_mask=True, padding=False, truncation=False)
        ids, mask = encoded["input_ids"], encoded["special_tokens_mask"]
        first = mask.index(0)
        last = len(mask) - mask[::-1].index(0)
        return tuple(ids[:first]), tuple(ids[last:])


def load_embedder(name: str = MINILM) -> Embedder:
    """Return an embedding model, loaded once a process.

    Code that a model brings along is never run, and only safetensors are read.

    Args:
        name: "minilm" for the packaged one, a folder, or a Hugging Face hub id of an encoder with mean pooling.
    Raises:
        ModelUnavailableError: It is not here; the message says how to get it.
        NotImplementedError: It does something else than mean pooling.
    """
    identity = embedding_identity(name)
    with _LOADING:
        if identity not in _LOADED:
            _LOADED[identity] = _read(name, identity)
        return _LOADED[identity]


def _read(name: str, identity: str) -> Embedder:
    """Read tokenizer and network.

    Raises:
        ModelUnavailableError: They cannot be read, weights are missing, or transformers is.
    """
    try:
        import transformers
    except ImportError:
        raise ModelUnavailableError("embedding models need transformers: pip install 'auctionsim[llm]'") from None
    folder = embedding_folder(name)
    check_pooling(folder)
    quiet = transformers.utils.logging
    bar = quiet.is_progress_bar_enabled()
    quiet.disable_progress_bar()
    theirs = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **theirs)
        network, report = transformers.AutoModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, **theirs
        )
        missing = sorted(key for key in report["missing_keys"] if not key.startswith("pooler."))  # which is not used
        if missing:
            raise InputError(f"its weights lack {missing[0]}")
        if not tokenizer.is_fast:
            raise InputError("its tokenizer has no tokenizer.json")
        return Embedder(identity, network, tokenizer, token_limit(folder, tokenizer, network.config))
    except (ImportError, OSError, LookupError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelUnavailableError(unavailable(name, error)) from error
    finally:
        if bar:
            quiet.enable_progress_bar()
