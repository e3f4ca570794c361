"""The laws of what decoding makes of a carrier's changes, on a model: nulls, batches, hooks, divergences, jumps.

A law is a function (claim, case) that raises `BrokenClaimError`; its first line is what it claims.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from auctionsim.errors import BrokenClaimError
from auctionsim.language_models.change import Change
from auctionsim.language_models.decoding import Replies
from auctionsim.language_models.laws import divergence
from auctionsim.language_models.prefixes import in_force
from auctionsim.prompts import PromptSet
from auctionsim.readings import reading
from auctionsim.readings.standard import STANDARD
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
from auctionsim.testing.carried import (
    POSITIONS,
    TEMPERATURE,
    candidates_of,
    drawn,
    logits_of,
    page_laws,
    pages_of,
    probabilities,
    same_page,
    uniforms_of,
    variation,
    voices_of,
)
from auctionsim.testing.carrier_cases import CarrierCase, CarrierClaim, words
from auctionsim.testing.model_traces import StopDecodingError, failing, traces_of
from auctionsim.testing.sentences import money, vector

_PIECES, _ROUNDS = 4, 10  # a lever's way is cut where it moves most, to some millionth of it
_JUMP = 0.02  # in total variation, that is left over such a piece
_OF_ONE_LAW = {"kl", "slot_probability", "intent"}  # of the law that replies are drawn from one by one
_EDGE = 1e-3  # of a distribution function, between the law in a batch and alone


def null_exact(claim: CarrierClaim, case: CarrierCase) -> None:
    """A null row is the untouched model's to the bit, alone and beside touched rows: logits, tokens and page."""
    alone = claim.carrier.change(claim.null())
    if not bool(alone.null.all()):
        raise BrokenClaimError("a change in which no lever is moved is not null")
    _untouched(claim, alone, 0, [case.rows[case.null]], "alone")
    _untouched(claim, claim.carrier.change(case.allocation.clone()), case.null, case.rows, "beside touched rows")


def _untouched(claim: CarrierClaim, change: Change, null: int, rows: Sequence[int], where: str) -> None:
    """Refuse a null row that is not the untouched model's, decoded in the same batch.

    Companions and longer prompts beside it give the batch's products other shapes, whose last bits may differ: then the
    row's logits must be those after its own prompt to the bit, and its law the untouched one up to rounding.
    """
    still = Change(len(rows))
    voices, moved = voices_of(claim, change, rows), logits_of(claim, change, rows)[null]
    if not torch.equal(voices[0, null], moved):
        raise BrokenClaimError(f"{where} a null row's logits are not those after its own prompt to the bit")
    plain = logits_of(claim, still, rows)[null]
    found, expected = drawn(claim, change, rows), drawn(claim, still, rows)
    if len(voices) == 1 and all(change.framing(row).null for row in range(len(rows))):
        if not torch.equal(moved, plain):
            raise BrokenClaimError(f"{where} a null row's logits are not the untouched model's to the bit")
        if not torch.equal(found.tokens[null], expected.tokens[null]):
            raise BrokenClaimError(f"{where} a null row draws other tokens than the untouched model")
    elif variation(moved, plain) > claim.tolerance:
        raise BrokenClaimError(f"{where} a null row's law is not the untouched model's")
    _check_drawn(claim, Change(1), null, rows, found)
    page = pages_of(claim, change, rows)[null]
    text = candidates_of(claim, rows, 1)[null][0]
    if (page.candidate, page.text, page.ads, page.divergence or 0) != (0, text, (), 0):
        raise BrokenClaimError(f"{where} a null row shows {page}, not its first reply {text!r} as it is")


def rows_apart(claim: CarrierClaim, case: CarrierCase) -> None:
    """A row's law and page do not depend on its batch: alone they are the same, up to rounding; companions' too."""
    change = claim.carrier.change(case.allocation.clone())
    together, voices = logits_of(claim, change, case.rows), voices_of(claim, change, case.rows)
    pages = pages_of(claim, change, case.rows)
    for k, row in enumerate(case.rows):
        alone = claim.carrier.change(case.allocation[k : k + 1].clone())
        apart = variation(logits_of(claim, alone, [row]), together[k : k + 1])
        if apart > claim.tolerance:
            raise BrokenClaimError(
                f"{words(case, k)} has another law alone than in a batch of {len(case.rows)}: {apart:.2g} in total "
                "variation"
            )
        heard = voices_of(claim, alone, [row])
        for own, other in zip(heard, voices[:, k : k + 1], strict=False):
            if variation(own, other) > claim.tolerance:
                raise BrokenClaimError(f"{words(case, k)} hears something else alone than in a batch")
        page = pages_of(claim, alone, [row])[0]
        if not same_page(page, pages[k]):
            raise BrokenClaimError(f"{words(case, k)} shows {page} alone, and {pages[k]} in a batch")


def lockstep(claim: CarrierClaim, case: CarrierCase) -> None:
    """Replies are drawn from the very law that they are scored by, token after token, in a batch."""
    change = claim.carrier.change(case.allocation.clone())
    found = drawn(claim, change, case.rows)
    for k in range(len(case.rows)):
        alone = claim.carrier.change(case.allocation[k : k + 1].clone())
        _check_drawn(claim, alone, k, case.rows, found)


def _check_drawn(claim: CarrierClaim, change: Change, k: int, rows: Sequence[int], replies: Replies) -> None:
    """Refuse a reply whose tokens are not those that its uniform numbers draw from its row's law, up to rounding.

    Args:
        claim: What is checked.
        change: That of the row alone.
        k: The row.
        rows: Names of the batch's rows.
        replies: The batch's.
    """
    tokens, length = replies.tokens[k : k + 1], int(replies.lengths[k])
    above = probabilities(logits_of(claim, change, [rows[k]], tokens))[0].cumsum(-1).cpu()
    index = tokens[0].cpu().unsqueeze(1)
    high = above.gather(1, index).squeeze(1)
    low = torch.where(index > 0, above.gather(1, (index - 1).clamp_min(0)), 0.0).squeeze(1)
    numbers = uniforms_of([rows[k]])[0]
    fits = (low - _EDGE <= numbers) & (numbers <= high + _EDGE)
    if not bool(fits[:length].all()):
        place = int((~fits[:length]).nonzero()[0])
        raise BrokenClaimError(
            f"token {place} of a reply is not what {float(numbers[place]):.4f} draws from the law that scores it: "
            f"its place there is [{float(low[place]):.4f}, {float(high[place]):.4f}]"
        )


def hooks_gone(claim: CarrierClaim, case: CarrierCase) -> None:
    """After decoding, and after a failure in its midst, no hook is left, attention and weights are as they were."""
    model, still = claim.model, Change(1)
    before, plain = traces_of(model), logits_of(claim, still, [case.seed])
    change = claim.carrier.change(case.allocation.clone())

    def gone(when: str) -> None:
        if left := traces_of(model).against(before):
            raise BrokenClaimError(f"{when} {left}")

    drawn(claim, change, case.rows)
    gone("after decoding")
    try:
        with in_force(model, change.reply):
            raise StopDecodingError("the kit stops here")
    except StopDecodingError:
        gone("after a failure while it is in force")
    for passes in (0, 2):
        try:
            with failing(model, passes):
                drawn(claim, change, case.rows)
        except StopDecodingError:
            gone("after a failure while decoding")
    if not torch.equal(plain, logits_of(claim, still, [case.seed])):
        raise BrokenClaimError("after decoding the untouched model has other logits")


def divergences(claim: CarrierClaim, case: CarrierCase) -> None:
    """Divergences from the untouched reply are finite, at least 0 and 0 at the null; of M candidates at most log M."""
    change = claim.carrier.change(case.allocation.clone())
    tokens = drawn(claim, change, case.rows).tokens
    moved = logits_of(claim, change, case.rows, tokens)
    plain = logits_of(claim, Change(len(case.rows)), case.rows, tokens)
    for temperature in (1.0, TEMPERATURE):
        found = divergence(moved / temperature, plain / temperature)
        if not bool(found.isfinite().all()) or bool((found < 0).any()):
            raise BrokenClaimError(f"KL to the untouched law must be finite and >= 0, got {vector(found)}")
        if float(found[case.null].max()) > claim.tolerance:
            raise BrokenClaimError(f"KL to the untouched law must be 0 at the null, got {vector(found[case.null])}")
    most = math.log(change.candidates) + 1e-9
    for k, page in enumerate(pages_of(claim, change, case.rows)):
        if page.divergence is not None and not 0 <= page.divergence <= most:
            raise BrokenClaimError(
                f"the divergence of one reply of {change.candidates} must lie in [0, {money(most)}], got "
                f"{page.divergence} for {words(case, k)}"
            )
        if not 0 <= page.candidate < change.candidates:
            raise BrokenClaimError(f"candidate {page.candidate} of {change.candidates} is shown")


def readings(claim: CarrierClaim, case: CarrierCase) -> None:
    """What it is not declared `without` is read of it: finite, within bounds, divergences 0 at the null; no more is."""
    carrier, change = claim.carrier, claim.carrier.change(case.allocation.clone())
    taken = set(STANDARD) - set(carrier.without)
    if change.candidates > 1 and (unfit := sorted(taken & _OF_ONE_LAW)):
        raise BrokenClaimError(f"of one reply among {change.candidates} {unfit[0]} has no meaning: name it in without")
    live = LanguageModelSubstrate(
        claim.model,
        carrier,
        PromptSet(("asked",), (claim.prompts[:1],)),
        samples=1,
        max_new_tokens=POSITIONS,
        temperature=TEMPERATURE,
        manner=Manner(leads=(), readings=("reply_kl",)),
    )
    if declared := set(carrier.without) & {*live.features, *live.losses}:
        raise BrokenClaimError(f"{sorted(declared)} is read, though it is declared without")
    seen = live.observe(case.allocation.clone())
    for k, name in enumerate(live.features):
        low, high = reading(name).bounds
        values = seen.exposure[..., k]
        if not bool(((values >= low) & (values <= high)).all()):
            raise BrokenClaimError(f"{name} must lie in [{low:g}, {high:g}], got {vector(values)}")
    for name, loss in seen.losses.items():
        if not bool(loss.isfinite().all()) or float(loss.min()) < 0 or float(loss[case.null]) != 0:
            raise BrokenClaimError(f"{name} must be finite, >= 0 and 0 at the null, got {vector(loss)}")


def continuity(claim: CarrierClaim, case: CarrierCase) -> None:
    """Moving a lever a little, where it takes all values, moves laws and pages a little: there are no jumps."""
    carrier = claim.carrier
    for k, lever in enumerate(carrier.levers):
        low, high, apart = lever.low, lever.high, 1.0
        if lever.name in carrier.whole:
            continue
        for _ in range(_ROUNDS):
            x = case.allocation[case.touched].repeat(_PIECES + 1, 1, 1)
            x[:, case.bidder, k] = torch.linspace(low, high, _PIECES + 1, dtype=x.dtype)
            x = x[carrier.feasible(x)]
            moved = [0.0, *_steps(claim, x, case.seed)]
            apart = max(moved)
            if apart <= _JUMP:
                break
            most = moved.index(apart)
            low, high = x[most - 1 : most + 1, case.bidder, k].tolist()
        if apart > _JUMP:
            raise BrokenClaimError(
                f"{lever.name} jumps between {low:.9g} and {high:.9g} of {carrier.brands[case.bidder].name}: laws or "
                f"pages move by {apart:.2g} in total variation; levers that move by steps belong into `whole`"
            )


def _steps(claim: CarrierClaim, x: Tensor, row: int) -> list[float]:
    """Return by how much laws of tokens and of pages move from each allocation to the next, in total variation."""
    if len(x) < 2:
        return []
    change = claim.carrier.change(x)
    logits = logits_of(claim, change, [row] * len(x))
    moved = [variation(logits[k : k + 1], logits[k + 1 : k + 2]) for k in range(len(x) - 1)]
    if change.after is None:
        return moved
    nats = [page.divergence or 0.0 for page in pages_of(claim, change, [row] * len(x))]
    steps = zip(moved, pairwise(page_laws(claim, change, row)), pairwise(nats), strict=True)
    return [max(tokens, _apart(*laws), abs(first - second)) for tokens, laws, (first, second) in steps]


def _apart(law: dict[Any, float], other: dict[Any, float]) -> float:
    """Return the total variation of two laws of pages."""
    return sum(abs(law.get(page, 0.0) - other.get(page, 0.0)) for page in law | other) / 2
