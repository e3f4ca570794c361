"""A bias on the tokens that begin a brand's name: at every step of the reply their logits gain what the lever says."""

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import Carrier, checked_brands
from auctionsim.carriers.registry import CarrierEntry, FittingInputs, register
from auctionsim.checks import checked_count
from auctionsim.errors import InputError
from auctionsim.language_models.change import Change
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.token_laws import LogitBias
from auctionsim.levers import Lever, checked_high
from auctionsim.storage import Stored

_BEFORE = "I would recommend"  # what names are taken to follow, with a space
_MOST = 8.0  # nats
MOST_TOKENS = 1 << 14
"""Of all brands together."""

RULE = (
    "the first token of each name as it is written, after a space, white space apart; and any spelling in other "
    "capitals or without the space that counts as the name and is one token"
)
"""Which tokens gain the bias; nothing is fitted."""


class BrandTokens(Carrier):
    """Tokens that begin brands' names, biased by nats at temperature 1; lever (bias).

    The bias knows nothing of the tokens before. So of a name of several tokens the first alone gains it, and the rest
    is left to the model: other words that begin alike gain as much ("Oxford" beside "Oxfam").

    Args:
        brands: The bidders.
        tokens: Each brand's, see `name_tokens`.
        vocabulary: Length of the logits of the model whose tokens they are.
        bias: Highest value of the lever.
        rule: How it was fitted, in words.
    Raises:
        ValueError: A brand without tokens, or a token that the model has not.
    """

    name = "logit-bias"

    def __init__(
        self,
        brands: tuple[Brand, ...],
        tokens: tuple[tuple[int, ...], ...],
        vocabulary: int,
        bias: float = _MOST,
        *,
        rule: str = RULE,
    ) -> None:
        self.brands, self.tokens, self.fitted_by = checked_brands(brands, self.name), tokens, rule
        self.vocabulary = checked_count(vocabulary, "vocabulary")
        self.levers = (Lever("bias", 0.0, checked_high(bias, "bias"), 0.0),)
        if len(tokens) != len(brands) or not all(tokens):
            raise InputError(f"each of {len(brands)} brands needs tokens of its own, got {tokens!r:.80}")
        if sum(map(len, tokens)) > MOST_TOKENS:
            raise InputError(f"a logit bias has at most {MOST_TOKENS} tokens, got {sum(map(len, tokens))}")
        self._every = torch.tensor(sorted({token for some in tokens for token in some}))
        self._owned = torch.stack([torch.isin(self._every, torch.tensor(some)) for some in tokens])
        LogitBias(self._every, torch.zeros(1, len(self._every)), self.vocabulary)  # refuses what is no token now

    def check_model(self, model: LanguageModel) -> None:
        """Refuse a model whose tokens are others."""
        if model.vocabulary_size != self.vocabulary:
            raise InputError(f"the tokens are of {self.vocabulary}, {model.name} has {model.vocabulary_size}")
        for brand, tokens in zip(self.brands, self.tokens, strict=True):
            for token in tokens:
                begins = model.text([token]).strip().casefold()
                if not begins or not any(name.casefold().startswith(begins) for name in brand.names):
                    raise InputError(f"token {token} of {model.name}, {begins!r}, begins no name of {brand.name}")

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        """Return the biases, a row each; a token that begins two brands' names gains both."""
        del context
        bias = self.checked(allocation)[:, :, 0]
        law = LogitBias(self._every, bias @ self._owned.to(bias), self.vocabulary)
        return Change(law.num_rows, at=law)

    def ladder(self) -> Float[Tensor, "rung lever"]:
        """Return biases, close together where replies begin to move: a quarter of the most does little."""
        high = self.levers[0].high
        return torch.tensor([[high * share] for share in (0.25, 0.375, 0.4375, 0.5, 0.5625, 0.625, 0.75)])

    def stored(self) -> Stored:
        """Return the tokens and the lever's bound."""
        owned = zip(self.brands, self.tokens, strict=True)
        tokens = [{"name": brand.name, "begun_by": list(some)} for brand, some in owned]
        bound = self.levers[0].high
        return Stored({"tokens": tokens, "vocabulary": self.vocabulary, "bias": bound, "rule": self.fitted_by}, {})


def name_tokens(model: LanguageModel, brand: Brand) -> tuple[int, ...]:
    """Return the tokens that begin a brand's name and its aliases, in order of their ids.

    They are the first token of each name as it is written, after a space, that is more than white space; and each
    spelling that is one token, in small or capital letters or a capital first, after a space or without one, if the
    brand counts it as a mention. First tokens of other spellings are left out: "N" begins too much else.

    Raises:
        ValueError: A name that the tokenizer joins with the words before.
    """
    found: set[int] = set()
    for name in brand.names:
        found.add(next(token for token in model.continuation_ids(_BEFORE, name) if model.text([token]).strip()))
        spellings = dict.fromkeys((name, name.lower(), name.upper(), name.capitalize()))
        for spelling in (text for text in spellings if brand.spans(text)):
            ways = (model.continuation_ids(_BEFORE, spelling), model.text_ids(spelling))
            found |= {ids[0] for ids in ways if len(ids) == 1}
    return tuple(sorted(found))


def _fitted(inputs: FittingInputs) -> BrandTokens:
    tokens = tuple(name_tokens(inputs.model, brand) for brand in inputs.brands)
    return BrandTokens(inputs.brands, tokens, inputs.model.vocabulary_size)


def _made(brands: tuple[Brand, ...], stored: Stored) -> BrandTokens:
    fields = stored.fields
    vocabulary = fields.whole("vocabulary", 1)
    tokens = tuple(some.wholes("begun_by") for some in fields.records("tokens"))
    return BrandTokens(brands, tokens, vocabulary, fields.number("bias"), rule=fields.text("rule"))


register(
    CarrierEntry(
        "logit-bias",
        "logit bias",
        "By how much the log odds of the tokens that begin a brand's name rise at every step.",
        "",
        _fitted,
        _made,
    )
)
