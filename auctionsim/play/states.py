"""The state of one auction on the page: read from an address's query, where every value is checked and named."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from auctionsim.errors import InputError
from auctionsim.play.catalogue import Catalogue, PlayedSurface
from auctionsim.records import shown

HIGHEST_VALUE = 1.0
"""Of the valuation sliders: valuations are drawn from Uniform(0, 1) where a rule needs to know."""
HIGHEST_BID = 1.5
HIGHEST_BUDGET = 1000.0
HIGHEST_WEIGHT = 100.0
LARGEST_SEED = 9999
TRUTH, NO_BUDGET = "truth", "none"
"""The words for a bid that is the valuation, and for no budget."""
DEFAULT_RULE, DEFAULT_WEIGHT = "vcg", 1.0

_FIRST_VALUES = (0.8, 0.6, 0.5, 0.4, 0.3)
_NUMBER = re.compile(r"\d{1,6}(\.\d{0,9})?|\.\d{1,9}", re.ASCII)
_MOST_LETTERS = 200


class PlayState(NamedTuple):
    """One auction: who bids what for what, and by which rule.

    Attributes:
        surface: Name in the catalogue.
        context: Index of the kind of prompt.
        prompt: Index among the context's prompts.
        rule: Name of the mechanism.
        feature: What is sold.
        loss: What is charged for.
        user_weight: Money per unit of user loss.
        values: Money per unit of exposure, one per brand.
        bids: Likewise; None bids the valuation.
        budgets: The most that a brand pays for this reply; None has no such limit.
        seed: Of the replies.
    """

    surface: str
    context: int
    prompt: int
    rule: str
    feature: str
    loss: str
    user_weight: float
    values: tuple[float, ...]
    bids: tuple[float | None, ...]
    budgets: tuple[float | None, ...]
    seed: int

    @property
    def made_bids(self) -> tuple[float, ...]:
        """The bids in money: a truthful one is the valuation."""
        return tuple(value if bid is None else bid for value, bid in zip(self.values, self.bids, strict=True))


def state_of(pairs: Iterable[tuple[str, str]], catalogue: Catalogue) -> tuple[PlayState, PlayedSurface]:
    """Read a state, each missing key by its default, and return it beside its surface.

    Args:
        pairs: Keys and texts, as a query has them.
        catalogue: The surfaces.
    Raises:
        ValueError: An unknown key, one twice, or a value out of its range; names the key and the rule.
    """
    texts: dict[str, str] = {}
    for key, text in pairs:
        if key not in PlayState._fields:
            raise InputError(f"there is no {shown(key)} to set: there are {', '.join(PlayState._fields)}")
        if key in texts:
            raise InputError(f"{key} stands twice in the address")
        if len(text) > _MOST_LETTERS:
            raise InputError(f"{key} must have at most {_MOST_LETTERS} letters, got {len(text)}")
        texts[key] = text
    played = catalogue.surface(texts.get("surface", catalogue.first))
    measured = played.measurement
    brands = len(played.brands)
    context = _one_of(texts, "context", measured.contexts)
    asked = played.prompts.prompts[context]
    features = measured.measured_features
    return PlayState(
        surface=played.name,
        context=context,
        prompt=_whole(texts, "prompt", len(asked) - 1),
        rule=texts.get("rule", DEFAULT_RULE),
        feature=features[_one_of(texts, "feature", features)],
        loss=measured.losses[_one_of(texts, "loss", measured.losses)],
        user_weight=_number(texts.get("user_weight", str(DEFAULT_WEIGHT)), "user_weight", HIGHEST_WEIGHT),
        values=tuple(
            _FIRST_VALUES[k % len(_FIRST_VALUES)] if text is None else _number(text, "values", HIGHEST_VALUE)
            for k, text in enumerate(_several(texts, "values", brands))
        ),
        bids=tuple(
            None if text in (None, TRUTH) else _number(str(text), "bids", HIGHEST_BID, TRUTH)
            for text in _several(texts, "bids", brands)
        ),
        budgets=tuple(
            None if text in (None, NO_BUDGET) else _number(str(text), "budgets", HIGHEST_BUDGET, NO_BUDGET)
            for text in _several(texts, "budgets", brands)
        ),
        seed=_whole(texts, "seed", LARGEST_SEED),
    ), played


def _one_of(texts: Mapping[str, str], key: str, names: tuple[str, ...]) -> int:
    """Return the index of a name, the first where none is given."""
    text = texts.get(key, names[0])
    if text not in names:
        raise InputError(f"{key} must be one of {', '.join(names)}, got {shown(text)}")
    return names.index(text)


def _whole(texts: Mapping[str, str], key: str, highest: int) -> int:
    text = texts.get(key, "0")
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) > highest:
        raise InputError(f"{key} must be a whole number from 0 to {highest}, got {shown(text)}")
    return int(text)


def _number(text: str, key: str, highest: float, or_word: str = "") -> float:
    if not _NUMBER.fullmatch(text) or float(text) > highest:
        word = f", or {or_word}" if or_word else ""
        raise InputError(f"{key} must be numbers from 0 to {highest:g}{word}, got {shown(text)}")
    return float(text)


def _several(texts: Mapping[str, str], key: str, count: int) -> list[str] | list[None]:
    """Return one text per brand, None for each where the key is missing."""
    if key not in texts:
        return [None] * count
    parts = texts[key].split(",")
    if len(parts) != count:
        raise InputError(f"{key} must be {count} with commas between, one per brand, got {len(parts)}")
    return parts
