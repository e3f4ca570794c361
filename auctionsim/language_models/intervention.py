"""What is done to feed-forward activations: a' = scale · a + shift, each row of a batch by itself."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

from jaxtyping import Bool
from torch import Tensor

from auctionsim.errors import InputError, InputTypeError
from auctionsim.language_models.hooks import Applied, intervene
from auctionsim.language_models.model import LanguageModel


@dataclass(frozen=True)
class Intervention:
    """An affine change of every neuron's activation, a' = scale · a + shift; one row serves all rows of a batch.

    Attributes:
        scale: (row, layer, neuron) factors ≥ 0; 1 leaves a neuron as it is.
        shift: (row, layer, neuron) what is added after, in units of the activation; None where nothing is.
    Raises:
        TypeError: Scale or shift is no floating-point tensor.
        ValueError: They do not have three axes, or differ in shape.
    """

    scale: Tensor
    shift: Tensor | None = None

    def __post_init__(self) -> None:
        for name, values in (("scales", self.scale), ("shifts", self.shift)):
            if values is None and name == "shifts":
                continue
            if not isinstance(values, Tensor) or not values.is_floating_point():
                kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
                raise InputTypeError(f"{name} must be a floating-point tensor, got {kind}")
            if values.ndim != 3 or values.shape != self.scale.shape:
                beside = "" if name == "scales" else f" beside scales of {tuple(self.scale.shape)}"
                raise InputError(f"{name} must have shape (row, layer, neuron), got {tuple(values.shape)}{beside}")

    @property
    def num_rows(self) -> int:
        """Rows; 1 serves every batch."""
        return self.scale.shape[0]

    @property
    def null(self) -> Bool[Tensor, " row"]:
        """Which rows leave the model exactly as it is."""
        same = (self.scale == 1).flatten(1).all(1)
        return same if self.shift is None else same & (self.shift == 0).flatten(1).all(1)

    def select(self, rows: Tensor | slice) -> "Intervention":
        """Return some rows, by index, mask or slice; a single row that serves all stays as it is."""
        if self.num_rows == 1:
            return self
        index = rows if isinstance(rows, slice) else rows.to(self.scale.device)
        return Intervention(self.scale[index], None if self.shift is None else self.shift[index])

    def repeat(self, times: int) -> "Intervention":
        """Return every row `times` times, one after the other."""
        shift = None if self.shift is None else self.shift.repeat_interleave(times, dim=0)
        return Intervention(self.scale.repeat_interleave(times, dim=0), shift)

    def applied(self, model: LanguageModel) -> AbstractContextManager[Applied]:
        """Change the model's activations while it is in force, see `auctionsim.language_models.hooks.intervene`."""
        return intervene(model, self)


def scale_neurons(model: LanguageModel, scales: Tensor, *, first_position: int = 0) -> AbstractContextManager[Applied]:
    """Multiply every neuron's activation by a factor: `intervene` with scales (row, layer, neuron) alone."""
    return intervene(model, Intervention(scales), first_position=first_position)
