"""First misreports of a search: telling ones, where bids meet, then an even filling of the box.

One sequence per row, of any length, whose beginning never changes: a larger budget only adds to it. What a row is
tried with depends on that row alone, never on the rest of the batch.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.quasirandom import SobolEngine

from auctionsim.regret.bid_range import just
from auctionsim.regret.estimate import Game
from auctionsim.regret.meetings import meeting_points

SCALES = (0.0, 0.5, 0.9, 1.1, 0.75, 2.0, 0.25, 1.5)  # of the truth: nothing, shading, exaggeration
FACES = 1 / 32  # share of the filling on each face of the box, where best misreports often lie
FIRST_MEETINGS, MEETINGS = 14, 128  # where bids meet: at once, and by the end of the second round
FIRST = 48  # misreports before the rest of the meeting points
BLOCK = 16  # Sobol points that share a scale; a power of two keeps each block evenly spread


def telling_misreports(
    game: Game, high: Float[Tensor, "batch bidder feature"]
) -> Float[Tensor, "misreport batch bidder feature"]:
    """Return the misreports that undo common rules: scaled truth, just above and below each rival, the box's corners.

    With several features they are tried in all features at once, and again in one feature at a time, the rest true.
    None exceeds `high`.
    """
    truth, reports = game.valuations, game.reports
    tiny = just(truth)
    rivals = [reports.roll(shift, 1) for shift in range(1, truth.shape[1])]
    whole = [truth * scale for scale in SCALES]
    whole += [rival * (1 + tiny) for rival in rivals] + [rival * (1 + 1e-3) for rival in rivals]
    whole += [rival * (1 - tiny) for rival in rivals] + [high]
    everything = torch.stack(whole)
    if truth.shape[2] == 1:
        return torch.minimum(everything, high)
    one_feature = torch.eye(truth.shape[2], dtype=torch.bool, device=truth.device).view(-1, 1, 1, 1, truth.shape[2])
    single = torch.where(one_feature, torch.stack([torch.zeros_like(truth), high, *whole[8 : 8 + len(rivals)]]), truth)
    return torch.minimum(torch.cat([everything, single.flatten(0, 1)]), high)


class MisreportSequence:
    """An endless sequence of misreports: the telling ones, where bids meet, a low-discrepancy filling of each box.

    The filling is alike for all rows and bidders, and stretched a little so that some of it lies on the box's faces.
    Where a row's bids are far below `high`, every second block of points fills [0, 2 · the row's largest bid] instead.

    Args:
        game: What is misreported in.
        high: Upper ends of the boxes.
        generator: Scrambles the filling; None leaves it plain.
    """

    def __init__(
        self, game: Game, high: Float[Tensor, "batch bidder feature"], generator: torch.Generator | None
    ) -> None:
        near = 2 * torch.maximum(game.valuations, game.reports).amax((1, 2), keepdim=True)
        meetings = meeting_points(game, high, MEETINGS)
        self._telling = torch.cat([telling_misreports(game, high), meetings[:FIRST_MEETINGS]])
        self._later, self._drawn = meetings[FIRST_MEETINGS:], 0
        self._scales = torch.stack([high, torch.minimum(high, torch.where(near > 0, near, high))])
        seed = None
        if generator is not None:
            seed = int(torch.randint(2**31 - 1, (1,), generator=generator, device=generator.device))
        self._sobol = SobolEngine(high.shape[2], scramble=generator is not None, seed=seed)  # type: ignore[no-untyped-call]
        self._filled = 0

    def draw(self, count: int) -> Float[Tensor, "misreport batch bidder feature"]:
        """Return the next `count` misreports."""
        parts = [self._taken(min(count, FIRST - self._drawn))] if self._drawn < FIRST else []
        if self._drawn + count > FIRST:  # the first misreports are over: the rest of the meeting points comes in
            self._telling, self._later = torch.cat([self._telling, self._later]), self._later[:0]
            parts.append(self._taken(count - sum(map(len, parts))))
        self._drawn += count
        return torch.cat(parts)

    def _taken(self, count: int) -> Float[Tensor, "misreport batch bidder feature"]:
        head, self._telling = self._telling[:count], self._telling[count:]
        return torch.cat([head, self._fill(count - len(head))])

    def _fill(self, count: int) -> Float[Tensor, "misreport batch bidder feature"]:
        like = self._scales
        unit = self._sobol.draw(count, dtype=torch.float64) if count else torch.zeros(0, like.shape[-1])
        block = (torch.arange(self._filled, self._filled + count, device=like.device) // BLOCK) % 2
        self._filled += count
        onto_faces = ((1 + 2 * FACES) * unit - FACES).clamp(0, 1)
        return onto_faces.to(like).view(count, 1, 1, like.shape[-1]) * like[block]
