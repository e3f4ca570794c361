"""Choices that a judge is given, and its verdicts: by the logits of the options' tokens, or by what it says."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.errors import UnsupportedError

_WORD = re.compile(r"(?<!\w)-?\d+(?:[.,]\d+)?(?!\w)|[^\W_]+(?:'t\b)?")
_NEGATION = re.compile(r"not|cannot|never|neither|nor|unable|\w+n't")


class VerdictOptions(NamedTuple):
    """Options that a judge chooses among.

    Attributes:
        options: Words, in lower case.
    """

    options: tuple[str, ...]


YES_NO = VerdictOptions(("yes", "no"))
RATING = VerdictOptions(("1", "2", "3", "4", "5"))
SLOTS = VerdictOptions(("1", "2"))


class Verdict(NamedTuple):
    """A judge's probabilities of the options of a choice.

    Attributes:
        probabilities: Of each option, adding up to 1.
        logits: Of each option, up to a constant; None of a judge that says words and shows no probabilities.
    """

    probabilities: tuple[float, ...]
    logits: tuple[float, ...] | None = None


class NoVerdict(NamedTuple):
    """The place of a verdict that a judge did not give.

    Attributes:
        reason: Why, in a few words.
        for_now: It may be had later: the judge was out of reach, or said nothing that counts.
    """

    reason: str
    for_now: bool = False


def option_tokens(tokenizer: Any, choice: VerdictOptions) -> tuple[tuple[int, ...], ...]:
    """Return, for each option, all single tokens that spell it: in any case, with or without a space before.

    Raises:
        NotImplementedError: This tokenizer has no single token for an option.
    """
    found = []
    for option in choice.options:
        spellings = dict.fromkeys((option, option.capitalize(), option.upper()))
        ids = [tokenizer(gap + word, add_special_tokens=False)["input_ids"] for word in spellings for gap in ("", " ")]
        single = tuple(dict.fromkeys(int(one[0]) for one in ids if len(one) == 1))
        if not single:
            raise UnsupportedError(f"this judge's tokenizer has no single token that says {option!r}")
        found.append(single)
    return tuple(found)


def verdict_of(logits: Float[Tensor, " vocabulary"], tokens: tuple[tuple[int, ...], ...]) -> Verdict:
    """Return a verdict by the next token's logits: the spellings' probabilities are summed for each option."""
    each = torch.stack([logits[list(spellings)].double().logsumexp(0) for spellings in tokens])
    return Verdict(tuple(torch.softmax(each, 0).tolist()), tuple(each.tolist()))


def verdict_listed(listed: Sequence[tuple[str, float]], choice: VerdictOptions) -> Verdict | None:
    """Return a verdict by the likeliest next words and their log probabilities; None where none is an option.

    Logits are given where every option is listed; one that is not counts as improbable.
    """
    each = [[log_p for word, log_p in listed if word.strip().lower() == option] for option in choice.options]
    if not any(each):
        return None
    sums = [torch.tensor(some, dtype=torch.float64).logsumexp(0) for some in each]  # −∞ of none
    shares = tuple(torch.softmax(torch.stack(sums), 0).tolist())
    return Verdict(shares, tuple(map(float, sums)) if all(each) else None)


def option_in(text: str, choice: VerdictOptions) -> int | None:
    """Return which option a text says: that of its first word, else the only one among its words; None for none.

    A number is a word with its sign and its decimals, so 4.5 is none of five ratings. Beyond the first word an option
    counts in a text without any "not": what "I cannot say yes" means is not to be read off its words.

    Example:
        >>> [option_in(text, YES_NO) for text in ("Yes, it is.", "**No**", "I think yes", "Yes and no?", "Maybe")]
        [0, 1, 0, 0, None]
    """
    words = _WORD.findall(text.lower().replace("\u2019", "'"))
    if words[:1] and words[0] in choice.options:
        return choice.options.index(words[0])
    if any(map(_NEGATION.fullmatch, words)):
        return None
    present = {word for word in words if word in choice.options}
    return choice.options.index(present.pop()) if len(present) == 1 else None
