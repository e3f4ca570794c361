"""Updates of low rank to the down projections of feed-forward layers, weighed row by row."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from auctionsim.checks import checked_finite
from auctionsim.errors import InputError, InputTypeError
from auctionsim.language_models.architecture import FeedForward
from auctionsim.language_models.hooks import PassShape
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.residual_shift import check_layers, residual_width


@dataclass(frozen=True)
class LowRankFactors:
    """Several updates of the down projections of some layers, W' = W + Σ_k w_k U_k D_k.

    Attributes:
        layers: The layers, ascending, 0 at the embedding.
        down: (update, layer, rank, neuron) D_k, from activations to the update's own few numbers.
        up: (update, layer, width, rank) U_k, from those to the residual stream.
    Raises:
        TypeError: No floating-point tensors.
        ValueError: Shapes that do not fit each other or the layers, or numbers that are not finite.
    """

    layers: tuple[int, ...]
    down: Tensor
    up: Tensor

    def __post_init__(self) -> None:
        for name, factor in (("down", self.down), ("up", self.up)):
            if not isinstance(factor, Tensor) or not factor.is_floating_point():
                kind = factor.dtype if isinstance(factor, Tensor) else type(factor).__name__
                raise InputTypeError(f"{name} must be a floating-point tensor, got {kind}")
        check_layers(self.layers)
        down, up = tuple(self.down.shape), tuple(self.up.shape)
        fits = len(down) == len(up) == 4 and down[:2] == up[:2] and down[1] == len(self.layers) and down[2] == up[3]
        if not fits or 0 in down + up:
            raise InputError(
                f"factors for layers {self.layers} must have shapes (update, layer={len(self.layers)}, rank, neuron) "
                f"and (update, layer={len(self.layers)}, width, rank), got {down} and {up}"
            )
        for name, factor in (("down", self.down), ("up", self.up)):
            checked_finite(factor, name)

    @property
    def num_updates(self) -> int:
        """Updates."""
        return self.down.shape[0]

    def of_layer(self, place: int) -> tuple[Float[Tensor, "inner neuron"], Float[Tensor, "width inner"]]:
        """Return one layer's factors, the updates beside each other."""
        return self.down[:, place].flatten(0, 1), self.up[:, place].transpose(0, 1).flatten(1)


@dataclass(frozen=True)
class LowRankUpdate:
    """Updates of the down projections by weights a row: y' = y + Σ_k w_k U_k (D_k a); one row serves a whole batch.

    Attributes:
        factors: The updates, the same for all rows.
        weights: (row, update) w; 0 leaves an update out.
    Raises:
        TypeError: The weights are no floating-point tensor.
        ValueError: Another shape, or weights that are not finite.
    """

    factors: LowRankFactors
    weights: Tensor

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Tensor) or not self.weights.is_floating_point():
            kind = self.weights.dtype if isinstance(self.weights, Tensor) else type(self.weights).__name__
            raise InputTypeError(f"weights must be a floating-point tensor, got {kind}")
        if self.weights.ndim != 2 or self.weights.shape[1] != self.factors.num_updates:
            raise InputError(
                f"weights must have shape (row, update={self.factors.num_updates}), got {tuple(self.weights.shape)}"
            )
        checked_finite(self.weights, "weights")

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves every batch."""
        return self.weights.shape[0]

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the model exactly as it is."""
        return (self.weights == 0).all(1)

    def select(self, rows: Tensor | slice) -> "LowRankUpdate":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        return LowRankUpdate(
            self.factors, self.weights[rows if isinstance(rows, slice) else rows.to(self.weights.device)]
        )

    def repeat(self, times: int) -> "LowRankUpdate":
        """Return every row `times` times, one after the other."""
        return LowRankUpdate(self.factors, self.weights.repeat_interleave(times, dim=0))

    def applied(self, model: LanguageModel) -> AbstractContextManager["UpdateInForce"]:
        """Update the down projections in all forward passes of a model while it is in force.

        Where every row's weights are 0 there is no hook. Rows whose weights are 0 keep their numbers to the bit, also
        beside rows whose are not. On leaving, by whatever way, every hook is gone.

        Raises:
            ValueError: A layer that the model lacks, another width or number of neurons, or a forward pass with another
                number of rows.
        """
        return _updated(model, self)


class UpdateInForce:
    """Low-rank updates in force, whose rows can be dropped as those of the batch are.

    Attributes:
        weights: (row, 1, inner) each row's weights, one for each of the updates' own numbers.
        touched: (row, 1, 1) which rows have a weight that is not 0.
    """

    def __init__(self, weights: Float[Tensor, "row 1 inner"]) -> None:
        self.weights = weights
        self.touched: Bool[Tensor, "row 1 1"] = (weights != 0).any(2, keepdim=True)

    def keep(self, rows: Tensor) -> None:
        """Drop every row that `rows`, a mask or indices, does not name; a single row that serves all stays."""
        if len(self.weights) > 1:
            self.weights, self.touched = self.weights[rows], self.touched[rows]

    def added(
        self,
        activation: Float[Tensor, "batch position neuron"],
        output: Float[Tensor, "batch position width"],
        down: Float[Tensor, "inner neuron"],
        up: Float[Tensor, "width inner"],
    ) -> Float[Tensor, "batch position width"]:
        """Return a down projection's output with the updates added.

        Raises:
            ValueError: A pass with another number of rows.
        """
        if len(self.weights) not in (1, len(activation)):
            raise InputError(f"{len(self.weights)} rows of updates for a forward pass of {len(activation)} rows")
        inner = torch.nn.functional.linear(activation, down) * self.weights
        moved = output + torch.nn.functional.linear(inner, up)
        return torch.where(self.touched, moved, output)


@contextmanager
def _updated(model: LanguageModel, change: LowRankUpdate) -> Iterator[UpdateInForce]:
    feed_forwards, factors = _feed_forwards_of(model, change.factors), change.factors
    weights = change.weights.to(model.device, model.dtype)
    in_force = UpdateInForce(weights.repeat_interleave(factors.down.shape[2], dim=1).unsqueeze(1))
    shape = PassShape()
    handles = []
    try:
        if bool(in_force.touched.any()):
            if any(ffn.flattened for ffn in feed_forwards):
                embedding = model.network.get_input_embeddings()  # type: ignore[operator]
                handles.append(embedding.register_forward_pre_hook(shape.note))
            for place, ffn in enumerate(feed_forwards):
                down, up = (part.to(model.device, model.dtype) for part in factors.of_layer(place))

                def add(
                    _: object, inputs: tuple[Tensor, ...], output: Tensor, down: Tensor = down, up: Tensor = up
                ) -> Tensor:
                    moved = in_force.added(shape.unfold(inputs[0]), shape.unfold(output), down, up)
                    return moved.reshape(output.shape)

                handles.append(ffn.down_projection.register_forward_hook(add))
        yield in_force
    finally:
        for handle in handles:
            handle.remove()


def _feed_forwards_of(model: LanguageModel, factors: LowRankFactors) -> list[FeedForward]:
    """Return the feed-forward networks of the factors' layers.

    Raises:
        ValueError: A layer that the model lacks, another width, or another number of neurons.
    """
    last = factors.layers[-1]
    if last >= model.num_layers:
        raise InputError(f"layer {last} is beyond the model's {model.num_layers} layers 0 … {model.num_layers - 1}")
    expected = (model.num_neurons, residual_width(model))
    got = (factors.down.shape[3], factors.up.shape[2])
    if got != expected:
        raise InputError(
            f"factors for {got[0]} neurons a layer and a residual stream of width {got[1]}, the model has "
            f"{expected[0]} and {expected[1]}"
        )
    return [model.feed_forwards[layer] for layer in factors.layers]


@contextmanager
def read_projections(model: LanguageModel, layers: tuple[int, ...]) -> Iterator[dict[int, tuple[Tensor, Tensor]]]:
    """Collect what goes into down projections and what comes out, such that gradients of a score reach the latter.

    With a the input and g the gradient of a score in the output, Σ g aᵀ is its gradient in the projection's weight W,
    y = W a, which stays frozen.

    Yields:
        A dict from layer to the last pass's input and output, as the model has them.
    """
    seen: dict[int, tuple[Tensor, Tensor]] = {}
    handles = []
    try:
        for layer in layers:

            def listen(_: object, inputs: tuple[Tensor, ...], output: Tensor, layer: int = layer) -> Tensor:
                output = output if output.requires_grad else output.detach().requires_grad_()
                seen[layer] = inputs[0].detach(), output
                return output

            handles.append(model.feed_forwards[layer].down_projection.register_forward_hook(listen))
        yield seen
    finally:
        for handle in handles:
            handle.remove()
