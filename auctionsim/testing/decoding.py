"""How far a model's decoding is from its definition: one uncached pass with the library's attention, hooked."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from auctionsim.language_models.decoding import reply_logits, sample_replies
from auctionsim.language_models.hooks import intervene
from auctionsim.language_models.intervention import Intervention, scale_neurons
from auctionsim.language_models.model import LanguageModel
from auctionsim.language_models.prefixes import growing_cache, join, prefill

_LENGTHS = (13, 7)  # tokens of two prompts, past a sliding window of 8 and within it
_ROWS = (0, 1, 0)  # the prompt of each row
_STEPS = 12


class DecodingError(NamedTuple):
    """Largest differences over rows, positions and tokens, in units of the logits' standard deviation.

    Attributes:
        scored: Of `reply_logits` under an intervention of each row's own.
        greedy: By how much a greedy reply's tokens are below the most probable ones.
        cached: Of a pass through the library's cache, as gradients are taken.
        tokens: Different tokens in the greedy replies.
    """

    scored: float
    greedy: float
    cached: float
    tokens: int

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self.scored, self.greedy, self.cached)


def decoding_error(model: LanguageModel, seed: int = 0) -> DecodingError:
    """Decode two random prompts in one batch of three rows, and compare with uncached passes row by row.

    Args:
        model: Its embedding has at least 400 rows.
        seed: Of prompts and interventions.
    """
    generator = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(5, 400, (length,), generator=generator).tolist() for length in _LENGTHS]
    shape = (len(_ROWS), model.num_layers, model.num_neurons)
    scales = 1 + 0.5 * torch.rand(shape, generator=generator, dtype=model.dtype)
    prefix = join([prefill(model, prompts[place], _STEPS) for place in _ROWS])
    replies = sample_replies(model, prefix, scales, torch.zeros(len(_ROWS), _STEPS), temperature=0.0)
    found = reply_logits(model, prefix, replies.tokens, scales)
    scored = greedy = cached = 0.0
    for row, place in enumerate(_ROWS):
        tokens, one = replies.tokens[row, : replies.lengths[row]], scales[row : row + 1]
        expected = _full_pass(model, prompts[place], tokens, one)
        spread = float(expected.std())
        chosen = expected.gather(1, tokens.unsqueeze(1)).squeeze(1)
        scored = max(scored, _largest(found[row, : len(tokens)] - expected) / spread)
        greedy = max(greedy, float((expected.max(1).values - chosen).max()) / spread)
        cached = max(cached, _largest(_cached_pass(model, prompts[place], tokens, one) - expected) / spread)
    return DecodingError(scored, greedy, cached, len(set(replies.tokens.flatten().tolist())))


@torch.no_grad()
def _full_pass(
    model: LanguageModel, prompt: list[int], tokens: Int[Tensor, " position"], scales: Tensor
) -> Float[Tensor, "reply vocabulary"]:
    """Return the definition: one pass over prompt and reply, touched from the prompt's last token on."""
    ids = torch.tensor([[*prompt, *tokens[:-1].tolist()]], device=model.device)
    with scale_neurons(model, scales, first_position=len(prompt) - 1):
        logits: Tensor = model.network(ids, use_cache=False).logits
    return logits[0, len(prompt) - 1 :]


@torch.no_grad()
def _cached_pass(
    model: LanguageModel, prompt: list[int], tokens: Int[Tensor, " position"], scales: Tensor
) -> Float[Tensor, "reply vocabulary"]:
    """Return the same through the library's cache, in the second row of a batch whose first row is untouched."""
    cache = growing_cache(model, prompt, 2)
    ids = torch.tensor([[prompt[-1], *tokens[:-1].tolist()]] * 2, device=model.device)
    with intervene(model, Intervention(torch.cat((torch.ones_like(scales), scales)))):
        logits: Tensor = model.network(ids, past_key_values=cache, use_cache=True).logits
    return logits[1]


def _largest(difference: Tensor) -> float:
    return float(difference.nan_to_num(torch.inf).abs().max())
