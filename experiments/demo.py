"""The whole laboratory once, small: two brands' neurons in a real model, an auction of them, and one page about it."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from rich.console import Console

from auctionsim.brands import Brand
from auctionsim.comparison import best_single_setting, compare, estimate, trade_off
from auctionsim.experiments.auctions import MENU, OPTIMUM, PAY_AS_BID, PRIOR, rival_mechanisms
from auctionsim.experiments.support.menu_options import menu_options
from auctionsim.experiments.support.preparation import (
    PeakMemory,
    Stages,
    Tick,
    commit_or_none,
    kept_neurons,
    kept_surface,
)
from auctionsim.files import write_text
from auctionsim.language_models import LanguageModel, load_model
from auctionsim.measurement import MeasurementSettings
from auctionsim.mechanisms import Mechanism, MenuAuction
from auctionsim.neurons import BrandNeurons
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.prompts import PromptSet, build_prompts, read_prompts
from auctionsim.report import Findings, write_report
from auctionsim.report.records import Confirmation, LearningPoint, ReplyPair
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.language_model import LanguageModelSubstrate, ReplyBatch


@dataclass(frozen=True)
class DemoSettings:
    """What the demo does.

    Attributes:
        category: What the brands sell; fills the prompt templates.
        brands: Rival bidders.
        folder: The run folder: everything is kept there, and a stopped run goes on from it.
        prompts_file: JSON prompts instead of the templates.
        model: "smollm2", a hub id or a folder.
        device: Of the model.
        dtype: Of the model.
        seed: Of everything that is drawn.
        sold_feature: What the auction sells.
        user_weight: λ, money per nat a token of user loss.
        user_weights: The trade-off's sweep.
        measurement: The surface's grid and counts.
        menu_entries: Entries of the learned menu.
        menu_steps: Its training steps.
        learning_iterations: Updates of the PPO bidders.
        confirm_samples: Replies a held-out prompt when a brand's best setting is measured anew.
        user_loss_limit: Nats a token that a brand's best setting may cost.
    """

    category: str
    brands: tuple[Brand, ...]
    folder: Path
    prompts_file: Path | None = None
    model: str = "smollm2"
    device: str = "auto"
    dtype: str = "auto"
    seed: int = 0
    sold_feature: str = "slot_probability"
    user_weight: float = 1.0
    user_weights: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 4.0)
    measurement: MeasurementSettings = field(default_factory=MeasurementSettings)
    menu_entries: int = 6
    menu_steps: int = 400
    learning_iterations: int = 60
    confirm_samples: int = 8
    user_loss_limit: float = 0.3


def main(settings: DemoSettings, command: str, console: Console) -> Path:
    """Run every stage and write the report.

    Args:
        settings: What to do.
        command: What the user typed, for the report.
        console: Where progress is shown.
    Returns:
        The report's path.
    Raises:
        ValueError: Settings that do not fit; a folder that holds another run's measurement.
        ModelUnavailableError: No such model here.
    """
    if len(settings.brands) != 2:
        raise ValueError(f"the demo auctions two brands, got {len(settings.brands)}")
    prompts = _prompts(settings)
    prompts.split("test")  # too few prompts are refused before anything is computed
    with PeakMemory() as memory, Stages(console) as stages:
        with stages.stage("loading the model", 1):
            model = load_model(settings.model, settings.device, settings.dtype)
        most = int(settings.measurement.num_neurons[-1])
        neurons = kept_neurons(settings.folder, model, settings.brands, prompts, most, settings.seed, stages)
        provenance = {"category": settings.category, "command": command, "commit": commit_or_none()}
        surface = kept_surface(settings.folder, model, neurons, prompts, settings.measurement, provenance, stages)
        sold = surface.sell(settings.sold_feature)
        live = _held_out(settings, model, neurons, prompts)
        confirmations, replies = _confirm(settings, surface, live, stages)
        with stages.stage("training the menu", 1):
            mechanisms = _mechanisms(sold, settings.user_weight, settings)
        menu = mechanisms[MENU]
        assert isinstance(menu, MenuAuction)
        options = menu_options(menu, sold, PRIOR, [brand.name for brand in settings.brands], live)
        with stages.stage("mechanisms and regret", 2 * len(mechanisms)) as tick:
            rows = compare(mechanisms, sold, PRIOR, settings.user_weight, seed=settings.seed, draws=4096, progress=tick)
        with stages.stage("trade-off", len(settings.user_weights)) as tick:
            curve = trade_off(
                lambda surface_a, weight: _mechanisms(surface_a, weight, settings),
                sold,
                PRIOR,
                settings.user_weights,
                seed=settings.seed,
                progress=tick,
            )
        learning = _learn(settings, sold, mechanisms, stages)
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
            sold_neurons=most,
            surface=surface,
            sold_feature=settings.sold_feature,
            user_weight=settings.user_weight,
            replies=replies,
            confirmations=confirmations,
            menu=options,
            mechanisms=tuple(rows),
            trade_off=tuple(curve),
            learning=learning,
            training=menu.history,
            stage_seconds=stages.seconds,
            peak_memory_gib=memory.gib,
        )
        with stages.stage("writing the report", 1):
            write_text(settings.folder / "run.json", json.dumps(_record(findings), indent=2, ensure_ascii=False))
            report = write_report(findings, settings.folder)
    _tell(console, findings, report, memory.gib)
    return report


def _prompts(settings: DemoSettings) -> PromptSet:
    return build_prompts(settings.category) if settings.prompts_file is None else read_prompts(settings.prompts_file)


def _mechanisms(surface: ResponseSurface, user_weight: float, settings: DemoSettings) -> dict[str, Mechanism]:
    return rival_mechanisms(
        surface, user_weight, seed=settings.seed, entries=settings.menu_entries, steps=settings.menu_steps
    )


def _held_out(
    settings: DemoSettings, model: LanguageModel, neurons: BrandNeurons, prompts: PromptSet
) -> LanguageModelSubstrate:
    """Return the live model on prompts and seeds that nothing was chosen on."""
    measured = settings.measurement
    return LanguageModelSubstrate(
        model,
        neurons,
        prompts.split("test"),
        num_neurons=int(measured.num_neurons[-1]),
        amplification=measured.amplification[-1],
        max_new_tokens=measured.max_new_tokens,
        temperature=measured.temperature,
        seed=measured.seed + 1_000_003,
    )


def _confirm(
    settings: DemoSettings, surface: ResponseSurface, live: LanguageModelSubstrate, stages: Stages
) -> tuple[tuple[Confirmation, ...], tuple[ReplyPair, ...]]:
    """Measure each brand's best setting anew, beside the untouched model, and keep the first reply of each context."""
    limit = settings.user_loss_limit
    careful = 0.8 * limit  # held-out prompts may cost more than those that the setting is chosen on
    chosen = [best_single_setting(surface, i, "hits", careful) for i in range(len(settings.brands))]
    prompts = [(c, p, text) for c, some in enumerate(live.prompts.prompts) for p, text in enumerate(some)]
    confirmations, pairs = [], []
    with stages.stage("held-out replies", len(prompts) * sum(setting is not None for setting in chosen)) as tick:
        for bidder, (brand, setting) in enumerate(zip(settings.brands, chosen, strict=True)):
            if setting is None:
                confirmations.append(_nothing_found(brand.name, limit))
                continue
            allocation = live.null_allocation(2, dtype=torch.float64)
            allocation[1, bidder] = setting
            neurons, factor = setting.tolist()
            batches = []
            for context, number, prompt in prompts:
                batch = live.replies(prompt, allocation, (context, number), settings.confirm_samples)
                batches.append(batch)
                if number == 0:
                    untouched, boosted = batch.texts[0], batch.texts[settings.confirm_samples]
                    pairs.append(ReplyPair(brand.name, prompt, neurons, factor, untouched, boosted))
                tick()
            confirmations.append(_confirmation(brand.name, bidder, setting, batches, limit))
    return tuple(confirmations), tuple(pairs)


def _confirmation(
    brand: str, bidder: int, setting: torch.Tensor, batches: list[ReplyBatch], limit: float
) -> Confirmation:
    hits = torch.cat([batch.hits[:, bidder].double().view(2, -1) for batch in batches], dim=1)
    loss = torch.cat([batch.user_loss.double().view(2, -1)[1] for batch in batches])
    gain = estimate(hits[1] - hits[0])
    found = gain.mean > 2 * (gain.standard_error or math.inf) and float(loss.mean()) < limit
    neurons, factor = setting.tolist()
    return Confirmation(
        brand, neurons, factor, estimate(hits[0]), estimate(hits[1]), gain, estimate(loss), limit, found
    )


def _nothing_found(brand: str, limit: float) -> Confirmation:
    return Confirmation(brand, None, None, None, None, None, None, limit, found=False)


def _learn(
    settings: DemoSettings, surface: ResponseSurface, mechanisms: Mapping[str, Mechanism], stages: Stages
) -> tuple[LearningPoint, ...]:
    """Train two PPO bidders under the truthful optimum and under pay-as-bid, on RLlib."""
    from auctionsim.agents.ppo import train_ppo
    from auctionsim.envs import NeuronAuctionEnvRunner, register_envs

    points: list[LearningPoint] = []
    names = [brand.name for brand in settings.brands]
    for label in (OPTIMUM, PAY_AS_BID):
        config = {"mechanism": mechanisms[label], "substrate": surface, "priors": PRIOR}
        with stages.stage(f"bidders: {label.split(' (')[0]}", settings.learning_iterations) as tick:
            trained = train_ppo(
                register_envs(),
                config,
                [[1.0]] * len(names),
                seed=settings.seed,
                iterations=settings.learning_iterations,
                env_runner=NeuronAuctionEnvRunner,
                progress=_on_each(tick),
            )
        points += [
            LearningPoint(label, step.iteration, name, utility, ratio)
            for step in trained.curve
            for name, utility, ratio in zip(names, step.utility, step.bid_ratio, strict=True)
        ]
    return tuple(points)


def _on_each(tick: Tick) -> Callable[[object], None]:
    return lambda _: tick()


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
    plain = {name: [row._asdict() for row in value] if name in tabled else value for name, value in parts.items()}
    return {**plain, "threads": torch.get_num_threads()}


def _tell(console: Console, findings: Findings, report: Path, peak: float) -> None:
    for row in findings.confirmations:
        if row.found and row.gain is not None and row.user_loss is not None:
            console.print(
                f"{row.brand}: {row.num_neurons:g} neurons x{row.amplification:g} give {row.gain.mean:+.2f} ± "
                f"{row.gain.standard_error:.2f} hits a reply at a user loss of {row.user_loss.mean:.3f} nats a token"
            )
        else:
            console.print(f"{row.brand}: no setting found")
    console.print(f"peak memory {peak:.2f} GiB, {sum(findings.stage_seconds.values()):.0f} s")
    console.print(f"report: {report}", soft_wrap=True)
