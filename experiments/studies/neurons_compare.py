"""Which identification method buys the most lift for the least harm: every method, many brands, one grid of levers.

Levers are chosen on validation prompts (split A) and validation texts; lift, neutral_kl and user loss are reported on
test prompts and held-out texts.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from auctionsim.brands import Brand
from auctionsim.carriers.neurons import Neurons
from auctionsim.console import table_console
from auctionsim.errors import DamagedFileError, InputError
from auctionsim.experiments.figures.neurons_compare import draw_frontiers
from auctionsim.experiments.running.frontier import (
    FrontierCell,
    FrontierChoice,
    FrontierSettings,
    choices,
    frontier_cells,
    settings_of_one,
)
from auctionsim.experiments.running.kept_stages import model_inputs
from auctionsim.experiments.running.plan import defaults_of
from auctionsim.experiments.running.preparation import Stages, slug
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.tables.neurons_compare import (
    FIGURE,
    FrontierResult,
    FrontierRow,
    Replied,
    frontier_section,
    frontier_tables,
    tidy,
)
from auctionsim.files import sweep, write_text
from auctionsim.kept import difference, differing, plain
from auctionsim.language_models import LanguageModel
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.evidence import Evidence
from auctionsim.neurons.identification import identification_steps, rank
from auctionsim.neurons.methods import METHODS
from auctionsim.prompts import PromptSet
from auctionsim.records import Record, json_in
from auctionsim.substrates.language_model import LanguageModelSubstrate


@dataclass(frozen=True)
class CompareMethodsSettings:
    """What is compared.

    Attributes:
        brand_sets: Category and its rival brands, in order.
        methods: Names from `METHODS`.
        folder: Run folder; a stopped comparison continues from it.
        grid: Levers and limits.
        amplification: The highest that is sold, which path methods look at.
        validation_prompts: Prompts a context on which levers are chosen.
        reply_prompts: Test prompts a context on which replies are sampled for user loss and hits; 0 for none.
        samples: Replies per prompt.
        seed: Of the harm estimate, random scores and replies.
    """

    brand_sets: tuple[tuple[str, tuple[Brand, ...]], ...]
    methods: tuple[str, ...]
    folder: Path
    grid: FrontierSettings = field(default_factory=FrontierSettings)
    amplification: float = 2.0
    validation_prompts: int = 2
    reply_prompts: int = 2
    samples: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown or not self.methods:
            raise InputError(f"methods must be one or more of {', '.join(METHODS)}, got {', '.join(unknown) or 'none'}")


def main(
    settings: CompareMethodsSettings,
    model: LanguageModel,
    prompts_of: Callable[[str], PromptSet],
    command: str,
    console: Console,
) -> FrontierResult:
    """Measure what the folder has not yet, print the tables, write table, figure and run.json.

    Raises:
        ValueError: The folder holds another comparison, or too few prompts.
    """
    digest = _claim(settings, model, prompts_of)
    run = Run(settings.folder, settings, {"model": model.identity})
    run.begin(command)
    rows: list[FrontierRow] = []
    cells: dict[tuple[str, str], tuple[FrontierCell, ...]] = {}
    with Stages(console) as stages:
        for category, brands in settings.brand_sets:
            brand_set = _KeptBrandSet(settings, model, category, brands, prompts_of(category), digest)
            rankings = brand_set.rankings(stages)
            for index, brand in enumerate(brands):
                by_method = brand_set.measured(index, rankings, stages)
                replies = brand_set.replies(index, rankings, by_method, stages)
                for method, (tried, chosen) in by_method.items():
                    cells[brand.name, method] = tuple(tried)
                    for choice in chosen:
                        reply = replies.get((method, choice.chosen))
                        rows.append(FrontierRow(category, brand.name, method, choice, reply))
    result = FrontierResult(tuple(rows), cells)
    paper = table_console(console)
    for table in frontier_tables(result.rows):
        paper.print(table)
    draw_frontiers(result, settings.folder / FIGURE)
    tables = {"frontier": tidy(result.rows), "cells": list(_tidy_cells(result)), "methods": _formulas(settings)}
    run.finish(tables, frontier_section(result.rows), command=command, console=console)
    return result


class _KeptBrandSet:
    """One category and its rivals: everything kept in files, everything found again."""

    def __init__(
        self,
        settings: CompareMethodsSettings,
        model: LanguageModel,
        category: str,
        brands: tuple[Brand, ...],
        prompts: PromptSet,
        digest: str,
    ) -> None:
        self.settings, self.model, self.category, self.brands = settings, model, category, brands
        self.prompts, self.digest = prompts, digest
        self.folder = settings.folder / slug(category)

    def rankings(self, stages: Stages) -> dict[str, BrandNeurons]:
        """Return every method's ranking, all from one set of evidence."""
        paths = {method: self.folder / f"neurons-{method}.safetensors" for method in self.settings.methods}
        missing = [method for method, path in paths.items() if not path.exists()]
        own_prompts = self.prompts.split("identify")
        steps = identification_steps(own_prompts, *missing) if missing else 0
        with stages.stage(f"{self.category}: neurons", steps) as tick:
            evidence = Evidence(
                self.model,
                self.brands,
                own_prompts,
                own_prompts.stem_texts,
                num_neurons=self.settings.grid.num_neurons[-1],
                amplification=self.settings.amplification,
                seed=self.settings.seed,
                progress=tick,
            )
            for method in missing:
                rank(evidence, method).save(paths[method])
        return {method: BrandNeurons.load(path) for method, path in paths.items()}

    def measured(
        self, index: int, rankings: Mapping[str, BrandNeurons], stages: Stages
    ) -> dict[str, tuple[list[FrontierCell], list[FrontierChoice]]]:
        """Return every method's validation cells and choices for one brand."""
        by_method, name = {}, self.brands[index].name
        with stages.stage(f"{name}: settings", len(rankings)) as tick:
            for method, neurons in rankings.items():
                record = self._kept(f"{name}-{method}", partial(self._measure, neurons, index))
                by_method[method] = (
                    [FrontierCell(*row) for row in record["cells"]],
                    [_choice(row) for row in record["choices"]],
                )
                tick()
        return by_method

    def _measure(self, neurons: BrandNeurons, index: int) -> dict[str, Any]:
        grid = self.settings.grid
        few = self.prompts.split("A").first(self.settings.validation_prompts)
        cells = frontier_cells(self.model, neurons, index, grid, few)
        chosen = choices(self.model, neurons, index, cells, grid, self.prompts.split("test"))
        return {"cells": cells, "choices": chosen}

    def replies(
        self,
        index: int,
        rankings: Mapping[str, BrandNeurons],
        by_method: Mapping[str, tuple[list[FrontierCell], list[FrontierChoice]]],
        stages: Stages,
    ) -> dict[tuple[str, FrontierCell | None], Replied]:
        """Sample replies under every chosen setting, one batch a prompt; (method, None) is the untouched model."""
        picked = [
            (method, cell)
            for method, (_, chosen) in by_method.items()
            for cell in dict.fromkeys(choice.chosen for choice in chosen)
            if cell is not None
        ]
        with stages.stage(f"{self.brands[index].name}: replies", 1):
            if not self.settings.reply_prompts:
                return {}
            name = f"{self.brands[index].name}-replies"
            record = self._kept(name, lambda: self._reply(index, rankings, picked))
        numbers = [Replied(*row) for row in record["replies"]]
        untouched = {(method, None): numbers[0] for method in rankings}
        return untouched | dict(zip(picked, numbers[1:], strict=True))

    def _reply(
        self, index: int, rankings: Mapping[str, BrandNeurons], picked: Sequence[tuple[str, FrontierCell]]
    ) -> dict[str, Any]:
        """Every method's ranking of the brand stands in as a bidder of its own, one of them active a row."""
        names, some = list(rankings), list(rankings.values())
        pooled = BrandNeurons(
            brands=(self.brands[index],) * len(some),
            ranking=torch.stack([neurons.ranking[index] for neurons in some]),
            scores=torch.stack([neurons.scores[index] for neurons in some]),
            attributions=some[0].attributions[index].expand(len(some), -1, -1),
            method="compared",
            model=self.model.identity,
            prompts_digest=some[0].prompts_digest,
        )
        settings = self.settings
        substrate = LanguageModelSubstrate(
            self.model,
            Neurons(pooled, num_neurons=pooled.max_neurons, amplification=settings.grid.amplification[-1]),
            self.prompts.split("test"),
            samples=settings.samples,
            seed=settings.seed,
        )
        rows = [settings_of_one(pooled, 0, [(0.0, 1.0)])]
        rows += [settings_of_one(pooled, names.index(m), [(float(c.num_neurons), c.amplification)]) for m, c in picked]
        losses, hits = [], []
        for context, texts in enumerate(substrate.prompts.prompts):
            for number, prompt in enumerate(texts[: settings.reply_prompts]):
                batch = substrate.replies(prompt, torch.cat(rows), (context, number), settings.samples)
                losses.append(batch.numbers("kl").view(len(rows), -1))
                hits.append(batch.numbers("hits")[:, 0].view(len(rows), -1))
        pair = [torch.cat(values, dim=1) for values in (losses, hits)]
        n = pair[0].shape[1]
        columns = [column for values in pair for column in (values.mean(1), values.std(1) / n**0.5)]
        return {"replies": [[*map(float, row), n] for row in zip(*columns, strict=True)]}

    def _kept(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what the file of that name holds, made and written if there is none.

        Raises:
            ValueError: The file is damaged.
        """
        path = self.folder / f"{slug(name)}.json"
        if not path.exists():
            write_text(path, json.dumps({"plan": self.digest, **make()}))
        try:
            record = dict(Record(json_in(path, finite=False), "it").content)
            if record["plan"] != self.digest:
                raise InputError("it belongs to another comparison")
        except (ValueError, TypeError, KeyError) as error:
            raise DamagedFileError(
                f"{path} is damaged ({error}): remove it and run again to measure it anew"
            ) from error
        return record


def _choice(row: Sequence[Any]) -> FrontierChoice:
    limit, cell, untouched, probability, kl, kinds = row
    chosen = None if cell is None else FrontierCell(*cell)
    by_kind = {kind: (float(before), float(after)) for kind, (before, after) in kinds.items()}
    return FrontierChoice(limit, chosen, untouched, probability, kl, by_kind)


def _claim(settings: CompareMethodsSettings, model: LanguageModel, prompts_of: Callable[[str], PromptSet]) -> str:
    """Take the folder for this comparison; return the plan's digest.

    Raises:
        ValueError: It holds another one, or there are too few prompts.
    """
    for category, _ in settings.brand_sets:
        prompts_of(category).split("test")
    plan = {
        "brand_sets": [[category, [b.written for b in brands]] for category, brands in settings.brand_sets],
        "prompts": [prompts_of(category).digest for category, _ in settings.brand_sets],
        "methods": list(settings.methods),
        "grid": asdict(settings.grid),
        "amplification": settings.amplification,
        "prompts_a_context": [settings.validation_prompts, settings.reply_prompts],
        "samples": settings.samples,
        "seed": settings.seed,
        **model_inputs(model),
    }
    text = json.dumps(plan, sort_keys=True)
    path = settings.folder / "plan.json"
    if path.exists():
        there, usual = Record(json_in(path)).content, {"grid": defaults_of(FrontierSettings)}
        named = {"brand_sets" if name == "markets" else name: value for name, value in there.items()}  # as then called
        if differing(named, usual) != differing(plan, usual):
            raise InputError(
                f"{settings.folder} holds another comparison ({difference(named, plain(plan))}): choose another "
                "folder or remove it"
            )
        text = json.dumps(there, sort_keys=True)  # what is kept there is kept under the digest of then
    sweep(settings.folder)
    write_text(path, text)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _formulas(settings: CompareMethodsSettings) -> list[dict[str, str]]:
    return [
        {"method": name, "formula": METHODS[name].formula, "source": METHODS[name].source} for name in settings.methods
    ]


def _tidy_cells(result: FrontierResult) -> Iterator[dict[str, Any]]:
    for (brand, method), cells in result.cells.items():
        for cell in cells:
            yield {"brand": brand, "method": method, **cell._asdict()}
