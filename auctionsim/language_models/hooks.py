"""How neurons are read and scaled: context managers over feed-forward activations that leave no trace behind."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from auctionsim.language_models.loading import LanguageModel

HOOK_POINT = "blocks.{layer}.mlp.hook_post"


@contextmanager
def read_neurons(model: LanguageModel, *, gradients: bool = False) -> Iterator[dict[str, Tensor]]:
    """Collect the feed-forward activations of the forward passes run inside.

    Args:
        model: The model to listen to.
        gradients: Keep the activations in the graph and make them require gradients, so that
            `torch.autograd.grad(score, list(activations.values()))` works; the model's parameters stay frozen.
    Yields:
        A dict from hook point, `blocks.{layer}.mlp.hook_post`, to the last pass's activations
        (row, position, neuron), layers in order.
    """
    activations: dict[str, Tensor] = {}

    def listen(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        activation = inputs[0]
        if gradients and not activation.requires_grad:
            activation = activation.detach().requires_grad_()
        activations[name] = activation if gradients else activation.detach()
        return (activation, *inputs[1:])

    with _hooked(model, listen):
        yield activations


@contextmanager
def scale_neurons(model: LanguageModel, scales: Tensor, *, first_position: int = 0) -> Iterator[None]:
    """Multiply every neuron's activation by a factor, one set of factors a row of the batch.

    Layers whose factors are all exactly 1 get no hook, so that at the null the model runs untouched. On leaving, by
    whatever way, every hook is gone.

    Args:
        model: The model whose forward passes are changed.
        scales: (row, layer, neuron) factors ≥ 0, row by row as in the batch; 1 leaves a neuron as it is. One row serves
            all rows.
        first_position: The first position, in the sequence given to each forward pass, that is scaled.
    Raises:
        TypeError: Factors that are no floating-point tensor.
        ValueError: Factors of the wrong shape, or not finite and ≥ 0; a forward pass with another number of rows.
    """
    if not isinstance(scales, Tensor) or not scales.is_floating_point():
        kind = scales.dtype if isinstance(scales, Tensor) else type(scales).__name__
        raise TypeError(f"scales must be a floating-point tensor, got {kind}")
    expected = (model.num_layers, model.num_neurons)
    if scales.ndim != 3 or scales.shape[1:] != expected:
        raise ValueError(
            f"scales must have shape (row, layer, neuron) = (row, {expected[0]}, {expected[1]}), "
            f"got {tuple(scales.shape)}"
        )
    if not bool(torch.isfinite(scales).all() and (scales >= 0).all()):
        raise ValueError(f"scales must be finite and >= 0, got min {scales.min().item()}, max {scales.max().item()}")
    touched = (scales != 1).any(dim=2).any(dim=0)
    factors = {
        ffn.hook_point: scales[:, ffn.layer, None, :].to(model.device, model.dtype)
        for ffn in model.feed_forwards
        if touched[ffn.layer]
    }

    def scale(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        activation, factor = inputs[0], factors[name]
        if factor.shape[0] not in (1, activation.shape[0]):
            raise ValueError(f"{factor.shape[0]} rows of scales for a forward pass of {activation.shape[0]} rows")
        if first_position == 0:
            return (activation * factor, *inputs[1:])
        kept, scaled = activation[:, :first_position], activation[:, first_position:] * factor
        return (torch.cat((kept, scaled), dim=1), *inputs[1:])

    with _hooked(model, scale, only=factors):
        yield


@contextmanager
def _hooked(model: LanguageModel, function: object, only: dict[str, Tensor] | None = None) -> Iterator[None]:
    handles = []
    try:
        for ffn in model.feed_forwards:
            if only is None or ffn.hook_point in only:
                name = ffn.hook_point
                handles.append(
                    ffn.down_projection.register_forward_pre_hook(
                        lambda module, inputs, name=name: function(name, module, inputs)  # type: ignore[operator]
                    )
                )
        yield
    finally:
        for handle in handles:
            handle.remove()
