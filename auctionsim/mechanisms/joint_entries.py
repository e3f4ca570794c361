"""What all combinations of bidders' entries give, and what one bidder's entries give it on average over the others.

Where each bidder picks an entry of its own, independently of the others, a profile of entries is carried out together.
Its exposures and loss are tabulated once; expectations over the others' picks are then contractions of that table with
how likely each pick is, exact for any number of bidders whose table fits.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.errors import UnsupportedError
from auctionsim.levers import at_null
from auctionsim.mechanisms.menu import have_own_levers
from auctionsim.mechanisms.table import Need
from auctionsim.substrates.protocol import Lever, Substrate, finite_range_of, is_finite, is_separable
from auctionsim.substrates.randomised import Randomised

MOST_JOINT = 2**20  # combinations that are tabulated
BLOCK = 2**22  # numbers compared at once


class EntryLevers(NamedTuple):
    """A finite range as levers of each bidder's own.

    Attributes:
        levers: The controls of one bidder.
        settings: (entry, bidder, lever), float64, what the range's entries set; the first is the null.
    """

    levers: tuple[Lever, ...]
    settings: Tensor


def entry_levers(substrate: Substrate) -> EntryLevers | None:
    """Return a finite range's entries as levers of each bidder's own, or None where they are none."""
    base = substrate.substrate if isinstance(substrate, Randomised) else substrate
    if base is None or not is_finite(base) or not base.levers:
        return None
    settings = finite_range_of(base).allocations.double()
    if settings.shape[1:] != (base.num_bidders, len(base.levers)):
        return None
    return EntryLevers(base.levers, at_null(settings, base.levers))


def levers_of(substrate: Substrate) -> tuple[Lever, ...]:
    """Return the controls of one bidder, of a randomised range those of what is randomised."""
    listed = entry_levers(substrate)
    return substrate.levers if listed is None else listed.levers


OWN_ENTRIES = Need(
    "levers of each bidder's own, on a list or with all combinations feasible",
    lambda view: entry_levers(view) is not None or have_own_levers(view),
)


class JointEntries:
    """All combinations of one entry a bidder.

    On a finite range a combination that is not listed is carried out as the listed setting that is nearest to it, each
    lever measured by its share of the range, the first of equals: a rule that is fixed before any bid.

    Args:
        substrate: Levers of each bidder's own.
        levers: (bidder, entry, lever), the null first.
        context: Index into the substrate's contexts, None for their mean.
    Raises:
        NotImplementedError: More combinations than can be tabulated, where bidders touch each other.
    """

    def __init__(self, substrate: Substrate, levers: Float[Tensor, "bidder entry lever"], context: int | None) -> None:
        self.substrate, self.context = substrate, context
        self.levers = levers.double()
        n, entries, _ = levers.shape
        self.apart = is_separable(substrate)
        if not self.apart and entries**n > MOST_JOINT:
            raise UnsupportedError(
                f"{n} bidders with {entries} entries each have more than {MOST_JOINT} combinations to average over"
            )
        self._listed = None if self.apart else entry_levers(substrate)
        profiles = self._alone() if self.apart else torch.tensor(list(itertools.product(range(entries), repeat=n)))
        self._places = None if self._listed is None else self._nearest(profiles, self._listed)
        self._range = torch.empty(0) if self._listed is None else finite_range_of(substrate).allocations.double()
        exposures, self._losses = self._observed(profiles)
        if self.apart:  # rows of one bidder's own entries, the others at the null
            self._exposures = exposures.view(n, entries, n).diagonal(dim1=0, dim2=2).T
            self._losses = self._losses.view(n, entries)
            self._losses[1:] -= self._losses[0, 0].clone()  # what the null costs is there once
        else:
            self._exposures = exposures.view(*[entries] * n, n)
            self._losses = self._losses.view([entries] * n)

    @property
    def largest(self) -> float:
        """The largest exposure of all."""
        return float(self._exposures.abs().max())

    def allocation(self, chosen: Int[Tensor, "row bidder"]) -> Tensor:
        """Return what is carried out for the entries that bidders picked, float64, one allocation a row."""
        if self._places is None:
            return self.levers.to(chosen.device)[torch.arange(chosen.shape[1], device=chosen.device), chosen]
        entries = self.levers.shape[1]
        flat = chosen[:, 0]
        for i in range(1, chosen.shape[1]):
            flat = flat * entries + chosen[:, i]
        return self._range.to(chosen.device)[self._places.to(chosen.device)[flat]]

    def expected(
        self, bidder: int, chances: Sequence[Float[Tensor, " entry"]], of: int | None = None
    ) -> Float[Tensor, " entry"]:
        """Return the expected exposure of a bidder, or of another one, at each of the bidder's entries.

        Args:
            bidder: Whose entries.
            chances: By bidder, how likely each entry is; or any other weights, which may then stand for the other
                bidder's money.
            of: Whose exposure; None: the bidder's own.
        """
        of = bidder if of is None else of
        if self.apart:
            own = self._exposures[of]
            return own if of == bidder else (own @ chances[of]).expand(len(chances[bidder]))
        return _contracted(self._exposures[..., of], bidder, chances)

    def loss(self, bidder: int, chances: Sequence[Float[Tensor, " entry"]]) -> Float[Tensor, " entry"]:
        """Return the user's expected loss at each of a bidder's entries."""
        if self.apart:
            others = [self._losses[j] @ chances[j] for j in range(len(chances)) if j != bidder]
            return self._losses[bidder] + (torch.stack(others).sum() if others else 0.0)
        return _contracted(self._losses, bidder, chances)

    def _alone(self) -> Int[Tensor, "row bidder"]:
        n, entries, _ = self.levers.shape
        rows = torch.zeros(n, entries, n, dtype=torch.long)
        for i in range(n):
            rows[i, :, i] = torch.arange(entries)
        return rows.flatten(0, 1)

    def _nearest(self, profiles: Int[Tensor, "row bidder"], listed: EntryLevers) -> Int[Tensor, " row"]:
        """Return the place of each combination in the substrate's range."""
        spans = torch.tensor([max(lever.high - lever.low, 1e-300) for lever in listed.levers], dtype=torch.float64)
        settings = (listed.settings / spans).flatten(1)
        own = at_null(self.levers, listed.levers) / spans
        places = []
        for part in profiles.split(max(1, BLOCK // settings.numel())):  # type: ignore[no-untyped-call]
            wanted = own[torch.arange(own.shape[0]), part].flatten(1)
            places.append((wanted.unsqueeze(1) - settings).abs().sum(2).argmin(1))
        place = torch.cat(places)
        if isinstance(self.substrate, Randomised):  # its range starts with what holds where nobody bids
            untouched = (own == own[:, :1]).all(2)
            nobody = untouched[torch.arange(own.shape[0]), profiles].all(1)
            place = torch.where(nobody, 0, place + 1)
        return place

    def _observed(self, profiles: Int[Tensor, "row bidder"]) -> tuple[Tensor, Tensor]:
        """Return exposures (row, bidder) and losses (row,) of combinations."""
        if self._places is not None:
            index = None if self.context is None else torch.tensor([self.context])
            whole = finite_range_of(self.substrate, index)
            return whole.exposures[0].double()[self._places, :, 0], whole.user_losses[0].double()[self._places]
        parts = []
        for rows in profiles.split(2**16):  # type: ignore[no-untyped-call]
            joint = self.allocation(rows)
            repeated = None if self.context is None else torch.full((len(joint),), self.context)
            parts.append((self.substrate.exposure(joint, repeated)[..., 0], self.substrate.user_loss(joint, repeated)))
        return torch.cat([one for one, _ in parts]).double(), torch.cat([one for _, one in parts]).double()


def _contracted(
    table: Float[Tensor, "..."], bidder: int, chances: Sequence[Float[Tensor, " entry"]]
) -> Float[Tensor, " entry"]:
    """Return a table over all combinations, averaged over the others' entries."""
    for j in reversed(range(len(chances))):
        if j != bidder:
            table = torch.tensordot(table, chances[j], ([j], [0]))
    return table
