"""Settings of a game: the auction that is played, and how episodes of it go."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from auctionsim.checks import checked_count
from auctionsim.envs.contexts import CYCLE, Stream, Weights
from auctionsim.envs.live import Live
from auctionsim.envs.presence import Presence
from auctionsim.errors import InputTypeError
from auctionsim.outcome import Outcome
from auctionsim.regret import quasi_linear
from auctionsim.substrates.offer import Charge
from auctionsim.substrates.protocol import Substrate

Clearing = Callable[[Tensor, Tensor | None], Outcome]


@dataclass(frozen=True)
class GameSettings:
    """Settings of a game: how episodes of an auction go, and what a bidder sees of them.

    Attributes:
        rounds: Rounds in an episode, ≥ 1.
        observe: Which of `OBSERVABLES` a bidder sees, in this order; None: the first four, and what constraints and
            presence need.
            "menu" is the bidder's own, where it is fixed before the bids.
        persistent: Valuations are drawn once an episode rather than every round.
        budgets: What each bidder may pay in an episode (one number, or one a bidder); None: no limit. A bid is lowered
            only where the rule would charge more for it, in this round and context, than is left; then to the highest
            bid whose charge fits. Kept under every rule that charges nothing for a bid of 0, all-pay included; under
            another it can be broken, and then nothing is left.
        roi_targets: The least value per money spent over the episode (one number, or one a bidder); None: none. A bid
            is lowered only where the round would end below the target. Kept under the same rules, all-pay included,
            wherever value can be told before the round: on a live model, which is asked once a step, it is foreseen
            by the rule's own substrate, and whoever is behind by what the model then shows spends what pays its way.
        shared_box: All bidders have one observation box and one action box, the union of their own, so that one policy
            can play every seat. Nothing is rescaled: whoever has the lower prior may bid up to the highest of all.
        utility: (value, payment) -> utility, elementwise.
        with_user_loss: Ask the substrate for the user's loss each round.
        dtype: Of every tensor in the game.
        roi_as_cost: Turns `roi_targets` from a cap into a cost (one number, or one a bidder): no bid is lowered for
            them, every round reports by how much its bidder fell further behind its target (below 0: caught up), and
            this weight times that is taken off the reward. 0: the cost is reported only. None: the cap.
        context_weights: Probabilities of the public contexts, up to one factor: one a context in the substrate's
            order, or by name, those left out 0; None: all the same.
        context_stream: A sequence of contexts, by index or name, instead of draws: round r of a row's episode k,
            counted from 0 since its seed, has number k · rounds + r, in every row. None: contexts are drawn.
        stream_end: After the stream's last context: "cycle" begins it again, "refuse" refuses to begin an episode that
            it does not reach to the end of.
        presence: Who takes part in which rounds: an `EntryExit`, or a dict of its fields (seeded entry and exit), or a
            schedule, a row of truth values a round, one a bidder. Whoever is absent bids 0, whatever it says, and gets,
            pays and earns nothing. None: everybody, always.
    Raises:
        ValueError: No rounds.
        TypeError: A utility that is no callable; rounds that are no whole number.
    """

    rounds: int = 16
    observe: Sequence[str] | None = None
    persistent: bool = False
    budgets: float | Sequence[float] | None = None
    roi_targets: float | Sequence[float] | None = None
    shared_box: bool = False
    utility: Callable[[Tensor, Tensor], Tensor] = quasi_linear
    with_user_loss: bool = True
    dtype: torch.dtype = torch.float32
    roi_as_cost: float | Sequence[float] | None = None
    context_weights: Weights | None = None
    context_stream: Stream | None = None
    stream_end: str = CYCLE
    presence: Presence | None = None

    def __post_init__(self) -> None:
        if not callable(self.utility):
            raise InputTypeError(f"utility must be callable, got {self.utility!r:.60}")
        object.__setattr__(self, "rounds", checked_count(self.rounds, "rounds"))


@dataclass(frozen=True)
class AuctionParts:
    """The auction that a game plays, where it is not simply a named one.

    Attributes:
        mechanism: Any mechanism, instead of the named setting (so an id can be made with another mechanism).
        substrate: What the game is played on; None: the mechanism's own.
        priors: Where valuations come from; None: Uniform(0, 1), or the setting's.
        live: How a live setting asks its model: a `Live`, or a dict of its fields.
        loss: The user loss that a named setting on the packaged surface charges: a name, or weights by name.
    Raises:
        TypeError: A name in place of a mechanism.
    """

    mechanism: Clearing | None = None
    substrate: Substrate | None = None
    priors: Any = None
    live: Live | Mapping[str, Any] | None = None
    loss: Charge | None = None

    def __post_init__(self) -> None:
        if isinstance(self.mechanism, str):
            raise InputTypeError(f"a mechanism is a rule, not a name: pass setting={self.mechanism!r}, or a rule")
