"""Which neurons are a brand's, in which order: the record that identification ends in and auctions start from."""

import importlib.metadata
import os
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.checks import checked_allocation
from auctionsim.storage import Stored, checksum, read_stored, serialise, write_stored

_FORMAT, _VERSION = "auctionsim brand neurons", 1


@dataclass(frozen=True)
class BrandNeurons:
    """Ranked neurons of rival brands.

    Attributes:
        brands: The bidders, in order.
        ranking: (brand, rank) neurons as layer · neurons_per_layer + index, best first.
        scores: (brand, rank) what they were ranked by.
        attributions: (brand, layer, neuron) first-order effects on each brand's name, for cosines.
        method: The identification method's name.
        model: Name and fingerprint of the model.
        prompts_digest: What the prompts were.
        versions: Versions of the packages that computed it.
    """

    brands: tuple[Brand, ...]
    ranking: Int[Tensor, "brand rank"]
    scores: Float[Tensor, "brand rank"]
    attributions: Float[Tensor, "brand layer neuron"]
    method: str
    model: str
    prompts_digest: str
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def num_layers(self) -> int:
        """Layers of the model."""
        return self.attributions.shape[1]

    @property
    def neurons_per_layer(self) -> int:
        """Neurons of one layer."""
        return self.attributions.shape[2]

    @property
    def max_neurons(self) -> int:
        """Neurons that each brand has in its ranking."""
        return self.ranking.shape[1]

    def scales(self, allocation: Tensor) -> Float[Tensor, "row layer neuron"]:
        """Return every neuron's factor under allocations (row, bidder, lever), levers (num_neurons, amplification).

        With m_ik = clamp(num_neurons_i − k, 0, 1) the membership of brand i's k-th neuron, its factor is
        1 + (amplification_i − 1) m_ik: continuous in both levers, exactly 1 at the null.

        Raises:
            ValueError: Another shape, more neurons than the ranking has, or an amplification not finite and ≥ 0.
        """
        checked_allocation(allocation, (len(self.brands), 2))
        count, amplification = allocation[:, :, 0], allocation[:, :, 1]
        fits = (count >= 0) & (count <= self.max_neurons) & (amplification >= 0) & amplification.isfinite()
        if not bool(fits.all()):
            row, bidder = (~fits).nonzero()[0].tolist()
            raise ValueError(
                f"num_neurons must lie in [0, {self.max_neurons}] and amplification be finite and >= 0, got "
                f"{count[row, bidder].item()} and {amplification[row, bidder].item()} for bidder {bidder} in row {row}"
            )
        ranks = torch.arange(self.max_neurons, dtype=allocation.dtype, device=allocation.device)
        membership = (count.unsqueeze(2) - ranks).clamp(0, 1)
        gain = (amplification.unsqueeze(2) - 1) * membership  # (row, brand, rank)
        flat = allocation.new_zeros(len(allocation), self.num_layers * self.neurons_per_layer)
        flat.index_add_(1, self.ranking.to(flat.device).flatten(), gain.flatten(1))
        return (1 + flat).view(len(allocation), self.num_layers, self.neurons_per_layer)

    def layers(self, brand: int, count: int) -> Int[Tensor, " layer"]:
        """Count a brand's first `count` neurons by layer."""
        layer = self.ranking[brand, :count] // self.neurons_per_layer
        return torch.bincount(layer, minlength=self.num_layers)

    def overlap(self, count: int) -> Float[Tensor, "brand brand"]:
        """Return the Jaccard similarity of the brands' first `count` neurons: 1 on the diagonal."""
        member = torch.zeros(len(self.brands), self.num_layers * self.neurons_per_layer)
        member.scatter_(1, self.ranking[:, :count], 1.0)
        both = member @ member.T
        size = member.sum(1)
        return both / (size.unsqueeze(1) + size - both)

    def cosine(self) -> Float[Tensor, "brand brand"]:
        """Return the cosines of the brands' attribution vectors over all neurons."""
        unit = torch.nn.functional.normalize(self.attributions.flatten(1), dim=1)
        return unit @ unit.T

    @property
    def digest(self) -> str:
        """16 hex digits that name the contents."""
        return checksum(serialise(self._stored(), _FORMAT, _VERSION))[:16]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, whole or not at all."""
        write_stored(path, self._stored(), _FORMAT, _VERSION)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "BrandNeurons":
        """Read a file written by `save`.

        Raises:
            FileNotFoundError: There is none.
            ValueError: The file is truncated, corrupt, foreign or of a later version.
        """
        record, arrays = read_stored(path, _FORMAT, _VERSION)
        brands = tuple(Brand(names[0], tuple(names[1:])) for names in record.pop("brands"))
        return cls(brands, arrays["ranking"], arrays["scores"], arrays["attributions"], **record)

    def _stored(self) -> Stored:
        record = {
            "brands": [list(brand.names) for brand in self.brands],
            "method": self.method,
            "model": self.model,
            "prompts_digest": self.prompts_digest,
            "versions": self.versions,
        }
        return Stored(
            record, {"ranking": self.ranking, "scores": self.scores, "attributions": self.attributions.contiguous()}
        )


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on."""
    names = ("auctionsim", "torch", "transformers", "numpy")
    return {name: importlib.metadata.version(name) for name in names}
