"""World (d): mechanisms as programmes, between which advertisers of different strength choose.

A session is an auction on a measured surface: its public context is the prompts' group and the truthful bids that were
entered, drawn uniformly from a finite list of profiles. The option is the mechanism that clears it; revenue, user loss
and exposures are the mediators. With a hidden strength U ~ N(0, 1),

    R = revenue − λ · user loss + b U + d s + σ ε,

and in the log P(M = s | U) ∝ exp(κ s U) for the s-th programme, s centred. The value of a programme is its mean
objective on all profiles, as `auctionsim.scoring` computes it. Under pay-as-bid everybody bids the share `shading` of
the truth, which the simulator knows.
"""

from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from auctionsim import metrics
from auctionsim.checks import checked_count, checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog
from auctionsim.logs.worlds.choice import choice_law, drawn, normal_rule, strengths
from auctionsim.logs.worlds.registry import register_world
from auctionsim.mechanisms import Mechanism
from auctionsim.mechanisms.saving import load_mechanism
from auctionsim.mechanisms.table import Problem, entry
from auctionsim.priors import parse_priors
from auctionsim.scoring import Profiles, draw_profiles
from auctionsim.substrates.surface import ResponseSurface

SHADED = ("pay-as-bid",)
"""Programmes under which bids are shaded; the others are truthful on the surface that they were designed on."""
_NODES = 16  # of the rule by which the mean over U is taken


@dataclass(frozen=True)
class ProgrammeParameters:
    """Parameters of the world of programmes.

    Attributes:
        surface: A packaged surface.
        feature: Which of its features is sold.
        programmes: Names in the table of mechanisms, in the order in which strength prefers them; a learned one must
            ship with its weights for that surface.
        user_weight: λ ≥ 0.
        profiles: How many profiles of bids there are.
        kappa: κ, how strongly strength chooses the programme in the log.
        strength: b, effect of U on the outcome.
        noise: σ > 0.
        shading: In (0, 1], share of the truth that is bid under pay-as-bid.
        past_mediator: d, a direct effect of the programme on the outcome: violates "M acts through Y alone".
        hidden_in_mediator: γ: real bids are the logged ones times exp(γU), and not logged: "U reaches Y".
        real: The replicate that delivers. Programmes are designed and simulated on A; B is a simulator that drifted.
    """

    surface: str = "running-shoes-2@1"
    feature: str = "slot_probability"
    programmes: tuple[str, ...] = ("optimum", "affine", "menu", "vcg", "pay-as-bid")
    user_weight: float = 1.0
    profiles: int = 1024
    kappa: float = 1.0
    strength: float = 0.1
    noise: float = 0.1
    shading: float = 0.5
    past_mediator: float = 0.0
    hidden_in_mediator: float = 0.0
    real: str = "A"

    def __post_init__(self) -> None:
        if len(self.programmes) < 2 or len(set(self.programmes)) < len(self.programmes):
            raise InputError(f"programmes must be two or more different names, got {self.programmes}")
        checked_number(self.user_weight, "user_weight")
        checked_count(self.profiles, "profiles", 2)
        for name in ("kappa", "strength", "past_mediator"):
            checked_number(getattr(self, name), name, -1e3, 1e3)
        checked_number(self.hidden_in_mediator, "hidden_in_mediator", -2.0, 2.0)
        checked_positive(self.noise, "noise")
        if not 0 < self.shading <= 1:
            raise InputError(f"shading must lie in (0, 1], got {self.shading}")
        if self.real not in ("A", "B"):
            raise InputError(f"real must be replicate A or B, got {self.real!r}")


@dataclass(frozen=True)
class Programmes:
    """The world of programmes."""

    parameters: ProgrammeParameters = ProgrammeParameters()

    name = "programmes"

    @cached_property
    def _view(self) -> ResponseSurface:
        return ResponseSurface.packaged(self.parameters.surface).sell(self.parameters.feature).replicate("A")

    @cached_property
    def mechanisms(self) -> tuple[Mechanism, ...]:
        """The programmes' mechanisms, designed on replicate A for uniform valuations."""
        return tuple(_designed(name, self._view, self.parameters) for name in self.parameters.programmes)

    @cached_property
    def profiles(self) -> Profiles:
        """The profiles of truthful bids, sorted by the first bidder's."""
        found = draw_profiles(self._view, parse_priors("uniform:0,1"), self.parameters.profiles, seed=0)
        order = found.valuations[:, 0, 0].argsort()
        return Profiles(found.valuations[order], None if found.context is None else found.context[order])

    @property
    def columns(self) -> LogColumns:
        """Options by their mechanism; bids and contexts but the first; revenue, loss and exposures."""
        bidders = range(self._view.num_bidders)
        context = (*(f"bid_{k}" for k in bidders), *self._view.contexts[1:])
        mediators = ("revenue", "user_loss", *(f"exposure_{k}" for k in bidders))
        return LogColumns(self.parameters.programmes, context, mediators, ("clicks",))

    def _cleared(self, profiles: Profiles, option: int, replicate: str) -> Float[np.ndarray, "profile mediator"]:
        """Return what a programme does with bids on a replicate: revenue, user loss, exposures."""
        shading = self.parameters.shading if self.parameters.programmes[option] in SHADED else 1.0
        bids, view = profiles.valuations * shading, self._view.replicate(replicate)
        outcome = self.mechanisms[option].delivered(view)(bids, profiles.context)
        bidden = Profiles(bids, profiles.context)
        numbers = (metrics.revenue(outcome, view, *bidden), metrics.user_loss(outcome, view, *bidden))
        exposure = view.exposure(outcome.allocation, profiles.context)[..., 0]
        return np.asarray(torch.cat([torch.stack(numbers, -1), exposure], -1).detach().double().numpy())

    def _table(self, replicate: str) -> Float[np.ndarray, "profile option mediator"]:
        """Return what every programme does with every profile as it is logged."""
        options = range(len(self.parameters.programmes))
        return np.stack([self._cleared(self.profiles, option, replicate) for option in options], 1)

    @cached_property
    def _simulated(self) -> np.ndarray:
        return self._table("A")

    @cached_property
    def _real(self) -> np.ndarray:
        return self._simulated if self.parameters.real == "A" else self._table("B")

    @cached_property
    def _public(self) -> Float[np.ndarray, "profile context"]:
        """The public context of each profile."""
        bids = self.profiles.valuations[..., 0].numpy()
        context = np.zeros(len(bids), np.int64) if self.profiles.context is None else self.profiles.context.numpy()
        return np.concatenate([bids, np.eye(len(self._view.contexts))[context][:, 1:]], -1)

    def draw_obs(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw logs: strength chooses the programme. Propensities are those of whoever sees it."""
        strength = generator.normal(size=(*draws, sessions))
        law = choice_law(self.parameters.kappa, strength, len(self.parameters.programmes))
        option = drawn(law, generator)
        propensity = np.take_along_axis(law, option[..., None], -1)[..., 0]
        return self._log(strength, option, propensity, generator, randomised=False)

    def draw_exp(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw experiments: all programmes alike."""
        strength = generator.normal(size=(*draws, sessions))
        count = len(self.parameters.programmes)
        option = generator.integers(0, count, size=strength.shape)
        return self._log(strength, option, np.full(strength.shape, 1 / count), generator, randomised=True)

    def _log(
        self,
        strength: np.ndarray,
        option: np.ndarray,
        propensity: np.ndarray,
        generator: np.random.Generator,
        *,
        randomised: bool,
    ) -> SessionLog:
        p = self.parameters
        profile = generator.integers(0, p.profiles, size=strength.shape)
        mediators = self._mediators(profile, option, strength)
        direct = p.past_mediator * strengths(len(p.programmes))[option]
        noise = p.noise * generator.normal(size=strength.shape)
        outcome = self.reward(mediators) + p.strength * strength + direct + noise
        clicks = generator.poisson(np.maximum(mediators[..., 2:].sum(-1), 0.0))[..., None].astype(np.float64)
        return SessionLog(
            self.columns, self._public[profile], option, mediators, outcome, clicks, propensity, randomised
        )

    def _mediators(self, profile: np.ndarray, option: np.ndarray, strength: np.ndarray) -> np.ndarray:
        """Return what happened in sessions: looked up, or cleared anew where real bids are not the logged ones."""
        if not self.parameters.hidden_in_mediator:
            return np.asarray(self._real[profile, option])
        found = np.empty((*profile.shape, 2 + self._view.num_bidders))
        for k in range(len(self.parameters.programmes)):
            here = option == k
            found[here] = self._cleared(self._scaled(profile[here], strength[here]), k, self.parameters.real)
        return found

    def _scaled(self, profile: np.ndarray, strength: np.ndarray) -> Profiles:
        """Return profiles with bids times exp(γU)."""
        rows = torch.from_numpy(profile)
        factor = torch.from_numpy(np.exp(self.parameters.hidden_in_mediator * strength))
        context = None if self.profiles.context is None else self.profiles.context[rows]
        return Profiles(self.profiles.valuations[rows] * factor[:, None, None], context)

    def reward(self, mediators: Float[np.ndarray, "*lead mediator"]) -> Float[np.ndarray, "*lead"]:
        """Return revenue less λ times the user's loss."""
        return np.asarray(mediators[..., 0] - self.parameters.user_weight * mediators[..., 1])

    def replays(self, log: SessionLog) -> Replays:
        """Return what programmes do with the logged bids on replicate A.

        Raises:
            ValueError: Bids that are none of this world's.
        """
        kind = np.minimum(np.searchsorted(self._public[:, 0], log.context[..., 0]), len(self._public) - 1)
        if (self._public[kind] != log.context).any():
            raise InputError("a log's bids must be of this world's profiles, and some are not")
        mediators = self._simulated[:, :, None, :]
        return Replays(mediators, np.ones(mediators.shape[:-1]), self._public, kind)

    def values(self) -> Float[np.ndarray, " option"]:
        """Return each programme's mean objective on the real replicate, over profiles and strength."""
        p = self.parameters
        direct = p.past_mediator * strengths(len(p.programmes))
        if not p.hidden_in_mediator:
            return np.asarray(self.reward(self._real).mean(0) + direct)
        nodes, weights = normal_rule(_NODES)
        everyone = np.arange(p.profiles)
        means = [
            [
                self.reward(self._cleared(self._scaled(everyone, np.full(p.profiles, node)), k, p.real)).mean()
                for node in nodes
            ]
            for k in range(len(p.programmes))
        ]
        return np.asarray(np.array(means) @ weights + direct)


def _designed(name: str, view: ResponseSurface, parameters: ProgrammeParameters) -> Mechanism:
    """Return a mechanism of the table, designed on a view; a learned one is read from the package."""
    one = entry(name)
    if not one.is_learned:
        return one.designed(Problem(view, parse_priors("uniform:0,1"), parameters.user_weight))
    folder = Path(str(resources.files("auctionsim.data"))) / "mechanisms"
    path = folder / f"{name}.{parameters.surface}.safetensors"
    if not path.exists() or parameters.user_weight != 1.0 or parameters.feature != "slot_probability":
        raise InputError(
            f"{name} is learned, and ships for slot_probability at user weight 1 on some packaged surfaces only; "
            f"got {parameters.feature} on {parameters.surface} at {parameters.user_weight:g}"
        )
    return load_mechanism(path, view)


register_world(Programmes.name, Programmes)
