"""Users that leave: closed forms, conservation, and what is refused."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctionsim.market import Actors, DayNews, Simulation
from auctionsim.market.clicks import ClickModel
from auctionsim.market.users import PARAMETERS, RetainedUsers, UserType
from auctionsim.mechanisms import VCG
from auctionsim.substrates import QuadraticSubstrate
from tests.market_fakes import FixedMultiplier, item_market, market_on

QUARTERS = st.integers(0, 8).map(lambda k: k / 4)


def day(loss: float, ads: float = 0.0, arrivals: float = 100.0) -> DayNews:
    """Return a day with so much loss and such a share of ads per reply."""
    return DayNews(0, "rule", 1.0, arrivals, {"reply_kl": loss * arrivals}, ads * arrivals, 1.0, 1.0)


def after(users: RetainedUsers, days: int, loss: float, ads: float = 0.0) -> list[float]:
    state, traffic = users.begin(["reply_kl"]), []
    for number in range(days):
        state = users.learn(state, day(loss, ads))
        traffic.append(users.traffic(state, number + 1))
    return traffic


def test_a_constant_loss_makes_users_decline_geometrically() -> None:
    one = RetainedUsers((UserType("all", 0.02, 0.0, sessions=2.0, queries=3.0),))
    assert after(one, 10, 1.5) == pytest.approx(np.exp(-0.02 * 6 * 1.5 * np.arange(1, 11)), rel=1e-12)


def test_ads_and_churn_add_to_the_hazard() -> None:
    one = RetainedUsers((UserType("all", 0.02, 0.3, churn=0.1),))
    assert after(one, 5, 1.5, ads=0.25) == pytest.approx(
        np.exp(-(0.02 * 1.5 + 0.3 * 0.25 + 0.1) * np.arange(1, 6)), rel=1e-12
    )


def test_no_loss_leaves_all_and_a_gain_attracts_none() -> None:
    one = RetainedUsers((UserType("all", 0.5, 0.5, queries=4.0, break_off=1.0),))
    assert after(one, 5, 0.0) == [1.0] * 5
    assert after(one, 5, -2.0) == [1.0] * 5


def test_only_the_sum_of_losses_decides_who_is_left() -> None:
    one = RetainedUsers((UserType("all", 0.1, 0.0),))
    ends = []
    for losses in ((1.0, 0.0, 3.0), (3.0, 1.0, 0.0)):
        state = one.begin(["reply_kl"])
        for loss in losses:
            state = one.learn(state, day(loss))
        ends.append(one.traffic(state, 3))
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)
    assert ends[0] == pytest.approx(np.exp(-0.4))


def test_newcomers_reach_the_level_at_which_as_many_leave() -> None:
    one = RetainedUsers((UserType("all", 0.1, 0.0, churn=0.2, newcomers=0.05),))
    assert after(one, 400, 1.0)[-1] == pytest.approx(0.05 / (1 - np.exp(-0.3)), rel=1e-9)


def test_sessions_end_earlier_after_a_day_of_losses() -> None:
    one = RetainedUsers((UserType("all", 0.0, 0.0, queries=5.0, break_off=0.5),))
    expected = 1 / (1 - 0.8 * np.exp(-0.5 * 2.0)) / 5.0
    assert after(one, 3, 2.0) == pytest.approx([expected] * 3, rel=1e-12)
    assert after(one, 1, 0.0) == [1.0]


def test_who_is_sensitive_leaves_first() -> None:
    """Two types of equal traffic: the mean of two declines, slower than the decline at the mean sensitivity."""
    types = (UserType("calm", 0.0, 0.0, share=0.5), UserType("touchy", 0.2, 0.0, share=0.5))
    traffic = after(RetainedUsers(types), 10, 1.0)
    assert traffic == pytest.approx(0.5 + 0.5 * np.exp(-0.2 * np.arange(1, 11)))
    assert traffic[-1] > np.exp(-0.1 * 10)


def test_heavy_users_count_by_what_they_ask() -> None:
    types = (UserType("rare", 0.0, 0.0, share=0.9), UserType("heavy", 0.1, 0.0, share=0.1, sessions=9.0))
    assert after(RetainedUsers(types), 1, 1.0) == pytest.approx([0.5 + 0.5 * np.exp(-0.9)])


@settings(max_examples=30, deadline=None)
@given(numbers=st.lists(st.tuples(*[QUARTERS] * 5), min_size=1, max_size=3), days=st.lists(QUARTERS, max_size=6))
def test_every_user_came_stays_or_left(numbers: list[tuple[float, ...]], days: list[float]) -> None:
    types = tuple(
        UserType(f"t{k}", a, b, share=1 / len(numbers), break_off=c, churn=d, newcomers=e, queries=1 + e)
        for k, (a, b, c, d, e) in enumerate(numbers)
    )
    users = RetainedUsers(types)
    state = users.begin(["reply_kl"])
    for loss in days:
        state = users.learn(state, day(loss - 0.5, min(loss, 1.0)))
        assert (state["users"] >= 0).all()
        assert (state["left"] >= 0).all()
    share = np.array([one.share for one in types])
    assert state["users"] + state["left"].sum(0) == pytest.approx(share + state["came"], abs=1e-12)


def test_a_day_without_queries_costs_nobody() -> None:
    one = RetainedUsers((UserType("all", 5.0, 5.0),))
    state = one.learn(one.begin(["reply_kl"]), DayNews(0, "rule", 0.0, 0.0, {"reply_kl": 0.0}, 0.0, 1.0, 1.0))
    assert one.traffic(state, 1) == 1.0


def test_users_in_a_market_decline_by_its_loss() -> None:
    """Valuations stay, so every day has the same loss per query; nobody has a budget."""
    market = market_on(QuadraticSubstrate(2), VCG(QuadraticSubstrate(2), user_weight=0.1))
    loss = market.losses[0]
    users = RetainedUsers((UserType("all", 0.5, 0.1),), loss=loss)
    days = list(islice(Simulation(market, Actors({"fixed": FixedMultiplier()}, users)).days(), 4))
    first = days[0].news
    hazard = (0.5 * first.losses[loss] + 0.1 * first.sold) / first.arrivals
    assert hazard > 0.01
    assert [one.news.traffic for one in days] == pytest.approx(np.exp(-hazard * np.arange(4)), rel=1e-9)
    assert days[1].news.revenue == pytest.approx(first.revenue * np.exp(-hazard), rel=1e-9)
    assert [one.news.returning for one in days[:-1]] == [one.news.traffic for one in days[1:]]


def test_a_market_without_the_loss_is_refused() -> None:
    users = RetainedUsers((UserType("all", 0.5, 0.1),), loss="reply_kl")
    with pytest.raises(ValueError, match=r"users feel the loss 'reply_kl'; all placements of the market read "):
        Simulation(item_market(), Actors({"fixed": FixedMultiplier()}, users)).begin()


def test_what_is_no_population_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shares of all types of users must sum to 1, got 0\.5"):
        RetainedUsers((UserType("all", 0.5, 0.1, share=0.5),))
    with pytest.raises(ValueError, match="there must be a type of users"):
        RetainedUsers(())
    with pytest.raises(ValueError, match="each once, got 'all'"):
        RetainedUsers((UserType("all", 0.5, 0.1, share=0.5), UserType("all", 0.5, 0.1, share=0.5)))
    with pytest.raises(ValueError, match="queries of 'all' must be a number in"):
        UserType("all", 0.5, 0.1, queries=0.5)
    with pytest.raises(ValueError, match="small letters"):
        UserType("All users", 0.5, 0.1)


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_one_parameter_is_varied_and_no_other(parameter: str) -> None:
    kind = UserType("all", 0.1, 0.2, queries=3.0, break_off=0.3, churn=0.4, newcomers=0.5)
    (other,) = RetainedUsers((kind,)).varied(parameter, 2.0).types
    assert {name for name in PARAMETERS if getattr(other, name) != getattr(kind, name)} == {parameter}
    assert getattr(other, parameter) == (5.0 if parameter == "queries" else 2 * getattr(kind, parameter))
    with pytest.raises(ValueError, match="users can be varied by sessions"):
        RetainedUsers((kind,)).varied("share", 2.0)


def test_clicks_fall_with_the_share_of_ads_and_the_place() -> None:
    model = ClickModel(rate=0.2, blindness=2.0)
    assert model.probability(np.array([0.0, 0.5, 1.0])) == pytest.approx(0.2 * np.exp([0.0, -1.0, -2.0]))
    assert model.clicks(np.array([10.0, 4.0]), 0.5, np.array([1.0, 0.5])) == pytest.approx(
        np.array([2.0, 0.4]) * np.exp(-1.0)
    )
    with pytest.raises(ValueError, match=r"ad_share must lie in \[0, 1\]"):
        model.probability(1.5)
    with pytest.raises(ValueError, match="click rate"):
        ClickModel(rate=1.5)
