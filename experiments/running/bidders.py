"""Bidders that learn in an auction: which learner, which auction, and a folder from which they come back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.agents import (
    EquilibriumLearner,
    ExponentialWeights,
    LearningStep,
    SavedBidders,
    Strategy,
    learn_by_context,
    load_strategies,
    save_strategies,
)
from auctionsim.agents.checkpoints import Checkpoint
from auctionsim.agents.ppo import ITERATIONS, Policies, Running, TrainedBidders
from auctionsim.agents.ppo_checkpoints import PPOCheckpoint
from auctionsim.checks import checked_count
from auctionsim.envs import AuctionGame, build_game, observation_layout
from auctionsim.envs.game_settings import GameSettings
from auctionsim.envs.settings import LIVE_SETTINGS
from auctionsim.errors import InputError
from auctionsim.kept import file_digest
from auctionsim.mechanisms import load_mechanism
from auctionsim.record_keywords import keywords_of
from auctionsim.records import Record
from auctionsim.strategies import observed_by
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.quantities import DEFAULT_LOSS

LEARNERS = {"equilibrium": 2000, "ppo": ITERATIONS, "exponential-weights": 500}
"""The learners, and how many updates each makes unless told otherwise."""
FILE = "bidders.safetensors"
USUAL = GameSettings()
RLLIB = "checkpoint"  # folder of what RLlib saves of PPO's bidders


@dataclass(frozen=True)
class AuctionSource:
    """Which auction is bid in.

    Attributes:
        setting: A named auction; None with a mechanism.
        mechanism: A file that `auction design` wrote.
        surface: Surface that the mechanism was designed on: a packaged name or a file.
        feature: What it sells; a named auction sells its own.
        loss: Which loss of the user is charged, as `Offer` reads it.
    """

    setting: str | None = "first-price"
    mechanism: str | None = None
    surface: str | None = None
    feature: str = "slot_probability"
    loss: str = "kl"

    def environment(self) -> dict[str, Any]:
        """Return what every environment is made with.

        Raises:
            ValueError: Neither or both of a setting and a mechanism; a mechanism without its surface.
        """
        if (self.setting is None) == (self.mechanism is None):
            raise InputError("name either a setting or a mechanism's file")
        if self.mechanism is None:
            named: dict[str, Any] = {"setting": self.setting}
            return named if self.loss == DEFAULT_LOSS else {**named, "loss": self.loss}
        if self.surface is None:
            raise InputError("a mechanism needs the surface that it was designed on")
        is_file = Path(self.surface).suffix == ".safetensors"
        surface = (ResponseSurface.load if is_file else ResponseSurface.packaged)(self.surface)
        surface = surface.sell(self.feature, loss=self.loss)
        return {"mechanism": load_mechanism(self.mechanism, surface), "substrate": surface}

    def inputs(self) -> dict[str, str]:
        """Return digests of the files that the auction is read from, by what they are; none for a named setting."""
        files = {"mechanism": self.mechanism, "surface": self.surface}
        return {what: file_digest(Path(name)) for what, name in files.items() if name and Path(name).is_file()}

    @property
    def is_live(self) -> bool:
        """Whether rounds are played on a language model."""
        return self.setting in LIVE_SETTINGS

    def game(self, settings: GameSettings = USUAL) -> AuctionGame:
        """Return the game; a live setting's on the surface that its rule was designed on."""
        environment = self.environment()
        if self.is_live:
            environment |= {"setting": str(self.setting).removesuffix("-live")}
        return build_game(**environment, **keywords_of(settings))


@dataclass(frozen=True)
class Training:
    """How bidders learn.

    Attributes:
        learner: equilibrium, ppo (RLlib) or exponential-weights.
        seed: Seed of everything that is drawn.
        iterations: Number of updates; default: the learner's own number.
        shared: PPO: all bidders share one policy.
        exploiter: PPO: only this bidder learns, against frozen ones.
        rivals: PPO: one strategy a bidder for the frozen; None: truth.
        sees_context: Bids may depend on the public context, where the auction has contexts.
        rounds: PPO: rounds per episode.
        episodes: PPO: episodes that are played in parallel.
        steps: PPO: rounds per update.
        env_runners: PPO: processes that play rounds, one CPU each.
        address: PPO: a Ray cluster, such as auto or 10.0.0.1:6379.
    """

    learner: str = "equilibrium"
    seed: int = 0
    iterations: int | None = None
    shared: bool = False
    exploiter: int | None = None
    rivals: tuple[Strategy, ...] | None = None
    sees_context: bool = False
    rounds: int = 16
    episodes: int = 256
    steps: int = 8192
    env_runners: int = 0
    address: str | None = None

    @property
    def updates(self) -> int:
        """How many updates are made.

        Raises:
            ValueError: An unknown learner.
        """
        if self.learner not in LEARNERS:
            raise InputError(f"learner must be one of {', '.join(LEARNERS)}, got {self.learner!r}")
        return LEARNERS[self.learner] if self.iterations is None else checked_count(self.iterations, "iterations")


class LearnedBidders(NamedTuple):
    """What training gave.

    Attributes:
        strategies: One a bidder.
        curve: The learning curve.
        file: Where they are kept.
    """

    strategies: list[Strategy]
    curve: list[LearningStep]
    file: Path


def refuse_misfits(source: AuctionSource, training: Training) -> None:
    """Refuse what cannot be trained, before anything in a folder is replaced.

    Raises:
        ValueError: Settings that do not fit.
    """
    checked_count(training.updates, "iterations")
    if source.is_live and training.learner != "ppo":
        raise InputError(f"on a live model bidders learn by ppo, round by round, got {training.learner!r}")
    if training.learner != "ppo" and (training.exploiter is not None or training.shared):
        raise InputError(f"an exploiter, and shared policies, are PPO's: {training.learner!r} trains all bidders")
    game = source.game()
    if training.exploiter is not None and not 0 <= training.exploiter < game.num_bidders:
        raise InputError(f"exploiter must be a bidder 0 … {game.num_bidders - 1}, got {training.exploiter}")


def learn(
    source: AuctionSource,
    training: Training,
    folder: Path,
    progress: Callable[[LearningStep], None],
    checkpoint: Checkpoint | PPOCheckpoint | None = None,
) -> LearnedBidders:
    """Let bidders learn, and keep them in a folder: `bidders.safetensors`, and PPO's checkpoint beside it.

    Args:
        source: The auction.
        training: The learner.
        folder: Made if it is missing; what lies there under these names is replaced.
        progress: Called as learning goes on.
        checkpoint: What a stopped training goes on from, of the learner's kind.
    Raises:
        ValueError: Settings that do not fit; a cluster that is too small.
    """
    refuse_misfits(source, training)
    updates = training.updates
    if training.learner == "ppo":
        assert checkpoint is None or isinstance(checkpoint, PPOCheckpoint)
        trained = _learn_by_ppo(source, training, folder, progress, checkpoint)
        strategies, curve = trained.strategies, trained.curve
    else:
        assert checkpoint is None or isinstance(checkpoint, Checkpoint)
        curve = [] if checkpoint is None else checkpoint.curve

        def note(step: LearningStep) -> None:
            curve.append(step)
            progress(step)

        strategies = _learn_here(source.game(), training, note, checkpoint)
    record = {
        "auction": vars(source),
        "inputs": source.inputs(),
        "learner": training.learner,
        "seed": training.seed,
        "iterations": updates,
        "curve": [[step.iteration, list(step.utility), list(step.bid_ratio)] for step in curve],
    }
    save_strategies(folder / FILE, strategies, record)
    return LearnedBidders(strategies, curve, folder / FILE)


def kept_bidders(folder: Path) -> SavedBidders:
    """Return the bidders of a run folder, or of the file itself."""
    return load_strategies(bidders_file(folder))


def bidders_file(folder: Path) -> Path:
    """Return the file of a run folder's bidders, or the file itself."""
    return folder if folder.suffix == ".safetensors" else folder / FILE


def source_of(bidders: SavedBidders) -> AuctionSource:
    """Return the auction in which they learned.

    Raises:
        ValueError: The mechanism's or the surface's file has changed since; the file does not say where they learned.
    """
    record = Record(bidders.record, "the bidders' record")
    _ = record.text("learner"), record.whole("seed")  # what a table of them is called by
    key = "arena" if "arena" in record else "auction"  # bidders that were saved before say "arena"
    place = record.record(key).only(*AuctionSource.__dataclass_fields__)
    texts = {name: place.text_or_none(name) for name in ("setting", "mechanism", "surface")}
    loss = place.text("loss") if "loss" in place else "kl"  # what runs mean that do not say
    source = AuctionSource(**texts, feature=place.text("feature"), loss=loss)
    then = record.plain("inputs") if "inputs" in record else {}
    for what, digest in source.inputs().items():
        if then.get(what, digest) != digest:
            raise InputError(f"the bidders learned with another {what} than {getattr(source, what)} holds now")
    return source


def _learn_here(
    game: AuctionGame, training: Training, note: Callable[[LearningStep], None], checkpoint: Checkpoint | None
) -> list[Strategy]:
    """Let our own learners learn; exponential weights that see the context learn one after the other, unreported."""
    parts, updates = (game.mechanism, game.substrate, game.prior), training.updates
    every, seeing = max(updates // 100, 1), training.sees_context and bool(game.contexts)
    if training.learner == "equilibrium":
        learner = EquilibriumLearner(*parts, seed=training.seed, observe=("context",) if seeing else ())
        return learner.train(updates, note, report_every=every, checkpoint=checkpoint)
    if seeing:
        kept = None if checkpoint is None else lambda k: checkpoint.part(f"context {k}")
        return learn_by_context(*parts, updates, seed=training.seed, checkpoint=kept)
    weights = ExponentialWeights(*parts, seed=training.seed)
    return weights.train(updates, note, report_every=every, checkpoint=checkpoint)


def _learn_by_ppo(
    source: AuctionSource,
    training: Training,
    folder: Path,
    progress: Callable[[LearningStep], None],
    going_on: PPOCheckpoint | None,
) -> TrainedBidders:
    from auctionsim.agents.ppo import PPOSettings, train_ppo
    from auctionsim.envs import NeuronAuctionEnvRunner, register_envs

    game = source.game()
    frozen = None
    if training.exploiter is not None:
        rivals = training.rivals or (None,) * game.num_bidders
        frozen = {i: rivals[i] for i in range(game.num_bidders) if i != training.exploiter}
    shown = training.sees_context or any("context" in observed_by(rival) for rival in (frozen or {}).values())
    observe = ("valuation", "context") if shown and game.contexts else ("valuation",)
    return train_ppo(
        register_envs(),
        {**source.environment(), "rounds": training.rounds, "with_user_loss": False},
        game.bid_high.tolist(),
        seed=training.seed,
        iterations=training.updates,
        progress=progress,
        running=Running(
            env_runner=NeuronAuctionEnvRunner,
            address=training.address,
            env_runners=training.env_runners,
            going_on=going_on,
        ),
        policies=Policies(
            shared=training.shared,
            frozen=frozen,
            layout=observation_layout(source.game(GameSettings(observe=observe, rounds=training.rounds))),
        ),
        settings=PPOSettings(episodes=training.episodes, steps=training.steps, minibatch=training.steps),
        checkpoint=folder / RLLIB,
    )
