"""What a platform wants of a day, in money, and how that becomes a bandit's reward in [0, 1]."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from auctionsim.checks import checked_money, checked_number
from auctionsim.errors import InputError
from auctionsim.market.actors import DayNews


@dataclass(frozen=True)
class PlatformReward:
    """A day's reward: revenue − Σ loss weight · loss + user price · change of traffic, in money.

    Attributes:
        loss_weights: By the name of a loss of the market: money per unit of it, summed over queries; ≥ 0. Empty: the
            platform does not mind what users lose.
        user_price: Money that one first day's traffic is worth, ≥ 0: a day after which 1 % of it stays away costs 1 %
            of this. 0: the platform does not look beyond the day.
        per_traffic: Whether the sum is divided by the day's traffic, so that a rule is not blamed for users who left
            under another one.
    """

    loss_weights: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    user_price: float = 0.0
    per_traffic: bool = False

    def __post_init__(self) -> None:
        for name, weight in self.loss_weights.items():
            checked_money(weight, f"the platform's weight of the loss {name!r}")
        checked_money(self.user_price, "user_price")

    def require(self, losses: Sequence[str]) -> None:
        """Refuse a market without a loss that is weighed.

        Raises:
            ValueError: Names the loss.
        """
        for name in self.loss_weights:
            if name not in losses:
                raise InputError(
                    f"the platform weighs the loss {name!r}; all placements of the market read "
                    f"{', '.join(losses) or 'none'}"
                )

    def of(self, news: DayNews) -> float:
        """Return the reward of a day, in money; 0 of a day without traffic, where it is divided by traffic."""
        lost = sum(weight * news.losses[name] for name, weight in self.loss_weights.items())
        money = news.revenue - lost + self.user_price * (news.returning - news.traffic)
        if not self.per_traffic:
            return float(money)
        return float(money / news.traffic) if news.traffic > 0 else 0.0


@dataclass(frozen=True)
class RewardScale:
    """Money to [0, 1]: low and less becomes 0, high and more 1, between them in proportion.

    Bounds on regret hold for rewards in [0, 1]. What is cut off is counted, since it is lost to the bandit.

    Attributes:
        low, high: In money per day, low < high.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        for what in ("low", "high"):
            checked_number(getattr(self, what), f"{what} of the scale", -1e300, 1e300)
        if not self.low < self.high:
            raise InputError(f"the scale of rewards needs low < high, got {self.low:g} and {self.high:g}")

    def scaled(self, money: float) -> float:
        """Return the reward in [0, 1]."""
        return min(max((money - self.low) / (self.high - self.low), 0.0), 1.0)

    def cuts(self, money: float) -> bool:
        """Tell whether so much money lies outside the scale."""
        return not self.low <= money <= self.high
