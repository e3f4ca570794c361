"""A measurement in a folder: a plan of small units, each stored whole, so that nothing is lost or done twice.

A unit is one prompt of one replicate under a slice of the interventions, in one round. Its file is written once,
atomically; a measurement that was stopped, by whatever means, goes on with the units that have no file. A unit's
numbers depend on the plan only, not on the order or the process that measures it (up to the rounding of matrix
products, which may differ between machines and between numbers of threads).
"""

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from auctionsim.carriers.neurons import Neurons
from auctionsim.carriers.protocol import Carrier
from auctionsim.checks import MOST_MONEY
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.files import write_text
from auctionsim.language_models.model import LanguageModel
from auctionsim.measurement.gathering import Gathered, gather, quantities, replicate_of, with_unscored
from auctionsim.measurement.interventions import grid_interventions, levers_of, listed_interventions
from auctionsim.measurement.kept_replies import kept_replies, write_replies
from auctionsim.measurement.measurer import UnitMeasurer
from auctionsim.measurement.plan import claim, full_plan
from auctionsim.measurement.schedule import UnitSchedule
from auctionsim.measurement.settings import MeasurementSettings
from auctionsim.measurement.units import Shard, Unit, UnitResult, read_unit, write_unit
from auctionsim.neurons.brand_neurons import BrandNeurons, package_versions
from auctionsim.prompts import PromptSet
from auctionsim.readings.registry import reading
from auctionsim.records import Record, json_in
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import REPLICATES
from auctionsim.substrates.surface import ResponseSurface


class Progress(NamedTuple):
    """Progress of a measurement in units; `known` grows as rounds are opened."""

    done: int
    known: int


Report = Callable[[Progress], None]
"""A function that is called whenever a measurement gets on."""
_MAKERS = "made_by.json"  # which runs measured units of the folder


def carrier_of(carrier: Carrier | BrandNeurons, mode: str) -> Carrier:
    """Return `carrier`, where bare neurons are all of theirs, amplified in a mode without a bound."""
    if isinstance(carrier, Carrier):
        return carrier
    return Neurons(carrier, num_neurons=carrier.max_neurons, amplification=MOST_MONEY, mode=mode, lowest=0.0)


class Measuring:
    """A measurement of joint interventions, in a folder, done as far as its files say.

    Args:
        folder: Where plan and units are kept; made if it is not there.
        model: The language model.
        carrier: What moves the model's replies; neurons are amplified in the settings' mode.
        prompts: All prompts; replicates A and B are measured on their splits of the same names.
        settings: The grid and the counts.
        allocations: A list of joint allocations (entry, bidder, lever), the null among them, to be measured instead of
            the settings' grid, which is one of neurons.
    Raises:
        ValueError: The folder holds another plan, or the prompts or neurons do not fit.
    """

    def __init__(
        self,
        folder: Path,
        model: LanguageModel,
        carrier: Carrier | BrandNeurons,
        prompts: PromptSet,
        settings: MeasurementSettings,
        allocations: Tensor | None = None,
    ) -> None:
        self.folder, self.settings, self.prompts = folder, settings, prompts
        self.carrier = carrier = carrier_of(carrier, settings.mode)
        brands = len(carrier.brands)
        self.listed = None if allocations is None else allocations.detach().cpu().double()
        if self.listed is not None:
            self.interventions = listed_interventions(self.listed, brands, carrier.levers)
        elif isinstance(carrier, Neurons):
            self.interventions = grid_interventions(settings, brands)
        else:
            raise InputError(
                f"the settings' grid is one of neurons: of {carrier.name} a list of allocations is measured"
            )
        carrier.checked(
            self.interventions.distinct
        )  # what cannot be carried out is refused before anything is measured
        self.measurer = UnitMeasurer(model, carrier, prompts, settings, self.interventions)
        self.readings = [reading(name) for name in settings.manner.names if name not in carrier.without]
        self.plan = full_plan(model, carrier, prompts, settings, self.listed)
        self.digest = claim(folder, self.plan, type(settings))

    # Work

    @property
    def units_folder(self) -> Path:
        """Where the units' files are."""
        return self.folder / "units"

    def schedule(self) -> UnitSchedule:
        """Return what is done and what is to do, read from the files.

        Raises:
            ValueError: A file is damaged or of another measurement; names it.
        """
        shards = [
            Shard(name, context, start, stop)
            for name in REPLICATES
            for context in range(len(self.prompts.contexts))
            for start, stop in self._slices()
        ]
        prompts = {name: tuple(map(len, self.prompts.split(name).prompts)) for name in REPLICATES}
        return UnitSchedule(shards, prompts, self.settings).read(self.units_folder, self.digest)

    @property
    def units(self) -> list[Unit]:
        """All the work that is known of; more may be known when it is done, where counts adapt."""
        return self.schedule().known

    @property
    def missing(self) -> list[Unit]:
        """The known work that has no file yet."""
        return list(self.schedule().waiting)

    def run(self, report: Report | None = None) -> None:
        """Measure what is missing, storing each unit as it is done; `report` is called at first and after each.

        Raises:
            ValueError: A file of an earlier run is damaged: told before anything is measured.
        """
        schedule = self.schedule()
        tell = report or (lambda _: None)
        tell(Progress(schedule.done, len(schedule.known)))
        while schedule.waiting:
            unit = schedule.waiting.popleft()
            result = read_unit(self.units_folder, unit, self.digest)  # another process may have measured it meanwhile
            if result is None:
                result = self.measure_unit(unit)
                self.store(result)
            schedule.note(result)
            tell(Progress(schedule.done, len(schedule.known)))

    def measure_unit(self, unit: Unit) -> UnitResult:
        """Measure one unit here, without storing it."""
        return self.measurer(unit)

    def store(self, result: UnitResult) -> None:
        """Write a unit's file, whole or not at all."""
        write_unit(self.units_folder, result, self.digest)

    # Results

    def results(self) -> Iterator[UnitResult]:
        """Yield every stored unit.

        Raises:
            ValueError: A unit is missing, damaged or of another plan; names the file.
        """
        schedule = self.schedule()
        if schedule.waiting:
            path = self.units_folder / schedule.waiting[0].file_name
            raise InputError(f"{path} is missing: the measurement is not complete, run it again to go on")
        for unit in schedule.known:
            result = read_unit(self.units_folder, unit, self.digest)
            assert result is not None
            yield result

    def surface(self, provenance: Mapping[str, Any] | None = None) -> ResponseSurface:
        """Gather the stored units of a grid.

        Raises:
            ValueError: The measurement is not complete, a file is damaged, or a list was measured.
        """
        if self.listed is not None:
            raise InputError("a list of allocations was measured: it makes no surface")
        gathered = self.gathered()
        return ResponseSurface(
            grids=self.settings.grids,
            num_bidders=len(self.carrier.brands),
            features=self._features,
            contexts=self.prompts.contexts,
            replicates={name: replicate_of(one, self.interventions.cells) for name, one in gathered.items()},
            provenance=self._provenance(provenance),
            quantities=quantities(self.readings, gathered["A"]),
        )

    def measured_list(self, provenance: Mapping[str, Any] | None = None) -> MeasuredList:
        """Gather the stored units of a list.

        Raises:
            ValueError: The measurement is not complete, a file is damaged, or a grid was measured.
        """
        if self.listed is None:
            raise InputError("a grid was measured: it makes no list")
        gathered = self.gathered()
        return MeasuredList(
            levers=levers_of(self.listed, self.carrier.levers),
            allocations=self.listed,
            features=self._features,
            contexts=self.prompts.contexts,
            replicates={name: replicate_of(one, self.interventions.cells) for name, one in gathered.items()},
            provenance=self._provenance(provenance),
            quantities=quantities(self.readings, gathered["A"]),
        )

    @property
    def _features(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.readings if one.role == "feature")

    def gathered(self) -> dict[str, Gathered]:
        """Gather the stored units by replicate, each distinct intervention once.

        Raises:
            ValueError: The measurement is not complete, a file is damaged, or units lack a reading.
        """
        results = list(self.results())
        return with_unscored(
            {
                name: gather(
                    [result for result in results if result.unit.replicate == name],
                    self.readings,
                    self.carrier.brands,
                    self.prompts.split(name),
                )
                for name in REPLICATES
            }
        )

    def keep_replies(self, path: Path) -> None:
        """Write every stored reply to one compressed file, see `auctionsim.measurement.kept_replies`.

        Raises:
            ValueError: The measurement is not complete, or a file is damaged.
        """
        record = {
            **{name: value for name, value in self.plan.items() if name not in ("allocations", "stems")},
            "brands": [brand.written for brand in self.carrier.brands],
            "contexts": list(self.prompts.contexts),
            "prompts": {name: [list(some) for some in self.prompts.split(name).prompts] for name in REPLICATES},
            "interventions": self.interventions.distinct.tolist(),
        }
        write_replies(path, record, (reply for result in self.results() for reply in kept_replies(result)))

    # Provenance

    def _provenance(self, more: Mapping[str, Any] | None) -> dict[str, Any]:
        """Return where the numbers come from: the last run that measured units of it, and all of them if several did.

        A run that finds everything measured has made nothing, and is not named.
        """
        fixed = {} if self.listed is not None else self.settings.fixed_levers
        makers = self._makers()
        return {
            **{name: value for name, value in self.plan.items() if name != "allocations"},
            "fixed_levers": fixed,
            "brands": [brand.written for brand in self.carrier.brands],
            **({"method": self.carrier.neurons.method} if isinstance(self.carrier, Neurons) else {}),
            "versions": package_versions(),
            **(more or {}),
            **(makers[-1] if makers else {}),
            **({"made_by": makers} if len(makers) > 1 else {}),
        }

    def note_maker(self, provenance: Mapping[str, Any] | None) -> None:
        """Write down which command, commit and packages measure from here on, if anything is left to measure."""
        if not self.missing:
            return
        named = {name: value for name, value in (provenance or {}).items() if name in ("command", "commit")}
        maker, makers = {**named, "versions": package_versions()}, self._makers()
        others = [one for one in makers if one != maker]
        if [*others, maker] != makers:
            write_text(self.folder / _MAKERS, json.dumps([*others, maker], indent=2, ensure_ascii=False))

    def _makers(self) -> list[dict[str, Any]]:
        path = self.folder / _MAKERS
        if not path.exists():
            return []
        try:
            return [dict(Record(maker).content) for maker in Record({"makers": json_in(path)}).items("makers")]
        except (ValueError, TypeError) as error:
            raise DamagedFileError(f"{path} is damaged: {error}") from error

    def _slices(self) -> list[tuple[int, int]]:
        """Cut the interventions into the fewest slices whose replies fit a batch, all of about one length."""
        count = len(self.interventions.distinct)
        slices = math.ceil(count / max(1, self.settings.rows // self.settings.samples))
        ends = [count * k // slices for k in range(slices + 1)]
        return list(itertools.pairwise(ends))
