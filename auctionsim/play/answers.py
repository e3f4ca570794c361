"""What the page is answered: the catalogue, one auction told, and what misreports gain, as plain JSON."""

from typing import Any

import torch
from torch import Tensor

from auctionsim.accounts import AuctionAccount, BidderAccount, auction_account, terms
from auctionsim.errors import InputError
from auctionsim.mechanisms.protocol import draws
from auctionsim.mechanisms.table import entry
from auctionsim.play.bid_curves import BidCurve, bid_curve
from auctionsim.play.budgets import bids_within
from auctionsim.play.catalogue import Catalogue, PlayedSurface
from auctionsim.play.rules import PlayedRule, RuleBook, offered_rules, refusal
from auctionsim.play.states import (
    HIGHEST_BID,
    HIGHEST_VALUE,
    LARGEST_SEED,
    PlayState,
)
from auctionsim.substrates.view import View
from auctionsim.wording import amount

COMPARED = ("menu", "vcg", "affine")
"""Rules under which the page shows what misreports gain, beside the one that is chosen."""


class Clerk:
    """Answers of one playground: every call is a function of its state, but for designs that are kept.

    Args:
        catalogue: The surfaces.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue, self.rules = catalogue, RuleBook()

    def cleared(self, state: PlayState, played: PlayedSurface) -> tuple[AuctionAccount, PlayedRule, Tensor]:
        """Clear a state's auction: its account, its rule, and the bids after budgets.

        Raises:
            ValueError: A rule that cannot be played on the surface, or draws its outcomes.
        """
        rule, bids = self.bidding(state, played)
        view = view_of(state, played)
        with torch.no_grad():
            account = auction_account(
                rule.mechanism,
                view,
                torch.tensor(state.values, dtype=torch.float64),
                bids,
                names=tuple(brand.name for brand in played.brands),
                user_weight=state.user_weight,
                context=state.context,
                prompt=question(state, played),
                label=rule.entry.label,
                tried=0,
            )
        return account, rule, bids

    def bidding(self, state: PlayState, played: PlayedSurface) -> tuple[PlayedRule, Tensor]:
        """Return a state's rule, and the bids after budgets: (bidder,)."""
        rule = self.rules.rule(state, played)
        if draws(rule.mechanism):
            raise InputError(f"{rule.entry.name} draws its outcomes: the page shows rules whose prices are certain")
        made = torch.tensor(state.made_bids, dtype=torch.float64)
        with torch.no_grad():
            return rule, bids_within(rule.mechanism, made, state.budgets, torch.tensor([state.context]))

    def auction(self, state: PlayState, played: PlayedSurface) -> dict[str, Any]:
        """Return one auction as JSON."""
        account, rule, bids = self.cleared(state, played)
        return {
            "rule": {"label": account.mechanism, "pays": rule.entry.pays or rule.entry.summary, "note": rule.note},
            "prompt": account.prompt,
            "feature": {"name": state.feature, "unit": account.units[0]},
            "bidders": [_bidder(one, state, k, float(bids[k])) for k, one in enumerate(account.bidders)],
            "loss": {"name": account.loss, "unit": account.loss_unit, "amount": account.user_loss},
            "sentences": {"allocation": account.sentences()[0], "user": account.user_sentence()},
            "revenue": account.revenue,
            "welfare": account.welfare,
            "user_charge": account.user_charge,
            "objective": account.objective,
        }

    def misreports(self, state: PlayState, played: PlayedSurface, bidder: int) -> dict[str, Any]:
        """Return what one brand's misreports gain under each of some rules, as JSON."""
        if not 0 <= bidder < len(played.brands):
            raise InputError(f"bidder must be a whole number from 0 to {len(played.brands) - 1}, got {bidder}")
        view, context = view_of(state, played), torch.tensor([state.context])
        name = played.brands[bidder].name
        _, bids = self.bidding(state, played)
        with torch.no_grad():
            own = bids.clone()
            own[bidder] = state.made_bids[bidder]
            curves = []
            for rule_name in dict.fromkeys((*COMPARED, state.rule)):
                reason = refusal(entry(rule_name), played, state.feature)
                if reason:
                    curves.append({"rule": rule_name, "label": entry(rule_name).label, "reason": reason})
                    continue
                rule = self.rules.rule(state, played, rule_name)
                budget = state.budgets[bidder]
                curve = bid_curve(rule, view, state.values, own, bidder, budget, context)
                curves.append(_curve(curve, name))
        return {"bidder": bidder, "name": name, "curves": curves}

    def described(self, played: PlayedSurface, feature: str) -> dict[str, Any]:
        """Return what a surface can be played with, as JSON."""
        measured = played.measurement
        return {
            "name": played.name,
            "label": played.label,
            "brands": [brand.name for brand in played.brands],
            "contexts": [
                {"name": name, "prompts": list(asked)}
                for name, asked in zip(played.prompts.contexts, played.prompts.prompts, strict=True)
            ],
            "features": [{"name": name, "unit": measured.units[name]} for name in measured.measured_features],
            "losses": [{"name": name, "unit": measured.units[name]} for name in measured.losses],
            "rules": [rule._asdict() for rule in offered_rules(played, feature)],
            "most": {"value": HIGHEST_VALUE, "bid": HIGHEST_BID, "seed": LARGEST_SEED}
            | {"budget": HIGHEST_BID * played.most_exposure[feature]},
        }

    def glossary(self) -> list[dict[str, Any]]:
        """Return the glossary, as JSON."""
        return [{"name": term.name, "meaning": term.meaning, "also": list(term.also)} for term in terms()]


def view_of(state: PlayState, played: PlayedSurface) -> View:
    """Return the view that sells a state's feature at its loss."""
    return played.measurement.sell(state.feature, loss=state.loss)


def question(state: PlayState, played: PlayedSurface) -> str:
    """Return what the user asks."""
    return played.prompts.prompts[state.context][state.prompt]


def _bidder(one: BidderAccount, state: PlayState, index: int, bid: float) -> dict[str, Any]:
    asked = state.made_bids[index]
    budget = state.budgets[index]
    lowered = ""
    if bid < asked and budget is not None:
        lowered = f"Its bid of {amount(asked)} was lowered to {amount(bid)}: the price would exceed {amount(budget)}."
    return {
        "name": one.name,
        "value": state.values[index],
        "asked": asked,
        "bid": bid,
        "lowered": lowered,
        "gets": one.gets,
        "moved": one.is_moved,
        "exposure": one.exposures[0],
        "untouched": one.untouched[0],
        "payment": one.payment,
        "price": one.price,
        "worth": one.value,
        "utility": one.utility,
    }


def _curve(curve: BidCurve, name: str) -> dict[str, Any]:
    return {
        "rule": curve.rule,
        "label": curve.label,
        "bids": curve.bids,
        "utilities": curve.utilities,
        "truth": curve.truth,
        "made": curve.made,
        "best": curve.best,
        "gain": curve.gain,
        "sentence": _gain_sentence(curve, name),
        "proof": curve.proof,
        "note": curve.note,
    }


def _gain_sentence(curve: BidCurve, name: str) -> str:
    if curve.best == curve.truth:
        proved = ", and there is a proof that no bid can" if curve.proof else ""
        return f"No other bid brings {name} more than the truth{proved}."
    best = curve.bids[curve.best]
    return (
        f"{name} gains by a lie: a bid of {amount(best)} brings {amount(curve.utilities[curve.best])}, "
        f"the truth {amount(curve.utilities[curve.truth])}. That is {amount(curve.gain)} more."
    )
