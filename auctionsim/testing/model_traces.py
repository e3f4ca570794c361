"""What a change inside a model may leave behind: hooks, replaced forward passes, another attention, other weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from auctionsim.errors import FailedRunError
from auctionsim.language_models.model import LanguageModel

_REGISTRIES = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_ATTENTION = "_attn_implementation"


class ModelTraces(NamedTuple):
    """The state of a model that decoding must leave as it was.

    Attributes:
        hooks: Of each kind on each module, by "module kind"; those that have none are left out.
        replaced: Modules whose own forward pass stands in place of their class's.
        attention: What computes it, by configuration, in order.
        weights: A sum over the bits of each parameter and buffer.
    """

    hooks: dict[str, int]
    replaced: tuple[str, ...]
    attention: tuple[str, ...]
    weights: dict[str, int]

    def against(self, before: "ModelTraces") -> str:
        """Return what is not as it was before, in words; "" where all is."""
        if self.hooks != before.hooks:
            return f"hooks are on {', '.join(sorted(set(self.hooks) - set(before.hooks))) or 'other modules'}"
        if self.replaced != before.replaced:
            return f"forward passes are replaced in {sorted(set(self.replaced) ^ set(before.replaced))}"
        if self.attention != before.attention:
            return f"attention is computed by {self.attention}, not by {before.attention}"
        changed = [name for name, total in before.weights.items() if self.weights.get(name) != total]
        return f"weights are changed: {changed[0]}" if changed else ""


class StopDecodingError(FailedRunError):
    """A pass that the kit lets fail."""


def traces_of(model: LanguageModel) -> ModelTraces:
    """Return the state of a model's modules, attention and weights."""
    modules = list(model.network.named_modules())
    counts = {f"{name} {kind}": len(vars(module)[kind]) for name, module in modules for kind in _REGISTRIES}
    configs = [vars(module)["config"] for _, module in modules if "config" in vars(module)]
    return ModelTraces(
        hooks={name: count for name, count in counts.items() if count},
        replaced=tuple(name for name, module in modules if "forward" in vars(module)),
        attention=tuple(str(vars(config).get(f"{_ATTENTION}_internal")) for config in configs),
        weights={name: _bits(tensor) for name, tensor in model.network.state_dict().items()},
    )


@contextmanager
def failing(model: LanguageModel, passes: int) -> Iterator[None]:
    """Let the forward pass after so many fail where logits are made."""
    left = passes

    def count(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal left
        del module, inputs
        left -= 1
        if left < 0:
            raise StopDecodingError("the kit stops decoding here")

    handle = model.network.get_output_embeddings().register_forward_pre_hook(count)  # type: ignore[operator]
    try:
        yield
    finally:
        handle.remove()


def _bits(tensor: Tensor) -> int:
    """Return a sum over a tensor's bytes, read as whole numbers."""
    flat = tensor.detach().contiguous().flatten().view(torch.uint8)
    odd = flat[: len(flat) // 4 * 4].view(torch.int32)
    return int(odd.sum(dtype=torch.int64)) + int(flat[len(flat) // 4 * 4 :].sum(dtype=torch.int64))
