"""Amplified feed-forward neurons: each brand's own, as many and by as much as its levers say."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.checks import MOST_MONEY, checked_number
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.model import LanguageModel
from auctionsim.levers import MOST_HIGH, Lever
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.identification import identify
from auctionsim.storage import Stored

_NEURONS, _AMPLIFICATION = 512, 3.0


class Neurons(Carrier):
    """Brands' feed-forward neurons, amplified; levers (num_neurons, amplification).

    Args:
        neurons: Ranked, disjoint neurons of the brands.
        num_neurons: Highest value of that lever.
        amplification: Highest value of that lever.
        mode: What an amplification does: "multiply", "add" or "clamp", see `BrandNeurons.intervention`.
        lowest: Least value of amplification, 0 … 1; below 1 neurons are dampened.
    Raises:
        ValueError: Levers out of range, an unknown mode or one that the neurons lack the numbers for.
    """

    name = "neurons"

    def __init__(
        self,
        neurons: BrandNeurons,
        *,
        num_neurons: int = 256,
        amplification: float = 2.0,
        mode: str = "multiply",
        lowest: float = 1.0,
    ) -> None:
        if not 1 <= num_neurons <= neurons.max_neurons:
            raise InputError(f"num_neurons must lie in [1, {neurons.max_neurons}], got {num_neurons}")
        neurons.check_mode(mode)
        self.neurons, self.mode = neurons, mode
        self.brands: tuple[Brand, ...] = neurons.brands
        self.levers = (
            Lever("num_neurons", 0.0, float(num_neurons), 0.0),
            Lever(
                "amplification",
                checked_number(lowest, "lowest", 0.0, 1.0),
                checked_number(amplification, "amplification", 1.0, MOST_MONEY),
                1.0,
            ),
        )

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the intervention of `BrandNeurons`, a row each."""
        del context
        inside = self.neurons.intervention(self.checked(allocation).float(), self.mode)
        return Change(inside.num_rows, inside=inside)

    def check_model(self, model: LanguageModel) -> None:
        """Refuse a model that the neurons were not identified on."""
        if self.neurons.model.rpartition(":")[2] != model.identity.rpartition(":")[2]:
            raise InputError(f"the neurons were identified on {self.neurons.model}, not on {model.identity}")
        shape = (self.neurons.num_layers, self.neurons.neurons_per_layer)
        if shape != (model.num_layers, model.num_neurons):
            raise InputError(
                f"the neurons are of {shape[0]} layers of {shape[1]}, {model.name} has {model.num_layers} of "
                f"{model.num_neurons}"
            )

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return all neurons of the lever, amplified more and more."""
        count, most = self.levers[0].high, self.levers[1].high
        return torch.tensor([[count, 1 + (most - 1) * share] for share in (0.1, 0.2, 0.35, 0.5, 0.75, 1.0)])

    def stored(self) -> Stored:
        """Return the neurons and the levers' bounds."""
        inner = self.neurons.stored()
        low, high = self.levers[1].low, self.levers[1].high
        bounds = {"num_neurons": int(self.levers[0].high), "amplification": high, "mode": self.mode}
        bounds |= {"lowest": low} if low < 1 else {}
        return Stored(
            {"neurons": inner.record, **bounds}, {name: array.clone() for name, array in inner.arrays.items()}
        )

    @property
    def digest(self) -> str:
        """The neurons' own digest: bounds of levers change no reply."""
        return self.neurons.digest


def _fitted(inputs: FittingInputs) -> Neurons:
    own = inputs.prompts.split("identify")
    neurons = identify(
        inputs.model, inputs.brands, own, num_neurons=_NEURONS, amplification=_AMPLIFICATION, seed=inputs.seed
    )
    return Neurons(neurons, num_neurons=_NEURONS, amplification=_AMPLIFICATION)


def _made(brands: tuple[Brand, ...], stored: Stored) -> Neurons:
    fields = stored.fields
    neurons = BrandNeurons.from_stored(Stored(dict(fields.record("neurons").content), stored.arrays))
    if neurons.brands != brands:
        raise InputError(f"the neurons are those of {neurons.brands!r:.80}, the carrier's brands are {brands!r:.80}")
    return Neurons(
        neurons,
        num_neurons=fields.whole("num_neurons", 1),
        amplification=fields.number("amplification", 1, MOST_HIGH),
        mode=fields.text("mode"),
        lowest=fields.number("lowest", 0, 1) if "lowest" in fields else 1.0,
    )


register(
    CarrierEntry(
        "neurons",
        "feed-forward neurons",
        "How many of a brand's neurons are amplified, and by how much.",
        '"LLM Advertisement based on Neuron Auctions" (arXiv 2605.08326)',
        _fitted,
        _made,
    )
)
