"""Rows and columns of the program of the best honest mechanism, as sparse matrices."""

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array, hstack, vstack
from torch import Tensor

from auctionsim.mechanisms.program_cells import BidderRows, Numbers, Places, inside_rows
from auctionsim.mechanisms.program_types import Program


class Matrices(NamedTuple):
    """A linear program in scipy's form: min cost · x, equal x = right, least x ≤ most.

    Attributes:
        cost: (variable,).
        equal: (row, variable).
        right: (row,).
        least: (row, variable).
        most: (row,).
        bounds: (variable, 2).
    """

    cost: Numbers
    equal: csr_array
    right: Numbers
    least: csr_array
    most: Numbers
    bounds: Numbers


class ProgramRows:
    """The program's rows for any set of shares and any set of honesty constraints.

    Args:
        program: What is to be maximised.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.entries = program.exposures.numpy()
        self.losses = program.user_losses.numpy()
        self.sizes = tuple(len(one.chances) for one in program.bidders)
        self.features = program.exposures.shape[2]
        self.profiles = int(np.prod(self.sizes))
        self.chances = [one.chances.numpy() for one in program.bidders]
        self.places = np.stack(np.unravel_index(np.arange(self.profiles), self.sizes))  # (bidder, profile)
        likely = np.stack([chance[place] for chance, place in zip(self.chances, self.places, strict=True)])
        self.chance = likely.prod(0)
        self.bidders, self.others = [], 0
        for i in range(len(self.sizes)):
            self.bidders.append(self._bidder(i, np.delete(likely, i, 0).prod(0)))

    def _bidder(self, i: int, others: Numbers) -> BidderRows:
        size = self.sizes[i]
        rest = tuple(one for j, one in enumerate(self.sizes) if j != i)
        if self.program.bayesian or not rest:
            group, weight, chances = np.zeros(self.profiles, dtype=np.int64), others, np.ones(1)
        else:
            group = np.ravel_multi_index(tuple(np.delete(self.places, i, 0)), rest).astype(np.int64)
            weight = np.ones(self.profiles)
            chances = np.zeros(self.profiles // size)
            chances[group] = others
        shape = (size, len(chances), self.features)
        exposures = self._variables(shape)
        utilities = self._variables(shape[:2])
        worths = self._variables(shape) if self.has_cells else exposures
        corners = self._variables(shape[:2]) if self.has_cells else utilities
        return BidderRows(self.places[i], group, weight, chances, exposures, utilities, worths, corners)

    def _variables(self, shape: tuple[int, ...]) -> Places:
        count = int(np.prod(shape))
        self.others += count
        return np.arange(self.others - count, self.others).reshape(shape)

    @property
    def has_cells(self) -> bool:
        """Whether types are cells, with worths and corner utilities as variables of their own."""
        return self.program.bidders[0].inside is not None

    @cached_property
    def scale(self) -> float:
        """The largest amount that is at stake for anybody: what rounding is a share of."""
        most = np.abs(self.entries).max(0)
        worths = [float((one.values.numpy() * most[i]).sum(1).max()) for i, one in enumerate(self.program.bidders)]
        return max(*worths, float(np.abs(self.program.user_weight * self.losses).max()), 1e-300)

    def every_column(self) -> Places:
        """Return all shares: (2, column), profile and entry."""
        return np.stack(np.divmod(np.arange(self.profiles * len(self.losses)), len(self.losses)))

    def first_columns(self) -> Places:
        """Return in every profile the first entry, and the one of the greatest welfare."""
        worth = np.zeros((self.profiles, len(self.losses)))
        for i, one in enumerate(self.program.bidders):
            worth += (one.values.numpy() @ self.entries[:, i].T)[self.places[i]]
        best = (worth - self.program.user_weight * self.losses).argmax(1)
        every = np.arange(self.profiles)
        bought = every[best > 0]
        return np.stack([np.concatenate([every, bought]), np.concatenate([0 * every, best[bought]])])

    def priced(self, duals: Numbers, columns: Places, exact: float) -> tuple[Places, float]:
        """Return the best entry of each profile where it would pay more than `exact`, and what all could add at most.

        Args:
            duals: Of the equalities: the sums of the profiles, then the definitions of the exposures.
            columns: Those there are.
            exact: Money, in a profile as likely as it is.
        """
        reduced = self.chance[:, None] * self.program.user_weight * self.losses - duals[: self.profiles, None]
        definitions = duals[self.profiles :]
        first = 0
        for i, bidder in enumerate(self.bidders):
            count = bidder.exposures.size
            z = definitions[first : first + count].reshape(bidder.exposures.shape)
            first += count
            weights = bidder.weight[:, None] * z[bidder.own, bidder.group]
            reduced = reduced + weights @ self.entries[:, i].T
        best = reduced.argmin(1)
        gain = np.maximum(-reduced.min(1), 0)
        there = set(map(tuple, columns.T.tolist()))
        enough = exact * np.maximum(self.chance, 1e-3 / self.profiles)
        pays = [p for p in np.flatnonzero(gain > enough).tolist() if (p, int(best[p])) not in there]
        fresh = np.array([pays, best[pays].tolist()], dtype=np.int64).reshape(2, -1)
        return fresh, float(gain.sum())

    def matrices(self, columns: Places, cuts: csr_array) -> Matrices:
        """Return the program over these shares and constraints."""
        profile, entry = columns
        count = len(profile)
        cost = np.zeros(count + self.others)
        cost[:count] = self.chance[profile] * self.program.user_weight * self.losses[entry]
        bounds = np.full((len(cost), 2), np.inf)
        bounds[:, 0] = -np.inf
        bounds[:count, 0] = 0.0
        sums = coo_array((np.ones(count), (profile, np.arange(count))), shape=(self.profiles, count + self.others))
        definitions, lines, ends = [], [], []
        for i, (bidder, types) in enumerate(zip(self.bidders, self.program.bidders, strict=True)):
            likely = self.chances[i][:, None] * bidder.chances[None, :]  # (type, group)
            cost[count + bidder.utilities] = likely
            bounds[count + bidder.utilities, 0] = 0.0
            if types.inside is None:
                cost[count + bidder.exposures] = -likely[:, :, None] * types.values.numpy()[:, None, :]
            else:
                bounds[count + bidder.corners, 0] = 0.0
                cost[count + bidder.worths] = -likely[:, :, None]
                for matrix, end in inside_rows(bidder, types.inside, self.others):
                    lines.append(matrix)
                    ends.append(end)
            definitions.append(self._definition(i, bidder, columns))
        wide = csr_array((cuts.shape[0], count))
        least: list[Any] = [hstack([wide, cuts])]
        least += [hstack([csr_array((line.shape[0], count)), line]) for line in lines]
        most = np.concatenate([np.zeros(cuts.shape[0]), *ends])
        equal = vstack([sums, *definitions], format="csr")
        right = np.zeros(equal.shape[0])
        right[: self.profiles] = 1.0
        return Matrices(cost, equal, right, vstack(least, format="csr"), most, bounds)

    def _definition(self, i: int, bidder: BidderRows, columns: Places) -> coo_array:
        """Return the rows E − Σ_p weight · Σ_k q_pk e_k = 0."""
        profile, entry = columns
        count, size = len(profile), bidder.exposures.size
        first = bidder.exposures.flat[0]
        rows = (bidder.exposures[bidder.own[profile], bidder.group[profile]] - first).ravel()
        numbers = (-bidder.weight[profile, None] * self.entries[entry, i]).ravel()
        every = np.arange(size)
        return coo_array(
            (
                np.concatenate([np.ones(size), numbers]),
                (
                    np.concatenate([every, rows]),
                    np.concatenate([count + bidder.exposures.ravel(), np.repeat(np.arange(count), self.features)]),
                ),
            ),
            shape=(size, count + self.others),
        )

    def shares(self, columns: Places, solution: Numbers) -> Tensor:
        """Return the shares of a solution, rounding taken out: (type, type, …, entry), each profile's sum 1."""
        shares = np.zeros((self.profiles, len(self.losses)))
        shares[columns[0], columns[1]] = solution[: columns.shape[1]]
        shares[shares < 1e-9] = 0.0
        shares /= shares.sum(1, keepdims=True)
        return torch.from_numpy(shares.reshape(*self.sizes, -1))

    def utilities(self, columns: Places, solution: Numbers) -> tuple[Tensor, ...]:
        """Return the utilities of a solution by bidder: (type, group)."""
        others = solution[columns.shape[1] :]
        return tuple(torch.from_numpy(others[bidder.utilities]) for bidder in self.bidders)
