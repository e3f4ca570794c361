"""World (b): two posted-price programmes between which bidders are steered by their valuation, in closed form.

A bidder's valuation U is uniform on [0, 1]. A programme posts a price; the bidder buys where U is at least that. In
the log, bidders above `threshold` are steered to the first programme with probability `steering`, the others with
1 − `steering`. The outcome is the revenue; so is the mediator, which is all of what a programme does here.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_number
from auctionsim.errors import InputError
from auctionsim.logs.session_log import LogColumns, Replays, SessionLog
from auctionsim.logs.worlds.registry import register_world


@dataclass(frozen=True)
class PostedPrices:
    """The world of posted-price programmes.

    Attributes:
        prices: Of the programmes, in (0, 1].
        threshold: Valuation above which a bidder is steered to the first.
        steering: Probability of it, in (0, 1).
    """

    prices: tuple[float, float] = (0.8, 0.4)
    threshold: float = 0.6
    steering: float = 0.9

    name = "posted-prices"

    def __post_init__(self) -> None:
        for price in self.prices:
            checked_number(price, "price", 0.0, 1.0)
        if len(self.prices) != 2:
            raise InputError(f"there are two programmes, got {len(self.prices)} prices")
        checked_number(self.threshold, "threshold", 0.0, 1.0)
        if not 0 < self.steering < 1:
            raise InputError(f"steering must lie in (0, 1), got {self.steering}")

    @property
    def columns(self) -> LogColumns:
        """Options by their price; revenue is the mediator, whether anything was sold a label."""
        return LogColumns(tuple(f"price {price:g}" for price in self.prices), (), ("revenue",), ("sold",))

    def draw_obs(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw logs of steered bidders, with the steering's true probabilities."""
        valuation = generator.uniform(size=(*draws, sessions))
        first = np.where(valuation > self.threshold, self.steering, 1 - self.steering)
        option = (generator.uniform(size=valuation.shape) >= first).astype(np.int64)
        return self._log(valuation, option, np.where(option == 0, first, 1 - first), randomised=False)

    def draw_exp(self, sessions: int, generator: np.random.Generator, draws: tuple[int, ...] = ()) -> SessionLog:
        """Draw experiments: the programme is a fair coin."""
        valuation = generator.uniform(size=(*draws, sessions))
        option = generator.integers(0, 2, size=valuation.shape)
        return self._log(valuation, option, np.full(valuation.shape, 0.5), randomised=True)

    def _log(
        self, valuation: np.ndarray, option: np.ndarray, propensity: np.ndarray, *, randomised: bool
    ) -> SessionLog:
        price = np.array(self.prices)[option]
        sold = (valuation >= price).astype(np.float64)
        revenue, none = price * sold, np.zeros((*option.shape, 0))
        return SessionLog(
            self.columns, none, option, revenue[..., None], revenue, sold[..., None], propensity, randomised
        )

    def replays(self, log: SessionLog) -> Replays:
        """Return the law of revenue under each price: the price with probability 1 − price, else 0."""
        prices = np.array(self.prices)
        points = np.stack([prices, np.zeros(2)], -1)[None, :, :, None]
        weights = np.stack([1 - prices, prices], -1)[None]
        return Replays(points, weights, np.zeros((1, 0)), np.zeros(log.option.shape, np.int64))

    def values(self) -> Float[np.ndarray, " option"]:
        """Return price · (1 − price) of each."""
        prices = np.array(self.prices)
        return np.asarray(prices * (1 - prices))

    def raw_values(self) -> Float[np.ndarray, " option"]:
        """Return the log's mean revenue under each programme, in the limit."""
        t, s = self.threshold, self.steering
        above = np.array([s, 1 - s])  # probability of each programme for a bidder above the threshold
        below = 1 - above
        assigned = above * (1 - t) + below * t
        prices = np.array(self.prices)
        bought = above * (1 - np.maximum(prices, t)) + below * np.maximum(t - prices, 0)
        return np.asarray(prices * bought / assigned)


register_world(PostedPrices.name, PostedPrices)
