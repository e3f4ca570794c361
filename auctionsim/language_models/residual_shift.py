"""Vectors that are added to the residual stream after chosen layers, each row of a batch by itself."""

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from auctionsim.checks import checked_finite
from auctionsim.errors import InputError, InputTypeError, UnsupportedError
from auctionsim.language_models.architecture import find_blocks
from auctionsim.language_models.model import LanguageModel


@dataclass(frozen=True)
class ResidualShift:
    """A vector a layer that is added to the residual stream behind it: h' = h + shift; one row serves a whole batch.

    Attributes:
        layers: The layers, ascending, 0 at the embedding.
        shift: (row, layer, width) what is added behind each of them, in units of the residual stream.
    Raises:
        TypeError: The shift is no floating-point tensor.
        ValueError: It does not have three axes, one entry a layer, or is not finite; or layers that do not ascend.
    """

    layers: tuple[int, ...]
    shift: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.shift, Tensor) or not self.shift.is_floating_point():
            kind = self.shift.dtype if isinstance(self.shift, Tensor) else type(self.shift).__name__
            raise InputTypeError(f"a shift must be a floating-point tensor, got {kind}")
        check_layers(self.layers)
        if self.shift.ndim != 3 or self.shift.shape[1] != len(self.layers):
            raise InputError(
                f"a shift behind layers {self.layers} must have shape (row, layer={len(self.layers)}, width), got "
                f"{tuple(self.shift.shape)}"
            )
        checked_finite(self.shift, "a shift")

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves every batch."""
        return self.shift.shape[0]

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the model exactly as it is."""
        return (self.shift == 0).flatten(1).all(1)

    def select(self, rows: Tensor | slice) -> "ResidualShift":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        return ResidualShift(self.layers, self.shift[rows if isinstance(rows, slice) else rows.to(self.shift.device)])

    def repeat(self, times: int) -> "ResidualShift":
        """Return every row `times` times, one after the other."""
        return ResidualShift(self.layers, self.shift.repeat_interleave(times, dim=0))

    def applied(self, model: LanguageModel) -> AbstractContextManager["ShiftInForce"]:
        """Add the vectors in all forward passes of a model while it is in force.

        Layers behind which no row adds anything get no hook. Rows that add nothing keep their numbers to the bit, also
        beside rows that do. On leaving, by whatever way, every hook is gone.

        Raises:
            ValueError: A layer that the model lacks, another width, blocks that do not return the residual stream, or
                a forward pass with another number of rows.
        """
        return _shifted(model, self)


class ShiftInForce:
    """Residual vectors in force, whose rows can be dropped as those of the batch are.

    Attributes:
        steps: (row, 1, width) what is added, by layer, in the model's dtype; −0 where that is nothing.
    """

    def __init__(self, steps: dict[int, Float[Tensor, "row 1 width"]]) -> None:
        self.steps = steps

    def keep(self, rows: Tensor) -> None:
        """Drop every row that `rows`, a mask or indices, does not name; a single row that serves all stays."""
        for layer, step in self.steps.items():
            if len(step) > 1:
                self.steps[layer] = step[rows]

    def added(self, layer: int, output: Any, block: str) -> Any:
        """Return what a block returns, with the layer's vectors added.

        Raises:
            ValueError: It does not return (row, position, width), alone or first of several, for as many rows.
        """
        step = self.steps[layer]
        stream = _stream(output, step.shape[2], f"{block} of layer {layer}")
        if step.shape[0] not in (1, stream.shape[0]):
            raise InputError(f"{step.shape[0]} rows of residual vectors for a forward pass of {stream.shape[0]} rows")
        moved = stream + step
        return moved if stream is output else (moved, *output[1:])


def _stream(output: Any, width: int, what: str) -> Tensor:
    """Return the residual stream (row, position, width) that a block returned, alone or first of several.

    Raises:
        ValueError: It returned something else.
    """
    stream = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(stream, Tensor) or stream.ndim != 3 or stream.shape[2] != width:
        got = tuple(stream.shape) if isinstance(stream, Tensor) else type(stream).__name__
        raise UnsupportedError(
            f"{what} does not return the residual stream (row, position, {width}), got {got}: no vector can be added "
            "to it"
        )
    return stream


def check_layers(layers: tuple[int, ...]) -> None:
    """Refuse layers that are not some of 0, 1, 2 … in ascending order, each once.

    Raises:
        ValueError: They are not.
    """
    whole = all(type(layer) is int and layer >= 0 for layer in layers)
    if not layers or not whole or any(a >= b for a, b in itertools.pairwise(layers)):
        raise InputError(f"layers must be whole numbers >= 0 in ascending order, one or more, got {layers}")


def residual_width(model: LanguageModel) -> int:
    """Return the width of a model's residual stream."""
    return model.feed_forwards[0].width


@contextmanager
def read_residuals(model: LanguageModel, layers: tuple[int, ...]) -> Iterator[dict[int, Tensor]]:
    """Collect the residual stream behind some layers in the forward passes that are run inside.

    Yields:
        A dict from layer to the last pass's stream (row, position, width).
    Raises:
        ValueError: A layer that the model lacks, or blocks that do not return the residual stream.
    """
    width, streams = residual_width(model), dict[int, Tensor]()
    blocks = _blocks_of(model, layers, width)

    def listen(layer: int, block: nn.Module, output: Any) -> None:
        streams[layer] = _stream(output, width, f"{type(block).__name__} of layer {layer}").detach()

    handles = []
    try:
        for layer, block in blocks.items():
            handles.append(block.register_forward_hook(lambda block, _, output, k=layer: listen(k, block, output)))
        yield streams
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _shifted(model: LanguageModel, change: ResidualShift) -> Iterator[ShiftInForce]:
    blocks = _blocks_of(model, change.layers, change.shift.shape[2])
    steps = {}
    for place, layer in enumerate(change.layers):
        step = change.shift[:, place, None, :].to(model.device, model.dtype)
        if bool((step != 0).any()):
            steps[layer] = torch.where(step == 0, -0.0, step)  # x + (−0) is x to the bit, x + 0 is not where x is −0
    in_force = ShiftInForce(steps)
    handles = []
    try:
        for layer in steps:
            block = blocks[layer]
            name = type(block).__name__
            handles.append(
                block.register_forward_hook(
                    lambda _block, _inputs, output, layer=layer, name=name: in_force.added(layer, output, name)
                )
            )
        yield in_force
    finally:
        for handle in handles:
            handle.remove()


def _blocks_of(model: LanguageModel, layers: tuple[int, ...], width: int) -> dict[int, nn.Module]:
    """Return the blocks of some layers, found in the network as it is: a copy in float32 has its own.

    Raises:
        ValueError: A layer that the model lacks, or another width.
    """
    if layers and layers[-1] >= model.num_layers:
        raise InputError(
            f"layer {layers[-1]} is beyond the model's {model.num_layers} layers 0 … {model.num_layers - 1}"
        )
    if width != residual_width(model):
        raise InputError(f"vectors of width {width} for a residual stream of width {residual_width(model)}")
    blocks = find_blocks(model.network)
    if len(blocks) != model.num_layers:
        raise UnsupportedError(
            f"{type(model.network).__name__} has {len(blocks)} blocks for {model.num_layers} feed-forward layers: "
            "behind which of them a vector belongs is unknown"
        )
    return {layer: blocks[layer] for layer in layers}
