"""A second pass over stored replies: readings are taken later, in parts that a stopped pass goes on from.

Nothing is sampled. Values are kept under all that they depend on: the replies, the reading, and what it rests on beside
its code. Those on another basis, such as a changed prompt, are refused as another measure's. What a judge out of reach
left unscored is kept as such for now, and tried again by the next pass.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from auctionsim.carriers.protocol import Carrier
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import sweep, write_text
from auctionsim.kept import key_digest
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.crew import Job, Workers, fan_out, model_words
from auctionsim.measurement.measuring import Progress, Report, carrier_of
from auctionsim.measurement.reply_parts import PartReader, PartValues, ReplyPart, bases_of
from auctionsim.measurement.side_files import GatheredAgain, covariances_again, gather_again
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.plugins import maker
from auctionsim.readings.judge import registered_judges
from auctionsim.readings.protocol import ModelReading, PromptReading, Unscored, Value, basis_of
from auctionsim.readings.registry import made_by, reading
from auctionsim.readings.registry import names as registered
from auctionsim.readings.values import as_json, value_from_json
from auctionsim.records import Record, json_in
from auctionsim.signed_json import read_signed_json, signed_json

ROWS = 64
"""Replies that one part holds; a set is never cut."""
_PART, _VALUES, _VERSION = "auctionsim part of a second pass", "auctionsim values of a reading", 1


class SecondPass:
    """Readings of stored replies, in a folder, done as far as its files say.

    Args:
        folder: Where values are kept; made if it is not there.
        stored: The replies.
        names: Of readings; each once.
        carrier: What moved the replies; needed for model readings only. Bare neurons are amplified as the replies say.
        model: That replied; needed for model readings only.
    Raises:
        ValueError: A reading that is scored of prompts, has no meaning for how the replies were drawn, or needs a model
            or neurons that are not given, or others than the replies'.
    """

    def __init__(
        self,
        folder: Path,
        stored: StoredReplies,
        names: Sequence[str],
        carrier: Carrier | BrandNeurons | None = None,
        model: LanguageModel | None = None,
    ) -> None:
        if not names or len(set(names)) < len(names):
            raise InputError(f"readings must be named, each once, got {tuple(names)}")
        self.folder, self.stored, self.names = folder, stored, tuple(names)
        self.readings = [reading(name) for name in names]
        for one in self.readings:
            if isinstance(one, PromptReading):
                raise InputError(f"{one.name} is scored of prompts, not of replies: measure it anew")
            one.refuse(stored.law)
        self.needs_model = needs_model(names)
        self.model = model if self.needs_model else None
        self.carrier = carrier_of(carrier, stored.mode) if self.needs_model and carrier is not None else None
        if self.needs_model:
            self._check(model, self.carrier)
        self._bases = bases_of(self.readings)  # what the whole pass rests on: a prompt may be edited meanwhile
        sweep(folder)

    def key(self, name: str) -> dict[str, Any]:
        """Return all that a reading's values depend on, as JSON."""
        own = {"reading": name, "replies": self.stored.digest, "brands": [one.written for one in self.stored.brands]}
        if made_by(name):  # a plugin's: its values are those of this very file
            own["plugin"] = made_by(name)
        basis = self._bases.get(name) or basis_of(reading(name))
        if basis:
            own["basis"] = basis
        if not isinstance(reading(name), ModelReading):
            return own
        record = self.stored.kept.record
        moved: dict[str, Any] = {name: record[name] for name in ("neurons", "carrier") if name in record}
        return {**own, "model": record["model"], **moved}

    @property
    def _part_key(self) -> dict[str, Any]:
        return {name: self.key(name) for name in self.names}

    def _check(self, model: LanguageModel | None, carrier: Carrier | None) -> None:
        record = Record(self.stored.kept.record, "the replies' record")
        if model is None or carrier is None:
            lacking = ", ".join(one.name for one in self.readings if isinstance(one, ModelReading))
            raise InputError(
                f"{lacking}: teacher-forced passes need the model and what moved its replies, such as neurons"
            )
        if model.identity.rpartition(":")[2] != record.text("model").rpartition(":")[2]:
            raise InputError(f"the replies are those of {record.text('model')}, not of {model.identity}")
        if str(model.dtype) != record.text("dtype"):
            raise InputError(
                f"the replies were judged by weights in {record.text('dtype')}, and this model has its own in "
                f"{model.dtype}: load it in that dtype; passes are computed in float32 either way"
            )
        moved = self.stored.carrier
        plugin = {"plugin": made_in} if (made_in := maker(type(carrier))) else {}
        if {"name": carrier.name, "digest": carrier.digest, **plugin} != moved:
            if moved["name"] == carrier.name == "neurons":
                raise InputError(f"other neurons were amplified ({moved['digest']}, not {carrier.digest})")
            raise InputError(
                f"the replies were moved by {' '.join(moved.values())}, not by "
                f"{' '.join((carrier.name, carrier.digest, *plugin.values()))}"
            )
        meaningless = [one.name for one in self.readings if one.name in carrier.without]
        if meaningless:
            raise InputError(f"{', '.join(meaningless)} has no meaning for replies that {carrier.name} moved")
        if carrier.change(self.stored.interventions.float()).candidates > 1:
            raise InputError(
                f"replies of {carrier.name} were chosen among several that are not kept: their divergences are taken "
                "while they are sampled"
            )

    # Work

    @property
    def parts(self) -> list[ReplyPart]:
        """All the work, in order."""
        found = []
        for asked, numbers in self.stored.by_prompt().items():
            size = ROWS if not any(one.per == "set" for one in self.readings) else len(numbers)
            found += [ReplyPart(asked, k, min(k + size, len(numbers))) for k in range(0, len(numbers), size)]
        return found

    def values_file(self, name: str) -> Path:
        """Return where the values of a reading end up."""
        return self.folder / f"{name}.json"

    @property
    def _parts_folder(self) -> Path:
        return self.folder / f"parts-{key_digest(self._part_key)}"

    def run(self, workers: Workers | None = None, report: Report | None = None) -> dict[str, list[Value]]:
        """Take the readings that have no values yet, and return all values by reading, in the order of `numbers`.

        What a judge left unscored for now is tried again; parts without such values are not read again.

        Raises:
            ValueError: A file of an earlier pass is damaged or of something else, or a reading gives what it does not
                declare.
            RuntimeError: Workers died again and again over one part.
        """
        tell, parts = report or (lambda _: None), self.parts
        there = {name: self._values(name) for name in self.names if self.values_file(name).exists()}
        lacking = [name for name in self.names if name not in there or _unfinished(there[name])]
        if not lacking:
            tell(Progress(len(parts), len(parts)))
            self._remove_parts()  # of a pass that was killed while it did this
            return there
        if len(lacking) < len(self.names) and not self._parts_folder.exists():  # else it was killed as it ended
            rest = SecondPass(self.folder, self.stored, lacking, self.carrier, self.model)
            return {**there, **rest.run(workers, report)}
        earlier = self._scored_before(there)
        found = {part: self._read(part) or earlier.get(part) for part in parts}
        waiting = deque(part for part, values in found.items() if values is None)

        def note(result: PartValues) -> None:
            found[result.part] = result.values
            tell(Progress(len(parts) - len(waiting), len(parts)))

        tell(Progress(len(parts) - len(waiting), len(parts)))
        if workers is None:
            reader = PartReader(self.stored, self.names, self.carrier, self.model, bases=self._bases)
            while waiting:
                result = reader(waiting.popleft())
                self._store(result)
                note(result)
        else:
            job = Job(
                partial(
                    PartReader, self.stored, self.names, self.carrier, judges=registered_judges(), bases=self._bases
                ),
                None if self.model is None else model_words(self.model),
            )
            fan_out(waiting, job, workers, self._store, note)
        return self._finish([found[part] for part in parts])

    def numbers(self) -> list[int]:
        """Return the replies' numbers in the order of values."""
        return [number for some in self.stored.by_prompt().values() for number in some]

    def _store(self, result: PartValues) -> None:
        """Store a part's values; those that are unscored for now are no part that a later pass goes on from."""
        if any(map(_unfinished, result.values.values())):
            return
        values = {name: [as_json(value) for value in listed] for name, listed in result.values.items()}
        document = {"format": _PART, "version": _VERSION, "key": self._part_key, "part": result.part, "values": values}
        write_text(self._parts_folder / result.part.file_name, signed_json(document))

    def _read(self, part: ReplyPart) -> dict[str, list[Value]] | None:
        path = self._parts_folder / part.file_name
        if not path.exists():
            return None
        record = read_signed_json(path, _PART, _VERSION, self._part_key)
        return {name: _listed(record.record("values"), name) for name in self.names}

    def _scored_before(self, values: dict[str, list[Value]]) -> dict[ReplyPart, dict[str, list[Value]]]:
        """Return the parts of which an earlier pass left nothing unscored for now, from the files of its values."""
        if len(values) < len(self.names) or any(one.per == "set" for one in self.readings):
            return {}
        found, start = {}, 0
        for part in self.parts:
            stop = start + part.stop - part.start
            own = {name: values[name][start:stop] for name in self.names}
            if not any(map(_unfinished, own.values())):
                found[part] = own
            start = stop
        return found

    def _values(self, name: str) -> list[Value]:
        path = self.values_file(name)
        return _listed(read_signed_json(path, _VALUES, _VERSION, self.key(name)), "values")

    def _finish(self, parts: Sequence[dict[str, list[Value]] | None]) -> dict[str, list[Value]]:
        """Write each reading's values in one file, and remove the parts."""
        whole: dict[str, list[Value]] = {
            name: [value for part in parts if part is not None for value in part[name]] for name in self.names
        }
        for one in self.readings:
            document = {
                "format": _VALUES,
                "version": _VERSION,
                "key": self.key(one.name),
                "unit": one.unit,
                "per": one.per,
                "replies": self.numbers(),
                "values": [as_json(value) for value in whole[one.name]],
            }
            write_text(self.values_file(one.name), signed_json(document))
        self._remove_parts()
        return whole

    def losses_beside(self) -> dict[str, list[Value]]:
        """Return the values of other losses that lie in the folder, of the same replies, on their basis of now.

        Raises:
            ValueError: One of the files is damaged.
        """
        found = {}
        for path in sorted(self.folder.glob("*.json")):
            name = path.stem
            if name in self.names or name not in registered() or reading(name).role != "loss":
                continue
            try:
                found[name] = self._values(name)
            except DamagedFileError:
                raise
            except InputError:
                continue  # of other replies or neurons, or on another basis: another measure's
        return found

    def _remove_parts(self) -> None:
        for path in sorted(self._parts_folder.glob("*.json")):
            path.unlink()
        if self._parts_folder.exists():
            self._parts_folder.rmdir()


def _listed(record: Record, name: str) -> list[Value]:
    return [value_from_json(item, name) for item in record.items(name)]


def _unfinished(values: Sequence[Value]) -> bool:
    """Tell whether some are unscored for now only."""
    return any(isinstance(value, Unscored) and value.for_now for value in values)


def values_by_number(path: Path, name: str, stored: StoredReplies) -> dict[int, Value]:
    """Return the values that a finished pass left of a reading, by the reply's number.

    Args:
        path: The file of values.
        name: Of the reading, not per set.
        stored: The replies that it must be of.
    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, another reading's, or of other replies; names it.
    """
    key = Record(json_in(path), str(path)).record("key").content
    wanted = {**key, "reading": name, "replies": stored.digest}
    record = read_signed_json(path, _VALUES, _VERSION, wanted)
    return dict(zip(record.wholes("replies"), _listed(record, "values"), strict=True))


def needs_model(names: Sequence[str]) -> bool:
    """Tell whether one of these readings takes passes of the model."""
    return any(isinstance(reading(name), ModelReading) for name in names)


def gather_values(second: SecondPass, values: dict[str, list[Value]]) -> GatheredAgain:
    """Average what a second pass gave, with the covariances of its losses and of those whose values lie beside."""
    numbers = second.numbers()
    means = {one.name: gather_again(second.stored, one, numbers, values[one.name]) for one in second.readings}
    losses = second.losses_beside() | {one.name: values[one.name] for one in second.readings if one.role == "loss"}
    return GatheredAgain(means, covariances_again(second.stored, losses, numbers))
