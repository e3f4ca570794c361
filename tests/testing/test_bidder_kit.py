"""The kit of bidders catches one broken on purpose for each check; those that ship pass all of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from auctionsim.agents import ByContext, Shading, TableStrategy, Truthful, UniformBids, WinRateShading
from auctionsim.agents.networks import BiddingNetwork, NetworkStrategy, Sight
from auctionsim.agents.saving import load_strategies, save_strategies
from auctionsim.envs import build_game
from auctionsim.priors import Uniform, product
from auctionsim.strategies import Situation, declared_by
from auctionsim.substrates import Items
from auctionsim.testing import BiddingRound, BrokenClaimError, bidder_checks, check_bidder
from auctionsim.testing.bidder_laws import BiddingGame


class InTwoContexts(Items):
    contexts = ("plain", "rich")


PLACE = BiddingRound(InTwoContexts(2, 2), product(Uniform(0, 2), 2, 2))
HELD = torch.full((1, 2), 0.5, dtype=torch.float64)


class Told:
    """Bids by a function of the valuation and of what it observes."""

    def __init__(self, rule: Callable[..., Tensor], *names: str) -> None:
        self.rule, self.observes = rule, names

    def __call__(self, *given: object) -> Tensor:
        return self.rule(*given)


class Restless:
    """Bids more every time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, valuations: Tensor) -> Tensor:
        self.calls += 1
        return valuations + self.calls


class Amnesiac:
    """Forgets what it learned when it is copied."""

    def __init__(self, factor: float = 0.5) -> None:
        self.factor = factor

    def __call__(self, valuations: Tensor) -> Tensor:
        return self.factor * valuations + self.factor

    def __deepcopy__(self, memo: dict) -> "Amnesiac":
        return Amnesiac(1.0)


def in_place(valuations: Tensor) -> Tensor:
    return valuations.mul_(0.5)


def peeking(valuations: Tensor, situation: Situation) -> Tensor:
    """By round, and by the budget where it is told."""
    assert situation.round is not None
    bids = valuations * (1 + situation.round.view(-1, 1))
    return bids if situation.budget_left is None else bids / 2


class Mixing:
    """Carries the mean of all rows' valuations into the next round."""

    remembers = True

    def begin(self, batch: int) -> dict[str, Tensor]:
        return {"mean": torch.zeros(batch)}

    def next(self, memory: dict[str, Tensor], valuations: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        bids = valuations + memory["mean"].unsqueeze(1).to(valuations.dtype)
        return bids, {"mean": valuations.mean().expand(len(valuations)).clone()}


class Scribbling(Mixing):
    """Writes into the memory that it is given."""

    def next(self, memory: dict[str, Tensor], valuations: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        memory["mean"] += 1
        return valuations, memory


class Hiding(Mixing):
    """Remembers beside its memory: how often it bid after a first round."""

    def __init__(self) -> None:
        self.later = 0

    def next(self, memory: dict[str, Tensor], valuations: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        self.later += bool(memory["mean"].any())
        return valuations + self.later, {"mean": torch.ones(len(valuations))}


BROKEN: dict[str, tuple[object, str]] = {
    "declared": (Told(lambda v, s: v, "weather"), r"Told\.observes must name some of"),
    "bids": (lambda v: v - 0.25, r"is answered by \(-0\.25"),
    "empty_batch": (lambda v: v if len(v) else v.new_zeros(1, 2), "strategies must answer in the shape of valuations"),
    "rows_independent": (lambda v: v + v.mean(), r"alone and beside \d others is answered by"),
    "deterministic": (Restless(), "are answered by .* and then by .*; one that draws says so"),
    "no_global_randomness": (lambda v: v * torch.rand(v.shape), "bidding draws from a global generator"),
    "observes": (Told(peeking, "round"), "it observes round; yet its bids"),
    "own_arguments": (in_place, "the valuations .* are overwritten by"),
    "copies": (Amnesiac(), "from a deep copy"),
    "memory_rows": (Mixing(), r"in round 1 a row alone bids .* beside \d others"),
    "memory_pure": (Scribbling(), "it writes into the memory that it is given"),
}


def checks_of(bidder: object, game: BiddingGame = PLACE) -> dict:
    return {check.name: check for check in bidder_checks(bidder, game, examples=15)}


@pytest.mark.parametrize("name", BROKEN)
def test_each_check_catches_what_breaks_it(name: str) -> None:
    bidder, sentence = BROKEN[name]
    with pytest.raises(BrokenClaimError, match=f"^{name}: .*{sentence}"):
        checks_of(bidder)[name]()


def test_there_is_a_broken_bidder_for_every_check_and_a_sentence() -> None:
    checks = checks_of(Truthful())
    assert set(BROKEN) == set(checks)
    assert all(check.sentence.endswith(".") and len(check.sentence) > 15 for check in checks.values())


def test_what_is_remembered_beside_the_memory_is_caught() -> None:
    with pytest.raises(BrokenClaimError, match=r"^memory_pure: an episode that is played again has other bids"):
        checks_of(Hiding())["memory_pure"]()


def test_a_bidder_with_a_memory_passes() -> None:
    check_bidder(WinRateShading(0.3, start=0.5), PLACE, examples=15)


def test_a_bidder_that_hands_out_its_own_numbers_is_caught() -> None:
    with pytest.raises(BrokenClaimError, match=r"^own_arguments: writing into the bids"):
        checks_of(lambda v: HELD if len(v) == 1 else HELD.repeat(len(v), 1))["own_arguments"]()
    assert bool((HELD == 0.5).all())


def test_a_context_where_there_is_none_is_told() -> None:
    place = BiddingRound(Items(2, 2), PLACE.prior)
    with pytest.raises(BrokenClaimError, match=r"^declared: it observes the context, and the game has none"):
        checks_of(ByContext([Truthful()]), place)["declared"]()


def test_what_reads_what_it_does_not_declare_fails() -> None:
    def paced(valuations: Tensor, situation: Situation) -> Tensor:
        return valuations * situation.budget_left.view(-1, 1)

    with pytest.raises(BrokenClaimError, match=r"observes: raises AttributeError"):
        check_bidder(Told(paced, "round"), PLACE, examples=3)


def network(*names: str) -> NetworkStrategy:
    seen = {"context": 2, "last_exposure": 2}
    sight = Sight(names, torch.ones(sum(seen.get(name, 1) for name in names))) if names else None
    generator = torch.Generator().manual_seed(0)
    return NetworkStrategy(BiddingNetwork(torch.full((2,), 2.0), 4, generator, sight=sight))


POINTS = torch.linspace(0, 3, 4, dtype=torch.float64)
SAVED = {
    "truth": Truthful(),
    "shading": Shading(0.5),
    "table": TableStrategy(POINTS, POINTS.unsqueeze(1).repeat(1, 2) / 2),
    "by context": ByContext([Truthful(), Shading(0.25)]),
    "network": network(),
    "observing network": network("context", "round", "last_exposure"),
}


@pytest.mark.parametrize("name", SAVED)
def test_what_ships_passes_and_so_does_what_is_read_back(name: str, tmp_path: Path) -> None:
    def reload(bidder: object) -> object:
        save_strategies(tmp_path / "bidder.safetensors", [bidder], {})
        return load_strategies(tmp_path / "bidder.safetensors").strategies[0]

    check_bidder(SAVED[name], PLACE, reload=reload, examples=4)


@pytest.mark.parametrize(("name", "value"), [("draws", "often"), ("observes", 1), ("observes", None)])
def test_a_declaration_of_another_kind_is_told(name: str, value: object) -> None:
    def noisy(valuations: Tensor) -> Tensor:
        return valuations

    setattr(noisy, name, value)
    with pytest.raises(BrokenClaimError, match=rf"^declared: noisy\.{name} must .*, got {value!r}$"):
        checks_of(noisy)["declared"]()


def test_what_fails_at_some_tries_only_is_told_in_a_sentence() -> None:
    class Seventh(Restless):
        def __call__(self, valuations: Tensor) -> Tensor:
            self.calls += 1
            return valuations / (1 + self.calls // 7)

    with pytest.raises(BrokenClaimError, match=r"are answered by .*draws = True \(not at every try\)$"):
        checks_of(Seventh())["deterministic"]()


def test_a_global_seed_that_is_set_is_caught() -> None:
    def again(valuations: Tensor) -> Tensor:
        torch.manual_seed(0)
        return valuations * torch.rand(1, dtype=valuations.dtype)

    torch.manual_seed(7)
    kept = torch.get_rng_state()
    with pytest.raises(BrokenClaimError, match="or sets its seed"):
        checks_of(again)["no_global_randomness"]()
    assert torch.equal(torch.get_rng_state(), kept)  # the kit leaves no trace


def test_noise_says_that_it_draws_and_passes() -> None:
    noise = UniformBids(0.0, 1.0, torch.Generator().manual_seed(0))
    assert declared_by(noise).draws
    check_bidder(noise, PLACE, examples=4, skip=("copies",))  # a generator has no copy by pickle, and a copy draws on


def test_a_game_of_an_environment_is_a_game() -> None:
    game = build_game("first-price")
    check_bidder(Shading(0.5), game, examples=3)
    assert game.substrate.num_bidders == game.prior.num_bidders


def test_what_a_function_declares_is_read_and_refused() -> None:
    def noisy(valuations: Tensor) -> Tensor:
        return valuations

    assert declared_by(noisy) == declared_by(None) == ((), False, False)
    noisy.draws = "often"
    with pytest.raises(ValueError, match=r"noisy\.draws must be True or False, got 'often'"):
        declared_by(noisy)
