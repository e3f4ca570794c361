"""How neurons are read and changed: context managers over feed-forward activations that leave no trace behind."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from auctionsim.language_models.intervention import Intervention
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
def intervene(model: LanguageModel, intervention: Intervention, *, first_position: int = 0) -> Iterator[Applied]:
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
    _check_intervention(model, intervention)
    found = {ffn.hook_point: _of_layer(intervention, ffn.layer, model) for ffn in model.feed_forwards}
    applied = Applied({name: change for name, change in found.items() if change is not None})

    def change(name: str, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        activation, (scale, shift) = inputs[0], applied.changes[name]
        if scale.shape[0] not in (1, activation.shape[0]):
            raise ValueError(f"{scale.shape[0]} rows of interventions for a forward pass of {activation.shape[0]} rows")
        if first_position == 0:
            return (_affine(activation, scale, shift), *inputs[1:])
        kept, touched = activation[:, :first_position], activation[:, first_position:]
        return (torch.cat((kept, _affine(touched, scale, shift)), dim=1), *inputs[1:])

    with _hooked(model, change, only=applied.changes):
        yield applied


@contextmanager
def scale_neurons(model: LanguageModel, scales: Tensor, *, first_position: int = 0) -> Iterator[None]:
    """Multiply every neuron's activation by a factor: `intervene` with scales (row, layer, neuron) alone."""
    with intervene(model, Intervention(scales), first_position=first_position):
        yield


def _affine(activation: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    return activation * scale if shift is None else torch.addcmul(shift, activation, scale)


def _of_layer(intervention: Intervention, layer: int, model: LanguageModel) -> tuple[Tensor, Tensor | None] | None:
    """Return one layer's (row, 1, neuron) scale and shift in the model's dtype; None where nothing is changed."""
    scale = intervention.scale[:, layer, None, :]
    shift = None if intervention.shift is None else intervention.shift[:, layer, None, :]
    if shift is not None and bool((shift == 0).all()):
        shift = None
    if shift is None and bool((scale == 1).all()):
        return None
    return scale.to(model.device, model.dtype), None if shift is None else shift.to(model.device, model.dtype)


def _check_intervention(model: LanguageModel, intervention: Intervention) -> None:
    expected, scale, shift = (model.num_layers, model.num_neurons), intervention.scale, intervention.shift
    if scale.shape[1:] != expected:
        raise ValueError(
            f"scales must have shape (row, layer, neuron) = (row, {expected[0]}, {expected[1]}), "
            f"got {tuple(scale.shape)}"
        )
    if not bool(torch.isfinite(scale).all() and (scale >= 0).all()):
        raise ValueError(f"scales must be finite and >= 0, got min {scale.min().item()}, max {scale.max().item()}")
    if shift is not None and not bool(torch.isfinite(shift).all()):
        raise ValueError(f"shifts must be finite, got min {shift.min().item()}, max {shift.max().item()}")


@contextmanager
def _hooked(model: LanguageModel, function: object, only: Collection[str] | None = None) -> Iterator[None]:
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
