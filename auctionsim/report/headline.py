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
    if not findings.confirmations and findings.neurons is not None:
        claims.append(
            HeadlineClaim("No setting was confirmed on held-out prompts: that was not measured.", "confirmations")
        )
    rows = scored(findings)
    by_design = truthful_by_design(findings)
    said = ["No mechanism was compared."]
    if rows:
        said = [*_objective_sentences(rows, by_design), *_regret_sentences(rows, by_design)]
    return [*claims, *(HeadlineClaim(sentence, "mechanisms") for sentence in said)]


def scored(findings: Findings) -> list[MechanismRow]:
    """Return the rows that count: at the run’s user weight, on replicate B, on which nothing was designed, if any."""
    rows = [row for row in findings.mechanisms if row.user_weight == findings.user_weight] or list(findings.mechanisms)
    return [row for row in rows if row.replicate == "B"] or rows


def is_honest(row: MechanismRow) -> bool:
    """Tell whether no lie pays under a rule: its regret is known to be 0, not merely not found."""
    return row.regret_is_exact and row.regret_max <= _ROUNDING


def truthful_by_design(findings: Findings) -> frozenset[str]:
    """Return the rules under which no lie pays on one of the replicates at least: where they were designed."""
    return frozenset(row.titled for row in findings.mechanisms if is_honest(row))


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
    lost = f"the user’s loss is {amount(account.user_loss)} {account.loss_unit}"
    return f"In the auction below, by {account.mechanism}: {'; '.join([*told, lost])}."


def _neurons_sentence(findings: Findings) -> str:
    neurons, count = findings.neurons, findings.sold_neurons
    if neurons is None:
        return (
            f"Nothing was measured here: exposure and user loss are those of a packaged measurement of "
            f"{findings.model.partition(':')[0]}, on which up to {count:,} neurons of each brand are amplified."
        )
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


def _objective_sentences(rows: list[MechanismRow], by_design: frozenset[str]) -> list[str]:
    """Name the best of the truthful rules, and of each other that looks better what it earns once bidders answer."""
    what = f"revenue less {rows[0].user_weight:g} × user loss (replicate {rows[0].replicate})"
    truthful = [row for row in rows if row.titled in by_design]
    best = max(truthful, key=lambda row: row.objective.mean, default=None)
    if best is None:
        said = ["Under no rule compared here is the truth known to be a bidder’s best bid."]
    elif is_honest(best):
        said = [
            f"Of the rules under which no lie pays, {best.titled} leaves the platform most: "
            f"{estimate(best.objective)}, {what}."
        ]
    else:
        said = [
            f"Of the rules that are truthful where they were designed, {best.titled} leaves the platform most: "
            f"{estimate(best.objective)} if everybody bids the truth, {_answered(best)}; {what}."
        ]
    over = [row for row in rows if row not in truthful and (best is None or row.objective.mean > best.objective.mean)]
    said += [
        f"{_capital(row.titled)} would leave {estimate(row.objective)} if everybody bid the truth, but a lie pays: "
        f"{_answered(row)}."
        for row in over
    ]
    return said


def _answered(row: MechanismRow) -> str:
    """Return what a rule leaves once each bidder answers truthful others as is best for it."""
    answer = earned(row)
    if answer is None:
        return "what it leaves under best responses was not computed"
    return f"{number(answer)} under best responses to truthful others"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _regret_sentences(rows: list[MechanismRow], by_design: frozenset[str]) -> list[str]:
    honest = list(dict.fromkeys(row.titled for row in rows if is_honest(row)))
    sentences = [f"No lie pays under {listed(honest)}: the regret is exactly 0."] if honest else []
    moved = [row for row in rows if row.titled in by_design and not is_honest(row)]
    if moved:
        gains = listed([f"{estimate(row.regret)} under {row.titled}" for row in moved])
        sentences.append(
            f"No lie pays under {listed([row.titled for row in moved])} on the measurement that they were designed on. "
            f"On replicate {moved[0].replicate}, measured anew, a bidder who knows all gains {gains} on average."
        )
    worst = max(rows, key=lambda row: row.regret.mean)
    if worst.titled not in honest:
        at_least = "" if worst.regret_is_exact else "at least "
        sentences.append(
            f"Lying pays most under {worst.titled}: {at_least}{estimate(worst.regret)} on average, {at_least}"
            f"{number(worst.regret_max)} in the worst draw of valuations (replicate {worst.replicate})."
        )
    return sentences
