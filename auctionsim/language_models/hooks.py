"""How neurons are read and changed: context managers over feed-forward activations that leave no trace behind."""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from auctionsim.errors import InputError
from auctionsim.language_models.model import LanguageModel

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

    def listen(name: str, activation: Tensor) -> Tensor:
        if gradients and not activation.requires_grad:
            activation = activation.detach().requires_grad_()
        activations[name] = activation if gradients else activation.detach()
        return activation

    with _hooked(model, listen):
        yield activations


@runtime_checkable
class AffineChange(Protocol):
    """What `intervene` takes: a' = scale · a + shift, see `auctionsim.language_models.intervention.Intervention`."""

    @property
    def scale(self) -> Tensor:
        """(row, layer, neuron) factors."""

    @property
    def shift(self) -> Tensor | None:
        """(row, layer, neuron) what is added after, None where nothing is."""


class Applied:
    """An intervention in force, whose rows can be dropped as those of the batch are."""

    def __init__(self, changes: dict[str, tuple[Tensor, Tensor | None]]) -> None:
        self.changes = changes

    def keep(self, rows: Tensor) -> None:
        """Drop every row that `rows`, a mask or indices, does not name; a single row that serves all stays."""
        for name, (scale, shift) in self.changes.items():
            if len(scale) > 1:
                self.changes[name] = scale[rows], None if shift is None else shift[rows]


@contextmanager
def intervene(model: LanguageModel, intervention: AffineChange, *, first_position: int = 0) -> Iterator[Applied]:
    """Change every neuron's activation to scale · activation + shift, one set of numbers a row of the batch.

    Layers that no row changes get no hook, so that at the null the model runs untouched. On leaving, by whatever way,
    every hook is gone.

    Args:
        model: The model whose forward passes are changed.
        intervention: Row by row as in the batch; one row serves all rows.
        first_position: The first position, in the sequence given to each forward pass, that is changed.
    Yields:
        A handle by which rows can be dropped while it is in force.
    Raises:
        ValueError: Layers or neurons that are not as many as the model's; scale or shift not finite, or a scale below
            0; a forward pass with another number of rows.
    """
    touched = _touched_layers(model, intervention)
    found = {
        ffn.hook_point: _of_layer(intervention, ffn.layer, model) for ffn in model.feed_forwards if touched[ffn.layer]
    }
    applied = Applied(found)

    def change(name: str, activation: Tensor) -> Tensor:
        scale, shift = applied.changes[name]
        if scale.shape[0] not in (1, activation.shape[0]):
            raise InputError(f"{scale.shape[0]} rows of interventions for a forward pass of {activation.shape[0]} rows")
        if first_position == 0:
            return _affine(activation, scale, shift)
        kept, touched = activation[:, :first_position], activation[:, first_position:]
        return torch.cat((kept, _affine(touched, scale, shift)), dim=1)

    with _hooked(model, change, only=applied.changes):
        yield applied


def _affine(activation: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    return activation * scale if shift is None else torch.addcmul(shift, activation, scale)


def _of_layer(intervention: AffineChange, layer: int, model: LanguageModel) -> tuple[Tensor, Tensor | None]:
    """Return one layer's (row, 1, neuron) scale and shift in the model's dtype; no shift where all are 0."""
    scale = intervention.scale[:, layer, None, :]
    shift = None if intervention.shift is None else intervention.shift[:, layer, None, :]
    if shift is not None and bool((shift == 0).all()):
        shift = None
    return scale.to(model.device, model.dtype), None if shift is None else shift.to(model.device, model.dtype)


def _touched_layers(model: LanguageModel, intervention: AffineChange) -> list[bool]:
    """Return which layers any row changes.

    Raises:
        ValueError: Layers or neurons that are not as many as the model's; scale or shift not finite, or a scale below
            0.
    """
    expected, scale, shift = (model.num_layers, model.num_neurons), intervention.scale, intervention.shift
    if scale.shape[1:] != expected:
        raise InputError(
            f"scales must have shape (row, layer, neuron) = (row, {expected[0]}, {expected[1]}), "
            f"got {tuple(scale.shape)}"
        )
    if len(scale) == 0:
        return [False] * model.num_layers
    low, high = _extremes(scale)
    if not all(least >= 0 and most < math.inf for least, most in zip(low, high, strict=True)):
        raise InputError(f"scales must be finite and >= 0, got min {scale.min().item()}, max {scale.max().item()}")
    touched = [not least == most == 1 for least, most in zip(low, high, strict=True)]
    if shift is None:
        return touched
    low, high = _extremes(shift)
    if not all(-math.inf < least and most < math.inf for least, most in zip(low, high, strict=True)):
        raise InputError(f"shifts must be finite, got min {shift.min().item()}, max {shift.max().item()}")
    return [there or not least == most == 0 for there, least, most in zip(touched, low, high, strict=True)]


def _extremes(values: Tensor) -> tuple[list[float], list[float]]:
    """Return each layer's least and greatest of (row, layer, neuron) values, NaN where there is one."""
    pairs = torch.stack([torch.stack(values[:, layer].aminmax()) for layer in range(values.shape[1])])
    low, high = pairs.T.tolist()
    return low, high


class PassShape:
    """The shape (row, position) of the token ids of the pass under way, noted where they are embedded."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None

    def note(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        """Take the shape of the ids that go into the embedding."""
        del module
        self.shape = tuple(inputs[0].shape) if inputs else None

    def unfold(self, activation: Tensor) -> Tensor:
        """Return activations as (row, position, neuron), also where a model flattens rows and positions into one axis.

        Raises:
            ValueError: Not every token of the batch passes here once, as in a layer of experts.
        """
        if activation.ndim == 3:
            return activation
        if activation.ndim != 2 or self.shape is None or len(activation) != math.prod(self.shape):
            ids = "" if self.shape is None else f" for token ids of shape {self.shape}"
            raise InputError(
                f"activations of a feed-forward layer must have shape (row, position, neuron), got "
                f"{tuple(activation.shape)}{ids}"
            )
        return activation.view(*self.shape, activation.shape[-1])


@contextmanager
def _hooked(
    model: LanguageModel,
    function: Callable[[str, Tensor], Tensor],
    only: Collection[str] | None = None,
) -> Iterator[None]:
    """Let `function(hook point, activations (row, position, neuron))` replace what goes into the down projections."""
    batch = PassShape()

    def pass_through(name: str, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        flat = inputs[0]
        return (function(name, batch.unfold(flat)).reshape(flat.shape), *inputs[1:])

    handles = []
    try:
        if any(ffn.flattened for ffn in model.feed_forwards):
            embedding = model.network.get_input_embeddings()  # type: ignore[operator]
            handles.append(embedding.register_forward_pre_hook(batch.note))
        for ffn in model.feed_forwards:
            if only is None or ffn.hook_point in only:
                name = ffn.hook_point
                handles.append(
                    ffn.down_projection.register_forward_pre_hook(
                        lambda _, inputs, name=name: pass_through(name, inputs)
                    )
                )
        yield
    finally:
        for handle in handles:
            handle.remove()
