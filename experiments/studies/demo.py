"""The whole laboratory once, small: two brands' neurons in a real model, an auction of them, and one page about it."""

from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from auctionsim.accounts import plain
from auctionsim.errors import InputError
from auctionsim.experiments.running.demo_settings import DemoSettings
from auctionsim.experiments.running.designs import UNKEPT, Designs
from auctionsim.experiments.running.kept_neurons import kept_neurons
from auctionsim.experiments.running.kept_stages import model_inputs
from auctionsim.experiments.running.preparation import MEASUREMENT, PeakMemory, Stages, commit_or_none, kept_surface
from auctionsim.experiments.running.reply_losses import readings_besides
from auctionsim.experiments.running.run import Run
from auctionsim.experiments.running.run_folder import finish
from auctionsim.experiments.tables.demo import carry_out, held_out
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.measurement import Measuring
from auctionsim.neurons import BrandNeurons
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.prompts import PromptSet, build_prompts, read_prompts
from auctionsim.report import Findings, write_report
from auctionsim.substrates import ResponseSurface


def main(settings: DemoSettings, command: str, console: Console, designs: Designs = UNKEPT) -> Path:
    """Run every stage and write the report.

    Args:
        settings: What to do.
        command: What the user typed, for the report.
        console: Where progress is shown.
        designs: Makes the mechanisms.
    Returns:
        The report's path.
    Raises:
        ValueError: Settings that do not fit; a folder that holds another run's measurement.
        ModelUnavailableError: No such model here.
    """
    readings_besides(settings.offer)  # what is no loss is refused before anything is computed
    if len(settings.brands) != 2:
        raise InputError(f"the demo auctions two brands, got {len(settings.brands)}")
    prompts = _prompts(settings)
    prompts.split("test")  # too few prompts are refused before anything is computed
    with PeakMemory() as memory, Stages(console) as stages:
        with stages.stage("loading the model", 1):
            model = load_model(settings.model, settings.device, settings.dtype)
        run = Run(settings.folder, settings, {**model_inputs(model), "prompts": prompts.digest})
        neurons, measured = _prepared(settings, run, model, prompts, command, stages)
        surface = measured.sell(*measured.measured_features, loss=settings.loss)
        later = Run(settings.folder, settings, {**run.inputs, "neurons": neurons.digest, "surface": surface.digest})
        live = held_out(settings, model, neurons, prompts)
        carried = carry_out(settings, later, surface, live, designs, stages)
        findings = Findings(
            title=f"A neuron auction: {' against '.join(brand.name for brand in settings.brands)}",
            command=command,
            category=settings.category,
            brands=tuple(brand.name for brand in settings.brands),
            model=model.identity,
            settings=_plain(settings),
            versions=package_versions(),
            commit=commit_or_none(),
            neurons=neurons,
            sold_neurons=int(settings.measurement.num_neurons[-1]),
            surface=surface,
            sold_feature=settings.sold_feature,
            user_weight=settings.user_weight,
            **carried._asdict(),
            stage_seconds=stages.seconds,
            stage_seconds_before={name: seconds for name, seconds in stages.before.items() if seconds},
            peak_memory_gib=memory.gib,
        )
        with stages.stage("writing the report", 1):
            report = write_report(findings, settings.folder)
            finish(settings.folder, run.plan, command, (report.name,), _record(findings))
    _tell(console, findings, report, memory.gib)
    return report


def _prepared(
    settings: DemoSettings, run: Run, model: LanguageModel, prompts: PromptSet, command: str, stages: Stages
) -> tuple[BrandNeurons, ResponseSurface]:
    """Return the folder's neurons and surface; another run's are refused before run.json is touched."""
    folder, plan = settings.folder, settings.measurement
    if not run.record:
        run.begin(command)
    most = int(plan.num_neurons[-1])
    neurons = kept_neurons(folder, model, settings.brands, prompts, most, settings.seed, stages, command=command)
    Measuring(folder / MEASUREMENT, model, neurons, prompts, plan)  # refuses another measurement's folder
    run.begin(command)
    provenance = {"category": settings.category, "command": command, "commit": commit_or_none()}
    return neurons, kept_surface(folder, model, neurons, prompts, plan, provenance, stages)


def _prompts(settings: DemoSettings) -> PromptSet:
    return build_prompts(settings.category) if settings.prompts_file is None else read_prompts(settings.prompts_file)


def _plain(settings: DemoSettings) -> dict[str, object]:
    record = asdict(settings)
    record["brands"] = [brand.written for brand in settings.brands]
    record["folder"] = settings.folder.name
    record["prompts_file"] = None if settings.prompts_file is None else settings.prompts_file.name
    return record


def _record(findings: Findings) -> dict[str, object]:
    """Return everything but tensors, for run.json."""
    left_out = {"neurons", "surface"}  # beside it as safetensors
    parts = {name: value for name, value in vars(findings).items() if name not in left_out}
    tabled = ("replies", "confirmations", "menu", "mechanisms", "trade_off", "learning", "training")
    record = {name: [row._asdict() for row in value] if name in tabled else value for name, value in parts.items()}
    return {**record, "story": plain(findings.story)}


def _tell(console: Console, findings: Findings, report: Path, peak: float) -> None:
    charged = findings.surface.charged_loss
    for row in findings.confirmations:
        if row.found and row.gain is not None and row.user_loss is not None:
            console.print(
                f"{row.brand}: {row.num_neurons:g} neurons x{row.amplification:g} give {row.gain.mean:+.2f} ± "
                f"{row.gain.standard_error:.2f} hits per reply at a user loss of {row.user_loss.mean:.3f} ({charged})"
            )
        else:
            console.print(f"{row.brand}: no setting found")
    before = sum(findings.stage_seconds_before.values())
    earlier = f", {before:.0f} s of them in earlier runs" if before else ""
    console.print(f"peak memory {peak:.2f} GiB, {sum(findings.stage_seconds.values()):.0f} s{earlier}")
    console.print(f"report: {report}", soft_wrap=True)
