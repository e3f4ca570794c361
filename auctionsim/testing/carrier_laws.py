"""The laws of a carrier as it is made, sold and kept: levers, rungs, what is refused, rows, files, memory, order.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims. What decoding makes
of a carrier's changes is in `auctionsim.testing.carrier_model_laws`.
"""

import copy
import math
import pickle
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from auctionsim.carriers.protocol import CARRIER_FORMAT, CARRIER_VERSION, Carrier, file_of
from auctionsim.errors import BrokenClaimError
from auctionsim.language_models.change import Change
from auctionsim.readings import names as reading_names
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.testing.carried import logits_of, pages_of, same_page, variation
from auctionsim.testing.carrier_cases import CarrierCase, CarrierClaim, words
from auctionsim.testing.kit import watched_generators
from auctionsim.testing.sentences import vector

_BEYOND = 0.5  # past a bound, as a share of a lever's way


def declared(claim: CarrierClaim, case: CarrierCase) -> None:
    """What it says of itself fits: the model, brands, levers and their nulls, names of readings, and a row a row."""
    carrier = claim.carrier
    carrier.check_model(claim.model)
    names = [brand.name for brand in carrier.brands]
    levers = [lever.name for lever in carrier.levers]
    if not names or len(set(names)) < len(names):
        raise BrokenClaimError(f"brands must be at least one and differ, got {names}")
    if not levers or len(set(levers)) < len(levers):
        raise BrokenClaimError(f"levers must be at least one and differ, got {levers}")
    for lever in carrier.levers:
        ends = (lever.low, lever.null, lever.high)
        if not all(map(math.isfinite, ends)) or not lever.low <= lever.null <= lever.high or lever.low == lever.high:
            raise BrokenClaimError(f"{lever.name} must have low <= null <= high, finite, low < high, got {lever}")
    if unknown := sorted(set(carrier.whole) - set(levers)):
        raise BrokenClaimError(f"whole names {unknown}, the levers are {levers}")
    if unknown := sorted(set(carrier.without) - set(reading_names())):
        raise BrokenClaimError(f"without names {unknown}, which are no readings")
    change = _change(claim, case.allocation)
    if change.num_rows != len(case.allocation):
        raise BrokenClaimError(f"{len(case.allocation)} allocations make a change of {change.num_rows} rows")
    if change.candidates < 1:
        raise BrokenClaimError(f"a page needs a reply, got {change.candidates} candidates")


def feasible(claim: CarrierClaim, case: CarrierCase) -> None:
    """What lies in the levers' bounds and keeps the rules is carried out, all else is refused in one sentence."""
    carrier = claim.carrier
    for name, x in (("the null", claim.null()), ("a drawn allocation", case.allocation)):
        if not bool(carrier.feasible(x).all()):
            raise BrokenClaimError(f"{name} {vector(x[0])} is not feasible")
    boxed = case.boxed.unsqueeze(0)
    if bool(carrier.feasible(boxed)):
        _change(claim, boxed)
    else:
        _refused(claim, boxed, "not feasible")
    for what, x in _impossible(claim, case):
        if bool(carrier.feasible(x)):
            raise BrokenClaimError(f"{vector(x[0])} is feasible: {what}")
        _refused(claim, x, what)
    for what, x in (
        ("another number of bidders", torch.cat((claim.null(), claim.null()), dim=1)),
        ("whole numbers for floats", claim.null().long()),
    ):
        _refused(claim, x, what)


def _impossible(claim: CarrierClaim, case: CarrierCase) -> list[tuple[str, Tensor]]:
    """List allocations of one row that no carrier may carry out, and why."""
    found = []
    for k, lever in enumerate(claim.carrier.levers):
        step = _BEYOND * (lever.high - lever.low)
        values = [("above its highest", lever.high + step), ("below its lowest", lever.low - step)]
        values += [("no number", math.nan), ("infinite", math.inf)]
        if lever.name in claim.carrier.whole:
            values.append(("not whole", lever.low + 0.5))
        for why, value in values:
            x = claim.null()
            x[0, case.bidder, k] = value
            found.append((f"{lever.name} is {why}", x))
    return found


def _refused(claim: CarrierClaim, x: Tensor, why: str) -> None:
    """Refuse a change that should not have been made, and a refusal that is no sentence."""
    try:
        claim.carrier.change(x)
    except (ValueError, TypeError) as error:
        if not str(error).strip() or "\n" in str(error).strip():
            raise BrokenClaimError(f"what is refused ({why}) gets no sentence: {str(error)!r:.80}") from None
        return
    raise BrokenClaimError(f"{vector(x[0])} is carried out: {why}")


def ladder(claim: CarrierClaim, case: CarrierCase) -> None:
    """Each rung is feasible for each bidder alone, moves something, and differs from the others."""
    del case
    rungs = claim.carrier.ladder()
    count = len(claim.carrier.levers)
    if rungs.ndim != 2 or rungs.shape[1] != count or not len(rungs) or not rungs.is_floating_point():
        raise BrokenClaimError(
            f"a ladder must be floats (rung, lever = {count}), got {rungs.dtype} {tuple(rungs.shape)}"
        )
    if len(set(map(tuple, rungs.tolist()))) < len(rungs):
        raise BrokenClaimError(f"two rungs of the ladder are one: {rungs.tolist()}")
    for bidder, brand in enumerate(claim.carrier.brands):
        for rung in rungs:
            x = claim.alone(bidder, rung.double())
            if not bool(claim.carrier.feasible(x)):
                raise BrokenClaimError(f"the rung {vector(rung)} is not feasible for {brand.name} alone")
            if bool(claim.carrier.change(x).null.any()):
                raise BrokenClaimError(f"the rung {vector(rung)} of {brand.name} alone changes nothing")


def one_at_null(claim: CarrierClaim, case: CarrierCase) -> None:
    """A bidder of whom one lever is at its null moves nothing, as measurements take it."""
    for k, lever in enumerate(claim.carrier.levers):
        x = case.allocation[case.touched].unsqueeze(0).clone()
        x[0, case.bidder, k] = lever.null
        plain = x.clone()
        plain[0, case.bidder] = claim.null()[0, case.bidder]
        if torch.equal(x, plain) or not bool(claim.carrier.feasible(x)):
            continue
        pair, brand = (_change(claim, x), _change(claim, plain)), claim.carrier.brands[case.bidder].name
        levers = f"{vector(x[0, case.bidder])} of {brand}"
        _alike(claim, pair, [case.seed], f"{levers} with {lever.name} at its null moves something")


def select(claim: CarrierClaim, case: CarrierCase) -> None:
    """Some rows of a change are the change of those rows, by slice, mask and indices, null rows included."""
    change, count = _change(claim, case.allocation), len(case.allocation)
    null = change.null
    if not bool(null[case.null]):
        raise BrokenClaimError("the row in which no lever is moved is not null")
    backwards, mask = torch.arange(count - 1, -1, -1), torch.arange(count) != case.touched
    for name, index in (("a slice", slice(1, None)), ("a mask", mask), ("indices", backwards)):
        kept = torch.arange(count)[index]
        part = change.select(index)
        if not torch.equal(part.null, null[index]):
            raise BrokenClaimError(f"select by {name} calls {part.null.tolist()} null, not {null[index].tolist()}")
        rows, pair = [case.rows[k] for k in kept.tolist()], (part, _change(claim, case.allocation[index]))
        _alike(claim, pair, rows, f"select by {name} and change do not commute")


def repeat(claim: CarrierClaim, case: CarrierCase) -> None:
    """A change that is repeated is the change of repeated rows, and repeating and selecting commute."""
    change, times = _change(claim, case.allocation), 2
    rows = [row for row in case.rows for _ in range(times)]
    repeated = change.repeat(times)
    if repeated.num_rows != times * change.num_rows or len(repeated.null) != times * change.num_rows:
        raise BrokenClaimError(f"{change.num_rows} rows repeated {times} times are {repeated.num_rows}")
    again = _change(claim, case.allocation.repeat_interleave(times, dim=0))
    _alike(claim, (repeated, again), rows, "repeat and change do not commute")
    kept = slice(1, None)
    some = repeated.select(torch.arange(times * len(case.rows)) >= times)
    _alike(claim, (some, change.select(kept).repeat(times)), rows[times:], "select and repeat do not commute")


def own_memory(claim: CarrierClaim, case: CarrierCase) -> None:
    """It keeps its own numbers: what is given or handed out can be overwritten, and what is given stays as it is."""
    carrier, x = copy.deepcopy(claim.carrier), case.allocation.clone()  # a copy, since it may be spoilt here
    change = carrier.change(x)
    if not torch.equal(x, case.allocation):
        raise BrokenClaimError(f"change overwrites {words(case, case.touched)}")
    before = carrier.digest
    x.copy_(claim.null(len(x)))
    rungs = carrier.ladder()
    kept = rungs.clone()
    rungs.fill_(0.0)
    for array in carrier.stored().arrays.values():
        array.zero_()
    if carrier.digest != before:
        raise BrokenClaimError("overwriting what stored() returned changes the carrier: it must be a copy")
    if not torch.equal(carrier.ladder(), kept):
        raise BrokenClaimError("overwriting what ladder() returned changes the ladder: it must be a copy")
    fresh = carrier.change(case.allocation.clone())
    _alike(claim, (change, fresh), case.rows, "a change moves when the allocation that it was made of is overwritten")


def deterministic(claim: CarrierClaim, case: CarrierCase) -> None:
    """The same allocation is the same change, in double or single precision, and no global generator moves."""
    with watched_generators() as moved:
        one, other = _change(claim, case.allocation), _change(claim, case.allocation)
        pages = pages_of(claim, one, case.rows)
        if moved():
            raise BrokenClaimError("making a change moves a global generator")
    if pages != pages_of(claim, other, case.rows):
        raise BrokenClaimError(f"{words(case, case.touched)} shows one page, and then another")
    _alike(claim, (one, other), case.rows, "the same allocation makes one change, and then another")
    single = _change(claim, case.allocation.float())
    _alike(claim, (one, single), case.rows, "in single precision an allocation makes another change")
    first, again = claim.carrier.digest, claim.carrier.digest
    if first != again or len(first) != 16 or set(first) - set("0123456789abcdef"):
        raise BrokenClaimError(f"a digest is 16 hex digits, always the same, got {first!r} and {again!r}")


def kept(claim: CarrierClaim, case: CarrierCase) -> None:
    """Stored in a file and made again it is the same: levers, rules, ladder, digest, and what an allocation does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "carrier.safetensors"
        write_stored(path, file_of(claim.carrier), CARRIER_FORMAT, CARRIER_VERSION)
        stored = read_stored(path, CARRIER_FORMAT, CARRIER_VERSION)
    inner = Stored(dict(stored.fields.record("settings").content), stored.arrays)
    _same(claim, claim.made(claim.carrier.brands, inner), case, "made again from its file")


def copies(claim: CarrierClaim, case: CarrierCase) -> None:
    """A pickled copy, as a worker gets it, and a deep copy are the same carrier."""
    data = pickle.dumps(claim.carrier)
    twin = pickle.loads(data)
    _same(claim, twin, case, "pickled")
    _same(claim, copy.deepcopy(claim.carrier), case, "copied")


def names_its_brand(claim: CarrierClaim, case: CarrierCase) -> None:
    """Text that a bidder's levers alone put before a reply, or on a page as an ad, names that bidder's brand."""
    carrier, brand = claim.carrier, claim.carrier.brands[case.bidder]
    for rung in carrier.ladder():
        change = _change(claim, claim.alone(case.bidder, rung.double()))
        framing = change.framing(0)
        if not framing.null and not brand.spans("\n".join(framing)):
            raise BrokenClaimError(f"levers {vector(rung)} of {brand.name} add text that names it nowhere: {framing}")
        for row in case.rows:
            page = pages_of(claim, change, [row])[0]
            ads = [page.text[start:stop] for start, stop in page.ads]
            if silent := [ad for ad in ads if not brand.spans(ad)]:
                raise BrokenClaimError(f"levers {vector(rung)} of {brand.name} show an ad of another: {silent[0]!r}")


def brands_in_order(claim: CarrierClaim, case: CarrierCase) -> None:
    """With brands and levers in the other order the same happens."""
    assert claim.turned is not None
    if claim.turned.brands != claim.carrier.brands[::-1]:
        raise BrokenClaimError("the carrier in the other order must have the same brands in the other order")
    one, other = _change(claim, case.allocation), claim.turned.change(case.allocation.flip(1))
    _alike(claim, (one, other), case.rows, "brands in the other order are moved otherwise")


def _change(claim: CarrierClaim, allocation: Tensor) -> Change:
    """Return the change of an allocation of its own."""
    return claim.carrier.change(allocation.clone())


def _same(claim: CarrierClaim, twin: Carrier, case: CarrierCase, how: str) -> None:
    """Refuse another carrier than the one that is checked."""
    carrier = claim.carrier
    for what in ("name", "brands", "levers", "whole", "without", "digest"):
        one, other = getattr(carrier, what), getattr(twin, what)
        if one != other:
            raise BrokenClaimError(f"{how} its {what} is {other}, not {one}")
    if not torch.equal(carrier.ladder(), twin.ladder()):
        raise BrokenClaimError(f"{how} its ladder is {twin.ladder().tolist()}, not {carrier.ladder().tolist()}")
    pair = _change(claim, case.allocation), twin.change(case.allocation.clone())
    _alike(claim, pair, case.rows, f"{how} it makes another change")


def _alike(claim: CarrierClaim, pair: tuple[Change, Change], rows: "tuple[int, ...] | list[int]", what: str) -> None:
    """Refuse two changes of the same rows that do not do the same to their tokens' laws and pages.

    Raises:
        BrokenClaimError: They do not; begins with `what`.
    """
    one, other = pair
    if not rows:
        return
    apart = variation(logits_of(claim, one, rows), logits_of(claim, other, rows))
    if apart > claim.tolerance:
        raise BrokenClaimError(f"{what}: laws of next tokens differ by {apart:.2g} in total variation")
    for page, again in zip(pages_of(claim, one, rows), pages_of(claim, other, rows), strict=True):
        if not same_page(page, again):
            raise BrokenClaimError(f"{what}: {page} and {again}")
