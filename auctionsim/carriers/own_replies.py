"""A model's own replies to prompts, with and without a brand's name in them: what carriers are fitted on.

Nobody's stems and no wording of ours. The untouched model replies; a reply that names a brand is one of these up to the
place where it is likeliest to name the brand, the name put there, and what the untouched model goes on with.
"""

import copy
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.language_models.change import Inside, untouched
from auctionsim.language_models.decoding import sample_replies
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import growing_cache, prefill_together

TEMPERATURE = 0.7
"""At which replies are drawn as a rule; laws are compared at it."""
TOKENS = 32
"""A reply's longest length while something is fitted."""
FOLLOWING = 12
"""Tokens that follow a name."""
UNIT = 48
"""Tokens of the reply that costs are given for."""
_LEAST_COST = 1e-6  # what rounding may make of a cost of 0
_PRECISION = 0.1  # share of a cost that is aimed at
_BEFORE = "It is"  # a name is taken as it goes on from other words


class OwnReplies(NamedTuple):
    """Replies of the untouched model to one prompt.

    Attributes:
        prompt: Its token ids.
        tokens: (reply, position) the replies.
        places: (brand, reply) where the untouched model is likeliest to begin each brand's name.
    """

    prompt: list[int]
    tokens: Int[Tensor, "reply position"]
    places: Int[Tensor, "brand reply"]


class NamedReplies(NamedTuple):
    """The same replies with a brand's name in them.

    Attributes:
        prompt: The prompt's token ids.
        tokens: (reply, position) a reply up to the place, the name, and what follows.
        name: The name's token ids, as it goes on from other words.
        place: (reply,) the position of its first token.
        counted: (reply, position) where the law is compared with the untouched one: all but the rest of the name.
        law: (reply, position, token) log probabilities of the next token at `TEMPERATURE`, untouched.
        cache: Of the prompt, a row for each reply; it is copied before use.
    """

    prompt: list[int]
    tokens: Int[Tensor, "reply position"]
    name: tuple[int, ...]
    place: Int[Tensor, " reply"]
    counted: Bool[Tensor, "reply position"]
    law: Float[Tensor, "reply position token"]
    cache: object


class NamingEffect(NamedTuple):
    """What a change does to named replies, as sums that can be added up.

    Attributes:
        naming: Log of the expected number of places at which the name begins, up to its place, plus the log probability
            of the rest of the name; summed over replies.
        divergence: KL of the changed law from the untouched one in nats, summed over what is counted.
        replies: How many.
        tokens: How many are counted.
    """

    naming: Tensor
    divergence: Tensor
    replies: int
    tokens: int

    def plus(self, other: "NamingEffect") -> "NamingEffect":
        """Return the sums of both."""
        return NamingEffect(
            self.naming + other.naming,
            self.divergence + other.divergence,
            self.replies + other.replies,
            self.tokens + other.tokens,
        )

    @property
    def mean_naming(self) -> Tensor:
        """Of a reply."""
        return self.naming / self.replies

    @property
    def cost(self) -> Tensor:
        """Nats for a reply of `UNIT` tokens."""
        return UNIT * self.divergence / self.tokens


def own_replies(
    model: LanguageModel,
    prompts: Sequence[str],
    brands: Sequence[Brand],
    generator: torch.Generator,
    *,
    replies: int = 2,
) -> list[OwnReplies]:
    """Draw replies of the untouched model to each prompt, and look where it could name each brand.

    A place lies behind the reply's first token, unless the reply has no other.

    Raises:
        ValueError: A prompt that does not fit the model, or a tokenizer that joins a name with the word before it.
    """
    first = [model.continuation_ids(_BEFORE, brand.name)[0] for brand in brands]
    ids = [model.chat_ids(prompt) for prompt in prompts]
    prefix = prefill_together(model, ids, TOKENS).repeat(replies)
    uniforms = torch.rand(len(ids) * replies, TOKENS, generator=generator)
    drawn = sample_replies(model, prefix, untouched(model), uniforms, temperature=TEMPERATURE)
    positions = torch.arange(TOKENS, device=model.device)
    fit = drawn.live & ((positions > 0) | (drawn.lengths.unsqueeze(1) == 1))
    found = []
    for k, prompt in enumerate(ids):
        rows = slice(k * replies, (k + 1) * replies)
        tokens = drawn.tokens[rows].clone()
        with torch.no_grad():
            begins = law_of(model, prompt, tokens, None)[:, :, first].masked_fill(~fit[rows].unsqueeze(2), -torch.inf)
        found.append(OwnReplies(prompt, tokens, begins.argmax(1).T))
    return found


def law_of(
    model: LanguageModel,
    prompt: list[int],
    tokens: Int[Tensor, "row position"],
    change: Inside | None,
    cache: object | None = None,
) -> Float[Tensor, "row position token"]:
    """Return log probabilities of each of `tokens` in turn at `TEMPERATURE`, (row, position, token), in float32.

    The change touches the prompt's last token and all that follows, as in decoding; gradients reach what it is made of.
    A `cache` of the prompt, a row for each of `tokens`, saves its pass; it is copied, since passes make caches grow.
    """
    cache = growing_cache(model, prompt, len(tokens)) if cache is None else copy.deepcopy(cache)
    first = torch.full((len(tokens), 1), prompt[-1], device=model.device)
    ids = torch.cat((first, tokens[:, :-1]), dim=1)
    if change is None:
        logits = model.network(ids, past_key_values=cache, use_cache=True).logits
    else:
        with change.applied(model):
            logits = model.network(ids, past_key_values=cache, use_cache=True).logits
    return torch.log_softmax(logits.float() / TEMPERATURE, dim=-1)


def named_replies(
    model: LanguageModel, own: Sequence[OwnReplies], brand: Brand, number: int, generator: torch.Generator
) -> list[NamedReplies]:
    """Put a brand's name into each reply at its place, and let the untouched model go on from there.

    Args:
        model: The language model.
        own: Its own replies.
        brand: Whose name.
        number: Which of the places of `own` are the brand's.
        generator: Of what follows.
    """
    name = model.continuation_ids(_BEFORE, brand.name)
    begun = [
        (each.prompt, tokens[:place] + name)
        for each in own
        for tokens, place in zip(each.tokens.tolist(), each.places[number].tolist(), strict=True)
    ]
    prefix = prefill_together(model, [prompt + tokens for prompt, tokens in begun], FOLLOWING)
    uniforms = torch.rand(len(begun), FOLLOWING, generator=generator)
    drawn = sample_replies(model, prefix, untouched(model), uniforms, temperature=TEMPERATURE)
    followed = [
        tokens + after[:length]
        for (_, tokens), after, length in zip(begun, drawn.tokens.tolist(), drawn.lengths.tolist(), strict=True)
    ]
    found, start = [], 0
    for each in own:
        stop = start + len(each.tokens)
        found.append(_named(model, each.prompt, followed[start:stop], name, each.places[number]))
        start = stop
    return found


def _named(
    model: LanguageModel, prompt: list[int], rows: list[list[int]], name: list[int], place: Int[Tensor, " reply"]
) -> NamedReplies:
    longest = max(map(len, rows))
    tokens = torch.tensor([row + row[-1:] * (longest - len(row)) for row in rows], device=model.device)
    positions = torch.arange(longest, device=model.device)
    lengths = torch.tensor([len(row) for row in rows], device=model.device)
    start = place.unsqueeze(1)
    rest = (positions > start) & (positions < start + len(name))
    counted = (positions < lengths.unsqueeze(1)) & ~rest
    cache = growing_cache(model, prompt, len(rows))
    with torch.no_grad():
        law = law_of(model, prompt, tokens, None, cache)
    return NamedReplies(prompt, tokens, tuple(name), place, counted, law, cache)


def effect_of(model: LanguageModel, named: NamedReplies, change: Inside | None) -> NamingEffect:
    """Return what a change of one row does to replies to one prompt, with gradients to what it is made of."""
    return effect_of_law(named, law_of(model, named.prompt, named.tokens, change, named.cache))


def effect_of_law(named: NamedReplies, law: Float[Tensor, "reply position token"]) -> NamingEffect:
    """Return what it amounts to for replies to one prompt that `law` takes the place of their own.

    naming = log Σ_{t ≤ place} P(name's first token | y_<t) + Σ_j log P(name_j | y_<place, name_<j), y the reply.
    """
    rows = torch.arange(len(law), device=law.device)
    later = torch.arange(law.shape[1], device=law.device) > named.place.unsqueeze(1)
    naming = law[:, :, named.name[0]].masked_fill(later, -torch.inf).logsumexp(1)
    for k, token in enumerate(named.name[1:], start=1):
        naming = naming + law[rows, named.place + k, token]
    divergence = ((law.exp() * (law - named.law)).sum(-1) * named.counted).sum()
    return NamingEffect(naming.sum(), divergence, len(law), int(named.counted.sum()))


def effect_on(model: LanguageModel, named: Sequence[NamedReplies], change: Inside | None) -> NamingEffect:
    """Return what a change of one row does to replies to several prompts, without gradients."""
    with torch.no_grad():
        return reduce(NamingEffect.plus, [effect_of(model, each, change) for each in named])


def factor_at_cost(cost: Callable[[float], float], factor: float, aim: float, *, tries: int = 4) -> float:
    """Return by which factor something must be multiplied so that it costs `aim` nats a reply.

    A search on logarithms: cost ∝ factor² to begin with, then with the power that two costs show. It ends within a
    tenth of the aim, or after `tries` costs with the best guess.

    Args:
        cost: Nats a reply at a factor.
        factor: Where the search begins.
        aim: Above 0.
        tries: Costs that are taken at most.
    """
    power, before = 2.0, None
    for _ in range(tries):
        found = max(cost(factor), _LEAST_COST)
        if not math.isfinite(found):
            factor, before = factor / 4, None
            continue
        if abs(found / aim - 1) <= _PRECISION:
            return factor
        if before is not None:
            power = min(max(math.log(found / before[1]) / math.log(factor / before[0]), 1.0), 8.0)
        before = (factor, found)
        factor *= min(max((aim / found) ** (1 / power), 0.1), 10.0)
    return factor
