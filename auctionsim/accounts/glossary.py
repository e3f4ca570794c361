"""The glossary: every term of art that a reader meets, each in one sentence that needs no other page."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from auctionsim.errors import InputError


class Term(NamedTuple):
    """One term of the glossary.

    Attributes:
        name: As pages write it.
        meaning: One sentence.
        kind: Of the part of the field that it belongs to, one of `KINDS`.
        also: Other spellings that mean the same, such as column names of tables.
    """

    name: str
    meaning: str
    kind: str
    also: tuple[str, ...] = ()


KINDS = ("the auction", "prices and rules", "honesty", "the reply", "the measurement")
"""The parts of the glossary, in reading order."""

_THE_AUCTION = (
    Term("bidder", "A brand that takes part in the auction.", "the auction", ("brand",)),
    Term(
        "valuation",
        "What one unit of exposure is really worth to a bidder, in money; nobody else knows it.",
        "the auction",
    ),
    Term("bid", "What a bidder says that one unit of exposure is worth to it, in money.", "the auction"),
    Term(
        "misreport",
        "A bid that is not the bidder’s valuation: a lie, in the language of auctions.",
        "the auction",
        ("lie",),
    ),
    Term(
        "exposure",
        "How much a bidder is seen in a reply, by a feature such as the probability that the reply names it.",
        "the auction",
    ),
    Term("feature", "The kind of exposure that an auction sells, such as mentions per reply.", "the auction"),
    Term(
        "lever",
        "A control that an auction can give a bidder, such as how many of its neurons are amplified.",
        "the auction",
        ("levers",),
    ),
    Term("setting", "One value of each of a bidder’s levers, such as 512 neurons × 2.", "the auction"),
    Term("null", "A lever’s setting at which nothing of the reply is touched.", "the auction"),
    Term(
        "organic exposure",
        "The exposure that a brand has for free, in the untouched model’s replies.",
        "the auction",
        ("organic",),
    ),
    Term("allocation", "Which levers every bidder is given.", "the auction"),
    Term("payment", "What a bidder is charged, in money.", "the auction"),
    Term(
        "utility",
        "What a bidder is left with: the worth of its exposure to it, less its payment.",
        "the auction",
        ("bidder utility",),
    ),
    Term(
        "user loss",
        "How much worse the reply is for the user than the untouched one, by a measure with a name and a unit.",
        "the auction",
    ),
    Term(
        "user weight",
        "How much money one unit of user loss counts in the auction; 0 means that the user does not count.",
        "the auction",
    ),
    Term("revenue", "All payments together: what the platform takes.", "the auction"),
    Term("welfare", "What all exposures are worth to the bidders who have them, before any payment.", "the auction"),
    Term("objective", "What the platform aims at: revenue less user weight × user loss.", "the auction"),
    Term(
        "money",
        "The unit of valuations, bids and payments; one unit is the largest valuation of the default prior.",
        "the auction",
        ("value units",),
    ),
    Term(
        "prior", "The distribution that valuations are drawn from, which the platform is taken to know.", "the auction"
    ),
    Term("profile", "One draw of a valuation for every bidder.", "the auction", ("valuation profile",)),
)
_PRICES = (
    Term("mechanism", "An auction rule: from bids to an allocation and payments.", "prices and rules", ("rule",)),
    Term(
        "pay as bid",
        "Each bidder pays its own bid for every unit of exposure that it gets.",
        "prices and rules",
        ("pay-as-bid", "first price"),
    ),
    Term(
        "VCG",
        "The Vickrey–Clarke–Groves auction: the reply that is worth most to all is given, and each bidder "
        "pays what its bid takes from the others and the user.",
        "prices and rules",
    ),
    Term(
        "virtual value",
        "A bid less what the bidder’s private knowledge is worth to it: what the platform can hope to earn "
        "from it per unit of exposure.",
        "prices and rules",
    ),
    Term(
        "virtual welfare",
        "Exposures counted at virtual values instead of bids; the auction that maximises it earns most of "
        "all truthful ones.",
        "prices and rules",
        ("virtual welfare (optimal)", "virtual-welfare optimum"),
    ),
    Term(
        "optimum",
        "The truthful auction with the largest objective on average: virtual welfare is maximised and "
        "critical bids are paid.",
        "prices and rules",
        ("share of optimum", "of optimum"),
    ),
    Term(
        "critical bid",
        "The lowest bid with which a bidder still gets the same, the others’ bids being what they are.",
        "prices and rules",
        ("threshold price",),
    ),
    Term("posted price", "A price that stands before anybody bids: take it or leave it.", "prices and rules"),
    Term(
        "menu",
        "A price list of levers for one bidder, from which its bid picks what it likes best.",
        "prices and rules",
    ),
    Term("entry", "One line of a menu, or one outcome on an auction’s list.", "prices and rules"),
    Term(
        "affine maximizer",
        "An auction over a fixed list of outcomes with a bonus each and a weight for each bidder; bidders "
        "pay the weighted harm that they do.",
        "prices and rules",
    ),
    Term("reserve", "The lowest bid that can win.", "prices and rules"),
    Term("quick recipe", "A shorter training of a learned auction, for a first look.", "prices and rules"),
)
_HONESTY = (
    Term(
        "truthful",
        "Said of a rule under which no bidder gains by a misreport, and of a bid that is the valuation.",
        "honesty",
        ("honest", "strategy-proof", "DSIC"),
    ),
    Term(
        "regret",
        "How much a bidder could have gained by another bid than the truth.",
        "honesty",
        ("ex-post regret", "regret, mean", "regret, largest"),
    ),
    Term(
        "best response", "The bid that brings a bidder most, given how the others bid.", "honesty", ("best responses",)
    ),
    Term("shading", "Bidding less than the valuation, as bidders do who pay their own bid.", "honesty"),
    Term("equilibrium", "Ways of bidding that are best responses to each other.", "honesty"),
    Term(
        "objective under best responses",
        "The objective where each bidder makes its best response to truthful others.",
        "honesty",
        ("objective, best response",),
    ),
    Term("proved 0", "A theorem says that no lie gains anything.", "honesty"),
    Term("exact", "Computed over every outcome that a bid can reach, so nothing is missed.", "honesty"),
    Term("lower bound", "The largest gain that a search found; there may be a larger one.", "honesty"),
    Term("individual rationality", "No bidder who tells the truth is left with less than nothing.", "honesty", ("IR",)),
    Term(
        "IR violation",
        "How far bidders who tell the truth end below nothing: individual rationality broken.",
        "honesty",
    ),
    Term(
        "objective, payments cut",
        "The objective if payments are cut until no truthful bidder ends below nothing.",
        "honesty",
        ("objective, cut",),
    ),
    Term(
        "participation gain",
        "What an auction is worth to a bidder beside the untouched model, where it has exposure for free.",
        "honesty",
    ),
    Term("crosstalk", "One bidder’s levers change another’s exposure.", "honesty"),
)
_THE_REPLY = (
    Term("prompt", "What the user asks.", "the reply"),
    Term("untouched", "The model as it is, with no lever moved.", "the reply", ("untouched reply",)),
    Term("boosted", "With a brand’s levers moved.", "the reply", ("amplified",)),
    Term(
        "neuron",
        "One of the numbers inside a model’s feed-forward layers; it can be made larger while the model writes.",
        "the reply",
        ("neurons",),
    ),
    Term("amplification", "The factor by which a brand’s neurons are made larger; 1 leaves them alone.", "the reply"),
    Term(
        "slot probability",
        "How likely a reply that was begun with a neutral stem goes on with the brand’s name.",
        "the reply",
        ("slot_probability",),
    ),
    Term("stem", "The beginning of a reply that a name would follow, such as “You could try”.", "the reply"),
    Term("mention probability", "How likely a reply mentions the brand.", "the reply", ("mention_probability",)),
    Term("hits", "Sentences of a reply that mention the brand.", "the reply"),
    Term(
        "intent",
        "How likely a reply that was led to a name gives the brand’s and goes on to call for an action.",
        "the reply",
    ),
    Term(
        "kl",
        "The Kullback–Leibler divergence from the untouched model, per token: how far the model’s choice of "
        "words is moved; it is not how bad a reply is.",
        "the reply",
        ("KL", "reply_kl"),
    ),
    Term(
        "quality",
        "How much likelier labellers would call the reply bad than the untouched one, by a fitted score.",
        "the reply",
    ),
    Term(
        "fluency",
        "How smoothly a reply reads; here the share of its words that it said before, which loops raise.",
        "the reply",
        ("word_repetition", "repeats itself"),
    ),
    Term("disclosure", "Whether the reply says that it is an advertisement, sponsored or paid for.", "the reply"),
    Term("token", "A piece of a word, the unit in which a model writes.", "the reply"),
    Term(
        "carrier",
        "What moves a reply and is sold: neurons, an added sentence, a bias on a name, and others.",
        "the reply",
    ),
)
_MEASUREMENT = (
    Term(
        "surface",
        "A table of what every setting of the levers gives each brand and costs the user, measured on a model.",
        "the measurement",
        ("response surface",),
    ),
    Term(
        "replicate",
        "One of two independent measurements, with other prompts and other random numbers.",
        "the measurement",
        ("replicates",),
    ),
    Term("replicate A", "The measurement that auctions are designed on.", "the measurement", ("A",)),
    Term(
        "replicate B",
        "The measurement that auctions are scored on; nothing was designed on it.",
        "the measurement",
        ("B",),
    ),
    Term("held-out prompts", "Prompts that nothing was chosen or designed on.", "the measurement", ("held-out",)),
    Term(
        "context", "A kind of prompt that the platform can tell, such as a request or a comparison.", "the measurement"
    ),
    Term(
        "standard error", "How far a mean may be off by chance; “±” is one standard error.", "the measurement", ("±",)
    ),
    Term("n", "Over how many draws a mean is taken.", "the measurement"),
    Term("cosine", "How alike two directions are: 1 for the same, 0 for unrelated.", "the measurement"),
    Term("overlap", "Shared items over all items of two sets.", "the measurement"),
    Term(
        "cell",
        "One setting of all levers in one context, with what was measured there; a surface is a table of cells.",
        "the measurement",
    ),
    Term("reading", "A number that is taken of a reply, such as its length.", "the measurement"),
    Term(
        "judge", "Whatever gives replies a score or a verdict: a person, a language model, a rule.", "the measurement"
    ),
    Term(
        "gold label",
        "What somebody whom you trust says of one reply: bad or not.",
        "the measurement",
        ("gold", "gold labels"),
    ),
    Term(
        "gate",
        "The test on labelled replies that a judge’s score must pass before an auction may charge for it.",
        "the measurement",
    ),
    Term(
        "substrate",
        "Whatever turns an allocation into exposures and a user loss: a measured surface, a model, items.",
        "the measurement",
    ),
)


def _by_name() -> Mapping[str, Term]:
    every = (*_THE_AUCTION, *_PRICES, *_HONESTY, *_THE_REPLY, *_MEASUREMENT)
    return MappingProxyType({term.name: term for term in every})


GLOSSARY: Mapping[str, Term] = _by_name()
"""Every term by its name, in reading order."""
_SPELLINGS = {spelling.lower(): term for term in GLOSSARY.values() for spelling in (term.name, *term.also)}


def terms(kind: str | None = None) -> tuple[Term, ...]:
    """Return the terms, all or of one kind, in reading order.

    Raises:
        ValueError: No such kind.
    """
    if kind is not None and kind not in KINDS:
        raise InputError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    return tuple(term for term in GLOSSARY.values() if kind in (None, term.kind))


def term_of(word: str) -> Term:
    """Return a term by its name or another spelling, in small or capital letters.

    Raises:
        ValueError: The glossary does not have it.
    """
    term = _SPELLINGS.get(word.lower())
    if term is None:
        raise InputError(f"the glossary has no {word!r}")
    return term


def meaning_of(word: str) -> str:
    """Return the meaning of a term, by its name or another spelling, in small or capital letters.

    Raises:
        ValueError: The glossary does not have it.
    Example:
        >>> meaning_of("Bid")
        'What a bidder says that one unit of exposure is worth to it, in money.'
    """
    return term_of(word).meaning
