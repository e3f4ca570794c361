"""The first lines of the page: one claim each, none that bidders would make untrue, each with the table it rests on."""

from typing import NamedTuple

from auctionsim.accounts import AuctionAccount
from auctionsim.report.records import Confirmation, Findings
from auctionsim.report.wording import amount, estimate, listed, number, percent, setting
from auctionsim.scoring.records import MechanismRow
from auctionsim.substrates.protocol import ChargedLoss

_ROUNDING = 1e-9  # a regret that is 0 by proof may be computed as a little more


class HeadlineClaim(NamedTuple):
    """One sentence of the headline, or a few, and the section whose table it rests on."""

    sentence: str
    section: str


def headline(findings: Findings) -> list[HeadlineClaim]:
    """Return the claims; what was not measured is said to be so."""
    claims = [HeadlineClaim(_neurons_sentence(findings), "neurons")]
    if findings.story is not None:
        claims.insert(0, HeadlineClaim(_story_sentence(findings.story.account), "auction"))
    claims += [
        HeadlineClaim(_confirmation_sentence(one, findings.surface.charged_loss), "confirmations")
        for one in findings.confirmations
    ]
    if not findings.confirmations:
        claims.append(
            HeadlineClaim("No setting was confirmed on held-out prompts: that was not measured.", "confirmations")
        )
    rows = scored(findings)
    said = [*_objective_sentences(rows), *_regret_sentences(rows)] if rows else ["No mechanism was compared."]
    return [*claims, *(HeadlineClaim(sentence, "mechanisms") for sentence in said)]


def scored(findings: Findings) -> list[MechanismRow]:
    """Return the rows that count: at the run’s user weight, on replicate B, on which nothing was designed, if any."""
    rows = [row for row in findings.mechanisms if row.user_weight == findings.user_weight] or list(findings.mechanisms)
    return [row for row in rows if row.replicate == "B"] or rows


def is_honest(row: MechanismRow) -> bool:
    """Tell whether no lie pays under a rule: its regret is known to be 0, not merely not found."""
    return row.regret_is_exact and row.regret_max <= _ROUNDING


def earned(row: MechanismRow) -> float | None:
    """Return the objective when bidders answer with best responses; None where a lie pays and it was not computed."""
    if row.objective_best_response is not None:
        return row.objective_best_response
    return row.objective.mean if is_honest(row) else None


def _story_sentence(account: AuctionAccount) -> str:
    moved = [one for one in account.bidders if one.is_moved]
    if not moved:
        return f"In the auction below, by {account.mechanism}, nobody bids enough to be amplified."
    told = [f"{one.name} gets {one.gets} and pays {amount(one.payment)}" for one in moved]
    lost = f"the user loses {amount(account.user_loss)} {account.loss_unit}"
    return f"In the auction below, by {account.mechanism}: {'; '.join([*told, lost])}."


def _neurons_sentence(findings: Findings) -> str:
    neurons, count = findings.neurons, findings.sold_neurons
    total = neurons.num_layers * neurons.neurons_per_layer
    whose = f"each of {listed(findings.brands)}" if len(findings.brands) > 1 else findings.brands[0]
    return (
        f"The model {findings.model.partition(':')[0]} has {total:,} feed-forward neurons. Up to {count:,} of them, "
        f"{percent(count / total)}, can be amplified for {whose}."
    )


def _confirmation_sentence(one: Confirmation, loss: ChargedLoss) -> str:
    if one.gain is None:
        return f"{one.brand}: no setting was found that would be worth confirming."
    levers = setting(one.num_neurons, one.amplification)
    verb = "raise" if one.gain.mean >= 0 else "lower"
    measured = (
        f"On held-out prompts {levers} {verb} the sentences per reply that name {one.brand} by {estimate(one.gain)}, "
        f"from {estimate(one.hits_untouched)} (n = {one.gain.n:,}). The user loses {estimate(one.user_loss)} "
        f"{loss.unit} ({loss.name})."
    )
    return measured if one.found else f"No setting was found for {one.brand}; the best candidate failed. {measured}"


def _objective_sentences(rows: list[MechanismRow]) -> list[str]:
    """Name the best of the honest rules, and of each other that looks better what it earns once bidders answer."""
    weight = rows[0].user_weight
    what = f"revenue less {weight:g} × user loss (replicate {rows[0].replicate})"
    honest = [row for row in rows if is_honest(row)]
    best = max(honest, key=lambda row: row.objective.mean, default=None)
    if best is None:
        said = ["Under no rule compared here is the truth known to be a bidder’s best bid."]
    else:
        said = [
            f"Of the rules under which no lie pays, {best.titled} leaves the platform most: "
            f"{estimate(best.objective)}, {what}."
        ]
    over = [row for row in rows if row not in honest and (best is None or row.objective.mean > best.objective.mean)]
    for row in over:
        answer = earned(row)
        after = "what it leaves then was not computed" if answer is None else f"it then leaves {number(answer)}"
        said.append(
            f"{row.titled} would leave {estimate(row.objective)} if everybody bid the truth, but a lie pays. With each "
            f"bidder’s best response to truthful others {after}."
        )
    return said


def _regret_sentences(rows: list[MechanismRow]) -> list[str]:
    honest = [row for row in rows if is_honest(row)]
    sentences = []
    if honest:
        names = list(dict.fromkeys(row.titled for row in honest))
        sentences.append(f"No lie pays under {listed(names)}: the regret is exactly 0.")
    worst = max(rows, key=lambda row: row.regret.mean)
    if worst not in honest:
        at_least = "" if worst.regret_is_exact else "at least "
        sentences.append(
            f"Lying pays most under {worst.titled}: {at_least}{estimate(worst.regret)} on average, {at_least}"
            f"{number(worst.regret_max)} in the worst draw of valuations (replicate {worst.replicate})."
        )
    return sentences
