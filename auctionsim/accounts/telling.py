"""How one auction is told: cleared once, by the mechanism itself, and every number put beside its reason."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from auctionsim import metrics
from auctionsim.accounts.allocations import allocation_words, own_levers
from auctionsim.accounts.misreports import Misreports, factors_up_to, misreports
from auctionsim.accounts.records import AuctionAccount, BidderAccount
from auctionsim.checks import checked_amounts, checked_count, checked_money
from auctionsim.claims import behaves_as
from auctionsim.errors import InputError
from auctionsim.mechanisms.price_case import PriceCase
from auctionsim.mechanisms.protocol import dsic_proof_of, price_sentence_of
from auctionsim.mechanisms.table import Entry, table
from auctionsim.outcome import Outcome
from auctionsim.regret.estimate import AnyMechanism
from auctionsim.substrates.protocol import Substrate, charged_loss_of, contexts_of, null_of, units_of
from auctionsim.wording import amount

MISREPORTS = 41
"""Bids that are tried, evenly from 0 to twice the valuation, unless another number is asked for."""
HIGHEST_FACTOR = 2.0


def auction_account(
    mechanism: AnyMechanism,
    substrate: Substrate,
    valuations: Tensor,
    bids: Tensor | None = None,
    *,
    names: Sequence[str] = (),
    user_weight: float = 0.0,
    context: int | None = None,
    prompt: str = "",
    label: str = "",
    tried: int = MISREPORTS,
) -> AuctionAccount:
    """Clear one auction and tell it: who gets what, who pays what and why, what the user lost, who gains by lying.

    Args:
        mechanism: Clears it.
        substrate: What pays exposure; another than the mechanism was designed on tells it as deployed.
        valuations: (bidder, feature), or (bidder,) where one feature is sold.
        bids: Likewise; None: everybody tells the truth.
        names: Of the bidders; () for "bidder 1", "bidder 2", …
        user_weight: λ ≥ 0, money per unit of user loss.
        context: Index into the substrate's contexts; None: one auction for all of them, on their mean.
        prompt: What the user asked, for the reader.
        label: Of the mechanism; "" for its label in the table.
        tried: Misreports of each bidder; 0 leaves them out.
    Raises:
        TypeError, ValueError: Valuations, bids or a context that do not fit; names that are not one a bidder.
    Example:
        >>> from auctionsim.mechanisms import VCG
        >>> from auctionsim.substrates import Items
        >>> v = torch.tensor([0.75, 0.5], dtype=torch.float64)
        >>> account = auction_account(VCG(Items(2)), Items(2), v, names=("Ann", "Bob"))
        >>> [(one.name, one.gets, one.payment, one.utility) for one in account.bidders]
        [('Ann', 'item 0', 0.5, 0.25), ('Bob', 'nothing', 0.0, 0.0)]
        >>> print(account.bidders[0].price.partition(",")[0])
        Ann pays what its bid takes from the rest. It takes 0.500 from Bob
    """
    checked_count(tried, "tried", 0)
    weight = checked_money(user_weight, "user_weight")
    worth = _one_row(valuations, substrate, "valuations")
    made = worth if bids is None else _one_row(bids, substrate, "bids")
    names = tuple(names) or tuple(f"bidder {k + 1}" for k in range(substrate.num_bidders))
    if len(names) != substrate.num_bidders:
        raise InputError(f"names must be one for each of {substrate.num_bidders} bidders, got {names}")
    where = _context(context, substrate)
    outcome = mechanism(made, where)
    entry = _entry_of(mechanism)
    loss = charged_loss_of(substrate)
    told = _Telling(mechanism, substrate, worth, made, outcome, where, names, entry)
    return AuctionAccount(
        mechanism=label or (_class_words(mechanism) if entry is None else entry.label),
        rule="" if entry is None else entry.pays,
        prompt=prompt,
        context="" if context is None else contexts_of(substrate)[context],
        features=tuple(substrate.features),
        units=tuple(units_of(substrate)[name] for name in substrate.features),
        loss=loss.name,
        loss_unit=loss.unit,
        user_weight=weight,
        user_loss=float(metrics.user_loss(outcome, substrate, worth, where)[0]),
        bidders=told.bidders(tried),
        allocation=tuple(outcome.allocation[0].flatten().tolist()),
    )


class _Telling:
    """One cleared auction, from which bidders' accounts are taken."""

    def __init__(
        self,
        mechanism: AnyMechanism,
        substrate: Substrate,
        valuations: Tensor,
        bids: Tensor,
        outcome: Outcome,
        context: Tensor | None,
        names: tuple[str, ...],
        entry: Entry | None,
    ) -> None:
        self.mechanism, self.substrate, self.valuations, self.bids = mechanism, substrate, valuations, bids
        self.outcome, self.context, self.names, self.entry = outcome, context, names, entry
        null = null_of(substrate, 1, dtype=bids.dtype, device=bids.device)
        self.untouched = substrate.exposure(null, context)[0]
        self.exposure = substrate.exposure(outcome.allocation, context)[0]
        self.utility = metrics.utility(outcome, substrate, valuations, context)[0]

    def bidders(self, tried: int) -> tuple[BidderAccount, ...]:
        """Return everybody's account."""
        words = allocation_words(self.substrate, self.outcome.allocation)
        levers = own_levers(self.substrate, self.outcome.allocation)
        return tuple(
            BidderAccount(
                name=name,
                valuations=tuple(self.valuations[0, i].tolist()),
                bids=tuple(self.bids[0, i].tolist()),
                levers=levers[i],
                gets=words[i],
                exposures=tuple(self.exposure[i].tolist()),
                untouched=tuple(self.untouched[i].tolist()),
                payment=float(self.outcome.payments[0, i]),
                price=self.price(i),
                utility=float(self.utility[i]),
                misreports=self.misreports(i, tried) if tried else None,
            )
            for i, name in enumerate(self.names)
        )

    def price(self, bidder: int) -> str:
        """Return the rule's own sentence, else an honest one without a reason."""
        case = PriceCase(bidder, self.names, self.bids, self.outcome, self.context)
        own = price_sentence_of(self.mechanism, case)
        if own is not None:
            return own
        rule = "" if self.entry is None else self.entry.pays
        why = f"The rule: {rule}" if rule else "The rule states no reason."
        return f"{case.name} is charged {amount(case.payment)}. {why}"

    def misreports(self, bidder: int, tried: int) -> Misreports:
        """Return what a bidder's other bids would have brought, with the proof that none gains where there is one."""
        factors = factors_up_to(HIGHEST_FACTOR, tried)
        where = (self.valuations, self.bids, bidder, self.context, factors)
        found = misreports(self.mechanism, self.substrate, *where)
        return found._replace(proof=dsic_proof_of(self.mechanism, self.substrate) or "")


def _entry_of(mechanism: AnyMechanism) -> Entry | None:
    """Return the entry of the table whose files hold a mechanism's class, None where that is no or several rules."""
    kinds = ((one, one.codec.kind) for one in table().values() if one.codec is not None)
    found = [one for one, kind in kinds if type(mechanism) is kind and behaves_as(mechanism, kind)]
    return found[0] if found and len({one.pays for one in found}) == 1 else None


def _class_words(mechanism: object) -> str:
    """Return the name of a rule's class in words, as where the table has no label or several for it."""
    kind = type(mechanism).__name__
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind if kind != "function" else "a rule of one's own").lower()


def _one_row(amounts: Tensor, substrate: Substrate, what: str) -> Tensor:
    """Return (1, bidder, feature) in float64."""
    if not isinstance(amounts, Tensor):
        raise InputError(f"{what} must be a tensor, got {type(amounts).__name__}")
    column = amounts.unsqueeze(1) if amounts.ndim == 1 else amounts
    row = column.detach().double().unsqueeze(0)
    return checked_amounts(row, substrate.num_bidders, len(substrate.features), what)


def _context(context: int | None, substrate: Substrate) -> Tensor | None:
    names = contexts_of(substrate)
    if context is None:
        return None
    if not 0 <= context < len(names):
        raise InputError(f"context must index {len(names)} contexts, got {context!r}")
    return torch.tensor([context])
