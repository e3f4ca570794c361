"""Designs of mechanisms that a run makes once: by the table's recipes, kept in files beside the run's parts.

The stages of a study design some mechanisms on the same view for the same priors, user weight and seed. A learned
design is kept under all that it depends on, the code's commit included, and read again by whoever needs it next.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.experiments.running.preparation import commit_or_none
from auctionsim.files import write_text
from auctionsim.kept import key_digest
from auctionsim.mechanisms import Entry, Mechanism, load_mechanism, save_mechanism
from auctionsim.mechanisms.table import Problem, table
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.priors import product
from auctionsim.priors.saving import prior_record
from auctionsim.records import read_record
from auctionsim.scoring import Case, score, tidy
from auctionsim.substrates.measured import Measured
from auctionsim.substrates.protocol import Substrate

COMPARED = ("optimum", "affine", "menu", "vcg", "pay-as-bid")
"""The mechanisms that comparisons are about unless others are named."""
QUICK = "quick"


class Design(NamedTuple):
    """A mechanism, and the CPU seconds that making it took on the machine that made it."""

    mechanism: Mechanism
    seconds: float


class Designs:
    """Designs by name, each learned one made once where there is a folder.

    Args:
        folder: Where learned designs are kept; None: they are made anew.
        entries: The mechanisms by name; None for the table.
    """

    def __init__(self, folder: Path | None = None, entries: Mapping[str, Entry] | None = None) -> None:
        self.folder = folder
        self._entries = entries

    def kept_in(self, folder: Path) -> "Designs":
        """Return designs of the same entries that are kept in a folder."""
        return Designs(folder, self._entries)

    def entry(self, name: str) -> Entry:
        """Return a mechanism's entry.

        Raises:
            ValueError: No mechanism of that name.
        """
        entries = table() if self._entries is None else self._entries
        if name not in entries:
            raise InputError(f"mechanism must be one of {', '.join(entries)}, got {name!r}")
        return entries[name]

    def refuse_unfit(self, names: Sequence[str], view: Substrate) -> None:
        """Refuse names that are none or come twice, and mechanisms that cannot be designed on a view.

        Raises:
            ValueError: Says which, and why.
        """
        twice = [name for name in names if list(names).count(name) > 1]
        if twice or not names:
            named = ", ".join(names) or "none"
            raise InputError(f"mechanisms must be one or more different names, got {named}")
        for name in names:
            refusal = self.entry(name).refusal(view)
            if refusal is not None:
                raise InputError(refusal)

    def of(self, name: str, problem: Problem) -> Mechanism:
        """Return a mechanism for a problem, as it was made before or made now.

        Raises:
            ValueError: No mechanism of that name, a view that lacks what it needs, or a kept file that is damaged.
        """
        return self.timed(name, problem).mechanism

    def timed(self, name: str, problem: Problem) -> Design:
        """Return a mechanism for a problem, and the CPU seconds that making it took, now or before.

        Raises:
            ValueError: As `of`.
        """
        chosen = self.entry(name)
        path = self._path(chosen, problem)
        if path is not None and path.exists():
            seconds = read_record(path.with_suffix(".json")).number("seconds", 0)
            return Design(load_mechanism(path, problem.view), seconds)
        began = time.process_time()
        rule = chosen.designed(problem)
        seconds = time.process_time() - began
        if path is not None:
            write_text(path.with_suffix(".json"), json.dumps({"seconds": seconds}))
            save_mechanism(rule, path)  # last: it says that the design is whole
            rule = load_mechanism(path, problem.view)  # what every later reader has
        return Design(rule, seconds)

    def by_label(self, names: Sequence[str], problem: Problem) -> dict[str, Mechanism]:
        """Return several mechanisms for a problem, by their labels."""
        return {self.entry(name).label: self.of(name, problem) for name in names}

    def recipes(self, names: Sequence[str], *, quick: bool) -> dict[str, str]:
        """Return by label which mechanisms are trained by the quick recipe."""
        entries = [self.entry(name) for name in names]
        return {one.label: QUICK for one in entries if quick and one.is_learned}

    def _path(self, chosen: Entry, problem: Problem) -> Path | None:
        """Return where a design is kept, None where it is not: closed forms are quicker made than read."""
        view = problem.view
        if self.folder is None or not chosen.is_learned or chosen.codec is None or not isinstance(view, Measured):
            return None
        priors = product(problem.priors, view.num_bidders, len(view.features))
        key = {
            "mechanism": chosen.name,
            "surface": view.digest,
            "view": [view.features, view.scored_replicate, view.offer.charges],
            "priors": [[prior_record(prior) for prior in row] for row in priors.marginals],
            "user_weight": problem.user_weight,
            "seed": problem.seed,
            "quick": problem.quick,
            "versions": package_versions(),
            "commit": commit_or_none(),
        }
        return self.folder / f"{chosen.name}-{key_digest(key)}.safetensors"


def scored(
    mechanisms: Mapping[str, Mechanism], recipes: Mapping[str, str], case: Case
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every mechanism's label and its row on a case, flat.

    Args:
        mechanisms: By label.
        recipes: By label, those trained by the quick recipe.
        case: Where they are scored.
    """
    for label, rule in mechanisms.items():
        (row,) = tidy([score(label, rule, case, recipe=recipes.get(label, ""))])
        yield label, row


UNKEPT = Designs()
"""Designs of the table that are made anew each time."""
