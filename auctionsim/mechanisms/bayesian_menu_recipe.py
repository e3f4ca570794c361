"""The table's line of menus that are honest under crosstalk, and their file form."""

from auctionsim.mechanisms.bayesian_menu import BayesianMenu
from auctionsim.mechanisms.bayesian_menu_training import train_bayesian_menu
from auctionsim.mechanisms.codecs import Codec, Saved, State, needed
from auctionsim.mechanisms.joint_entries import OWN_ENTRIES
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.mechanisms.table import ONE_FEATURE, Entry, Problem, register
from auctionsim.priors.saving import prior_from, prior_record
from auctionsim.records import Record
from auctionsim.substrates.protocol import Substrate

QUICK_LEVELS, QUICK_STARTS = 17, 2  # of the quick recipe


def _designed(problem: Problem) -> BayesianMenu:
    if problem.quick:
        return train_bayesian_menu(*problem[:3], levels=QUICK_LEVELS, starts=QUICK_STARTS, seed=problem.seed)
    return train_bayesian_menu(*problem[:3], seed=problem.seed)


def _state(rule: BayesianMenu) -> State:
    priors = [[prior_record(prior) for prior in row] for row in rule.priors.marginals]
    return State({"priors": priors}, {**rule.menus._asdict(), "expected": rule.expected})


def _made(saved: Saved, substrate: Substrate | None) -> BayesianMenu:
    rows = [Record({"row": row}, "priors") for row in saved.settings.items("priors")]
    menu = Menu(saved.array("levers", (None,) * 4), saved.array("prices", (None,) * 3))
    priors = [[prior_from(prior) for prior in row.records("row")] for row in rows]
    return BayesianMenu(needed(substrate), priors, menu, saved.array("expected", (None,) * 3))


register(
    Entry(
        "bayesian-menu",
        "menu at expected exposures",
        "A fixed menu for each bidder, each entry valued at what it brings on average over the rivals' valuations.",
        _designed,
        Codec(BayesianMenu, _state, _made),
        needs=(ONE_FEATURE, OWN_ENTRIES),
        is_learned=True,
        pays="Each bidder takes what it likes best from a price list that no bid moves, and pays the listed price.",
    )
)
