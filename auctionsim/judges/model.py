"""Judge models: any causal model of transformers, in float32, that scores texts and is never sampled from.

A judge is no model that is sold: no neurons are looked for, and its own forward pass is taken. Rows of a batch are
padded on the right, where causal models never look, so a row does not depend on its batch but by rounding. What all
rows begin with is computed once, where the model's cache gives the same as a whole pass.
"""

import copy
import hashlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.judges.choices import NoVerdict, Verdict, VerdictOptions, option_tokens, verdict_of
from auctionsim.judges.prompts import JudgePrompt
from auctionsim.language_models.chat import framed_ids, plain_ids
from auctionsim.language_models.devices import choose_device
from auctionsim.language_models.loading import read_pretrained, short_name
from auctionsim.language_models.model import fingerprint
from auctionsim.language_models.packaged import PACKAGED, PACKAGED_MODELS
from auctionsim.language_models.precision import through_onednn

_log = logging.getLogger(__name__)

DEFAULT_JUDGE = PACKAGED
"""Judge model that is taken where none is named."""
_MOST_LOGITS = 1 << 26  # that a batch holds at once: 256 MB
_MOST_TOKENS = 4096  # of a batch
_AGREEMENT = 1e-3  # of log probabilities with and without a shared beginning, by which the cache is trusted
_FAILURES = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, NotImplementedError)
_PROBE = "Which running shoes would you choose for a long run, and why? I would like a warm and dry place to stay."


@dataclass(frozen=True)
class ModelJudge:
    """A causal language model that scores texts.

    Attributes:
        name: What it was loaded as: a packaged model's name, a hub id or a folder's name.
        fingerprint: Hex digest of the weights, see `auctionsim.language_models.model.fingerprint`.
        network: The transformers model, float32, in eval mode, its parameters frozen.
        tokenizer: Its transformers tokenizer.
        shares: Whether its cache gives what a whole pass gives, so that common beginnings are computed once.
    """

    name: str
    fingerprint: str
    network: Any
    tokenizer: Any
    shares: bool = False

    @property
    def identity(self) -> str:
        """Name, fingerprint, and a digest of how this tokenizer and its template frame a text, for provenance."""
        framing = hashlib.sha256(repr(self.chat_ids(_PROBE)).encode()).hexdigest()[:8]
        return f"{self.name}:{self.fingerprint}/{framing}"

    @property
    def context_length(self) -> int | None:
        """Positions that the network has, None where its configuration names no number."""
        positions = getattr(self.network.config.get_text_config(), "max_position_embeddings", None)
        return positions if isinstance(positions, int) and positions > 0 else None

    def chat_ids(self, prompt: str) -> list[int]:
        """Return the token ids of what a user says, ready for the reply's first token.

        Raises:
            ValueError: The prompt contains control tokens or what ends its turn.
        """
        return framed_ids(self.tokenizer, prompt)

    def reply_ids(self, text: str) -> list[int]:
        """Return the token ids of a reply as it follows `chat_ids`, without white space around it.

        Raises:
            ValueError: The text contains control tokens.
        """
        gap = "" if self.tokenizer.chat_template else " "  # the plain frame ends in "Answer:"
        return plain_ids(self.tokenizer, f"{gap}{text.strip()}") if text.strip() else []

    @torch.inference_mode()
    def log_probabilities(
        self, beginning: list[int], continuations: Sequence[list[int]]
    ) -> list[Float[Tensor, " token"]]:
        """Return log p of each token of continuations, given the beginning and the tokens before it, in nats.

        Args:
            beginning: Token ids, one at least.
            continuations: Token ids; an empty one gives an empty tensor.
        Raises:
            ValueError: No beginning, or a continuation is longer than the judge has positions.
        """
        found = [torch.empty(0)] * len(continuations)
        numbers = [k for k, ids in enumerate(continuations) if ids]
        rows = [[*beginning, *continuations[k][:-1]] for k in numbers]
        if not beginning:
            raise InputError("log probabilities need a beginning of one token at least")
        wanted = [len(continuations[k]) for k in numbers]
        for place, logits in self._logits(rows, wanted):
            tokens = torch.tensor(continuations[numbers[place]], device=logits.device).unsqueeze(1)
            log_p = logits.gather(1, tokens).squeeze(1) - logits.logsumexp(1)
            found[numbers[place]] = log_p.cpu()
        return found

    @torch.inference_mode()
    def next_logits(self, prompts: Sequence[list[int]]) -> Float[Tensor, "prompt vocabulary"]:
        """Return the logits of the token after each prompt, float32, on the CPU.

        Raises:
            ValueError: An empty prompt, or one longer than the judge has positions.
        """
        rows = [torch.empty(0)] * len(prompts)
        for place, logits in self._logits(prompts, [1] * len(prompts)):
            rows[place] = logits[0].cpu()
        return torch.stack(rows) if rows else torch.empty(0, self.network.config.get_text_config().vocab_size)

    def basis(self, prompt: JudgePrompt) -> str:
        """Return what verdicts on a prompt rest on, in one line: this judge and the prompt's text."""
        return f"{self.identity}; prompt {prompt.name} {prompt.digest}"

    @torch.inference_mode()
    def verdicts(self, prompts: Sequence[str], choice: VerdictOptions) -> list[Verdict | NoVerdict]:
        """Return a verdict for each prompt, by the logits of the options' tokens after it.

        Args:
            prompts: As the user's words; those with control tokens, or too long, get no verdict.
            choice: The options.
        Raises:
            NotImplementedError: The tokenizer has no single token for an option.
        """
        tokens = option_tokens(self.tokenizer, choice)
        framed = [self._framed(prompt) for prompt in prompts]
        numbers = [k for k, ids in enumerate(framed) if isinstance(ids, list)]
        rows = [ids for ids in framed if isinstance(ids, list)]
        given = {
            numbers[place]: verdict_of(logits[0].cpu(), tokens) for place, logits in self._logits(rows, [1] * len(rows))
        }
        return [given[k] if isinstance(ids, list) else ids for k, ids in enumerate(framed)]

    def _framed(self, prompt: str) -> list[int] | NoVerdict:
        try:
            ids = self.chat_ids(prompt)
        except InputError:
            return NoVerdict("it has control tokens of the judge's, or words that end its turn")
        long = self.context_length is not None and len(ids) > self.context_length
        return NoVerdict("it is longer than the judge can read") if long else ids

    def _logits(
        self, rows: Sequence[list[int]], wanted: Sequence[int]
    ) -> Iterator[tuple[int, Float[Tensor, "position vocabulary"]]]:
        """Yield each row's number and the logits at its last `wanted` positions, in any order."""
        most, longest = self.context_length, max(map(len, rows), default=0)
        if not all(rows) or (most is not None and longest > most):
            raise InputError(f"{self.name} judges texts of 1 to {most} tokens, got {min(map(len, rows))} to {longest}")
        shared = _shared(rows, wanted) if self.shares else 0
        cache = None
        if shared:
            ids = torch.tensor([rows[0][:shared]], device=self.network.device)
            cache = self.network(ids, use_cache=True, **self._kept(1)).past_key_values
        order = sorted(range(len(rows)), key=lambda k: (len(rows[k]), wanted[k]))
        for batch in self._batches(order, rows, wanted, shared):
            lengths = [len(rows[k]) - shared for k in batch]
            width = max(lengths)
            ids = torch.zeros(len(batch), width, dtype=torch.int64)
            for place, k in enumerate(batch):
                ids[place, : lengths[place]] = torch.tensor(rows[k][shared:])
            start = min(lengths[place] - wanted[k] for place, k in enumerate(batch))
            logits = self._forward(ids.to(self.network.device), cache, width - start)
            for place, k in enumerate(batch):
                end = lengths[place] - start
                yield k, logits[place, end - wanted[k] : end]

    def _forward(self, ids: Tensor, cache: Any, count: int) -> Float[Tensor, "row position vocabulary"]:
        """Return the logits at the last `count` positions."""
        own = None
        if cache is not None:
            own = copy.deepcopy(cache)
            own.batch_repeat_interleave(len(ids))
        logits = self.network(ids, past_key_values=own, use_cache=own is not None, **self._kept(count)).logits
        return logits[:, -count:].float()  # type: ignore[no-any-return]

    def _kept(self, count: int) -> dict[str, int]:
        """Return what tells the network to leave out all logits but the last, if it knows how."""
        return {"logits_to_keep": count} if "logits_to_keep" in signature(self.network.forward).parameters else {}

    def _batches(
        self, order: list[int], rows: Sequence[list[int]], wanted: Sequence[int], shared: int
    ) -> Iterator[list[int]]:
        """Yield the rows' numbers in batches whose logits fit into memory."""
        vocabulary = self.network.config.get_text_config().vocab_size
        batch: list[int] = []
        for k in order:
            both = [*batch, k]
            width = len(rows[k]) - shared  # the longest so far
            span = width - min(len(rows[j]) - shared - wanted[j] for j in both)
            if batch and (len(both) * span * vocabulary > _MOST_LOGITS or len(both) * (width + shared) > _MOST_TOKENS):
                yield batch
                both = [k]
            batch = both
        if batch:
            yield batch


def judge_model(name: str) -> ModelJudge:
    """Return a judge model; the same one is loaded once in a process.

    Code that a model brings along is never run.

    Args:
        name: "smollm2", "gemma3-270m", a Hugging Face hub id, or a folder that `save_pretrained` wrote.
    Raises:
        ModelUnavailableError: It is not here; the message says how to get it.
    """
    return _loaded(located(name))


def located(name: str) -> str:
    """Return a judge model's name, a folder's as its whole path; packaged names come before folders of theirs."""
    return str(Path(name).resolve()) if name not in PACKAGED_MODELS and Path(name).is_dir() else name


@lru_cache(maxsize=3)
def _loaded(name: str) -> ModelJudge:
    tokenizer, network = read_pretrained(name, torch.float32)
    return assembled_judge(short_name(name), network.to(choose_device("auto")), tokenizer)


def assembled_judge(name: str, network: Any, tokenizer: Any) -> ModelJudge:
    """Return a network and its tokenizer as a judge.

    Args:
        name: What it is called.
        network: A causal model of transformers in float32; it is frozen and put into eval mode.
        tokenizer: Its transformers tokenizer.
    """
    network = through_onednn(network.eval().requires_grad_(False))
    judge = ModelJudge(name, fingerprint(network), network, tokenizer)
    return replace(judge, shares=_cache_agrees(judge))


def _cache_agrees(judge: ModelJudge) -> bool:
    """Tell whether rows that share a beginning are scored as they are whole."""
    ids = [int(token) for token in judge.tokenizer(_PROBE, add_special_tokens=False)["input_ids"]]
    ids = (ids * 4)[:20]
    tails = [ids[5:9], ids[2:14]]
    whole = judge.log_probabilities(ids, tails)
    try:
        parts = replace(judge, shares=True).log_probabilities(ids, tails)
    except _FAILURES as error:
        _log.info("%s computes common beginnings anew in every row: %s", judge.name, type(error).__name__)
        return False
    gap = max(float((one - other).abs().max()) for one, other in zip(whole, parts, strict=True))
    if not gap <= _AGREEMENT:
        _log.info("%s computes common beginnings anew in every row: its cache is %g nats off", judge.name, gap)
    return gap <= _AGREEMENT


def _shared(rows: Sequence[list[int]], wanted: Sequence[int]) -> int:
    """Return how many tokens all rows begin with, those left out at which logits are wanted; 0 for a single row."""
    if len(rows) < 2:
        return 0
    most = min(len(row) - count for row, count in zip(rows, wanted, strict=True))
    low, high = min(rows), max(rows)  # what these two begin with, all do
    return next((k for k in range(most) if low[k] != high[k]), most)
