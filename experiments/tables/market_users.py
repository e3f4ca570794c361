"""The users of a market run in words and tables: who left for what, clicks, and how results move with assumptions."""

from auctionsim.experiments.running.run import quoted
from auctionsim.experiments.tables.market_findings import MarketFindings, shown_table
from auctionsim.experiments.tables.market_glossary import PARAMETER_WORDS
from auctionsim.report.wording import listed, number, percent

_REASONS = (("loss", "worse answers"), ("ads", "ads"), ("churn", "other reasons"))


def left_sentence(found: MarketFindings) -> str:
    if found.users is None:
        return "Users: as many every day, since no model of users was given."
    last = found.days[-1]
    total, came = last["users_total"], last["users_came"]
    reasons = listed([f"{percent(last[f'users_left_{why}'])} for {what}" for why, what in _REASONS])
    return (
        f"Users: {percent(total)} as many as on the first day are left; {percent(came)} came newly. Of those who left "
        f"for good (as shares of the first day's users), {reasons}."
    )


def users_section(found: MarketFindings) -> str:
    users = found.users
    if users is None:
        return ""
    kinds = [
        {
            "Users": quoted(one.name),
            "Share": percent(one.share),
            **{words: number(getattr(one, name)) for name, words in PARAMETER_WORDS.items()},
            "Left at the end": percent(found.days[-1][f"users_of_{one.name}"] / one.share),
        }
        for one in users.types
    ]
    clicks = "" if users.clicks is None else _clicks(found)
    return (
        f"### Users\n\nUsers feel the loss {quoted(users.loss)}. Each stays for the next day with probability "
        f"exp(−(churn + sensitivity to loss × loss per user and day + sensitivity to ads × replies with ads per user "
        f"and day)). These numbers are assumptions that were put in; nothing here measured them.\n\n"
        f"{shown_table(kinds)}{clicks}{_sensitivity(found)}"
    )


def _clicks(found: MarketFindings) -> str:
    total, exposure = float(found.sums.campaigns.clicks.sum()), float(found.sums.campaigns.exposure.sum())
    return (
        f"\n\nClicks in all: {number(total, 4)}, {number(total / exposure if exposure > 0 else None)} per unit of "
        f"exposure. They are read off exposure and the share of replies with ads; nobody pays per click here."
    )


def _sensitivity(found: MarketFindings) -> str:
    if not found.sensitivity:
        return ""
    rows = [
        {
            "Changed": "nothing" if row["parameter"] == "none" else PARAMETER_WORDS[row["parameter"]],
            "Times": number(row["factor"]),
            "Users left": percent(row["users_left"]),
            "Queries": number(row["queries"], 4),
            "Revenue": number(row["revenue"], 4),
            "Change of revenue": percent(row["revenue_change"]),
        }
        for row in found.sensitivity
    ]
    days = found.sensitivity[0]["days"]
    return (
        f"\n\nHow results move with these assumptions: the first {days} days were simulated again for each line, with "
        f"one number changed for all users (of queries, those after a session's first) and all else the same, bidding "
        f"software, budgets and the platform's choices included. Nothing is scaled from the ledger.\n\n"
        f"{shown_table(rows)}"
    )
