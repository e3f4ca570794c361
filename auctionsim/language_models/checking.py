"""Whether a model is decoded right here: found out by a few short passes when it is loaded, not while it is used.

Structure cannot tell whether attention of our own, keys kept once a prompt and hooks on the feed-forward layers give
what the model's own forward pass gives. Numbers can: two prompts of different lengths are decoded under interventions
of each own, and scored through the library's cache, and both must equal one uncached pass with the library's attention.
They are equal where they differ by no more than the arithmetic does: by at most `MARGIN` times what moving every
neuron's factor by one unit in its last place does to the same logits. Where a router of experts stands at a tie,
rounding makes a jump: who fails is drawn anew, with other tokens and factors, and refused after `DRAWS` failures.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from auctionsim.errors import InputError
from auctionsim.language_models.architecture import FeedForward
from auctionsim.language_models.attention import check_attention
from auctionsim.language_models.chat import check_tokenizer
from auctionsim.language_models.decoding import reply_logits
from auctionsim.language_models.hooks import intervene, read_neurons
from auctionsim.language_models.intervention import Intervention
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import growing_cache, prefill_together

MARGIN = {torch.float64: 8.0, torch.float32: 8.0, torch.float16: 3.0, torch.bfloat16: 3.0}
"""How many times the effect of one unit in the last place counts as rounding.

Measured on 70 architectures, two draws each, with AVX-512, AVX2 and neither: at most 3.9 in float32, where the order of
sums counts too, and 1.4 in both halves.
"""

_COARSEST = 300.0, 0.15  # units in the last place, or share of the logits, above which rounding is no rounding

DRAWS = 3
"""Draws of tokens and factors that must all fail before a model is refused for its numbers."""

_TEXTS = ("Which running shoes would you choose for a long run, and why?", "I would like a warm and dry place to stay.")
_TOKENS = 7
_LENGTHS = (4, 3)  # of the two prompts
_REPLY = (1, 2)  # tokens of the two passes after them
_WINDOW = 3  # sliding windows are as narrow as this meanwhile, so that short texts leave them
_SPREAD = 0.5  # factors are drawn from 1 to 1 + this
_REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError)


def checked(model: LanguageModel) -> LanguageModel:
    """Return the model with its feed-forward layers as a pass shows them, once it is known to be decoded right.

    Raises:
        ValueError: It cannot be decoded here; one line names its class and the reason.
    """
    network: Any = model.network
    try:
        if network.get_output_embeddings() is None:
            raise InputError("it has no output embedding")
        rows = min(network.get_input_embeddings().weight.shape[0], model.vocabulary_size)
        check_tokenizer(model.tokenizer, rows, thinking=model.thinking, system=model.system)
        check_attention(network)
        model = replace(model, feed_forwards=_observed(model))
        with _narrow_windows(network):
            _check_logits(model)
    except torch.OutOfMemoryError:
        raise
    except _REFUSALS as error:
        raise InputError(f"{type(network).__name__} cannot be decoded here: {_reason(error)}") from error
    return model


@torch.inference_mode()
def _observed(model: LanguageModel) -> tuple[FeedForward, ...]:
    """Return the feed-forward layers, marked as flattened where a pass shows it.

    Raises:
        ValueError: A layer runs several times in a pass, or never, or does not see every token.
    """
    ids = _ids(model, 0)[:, :2]
    shapes: list[list[tuple[int, ...]]] = [[] for _ in model.feed_forwards]
    handles = [
        ffn.down_projection.register_forward_pre_hook(lambda _, inputs, k=k: shapes[k].append(tuple(inputs[0].shape)))
        for k, ffn in enumerate(model.feed_forwards)
    ]
    try:
        model.network(ids, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for ffn, seen in zip(model.feed_forwards, shapes, strict=True):
        if len(seen) != 1:
            raise InputError(f"the feed-forward layer of block {ffn.layer} runs {len(seen)} times in a pass")
        flat = (ids.numel(), ffn.num_neurons)
        if seen[0] not in ((*ids.shape, ffn.num_neurons), flat):
            raise InputError(
                f"the feed-forward layer of block {ffn.layer} gets activations of shape {seen[0]} for "
                f"{tuple(ids.shape)} tokens: not every token passes it once"
            )
        found.append(replace(ffn, flattened=seen[0] == flat))
    return tuple(found)


class _Reference(NamedTuple):
    """What an uncached pass with the library's attention gives after the two prompts.

    Attributes:
        logits: Under interventions, (row, position, vocabulary), in float32.
        rounding: How far they go, root mean square, when every factor moves by one unit in its last place; at least
            that unit of the logits themselves.
        coarse: That is more than rounding can do.
    """

    logits: Tensor
    rounding: float
    coarse: bool

    def distance(self, found: Tensor, row: int | slice = slice(None)) -> float:
        """Return how far logits are from these, root mean square, in units of rounding."""
        logits = self.logits[row]
        finite = logits.isfinite()
        if not bool((found.isfinite() == finite).all()):
            return float("inf")
        return _size((found.float() - logits)[finite]) / self.rounding


def _check_logits(model: LanguageModel) -> None:
    """Compare decoding, and scoring through the library's cache, with one uncached pass.

    Raises:
        ValueError: One of them differs by more than rounding, in every draw.
    """
    margin = MARGIN.get(model.dtype, 8.0)
    for draw in range(DRAWS):
        ids, change = _ids(model, draw), _change(model, draw)
        reference = _reference(model, ids, change)
        if reference.coarse:
            reason = "rounding alone moves its logits too far to tell"
            continue
        decoded = reference.distance(_decoded(model, ids, change))
        if not decoded <= margin:
            reason = f"its logits are not those of a full pass ({decoded:.0f} times what rounding does)"
            continue
        cached = reference.distance(_scored(model, ids[0], change.select(slice(0, 1))), 0)
        if cached <= margin:
            return
        reason = f"transformers' cache gives other logits than a full pass ({cached:.0f} times what rounding does)"
    raise InputError(reason)


@torch.inference_mode()
def _reference(model: LanguageModel, ids: Int[Tensor, "row position"], change: Intervention) -> _Reference:
    """Return the definition, and how far rounding moves it.

    Raises:
        ValueError: The logits of some position are not finite.
    """
    scale, step = change.scale.to(model.dtype), torch.finfo(model.dtype).eps
    signs = torch.rand(scale.shape, generator=torch.Generator().manual_seed(1)).sub_(0.5).sign_().to(scale)
    expected, shaken = (_full(model, ids, each) for each in (scale, scale * (1 + step * signs)))
    finite = expected.isfinite()
    if not bool(finite.any(-1).all()):
        raise InputError("its logits are not finite")
    size, rounding = _size(expected[finite]), _size((shaken - expected)[finite])
    coarse = not rounding <= min(_COARSEST[0] * step, _COARSEST[1]) * size
    return _Reference(expected, max(rounding, step * size + torch.finfo(torch.float32).tiny), coarse)


def _full(
    model: LanguageModel, ids: Int[Tensor, "row position"], scale: Tensor
) -> Float[Tensor, "row reply vocabulary"]:
    """Return the logits after both prompts from one uncached pass, in float32."""
    with intervene(model, Intervention(scale)):
        logits = model.network(ids, use_cache=False).logits.float()
    return torch.stack([logits[k, length - 1 : length - 1 + sum(_REPLY)] for k, length in enumerate(_LENGTHS)])


@torch.inference_mode()
def _decoded(
    model: LanguageModel, ids: Int[Tensor, "row position"], change: Intervention
) -> Float[Tensor, "row reply vocabulary"]:
    """Return the logits after both prompts, decoded in one batch."""
    count = sum(_REPLY)
    prompts = [ids[k, :length].tolist() for k, length in enumerate(_LENGTHS)]
    tokens = torch.stack([ids[k, length : length + count] for k, length in enumerate(_LENGTHS)])
    prefix = prefill_together(model, prompts, count, change)
    return reply_logits(model, prefix, tokens, change, pieces=_REPLY)


def _scored(
    model: LanguageModel, ids: Int[Tensor, " position"], change: Intervention
) -> Float[Tensor, "reply vocabulary"]:
    """Return the logits after the first prompt through the library's cache, with gradients to every neuron.

    Raises:
        ValueError: A gradient is not finite.
    """
    prompt, count = ids[: _LENGTHS[0]], sum(_REPLY)
    rest = ids[_LENGTHS[0] - 1 :][:count].unsqueeze(0)
    with intervene(model, change):
        cache = growing_cache(model, prompt.tolist(), 1)
        with torch.enable_grad(), read_neurons(model, gradients=True) as read:
            logits: Tensor = model.network(rest, past_key_values=cache, use_cache=True).logits
            score = torch.log_softmax(logits.float(), -1).gather(2, ids[_LENGTHS[0] :][:count].view(1, -1, 1)).sum()
            gradients = torch.autograd.grad(score, list(read.values()))
    if not all(bool(gradient.isfinite().all()) for gradient in gradients):
        raise InputError("the gradient of its logits is not finite")
    return logits.detach()[0]


def _ids(model: LanguageModel, draw: int) -> Int[Tensor, "row position"]:
    texts = [model.text_ids(text) or [0] for text in _TEXTS]
    rows = [(ids[draw % len(ids) :] + ids * _TOKENS)[:_TOKENS] for ids in texts]
    return torch.tensor(rows, device=model.device)


def _change(model: LanguageModel, draw: int) -> Intervention:
    shape = (2, model.num_layers, model.num_neurons)
    return Intervention(1 + _SPREAD * torch.rand(shape, generator=torch.Generator().manual_seed(draw)).to(model.device))


def _size(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


@contextmanager
def _narrow_windows(network: nn.Module) -> Iterator[None]:
    """Make sliding windows narrow, in the network's modules and their configurations, and wide again afterwards."""
    owners: dict[int, Any] = {}
    for module in network.modules():
        config = getattr(module, "config", None)
        owners |= {id(owner): owner for owner in (module, config) if owner is not None}
    wide = [(o, w) for o in owners.values() if type(w := vars(o).get("sliding_window")) is int and w > _WINDOW]
    try:
        for owner, _ in wide:
            owner.sliding_window = _WINDOW
        yield
    finally:
        for owner, window in wide:
            owner.sliding_window = window


def _reason(error: BaseException) -> str:
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    line = line.rpartition(" cannot be decoded here: ")[2]
    return line if isinstance(error, ValueError) else f"{type(error).__name__}: {line}"
