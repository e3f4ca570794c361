"""The demo's stages on a measured surface: each is kept once it is finished, and taken up again after a stop."""

import math
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from auctionsim.accounts import AuctionStory, StoryDraws, auction_story
from auctionsim.agents.ppo import Running
from auctionsim.carriers.neurons import Neurons
from auctionsim.experiments.running.demo_settings import AuctionedSettings, DemoSettings
from auctionsim.experiments.running.designs import COMPARED, Designs
from auctionsim.experiments.running.kept_stages import as_row, kept_stage, record_from
from auctionsim.experiments.running.preparation import SURFACE_FILE, Stages, Tick
from auctionsim.experiments.running.reply_losses import paired_losses
from auctionsim.experiments.running.run import Row, Run
from auctionsim.experiments.running.stored_by_name import stored_replies_of
from auctionsim.experiments.tables.mechanisms import MENU, OPTIMUM, PAY_AS_BID, PRIOR, VCG
from auctionsim.experiments.tables.menu_options import menu_options
from auctionsim.language_models import LanguageModel
from auctionsim.mechanisms import Mechanism, MenuAuction
from auctionsim.mechanisms.table import Problem
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.report.records import Confirmation, LearningPoint, MenuOption, ReplyPair
from auctionsim.scoring import MechanismRow, TradeOffPoint, compare, estimate, trade_off
from auctionsim.scoring.records import titled
from auctionsim.scoring.single_settings import best_single_setting
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.language_model import LanguageModelSubstrate


class Carried(NamedTuple):
    """What the stages found, under the names that the report's findings have.

    Attributes:
        story: One auction, told with the replies that the measurement kept.
        replies: Pairs, untouched and boosted.
        confirmations: One a brand.
        menu: Its entries with a reply under each.
        mechanisms: One row a mechanism and replicate.
        trade_off: One point a mechanism, replicate and user weight.
        learning: One point an iteration, bidder and auction.
        training: Of the menu.
    """

    story: AuctionStory
    replies: tuple[ReplyPair, ...]
    confirmations: tuple[Confirmation, ...]
    menu: tuple[MenuOption, ...]
    mechanisms: tuple[MechanismRow, ...]
    trade_off: tuple[TradeOffPoint, ...]
    learning: tuple[LearningPoint, ...]
    training: tuple[TrainingPoint, ...]


def carry_out(
    settings: DemoSettings,
    run: Run,
    surface: ResponseSurface,
    live: LanguageModelSubstrate,
    designs: Designs,
    stages: Stages,
) -> Carried:
    """Carry out what is not kept yet, and return all of it.

    Args:
        settings: Of the demo.
        run: Keeps every stage, under all that they depend on.
        surface: As it was measured.
        live: The model on held-out prompts.
        designs: Makes the mechanisms; what it learns is kept in the run folder.
        stages: Shows bars, notes times.
    """
    sold, designs = surface.sell(settings.sold_feature, loss=settings.loss), designs.kept_in(run.folder / "designs")
    confirmations, replies = _confirm(settings, run, surface.sell("hits", loss=settings.loss), live, stages)
    mechanisms = designed(settings, run, sold, designs, stages)
    menu = mechanisms[MENU]
    assert isinstance(menu, MenuAuction)
    names = [brand.name for brand in settings.brands]
    options = kept_stage(
        run,
        stages,
        "the menu's replies",
        "menu replies",
        1,
        lambda _: [option._asdict() for option in menu_options(menu, sold, PRIOR, names, live)],
    )
    return Carried(
        story=_story(settings, run, sold, mechanisms),
        replies=replies,
        confirmations=confirmations,
        menu=tuple(MenuOption(**row) for row in options),
        mechanisms=compared(settings, run, sold, mechanisms, designs, stages),
        trade_off=_trade_off(settings, run, sold, designs, stages),
        learning=_learn(settings, run, sold, mechanisms, stages),
        training=menu.history,
    )


def _story(
    settings: DemoSettings, run: Run, sold: ResponseSurface, mechanisms: Mapping[str, Mechanism]
) -> AuctionStory:
    """Tell one auction on the measured surface: VCG's, and the same bids under the other rules."""
    order = {VCG: mechanisms[VCG], **mechanisms}
    stored = stored_replies_of(str(run.folder / SURFACE_FILE), sold)
    return auction_story(order, sold, StoryDraws(PRIOR, settings.seed), user_weight=settings.user_weight, stored=stored)


def held_out(
    settings: DemoSettings, model: LanguageModel, neurons: BrandNeurons, prompts: PromptSet
) -> LanguageModelSubstrate:
    """Return the live model on prompts and seeds that nothing was chosen on."""
    measured = settings.measurement
    most, strongest = int(measured.num_neurons[-1]), measured.amplification[-1]
    return LanguageModelSubstrate(
        model,
        Neurons(neurons, num_neurons=most, amplification=strongest, mode=measured.mode),
        prompts.split("test"),
        max_new_tokens=measured.max_new_tokens,
        temperature=measured.temperature,
        seed=measured.seed + 1_000_003,
        manner=measured.manner,
    )


def _confirm(
    settings: DemoSettings, run: Run, surface: ResponseSurface, live: LanguageModelSubstrate, stages: Stages
) -> tuple[tuple[Confirmation, ...], tuple[ReplyPair, ...]]:
    """Measure each brand's best setting anew, beside the untouched model, and keep the first reply of each context."""
    limit = settings.user_loss_limit
    careful = 0.8 * limit  # held-out prompts may cost more than those that the setting is chosen on
    chosen = [best_single_setting(surface, i, "hits", careful) for i in range(len(settings.brands))]
    prompts = [(c, p, text) for c, some in enumerate(live.prompts.prompts) for p, text in enumerate(some)]
    confirmations, pairs = [], []
    stage = "held-out replies"
    with stages.stage(stage, len(prompts) * sum(setting is not None for setting in chosen)) as tick:
        for bidder, (brand, setting) in enumerate(zip(settings.brands, chosen, strict=True)):
            if setting is None:
                confirmations.append(_nothing_found(brand.name, limit))
                continue
            neurons, factor = setting.tolist()
            batches = []
            for context, number, prompt in prompts:
                part = f"reply bidder {bidder} context {context} prompt {number}"
                seconds = run.kept_seconds(part)
                ask = partial(_reply_pair, settings, live, bidder, setting, (context, number), prompt)
                (batch,) = run.part(part, ask)
                batches.append(batch)
                if seconds is not None:
                    stages.kept(stage, seconds, shown=False)
                if number == 0:
                    pairs.append(ReplyPair(brand.name, prompt, neurons, factor, batch["untouched"], batch["boosted"]))
                tick()
            confirmations.append(_confirmation(brand.name, setting, batches, limit))
    return tuple(confirmations), tuple(pairs)


def _reply_pair(
    settings: DemoSettings,
    live: LanguageModelSubstrate,
    bidder: int,
    setting: Tensor,
    place: tuple[int, int],
    prompt: str,
) -> list[Row]:
    """Return what one prompt's replies are worth to a brand, untouched and boosted, and the first two of them."""
    allocation = live.null_allocation(2, dtype=torch.float64)
    allocation[1, bidder] = setting
    batch = live.replies(prompt, allocation, place, settings.confirm_samples)
    hits = batch.numbers("hits")[:, bidder].view(2, -1)
    loss = paired_losses(batch, settings.offer)
    return [
        {
            "hits_untouched": hits[0].tolist(),
            "hits_boosted": hits[1].tolist(),
            "user_loss": loss[~loss.isnan()].tolist(),
            "untouched": batch.texts[0],
            "boosted": batch.texts[settings.confirm_samples],
        }
    ]


def _confirmation(brand: str, setting: Tensor, batches: list[Row], limit: float) -> Confirmation:
    untouched, boosted, loss = (
        torch.tensor([value for batch in batches for value in batch[name]], dtype=torch.float64)
        for name in ("hits_untouched", "hits_boosted", "user_loss")
    )
    gain = estimate(boosted - untouched)
    is_lifted = gain.mean > 2 * (gain.standard_error or math.inf) and float(loss.mean()) < limit
    neurons, factor = setting.tolist()
    return Confirmation(
        brand, neurons, factor, estimate(untouched), estimate(boosted), gain, estimate(loss), limit, is_lifted
    )


def _nothing_found(brand: str, limit: float) -> Confirmation:
    return Confirmation(brand, None, None, None, None, None, None, limit, found=False)


def designed(
    settings: AuctionedSettings, run: Run, sold: ResponseSurface, designs: Designs, stages: Stages
) -> dict[str, Mechanism]:
    """Return the mechanisms at the demo's user weight; the learned ones are kept in the run folder."""
    problem = _problem(settings, sold, settings.user_weight)

    def learn(_: Tick) -> list[Row]:
        designs.by_label(COMPARED, problem)
        return []

    kept_stage(run, stages, "training the menu", "designed", 1, learn)
    return designs.by_label(COMPARED, problem)


def compared(
    settings: AuctionedSettings,
    run: Run,
    sold: ResponseSurface,
    mechanisms: Mapping[str, Mechanism],
    designs: Designs,
    stages: Stages,
) -> tuple[MechanismRow, ...]:
    """Return what each mechanism brings on either replicate at the demo's user weight, and what lying pays there."""
    recipes = designs.recipes(COMPARED, quick=settings.quick)
    rows = kept_stage(
        run,
        stages,
        "mechanisms and regret",
        "mechanisms",
        2 * len(mechanisms),
        lambda tick: [
            as_row(row)
            for row in compare(
                mechanisms, sold, PRIOR, settings.user_weight, seed=settings.seed, recipes=recipes, progress=tick
            )
        ],
    )
    return tuple(record_from(MechanismRow, row) for row in rows)


def _problem(settings: AuctionedSettings, sold: ResponseSurface, user_weight: float) -> Problem:
    return Problem(sold.replicate("A"), PRIOR, user_weight, settings.seed, settings.quick)


def _trade_off(
    settings: DemoSettings, run: Run, sold: ResponseSurface, designs: Designs, stages: Stages
) -> tuple[TradeOffPoint, ...]:
    """Sweep the user weight, a weight kept at a time."""
    points: list[TradeOffPoint] = []
    recipes = designs.recipes(COMPARED, quick=settings.quick)
    for weight in settings.user_weights:

        def swept(tick: Tick, weight: float = weight) -> list[Row]:
            mechanisms = designs.by_label(COMPARED, _problem(settings, sold, weight))
            shown = {titled(label, recipes.get(label, "")): rule for label, rule in mechanisms.items()}
            points = trade_off(shown, sold, PRIOR, weight, seed=settings.seed)
            tick()
            return [point._asdict() for point in points]

        rows = kept_stage(run, stages, f"trade-off, user weight {weight:g}", f"trade-off {weight!r}", 1, swept)
        points += [TradeOffPoint(**row) for row in rows]
    return tuple(points)


def _learn(
    settings: DemoSettings, run: Run, surface: ResponseSurface, mechanisms: Mapping[str, Mechanism], stages: Stages
) -> tuple[LearningPoint, ...]:
    """Train two PPO bidders under the truthful optimum and under pay-as-bid, on RLlib; either training is kept."""
    points: list[LearningPoint] = []
    for label in (OPTIMUM, PAY_AS_BID):
        stage = f"bidders: {label.split(' (')[0]}"
        trained = partial(_trained, settings, surface, mechanisms[label], label)
        rows = kept_stage(run, stages, stage, stage, settings.learning_iterations, trained)
        points += [LearningPoint(**row) for row in rows]
    return tuple(points)


def _trained(
    settings: DemoSettings, surface: ResponseSurface, mechanism: Mechanism, label: str, tick: Tick
) -> list[Row]:
    from auctionsim.agents.ppo import train_ppo
    from auctionsim.envs import NeuronAuctionEnvRunner, register_envs

    names = [brand.name for brand in settings.brands]
    trained = train_ppo(
        register_envs(),
        {"mechanism": mechanism, "substrate": surface, "priors": PRIOR},
        [[1.0]] * len(names),
        seed=settings.seed,
        iterations=settings.learning_iterations,
        running=Running(env_runner=NeuronAuctionEnvRunner),
        progress=lambda _: tick(),
    )
    return [
        LearningPoint(label, step.iteration, name, utility, ratio)._asdict()
        for step in trained.curve
        for name, utility, ratio in zip(names, step.utility, step.bid_ratio, strict=True)
    ]
