"""How the next token is drawn: exactly, from one uniform number, by inverting the distribution function in two steps.

Tokens stand in the order of their ids. Sums over blocks of them say in which block the uniform number falls, so that
only one block a row is accumulated token by token.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BLOCK = 256  # tokens
_ROWS = 16  # rows at once: their float32 weights stay in the processor's cache
_FIRST_CANDIDATES = 64


def choose_tokens(
    logits: Float[Tensor, "row token"], uniforms: Float[Tensor, " row"], temperature: float, top_p: float = 1.0
) -> Int[Tensor, " row"]:
    """Draw one token a row from softmax(logits / temperature), restricted to its nucleus.

    The nucleus is the smallest set of most probable tokens whose probability reaches `top_p`; of tokens tied at its
    edge those of lower id are in. The token is the first, by id, at which the cumulative probability exceeds the
    uniform number; one of probability 0 is never drawn. A row's token depends on its own logits and number only.

    Args:
        logits: Any floating dtype; computed in float32.
        uniforms: In [0, 1).
        temperature: ≥ 0; 0 takes the most probable token, the lowest id of tied ones.
        top_p: In (0, 1]; 1 leaves every token in.
    Source:
        Holtzman et al. (2020), "The curious case of neural text degeneration", for the nucleus.
    """
    if temperature == 0:
        return logits.argmax(-1)
    parts = [
        _invert(kept_weights(some, temperature, top_p), numbers)
        for some, numbers in zip(torch.split(logits, _ROWS), torch.split(uniforms, _ROWS), strict=True)
    ]
    return torch.cat(parts)


def kept_weights(
    logits: Float[Tensor, "row token"], temperature: float, top_p: float = 1.0
) -> Float[Tensor, "row padded"]:
    """Return unnormalised probabilities, 0 outside the nucleus, the largest 1; padded with 0 to whole blocks."""
    rows, tokens = logits.shape
    padded = -(-tokens // _BLOCK) * _BLOCK
    weights = torch.empty(rows, padded, device=logits.device)
    weights[:, tokens:] = 0
    used = weights[:, :tokens]
    used.copy_(logits)
    used.sub_(used.amax(1, keepdim=True)).div_(temperature).exp_()
    if top_p < 1:
        _keep_nucleus(weights, top_p)
    return weights


def _invert(weights: Float[Tensor, "row padded"], uniforms: Float[Tensor, " row"]) -> Int[Tensor, " row"]:
    blocks = weights.view(len(weights), -1, _BLOCK)
    mass = blocks.sum(2, dtype=torch.float32).double()
    above = mass.cumsum(1)
    target = uniforms.double().unsqueeze(1) * above[:, -1:]
    block = torch.searchsorted(above, target, right=True)
    block = torch.minimum(block, _last_positive(mass))
    inside = blocks.gather(1, block.unsqueeze(2).expand(-1, -1, _BLOCK)).squeeze(1).double()
    below = above.gather(1, block) - mass.gather(1, block)
    place = torch.searchsorted(below + inside.cumsum(1), target, right=True)
    place = torch.minimum(place, _last_positive(inside))  # beyond the block only by rounding
    return (block * _BLOCK + place).squeeze(1)


def _last_positive(values: Float[Tensor, "row place"]) -> Int[Tensor, "row 1"]:
    return values.shape[1] - 1 - (values.flip(1) > 0).int().argmax(1, keepdim=True)


def _keep_nucleus(weights: Float[Tensor, "row padded"], top_p: float) -> None:
    """Set weights outside the nucleus to 0, in place.

    Only the most probable candidates are sorted; where they do not reach the mass, eight times as many are.
    """
    wanted = top_p * weights.sum(1, dtype=torch.float64)
    open_rows, size = torch.arange(len(weights), device=weights.device), _FIRST_CANDIDATES
    while len(open_rows):
        size = min(size, weights.shape[1])
        best = weights[open_rows].topk(size, dim=1).values
        before = best.cumsum(1, dtype=torch.float64) - best
        count = (before < wanted[open_rows].unsqueeze(1)).sum(1)
        closed = (count < size) | (size == weights.shape[1])
        rows, count = open_rows[closed], count[closed]
        edge = best[closed].gather(1, count.unsqueeze(1) - 1)
        _cut(weights, rows, edge, count - (best[closed] > edge).sum(1))
        open_rows, size = open_rows[~closed], size * 8


def _cut(weights: Tensor, rows: Int[Tensor, " row"], edge: Float[Tensor, "row 1"], ties: Int[Tensor, " row"]) -> None:
    """Keep what is above the edge and the first `ties` tokens at it."""
    some = weights[rows]
    at_edge = some == edge
    kept = (some > edge) | (at_edge & (at_edge.cumsum(1) <= ties.unsqueeze(1)))
    weights[rows] = some * kept
