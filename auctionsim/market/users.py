"""Users that leave for good: retention falls with the loss that a user has felt and with the ads that a user has seen.

A user of some type opens `sessions` per day and asks queries in each. After a reply the session goes on with a
probability c that falls with the loss of yesterday's replies; a session has 1/(1 − c) queries in the mean. Over a day
with loss ℓ per reply and a share a of replies with ads, a user who asks q queries leaves at the hazard

    h = churn + loss_sensitivity · q · max(ℓ, 0) + ad_sensitivity · q · a

and stays with probability exp(−h). So who is left after some days is exp(−(what the cumulative loss and the cumulative
ads weigh)): retention is a function of their sums and not of the order of days. Users that come or leave are counted in
users of the first day, whose number is 1; the market's table of query types says how much those ask.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from auctionsim.checks import checked_number, checked_positive
from auctionsim.errors import InputError
from auctionsim.market.actors import DayNews, Users
from auctionsim.market.clicks import ClickModel
from auctionsim.market.columns import checked_names
from auctionsim.market.controllers import State

REASONS = ("churn", "loss", "ads")
"""For what users leave."""
PARAMETERS = ("sessions", "queries", "loss_sensitivity", "ad_sensitivity", "break_off", "churn", "newcomers")
"""The numbers of a type of users that may be varied."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class UserType:
    """Users who behave alike.

    Attributes:
        name: In small letters, digits and underscores.
        loss_sensitivity: Hazard of leaving for good per unit of loss felt, ≥ 0: at .01 per nat a user who has lost
            100 nats has stayed with probability 1/e.
        ad_sensitivity: Hazard of leaving for good per reply with an ad, ≥ 0.
        share: Of the users on the first day, > 0; the shares of all types sum to 1.
        sessions: Per user and day, > 0.
        queries: Per session while replies lose nothing, in the mean, ≥ 1.
        break_off: How much the chance to go on after a reply falls, ≥ 0: it is (1 − 1/queries) · exp(−break_off · ℓ)
            at yesterday's loss ℓ per reply. 0: sessions do not depend on replies.
        churn: Hazard per day of leaving for good whatever replies are like, ≥ 0.
        newcomers: Users who come per day, as a share of the type's users on the first day, ≥ 0.
    Raises:
        ValueError: A number outside its range, or another name; names it.
    """

    name: str
    loss_sensitivity: float
    ad_sensitivity: float
    share: float = 1.0
    sessions: float = 1.0
    queries: float = 1.0
    break_off: float = 0.0
    churn: float = 0.0
    newcomers: float = 0.0

    def __post_init__(self) -> None:
        checked_names([self.name], "the name of a type of users")
        if not _NAME.fullmatch(self.name):
            raise InputError(
                f"the name of a type of users must be small letters, digits and underscores, got {self.name!r:.60}"
            )
        checked_positive(self.share, f"the share of {self.name!r}")
        checked_positive(self.sessions, f"sessions of {self.name!r}")
        checked_number(self.queries, f"queries of {self.name!r}", 1.0, 1e12)
        for number in ("loss_sensitivity", "ad_sensitivity", "break_off", "churn", "newcomers"):
            checked_number(getattr(self, number), f"{number} of {self.name!r}", 0.0, 1e12)

    def varied(self, parameter: str, factor: float) -> "UserType":
        """Return the type with one of `PARAMETERS` multiplied; of queries, those after a session's first."""
        before = getattr(self, parameter)
        after = 1 + (before - 1) * factor if parameter == "queries" else before * factor
        return replace(self, **{parameter: after})


@dataclass(frozen=True)
class RetainedUsers(Users):
    """Users of a few types who stay or leave for good, and newcomers.

    The state holds per type: `users`, `came`, `left` (reason, type) since the first day, all in users of the first
    day; and `queries` per session of the day that begins. At every time users + Σ left = share + came.

    Attributes:
        types: One or more.
        loss: Which of the market's losses users feel.
        clicks: How often what they see is clicked; None: not of interest.
    Raises:
        ValueError: No type, a type twice, or shares that do not sum to 1.
    Example:
        >>> one = RetainedUsers((UserType("all", loss_sensitivity=0.5, ad_sensitivity=0.0),), loss="kl")
        >>> day = DayNews(0, "vcg", 1.0, 10.0, {"kl": 2.0}, 4.0, 1.0, 1.0)
        >>> round(one.traffic(one.learn(one.begin(["kl"]), day), 1), 4)  # exp(−0.5 · 2.0 / 10.0)
        0.9048
    """

    types: tuple[UserType, ...]
    loss: str = "reply_kl"
    clicks: ClickModel | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", tuple(self.types))
        if not self.types:
            raise InputError("there must be a type of users, got none")
        checked_names([one.name for one in self.types], "the name of a type of users")
        total = sum(one.share for one in self.types)
        if abs(total - 1) > 1e-9:
            raise InputError(f"the shares of all types of users must sum to 1, got {total:g}")

    def begin(self, losses: Sequence[str]) -> State:
        """Return the state before the first day.

        Raises:
            ValueError: The market does not read the loss that users feel.
        """
        if self.loss not in losses:
            raise InputError(
                f"users feel the loss {self.loss!r}; all placements of the market read {', '.join(losses) or 'none'}"
            )
        count = len(self.types)
        return {
            "users": self._column("share"),
            "came": np.zeros(count),
            "left": np.zeros((len(REASONS), count)),
            "queries": self._column("queries"),
        }

    def traffic(self, state: State, day: int) -> float:
        """Return the queries of a day over those of the first day."""
        del day
        first = self._column("share") * self._column("sessions") * self._column("queries")
        now = state["users"] * self._column("sessions") * state["queries"]
        return float(now.sum() / first.sum())

    def learn(self, state: State, news: DayNews) -> State:
        """Return the state after a day: who has left and come, and how long sessions will be."""
        if self.loss not in news.losses:
            raise InputError(f"users feel the loss {self.loss!r}; the day has {', '.join(news.losses) or 'none'}")
        replies = news.arrivals if news.arrivals > 0 else np.inf
        loss, ads = max(news.losses[self.loss] / replies, 0.0), news.sold / replies
        asked = self._column("sessions") * state["queries"]
        hazards = np.stack(
            [
                self._column("churn"),
                self._column("loss_sensitivity") * asked * loss,
                self._column("ad_sensitivity") * asked * ads,
            ]
        )
        hazard = hazards.sum(0)
        leaving = state["users"] * -np.expm1(-hazard)
        came = self._column("newcomers") * self._column("share")
        queries, breaks = self._column("queries"), -np.expm1(-self._column("break_off") * loss)
        return {
            "users": state["users"] - leaving + came,
            "came": state["came"] + came,
            "left": state["left"] + leaving * hazards / np.where(hazard > 0, hazard, 1.0),
            "queries": queries / (1 + (queries - 1) * breaks),  # = 1 / (1 − c), and exactly `queries` at no loss
        }

    def numbers(self, state: State) -> Mapping[str, float]:
        """Return users in all and of each type, who came and who left for what, in users of the first day."""
        left = state["left"].sum(1)
        return {
            "total": float(state["users"].sum()),
            **{f"of_{one.name}": float(users) for one, users in zip(self.types, state["users"], strict=True)},
            "came": float(state["came"].sum()),
            **{f"left_{reason}": float(count) for reason, count in zip(REASONS, left, strict=True)},
        }

    def varied(self, parameter: str, factor: float) -> "RetainedUsers":
        """Return the same users with one of `PARAMETERS` of every type multiplied.

        Raises:
            ValueError: No such parameter.
        """
        if parameter not in PARAMETERS:
            raise InputError(f"users can be varied by {', '.join(PARAMETERS)}, got {parameter!r:.60}")
        return replace(self, types=tuple(one.varied(parameter, factor) for one in self.types))

    def _column(self, name: str) -> Float[np.ndarray, " type"]:
        return np.array([getattr(one, name) for one in self.types], dtype=np.float64)
