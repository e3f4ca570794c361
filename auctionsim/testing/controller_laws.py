"""The laws every pacing controller is held to: pure functions, row by row, whose memory is plain arrays.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import copy
import io
import pickle
from typing import Any, NamedTuple

import numpy as np

from auctionsim.errors import BrokenClaimError
from auctionsim.market import Controller, Orders, State
from auctionsim.testing.controller_cases import ControllerCase, ControllerStep, alone, copied, course
from auctionsim.testing.kit import watched_generators


class ControllerClaim(NamedTuple):
    """What is checked, and how exactly.

    Attributes:
        controller: A pacing controller.
        tolerance: Share of a multiplier that counts as rounding between rows alone and rows together.
    """

    controller: Controller
    tolerance: float


def name(claim: ControllerClaim, case: ControllerCase) -> None:
    """It has a name, by which campaigns refer to it."""
    del case
    if not isinstance(claim.controller.name, str) or not claim.controller.name:
        raise BrokenClaimError("it has no name: a text that campaigns refer to")


def orders(claim: ControllerClaim, case: ControllerCase) -> None:
    """Multipliers are finite and at least 0, participations lie in [0, 1], one a campaign, in float64."""
    for step in course(claim.controller, case):
        for what, column, most in zip(step.orders._fields, step.orders, (np.inf, 1.0), strict=True):
            shape, kind = np.shape(column), column.dtype if isinstance(column, np.ndarray) else type(column).__name__
            if shape != step.start.present.shape or kind != np.float64:
                raise BrokenClaimError(
                    f"{len(step.start.present)} campaigns get a {what} of shape {shape} in {kind}{_when(step)}"
                )
            bad = ~(np.isfinite(column) & (column >= 0) & (column <= most))
            if bad.any():
                row = int(bad.argmax())
                raise BrokenClaimError(f"{_who(case, row)} gets the {what} {column[row]:g}{_when(step)}")


def closed(claim: ControllerClaim, case: ControllerCase) -> None:
    """A campaign that is absent, or whose money has ended, does not bid."""
    for step in course(claim.controller, case):
        shut = ~step.start.present | ~(step.start.budget_left > 0)
        bids = (step.orders.multiplier > 0) & (step.orders.participation > 0)
        if (shut & bids).any():
            row = int((shut & bids).argmax())
            why = "its money has ended" if step.start.present[row] else "it is not there"
            raise BrokenClaimError(
                f"{_who(case, row)} bids {step.orders.multiplier[row]:g} times its valuation{_when(step)}, though {why}"
            )


def memory(claim: ControllerClaim, case: ControllerCase) -> None:
    """What is remembered are arrays of numbers by name, whose first axis is the campaigns."""
    count = len(case.terms.budget)
    for state in (claim.controller.begin(case.terms), *(step.after for step in course(claim.controller, case))):
        for what, column in state.items():
            if not isinstance(column, np.ndarray) or column.dtype.kind not in "biuf":
                kind = column.dtype if isinstance(column, np.ndarray) else type(column).__name__
                raise BrokenClaimError(f"it remembers {what!r} as {kind}: an array of numbers or truth values is kept")
            if column.shape[:1] != (count,):
                raise BrokenClaimError(f"it remembers {what!r} of shape {column.shape} for {count} campaigns")


def saved_memory(claim: ControllerClaim, case: ControllerCase) -> None:
    """What is remembered goes through a file of plain arrays after every tick, and nothing that follows changes."""
    plain = [step.orders for step in course(claim.controller, case)]
    for number, step in enumerate(course(claim.controller, case, _through_a_file)):
        _same(case, plain[number], step, 0.0, "when what it remembers has gone through a file")


def rows_independent(claim: ControllerClaim, case: ControllerCase) -> None:
    """A campaign's orders do not depend on which other campaigns there are."""
    together = [step.orders for step in course(claim.controller, case)]
    for row in range(len(case.terms.budget)):
        for number, step in enumerate(course(claim.controller, alone(case, row))):
            own = Orders(*(column[row : row + 1] for column in together[number]))
            _same(case, own, step, claim.tolerance, f"without the other {len(case.terms.budget) - 1} campaigns", row)


def no_campaigns(claim: ControllerClaim, case: ControllerCase) -> None:
    """No campaigns get no orders."""
    none = alone(case, len(case.terms.budget))
    for step in course(claim.controller, none):
        shapes = {np.shape(column) for column in step.orders}
        if shapes != {(0,)}:
            raise BrokenClaimError(f"no campaigns get orders of shape {max(shapes)}")


def pure(claim: ControllerClaim, case: ControllerCase) -> None:
    """The same ticks give the same orders, bit for bit, whatever was asked in between."""
    once = [step.orders for step in course(claim.controller, case)]
    for number, step in enumerate(course(claim.controller, case)):
        _same(case, once[number], step, 0.0, "when the same ticks come once more")
        for _ in course(claim.controller, case._replace(ticks=case.ticks[:number])):
            pass
        again = claim.controller.orders(step.before, case.terms, step.start)
        _same(case, step.orders, step._replace(orders=again), 0.0, "when it is asked again")


def no_global_randomness(claim: ControllerClaim, case: ControllerCase) -> None:
    """It moves no global generator."""
    with watched_generators() as moved:
        for _ in course(claim.controller, case):
            pass
        if moved():
            raise BrokenClaimError("it draws from a global generator, or sets its seed")


def own_arguments(claim: ControllerClaim, case: ControllerCase) -> None:
    """Its arguments are left as they were, and writing into its orders changes nothing that follows."""
    controller, terms = claim.controller, case.terms
    for step in course(controller, case):
        state, start, news = (
            {what: np.array(column) for what, column in step.before.items()},
            copied(step.start),
            copied(step.news),
        )
        given = controller.orders(state, terms, start)
        for column in given:
            if column.flags.writeable:
                np.add(column, 1, out=column)
        _same(
            case,
            step.orders,
            step._replace(orders=controller.orders(state, terms, start)),
            0.0,
            "once these were written into",
        )
        controller.learn(state, terms, news)
        changed = [what for what, column in step.before.items() if not _equal(column, state[what])]
        changed += [
            what for what, old, new in zip(start._fields, step.start, start, strict=True) if not _equal(old, new)
        ]
        changed += [what for what, old, new in zip(news._fields, step.news, news, strict=True) if not _equal(old, new)]
        if changed:
            raise BrokenClaimError(f"it overwrites {changed[0]!r}, which it was given{_when(step)}")


def copies(claim: ControllerClaim, case: ControllerCase) -> None:
    """A deep copy, and a pickled copy where there is one, give the same orders."""
    twins: dict[str, Controller | None] = {
        "deep copy": copy.deepcopy(claim.controller),
        "pickled copy": _pickled(claim.controller),
    }
    plain = [step.orders for step in course(claim.controller, case)]
    for what, twin in twins.items():
        for number, step in enumerate(course(twin, case) if twin is not None else ()):
            _same(case, plain[number], step, 0.0, f"from a {what}")


def _same(case: ControllerCase, plain: Orders, step: ControllerStep, tolerance: float, how: str, only: int = 0) -> None:
    """Compare a step's orders with those of the plain course.

    Raises:
        BrokenClaimError: They differ.
    """
    for what, was, column in zip(plain._fields, plain, step.orders, strict=True):
        differ = ~(np.abs(np.subtract(column, was)) <= tolerance * np.abs(was))
        if differ.any():
            row = int(differ.argmax())
            raise BrokenClaimError(
                f"{_who(case, only + row)} gets the {what} {was[row]:.9g}{_when(step)}, and {column[row]:.9g} {how}"
            )


def _who(case: ControllerCase, row: int) -> str:
    terms = case.terms
    return f"campaign {row} (budget {terms.budget[row]:g}, target {terms.target[row]:g})"


def _when(step: ControllerStep) -> str:
    return f" in tick {step.start.tick} of day {step.start.day}"


def _equal(column: object, other: object) -> bool:
    return np.array_equal(np.asarray(column), np.asarray(other), equal_nan=np.asarray(column).dtype.kind == "f")


def _through_a_file(state: State) -> State:
    file = io.BytesIO()
    arrays: dict[str, Any] = {what: np.asarray(column) for what, column in state.items()}
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file) as kept:
        return {what: kept[what] for what in kept.files}


def _pickled(controller: Controller) -> Controller | None:
    try:
        data = pickle.dumps(controller)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None
    twin: Controller = pickle.loads(data)
    return twin
