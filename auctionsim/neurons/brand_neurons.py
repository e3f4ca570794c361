"""Which neurons are a brand's, in which order: the record that identification ends in and auctions start from."""

import importlib.metadata
import os
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim import __version__, plugins
from auctionsim.brands import Brand
from auctionsim.checks import checked_allocation, checked_count, checked_finite
from auctionsim.errors import InputError
from auctionsim.language_models.intervention import Intervention
from auctionsim.records import shown
from auctionsim.storage import Stored, checksum, read_stored, serialise, write_stored

_FORMAT, _VERSION = "auctionsim brand neurons", 2  # 2 adds signs and references; files without them stay version 1

MODES = ("multiply", "add", "clamp")
"""What an amplification does to a brand's neurons."""
_NEEDED = {"multiply": (), "add": ("references", "signs"), "clamp": ("references",)}
_LARGEST = 1e30  # of an activation: amplified, float32 still holds it


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
        signs: (brand, rank) ±1, the direction of each neuron's activation that promotes the brand; None if not known.
        references: (brand, rank) each neuron's activation where the brand is named; None if not known.
    """

    brands: tuple[Brand, ...]
    ranking: Int[Tensor, "brand rank"]
    scores: Float[Tensor, "brand rank"]
    attributions: Float[Tensor, "brand layer neuron"]
    method: str
    model: str
    prompts_digest: str
    versions: dict[str, str] = field(default_factory=dict)
    signs: Float[Tensor, "brand rank"] | None = None
    references: Float[Tensor, "brand rank"] | None = None

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
        """Return every neuron's factor under allocations (row, bidder, lever): `intervention` by multiplying."""
        return self.intervention(allocation).scale

    def intervention(self, allocation: Tensor, mode: str = "multiply") -> Intervention:
        """Return what allocations (row, bidder, lever), levers (num_neurons n, amplification α), do to every neuron.

        With m_ik = clamp(n_i − k, 0, 1) the membership of brand i's k-th neuron and a its activation:

            multiply: a' = (1 + (α_i − 1) m_ik) a
            add:      a' = a + (α_i − 1) m_ik sign_ik |reference_ik|
            clamp:    a' = (1 − c) a + c t reference_ik, c = m_ik min(α_i − 1, 1), t = max(α_i − 1, 1)

        Each is continuous in both levers and exactly the identity at the null. Clamping pulls an activation to its
        reference up to α = 2, and moves the reference beyond. A neuron that two brands share gets the sum of both
        changes; clamped, the weights c are divided by their sum where that exceeds 1.

        Raises:
            ValueError: An unknown mode, or one that needs signs or references that are not known; another shape, more
                neurons than the ranking has, or an amplification not finite and ≥ 0.
        """
        self.check_mode(mode)
        membership, amplification = self._membership(allocation)
        if mode == "multiply":
            return Intervention(1 + self._on_model((amplification - 1) * membership))
        references = self._known("references", mode).to(membership)
        if mode == "add":
            step = self._known("signs", mode).to(membership) * references.abs()
            shift = self._on_model((amplification - 1) * membership * step)
            return Intervention(torch.ones_like(shift), shift)
        weight = membership * (amplification - 1).clamp_max(1)
        total = self._on_model(weight)
        target = self._on_model(weight * (amplification - 1).clamp_min(1) * references)
        crowding = total.clamp_min(1)
        return Intervention(1 - total / crowding, target / crowding)

    def check_mode(self, mode: str) -> None:
        """Refuse a mode that there is not, or that these neurons lack the numbers for.

        Raises:
            ValueError: It is so; names the mode and what lacks.
        """
        if mode not in MODES:
            raise InputError(f"mode must be one of {', '.join(MODES)}, got {mode!r:.60}")
        for name in _NEEDED[mode]:
            self._known(name, mode)

    def _membership(self, allocation: Tensor) -> tuple[Float[Tensor, "row brand rank"], Float[Tensor, "row brand 1"]]:
        checked_allocation(allocation, (len(self.brands), 2), finite=False)  # told more plainly below
        count, amplification = allocation[:, :, 0], allocation[:, :, 1]
        fits = (count >= 0) & (count <= self.max_neurons) & (amplification >= 0) & amplification.isfinite()
        if not bool(fits.all()):
            row, bidder = (~fits).nonzero()[0].tolist()
            raise InputError(
                f"num_neurons must lie in [0, {self.max_neurons}] and amplification be finite and >= 0, got "
                f"{count[row, bidder].item()} and {amplification[row, bidder].item()} for bidder {bidder} in row {row}"
            )
        ranks = torch.arange(self.max_neurons, dtype=allocation.dtype, device=allocation.device)
        return (count.unsqueeze(2) - ranks).clamp(0, 1), amplification.unsqueeze(2)

    def _on_model(self, values: Float[Tensor, "row brand rank"]) -> Float[Tensor, "row layer neuron"]:
        """Put ranked values where their neurons are, adding up where brands share one; 0 elsewhere."""
        flat = values.new_zeros(len(values), self.num_layers * self.neurons_per_layer)
        flat.index_add_(1, self.ranking.to(flat.device).flatten(), values.flatten(1))
        return flat.view(len(values), self.num_layers, self.neurons_per_layer)

    def _known(self, name: str, mode: str) -> Tensor:
        values: Tensor | None = getattr(self, name)
        if values is None:
            raise InputError(
                f"mode {mode!r} needs the neurons' {name}, which this record does not hold: identify the neurons again"
            )
        return values

    def layers(self, brand: int, count: int) -> Int[Tensor, " layer"]:
        """Count a brand's first `count` neurons by layer."""
        if not 0 <= checked_count(brand, "brand", 0) < len(self.brands):
            raise InputError(f"brand must lie in [0, {len(self.brands) - 1}], got {brand}")
        layer = self.ranking[brand, : checked_count(count, "count", 0)] // self.neurons_per_layer
        return torch.bincount(layer, minlength=self.num_layers)

    def overlap(self, count: int) -> Float[Tensor, "brand brand"]:
        """Return the Jaccard similarity of the brands' first `count` neurons: 1 on the diagonal."""
        member = torch.zeros(len(self.brands), self.num_layers * self.neurons_per_layer)
        member.scatter_(1, self.ranking[:, : checked_count(count, "count", 0)], 1.0)
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
        return checksum(serialise(self.stored(), _FORMAT, self._version))[:16]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one safetensors file, whole or not at all."""
        write_stored(path, self.stored(), _FORMAT, self._version)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "BrandNeurons":
        """Read a file written by `save`.

        Raises:
            FileNotFoundError: There is none.
            ValueError: The file is truncated, corrupt, foreign or of a later version, or a field or tensor is not what
                it must be; names the file.
        """
        stored = read_stored(path, _FORMAT, _VERSION)
        try:
            return cls.from_stored(stored)
        except ValueError as error:
            raise InputError(f"{os.fspath(path)}: {error}") from error

    @classmethod
    def from_stored(cls, stored: Stored) -> "BrandNeurons":
        """Return the neurons that `stored` made a record of.

        Raises:
            ValueError: A field or tensor is not what it must be.
        """
        record = stored.fields
        brands = tuple(_brand(names, f"brands[{k}]") for k, names in enumerate(record.items("brands")))
        versions = record.record("versions")
        attributions = stored.array("attributions", (len(brands), None, None))
        ranking = stored.array("ranking", (len(brands), None), whole=True)
        per_rank = (len(brands), ranking.shape[1])
        neurons = attributions.shape[1] * attributions.shape[2]
        if not brands or not ranking.numel() or not bool(((ranking >= 0) & (ranking < neurons)).all()):
            raise InputError(f"ranking must hold one or more neurons of 0 … {neurons - 1} for one or more brands")
        if bool((ranking.sort(1).values.diff(dim=1) == 0).any()):
            raise InputError("ranking must name each neuron of a brand once")
        beside = {name: stored.array(name, per_rank) for name in ("signs", "references") if name in stored.arrays}
        for name, values in beside.items():
            fits = values.abs() == 1 if name == "signs" else values.abs() <= _LARGEST
            if not bool(fits.all()):
                raise InputError(f"{name} must be {'1 or -1' if name == 'signs' else f'finite, to {_LARGEST:g}'}")
        scores = stored.array("scores", per_rank)
        for what, numbers in (("scores", scores), ("attributions", attributions)):
            checked_finite(numbers, what)
        return cls(
            brands,
            ranking,
            scores,
            attributions,
            record.text("method"),
            record.text("model"),
            record.text("prompts_digest"),
            {name: versions.text(name) for name in versions.content},
            **beside,
        )

    @property
    def _version(self) -> int:
        return 1 if self.signs is None and self.references is None else _VERSION  # so that old digests stay

    def stored(self) -> Stored:
        """Return everything, as a file has it."""
        record = {
            "brands": [brand.written for brand in self.brands],
            "method": self.method,
            "model": self.model,
            "prompts_digest": self.prompts_digest,
            "versions": self.versions,
        }
        arrays = {"ranking": self.ranking, "scores": self.scores, "attributions": self.attributions}
        arrays |= {k: v for k, v in (("signs", self.signs), ("references", self.references)) if v is not None}
        return Stored(record, arrays)


def _brand(names: object, what: str) -> Brand:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputError(f"{what} must be a list of names, got {shown(names)}")
    return Brand.read(names)


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on, and of plugins."""
    others = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "numpy")}
    return {"auctionsim": __version__, **others, **plugins.versions()}  # ours is there without an installation too
