"""What the first lines of the page say: the key numbers, one sentence each."""

from auctionsim.report.records import Confirmation, Findings
from auctionsim.report.wording import estimate, listed, number, percent, setting
from auctionsim.scoring.records import MechanismRow
from auctionsim.substrates.protocol import ChargedLoss

_ROUNDING = 1e-9  # a regret that is 0 by proof may be computed as a little more


def headline(findings: Findings) -> list[str]:
    """Return the sentences; what was not measured is said to be so."""
    sentences = [_neurons_sentence(findings)]
    sentences += [_confirmation_sentence(one, findings.surface.charged_loss) for one in findings.confirmations]
    if not findings.confirmations:
        sentences.append("No setting was confirmed on held-out prompts: that was not measured.")
    rows = scored(findings)
    if not rows:
        return [*sentences, "No mechanism was compared."]
    return [*sentences, _objective_sentence(rows), *_regret_sentences(rows)]


def scored(findings: Findings) -> list[MechanismRow]:
    """Return the rows that count: at the run’s user weight, on replicate B, on which nothing was designed, if any."""
    rows = [row for row in findings.mechanisms if row.user_weight == findings.user_weight] or list(findings.mechanisms)
    return [row for row in rows if row.replicate == "B"] or rows


def _neurons_sentence(findings: Findings) -> str:
    neurons, count = findings.neurons, findings.sold_neurons
    total = neurons.num_layers * neurons.neurons_per_layer
    return (
        f"In {findings.model.partition(':')[0]}, up to {count:,} feed-forward neurons of each of "
        f"{listed(findings.brands)} are for sale: {percent(count / total)} of the model’s {total:,} a brand."
    )


def _confirmation_sentence(one: Confirmation, loss: ChargedLoss) -> str:
    levers = setting(one.num_neurons, one.amplification)
    if one.gain is None:
        return f"{one.brand}: no setting found that would be worth confirming."
    measured = (
        f"{levers} change its mentions on held-out prompts by {estimate(one.gain)} a reply "
        f"(n = {one.gain.n:,}; {estimate(one.hits_untouched)} untouched), at a user loss of "
        f"{estimate(one.user_loss)} ({loss})"
    )
    if one.found:
        return f"{one.brand}: {measured}."
    return f"{one.brand}: no setting found. The best candidate failed: {measured}."


def _objective_sentence(rows: list[MechanismRow]) -> str:
    best = max(rows, key=lambda row: row.objective.mean)
    share = (
        ""
        if best.objective_share is None
        else f", {percent(best.objective_share.mean)} of the virtual-welfare optimum, "
        "the yardstick of truthful auctions"
    )
    return (
        f"With truthful bids {best.titled} has the largest objective, revenue − {best.user_weight:g} · user "
        f"loss = {estimate(best.objective)}{share} (replicate {best.replicate})."
    )


def _regret_sentences(rows: list[MechanismRow]) -> list[str]:
    honest = [row for row in rows if row.regret_is_exact and row.regret_max <= _ROUNDING]
    sentences = []
    if honest:
        names = list(dict.fromkeys(row.titled for row in honest))
        sentences.append(f"No lie pays under {listed(names)}: the regret is exactly 0.")
    worst = max(rows, key=lambda row: row.regret.mean)
    if worst not in honest:
        at_least = "" if worst.regret_is_exact else "at least "
        sentences.append(
            f"Lying pays most under {worst.titled}: {at_least}{estimate(worst.regret)} on average, {at_least}"
            f"{number(worst.regret_max)} in the worst profile (replicate {worst.replicate})."
        )
    return sentences
