"""What a measurement is once it is whole: named, viewed, compared, tabled, saved and found again."""

import copy
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

from auctionsim.data import packaged_names, readings_beside
from auctionsim.errors import InputError
from auctionsim.storage import Stored, checksum, plain_json, read_stored, serialise, write_stored
from auctionsim.substrates.covariances import Pair, all_known, covariance_record, sum_error
from auctionsim.substrates.measured_arrays import arrays_of_version_1, measured_rows, replicate_arrays
from auctionsim.substrates.measurements import (
    REPLICATES,
    Cells,
    Measurement,
    Replicate,
    checked_replicates,
    quantity_names,
)
from auctionsim.substrates.offer import Charge, Offer
from auctionsim.substrates.protocol import Lever
from auctionsim.substrates.quantities import DEFAULT_LOSS, Quantity, quantities_of, quantities_record
from auctionsim.substrates.side_readings import SideReadings, read_side_readings, with_side_readings, without

_M = TypeVar("_M", bound="Measured")  # not `Self`: the run-time checker takes it in decorated classes only


class Measured(ABC):
    """Exposures and losses that were measured twice: replicate A to design on, B to score on.

    An object is a *view*: which features it sells, which loss it charges and which replicate's means it reports. Views
    share the numbers, and every view has all of them: `sell` and `replicate` may be called again. Two are equal when
    the numbers, the provenance and the view are. Treat the tensors in `replicates` as read-only.

    Losses and diagnostics that were read off the replies later lie in a file of their own beside the measurement's
    (`auctionsim.substrates.side_readings`). They are offered like the others; name, digest and file stay.

    Args:
        cells: Which interventions were measured.
        replicates: A and B.
        provenance: How: JSON-serialisable.
        quantities: Unit and bounds by name; those left out are what files of version 1 mean (`quantities_of`).
    """

    file_format: ClassVar[str]
    file_version: ClassVar[int] = 3

    def __init__(
        self,
        cells: Cells,
        replicates: Mapping[str, Replicate],
        provenance: Mapping[str, Any],
        quantities: Mapping[str, Quantity],
    ) -> None:
        self._losses, self._diagnostics = quantity_names(replicates)
        self.quantities = quantities_of(cells.features, self._losses, self._diagnostics, quantities)
        self.replicates = checked_replicates(replicates, cells, self.quantities)
        self._cells = cells
        self._provenance = plain_json(dict(provenance), "provenance")
        self.offer = Offer(cells.features, {self._losses[0]: 1.0})
        self._scored = REPLICATES[0]
        self._beside: SideReadings | None = None
        self._own_pairs = tuple(self.replicates[REPLICATES[0]].covariances)

    # What it is

    @property
    def num_bidders(self) -> int:
        """How many bidders (brands) were measured together."""
        return self._cells.num_bidders

    @property
    def features(self) -> tuple[str, ...]:
        """The features that this view sells."""
        return self.offer.features

    @property
    def losses(self) -> tuple[str, ...]:
        """All losses that were measured, charged by this view or not; the default one first."""
        return self._losses

    @property
    def units(self) -> dict[str, str]:
        """Unit of every feature, loss and diagnostic by name."""
        return {name: quantity.unit for name, quantity in self.quantities.items()}

    @property
    def bases(self) -> dict[str, str]:
        """What losses rest on beside replies and code, by name; those that rest on nothing more are left out."""
        return {name: self.quantities[name].basis for name in self.losses if self.quantities[name].basis}

    @property
    def measured_pairs(self) -> tuple[Pair, ...]:
        """The pairs of losses whose covariances were measured with them, not read later."""
        return self._own_pairs

    @property
    def measured_features(self) -> tuple[str, ...]:
        """All features that were measured, sold by this view or not."""
        return self._cells.features

    @property
    def contexts(self) -> tuple[str, ...]:
        """The prompts' groups."""
        return self._cells.contexts

    @property
    def cells(self) -> Cells:
        """Which interventions were measured, and which of the cells mean the same."""
        return self._cells

    @property
    def levers(self) -> tuple[Lever, ...]:
        """The controls of one bidder."""
        return self._cells.levers

    @property
    def provenance(self) -> dict[str, Any]:
        """How it was measured: a copy."""
        return copy.deepcopy(self._provenance)

    @property
    def digest(self) -> str:
        """A hash of all that was measured and of its provenance, whatever this view sells.

        Readings of later count only where the view charges one of them: then it is the hash of both.
        """
        own, later = self._checksum, self._charged_later
        return (own if later is None else hashlib.sha256((own + later).encode()).hexdigest())[:16]

    @property
    def _charged_later(self) -> str | None:
        """The digest of the losses beside the measurement that this view charges, if it charges any."""
        names = [name for name, _ in self.offer.charges]
        return None if self._beside is None else self._beside.charged(names, self._own_pairs)

    @property
    def _sold_shape(self) -> tuple[int, int]:
        return self.num_bidders, len(self.offer.features)

    @property
    def scored_replicate(self) -> str:
        """The replicate whose means this view reports."""
        return self._scored

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.num_bidders} bidders, {len(self._cells.distinct)} distinct allocations, "
            f"features {self.features}, loss {self.offer.loss_name}, contexts {self.contexts}, "
            f"replicate {self._scored!r})"
        )

    # Views

    def sell(self: _M, *features: str, loss: Charge | None = None) -> _M:
        """Return the view that sells these features of all that were measured, at the cost of this loss.

        Args:
            *features: Names, in this order.
            loss: A loss by name, or weights by name; None: the loss that this view charges, which is `kl` at first.
        Raises:
            ValueError: A feature or a loss that was not measured, or no feature.
        """
        offer = Offer(features, dict(self.offer.charges) if loss is None else loss)
        offer.refuse_unknown(self.measured_features, self.losses)
        return self._view({"offer": offer})

    def replicate(self: _M, name: str) -> _M:
        """Return the view that reports replicate "A" or "B".

        Raises:
            ValueError: Another name.
        """
        if name not in REPLICATES:
            raise InputError(f"replicate must be one of {REPLICATES}, got {name!r}")
        return self._view({"_scored": name})

    def _view(self: _M, changes: Mapping[str, object]) -> _M:
        _ = self._checksum  # computed once, copied with the rest
        view = copy.copy(self)
        view.__dict__.update(changes)
        return view

    # Equality

    @cached_property
    def _checksum(self) -> str:
        return checksum(serialise(*self._written))

    @property
    def _identity(self) -> tuple[object, ...]:
        return type(self), self._checksum, self.offer, self._scored, self._charged_later

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Measured) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def fewest_draws(self, quantity: str) -> int:
        """Return the fewest prompts or replies that the mean of an allocation over contexts and replicates is over.

        Args:
            quantity: A measured feature, a loss, or "user_loss": the one that this view charges.
        Raises:
            ValueError: Neither.
        """
        known = (*self.measured_features, *self.losses)
        if quantity not in (*known, "user_loss"):
            raise InputError(f"quantity must be user_loss or one of {known}, got {quantity!r}")
        counts = []
        for name, one in self.replicates.items():
            if quantity == "user_loss":
                counts.append(self.charged_measurement(name).n)
            elif quantity in one.losses:
                counts.append(one.losses[quantity].n)
            else:
                counts.append(one.features.n[..., self.measured_features.index(quantity)])
        return sum(int(n.flatten(1).amin(1).sum()) for n in counts)

    def charged_measurement(self, replicate: str) -> Measurement:
        """Return one replicate's measurement of the loss that this view charges: (context, …).

        Losses that are charged together were read off the same replies. Where the covariance of every two of them is
        known (`error_is_exact`), so is the error of their sum; else it is an upper bound, see
        `auctionsim.substrates.covariances.sum_error`. Their n is the fewest.
        """
        one = self.replicates[replicate]
        mean = self.offer.charge({name: item.mean for name, item in one.losses.items()})
        errors = {name: item.standard_error for name, item in one.losses.items()}
        counts = torch.stack([one.losses[name].n for name, _ in self.offer.charges])
        return Measurement(mean, sum_error(self.offer.charges, errors, one.covariances), counts.amin(0))

    @property
    def error_is_exact(self) -> bool:
        """Whether the standard error of the charged loss is exact; else it is an upper bound.

        It is for a single loss, and for a sum where the covariance of every two of its losses is known.
        """
        return all_known((name for name, _ in self.offer.charges), self.replicates[REPLICATES[0]].covariances)

    def require_model(self, identity: str) -> None:
        """Refuse a model that is not the one that was measured.

        Args:
            identity: "name:fingerprint" (`LanguageModel.identity`). The fingerprint is compared with that of
                provenance["model"]; the name only says where the model was found.
        Raises:
            ValueError: Another fingerprint, or the provenance does not say.
        """
        measured = self._provenance.get("model")
        if not isinstance(measured, str) or not measured:
            raise InputError("the provenance does not say on which model this was measured")
        if measured.rpartition(":")[2] != identity.rpartition(":")[2]:
            raise InputError(
                f"this was measured on the model {measured}, not on {identity}: measure it anew on that one"
            )

    # Tables and files

    def table(self) -> list[Any]:
        """Return one row for every number that was measured, of both replicates, whatever this view sells.

        Columns: replicate, context, the levers as <lever>_<bidder>, bidder (None for what is not a bidder's),
        quantity, mean, standard_error, n, unit. Rows are named tuples: `pandas.DataFrame(surface.table())` is tidy.
        """
        return measured_rows(self._cells, self.replicates, self.quantities)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all that was measured (not the view, nor what was read later) to one file, whole or not at all."""
        write_stored(path, *self._written)

    @classmethod
    def load(cls: type[_M], path: str | os.PathLike[str]) -> _M:
        """Read what `save` wrote, with the readings that lie beside it.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It or the file of readings beside it is truncated, damaged, holds something else or a later
                version, or the readings belong to another measurement; names the file.
        """
        stored = read_stored(path, cls.file_format, cls.file_version)
        try:
            measured = cls._from_stored(stored)
        except (TypeError, ValueError) as error:
            raise InputError(f"{os.fspath(path)}: {error}") from error
        beside = readings_beside(Path(path))
        side = read_side_readings(beside, measured.digest, measured._cells) if beside.exists() else None
        if side is not None:
            try:
                measured._add(side)
            except (TypeError, ValueError) as error:
                raise InputError(f"{beside}: {error}") from error
        return measured

    def _add(self, side: SideReadings) -> None:
        """Offer what was read later, too."""
        _ = self._checksum  # of what was measured, before anything is added
        replicates = with_side_readings(self.replicates, side)
        default, (losses, self._diagnostics) = self._losses[0], quantity_names(replicates)
        self._losses = (default, *(name for name in losses if name != default))
        declared = {**self.quantities, **side.quantities}
        self.quantities = quantities_of(self.measured_features, self._losses, self._diagnostics, declared)
        self.replicates = checked_replicates(replicates, self._cells, self.quantities)
        self._beside = side

    @classmethod
    def packaged(cls: type[_M], name: str) -> _M:
        """Load a measurement that ships with auctionsim, such as "running-shoes-2@1".

        Raises:
            ValueError: There is none of that name; lists those there are.
        """
        if name not in packaged_names():
            there = ", ".join(packaged_names()) or "none"
            raise InputError(f"no measurement called {name!r} ships with auctionsim; there are: {there}")
        with resources.as_file(resources.files("auctionsim.data") / "surfaces" / f"{name}.safetensors") as path:
            return cls.load(path)

    @classmethod
    @abstractmethod
    def _from_stored(cls: type[_M], stored: Stored) -> _M:
        """Build from the contents of a file."""

    @abstractmethod
    def _layout(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Return what tells the cells from another's, as JSON and as arrays."""

    @property
    def _written(self) -> tuple[Stored, str, int]:
        """What a file holds, its format and its version: the first that can say it, so that old names stay.

        Version 1 has one loss, `kl`, and declares no units: it is what files mean that say no more. Version 2 knows of
        no covariances, and of no basis of a quantity.
        """
        layout, arrays = self._layout()
        record: dict[str, Any] = {
            "levers": [lever._asdict() for lever in self.levers],
            "features": self.measured_features,
            "contexts": self.contexts,
            "num_bidders": self.num_bidders,
            "provenance": self._provenance,
            **layout,
        }
        later = () if self._beside is None else tuple(self._beside.quantities)
        replicates = {name: without(one, later, self._own_pairs) for name, one in self.replicates.items()}
        quantities = {name: quantity for name, quantity in self.quantities.items() if name not in later}
        losses, diagnostics = quantity_names(replicates)
        arrays = arrays | replicate_arrays(replicates, self._cells)
        if losses == (DEFAULT_LOSS,) and quantities == quantities_of(self.measured_features, losses, diagnostics, {}):
            return Stored(record, arrays_of_version_1(arrays)), self.file_format, 1
        record |= {"quantities": quantities_record(quantities)}
        if not self._own_pairs and not any(quantity.basis for quantity in quantities.values()):
            return Stored(record, arrays), self.file_format, 2
        return Stored(record | {"covariances": covariance_record(self._own_pairs)}, arrays), self.file_format, 3
