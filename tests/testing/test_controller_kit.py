"""The kit of pacing controllers catches one broken on purpose for each check; every registered kind passes."""

from collections.abc import Callable

import numpy as np
import pytest

from auctionsim.agents.pacing import controller, controllers, shares_behind, tick_orders
from auctionsim.errors import BrokenClaimError, InputError
from auctionsim.market import CampaignTerms, Controller, Orders, State, TickNews, TickStart
from auctionsim.testing import check_controller, controller_checks

NAMES = [check.name for check in controller_checks(controller("none"))]


class Broken(Controller):
    """Orders, memory and learning by functions; sound where none is given."""

    def __init__(
        self,
        orders: Callable[..., Orders] | None = None,
        begin: Callable[[CampaignTerms], State] | None = None,
        learn: Callable[..., State] | None = None,
    ) -> None:
        self.name = "broken"
        self.by = orders, begin, learn

    def begin(self, terms: CampaignTerms) -> State:
        return {"spend": np.zeros(len(terms.budget))} if self.by[1] is None else self.by[1](terms)

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        if self.by[0] is None:
            return tick_orders(start, 1 / (1 + state["spend"]))
        return self.by[0](state, terms, start)

    def learn(self, state: State, terms: CampaignTerms, news: TickNews) -> State:
        if self.by[2] is None:
            return {"spend": state["spend"] + 1 - shares_behind(terms, news)}
        return self.by[2](state, terms, news)


class Nameless(Broken):
    """Nobody can refer to it."""

    def __init__(self) -> None:
        super().__init__()
        self.name = ""


class Restless(Broken):
    """Counts its calls in itself instead of its state."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        self.calls += 1
        return tick_orders(start, np.full(len(start.present), float(self.calls)))


class Forgetful(Broken):
    """Bids otherwise once it is copied."""

    factor = 1.0

    def orders(self, state: State, terms: CampaignTerms, start: TickStart) -> Orders:
        return tick_orders(start, np.full(len(start.present), self.factor))

    def __deepcopy__(self, memo: dict) -> "Forgetful":
        twin = Forgetful()
        twin.factor = 0.5
        return twin


def ones(start: TickStart) -> np.ndarray:
    return np.ones(len(start.present))


def truth(state: State, terms: CampaignTerms, start: TickStart) -> Orders:
    return tick_orders(start, ones(start))


def kept(state: State, terms: CampaignTerms, news: TickNews) -> State:
    return state


def overwriting(state: State, terms: CampaignTerms, news: TickNews) -> State:
    news.spend[:] = 0
    return state


def average(state: State, terms: CampaignTerms, start: TickStart) -> Orders:
    return tick_orders(start, np.full(len(start.present), 1 + state["spend"].sum()))


def first_one(state: State, terms: CampaignTerms, start: TickStart) -> Orders:
    """Fails without campaigns."""
    return tick_orders(start, ones(start)) if len(start.present) else Orders(np.ones(1), np.ones(1))


def drawn(state: State, terms: CampaignTerms, start: TickStart) -> Orders:
    np.random.random()
    return tick_orders(start, ones(start))


def view(state: State, terms: CampaignTerms, start: TickStart) -> Orders:
    """Hands out its own memory."""
    shut = ~(start.present & (start.budget_left > 0))
    return Orders(state["spend"], 1.0 * ~shut)


def text_memory(terms: CampaignTerms) -> State:
    return {"plan": np.array(["more"] * len(terms.budget), dtype=object)}


def by_class(state: State, terms: CampaignTerms, start: TickStart) -> Orders:
    """Goes by the class of what it remembers."""
    return tick_orders(start, ones(start) * (1 if isinstance(state["spend"], Tagged) else 2))


class Tagged(np.ndarray):
    """An array of a class of its own, which a file forgets."""


def tagged(terms: CampaignTerms) -> State:
    return {"spend": np.zeros(len(terms.budget)).view(Tagged)}


BROKEN: dict[str, tuple[Controller, str]] = {
    "name": (Nameless(), "it has no name"),
    "orders": (
        Broken(lambda state, terms, start: tick_orders(start, ones(start) / 0.0 if start.tick else ones(start))),
        r"campaign 0 .* gets the multiplier inf in tick 1 of day 0|divide",
    ),
    "closed": (Broken(lambda state, terms, start: Orders(ones(start), ones(start))), "though it is not there"),
    "memory": (Broken(truth, text_memory, kept), "it remembers 'plan' as object"),
    "saved_memory": (Broken(by_class, tagged, kept), "when what it remembers has gone through a file"),
    "rows_independent": (Broken(average), r"without the other \d campaigns"),
    "no_campaigns": (Broken(first_one), r"no campaigns get orders of shape \(1,\)"),
    "pure": (Restless(), "when"),
    "no_global_randomness": (Broken(drawn), "it draws from a global generator"),
    "own_arguments": (Broken(None, None, overwriting), "it overwrites 'spend', which it was given"),
    "copies": (Forgetful(), "from a deep copy"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_broken_controller_is_caught(name: str) -> None:
    broken, message = BROKEN[name]
    (check,) = controller_checks(broken, skip=[other for other in NAMES if other != name])
    with pytest.raises(BrokenClaimError, match=message):
        check()


def test_every_check_has_a_broken_example() -> None:
    assert list(BROKEN) == NAMES


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        (lambda state, terms, start: Orders(ones(start), 2 * ones(start)), "participation 2"),
        (lambda state, terms, start: Orders(-ones(start), ones(start)), "multiplier -1"),
        (lambda state, terms, start: Orders(np.ones(9), ones(start)), r"a multiplier of shape \(9,\)"),
    ],
)
def test_other_orders_are_caught(orders: Callable[..., Orders], message: str) -> None:
    with pytest.raises(BrokenClaimError, match=message):
        check_controller(Broken(orders), skip=[other for other in NAMES if other != "orders"])


def test_who_bids_without_money_is_caught() -> None:
    bidding = Broken(lambda state, terms, start: Orders(1.0 * start.present, ones(start)))
    with pytest.raises(BrokenClaimError, match="though its money has ended"):
        check_controller(bidding, skip=[other for other in NAMES if other != "closed"])


def test_memory_that_is_handed_out_is_caught() -> None:
    with pytest.raises(BrokenClaimError, match="once these were written into"):
        check_controller(Broken(view), skip=[other for other in NAMES if other != "own_arguments"])


def test_a_sound_one_passes() -> None:
    check_controller(Broken(), examples=3)


@pytest.mark.parametrize("kind", [kind for kind in controllers() if kind != "language-model"])
def test_registered_controllers_pass(kind: str) -> None:
    """A language model would be loaded: `External`, which it is made of, passes in its own tests."""
    check_controller(controller(kind), examples=4)


def test_skip_names_checks() -> None:
    with pytest.raises(InputError, match="skip names no check"):
        check_controller(controller("none"), skip=["colour"])
