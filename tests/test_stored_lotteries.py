"""A lottery of stored replies: stored hits and values, weights for another law, and the effective sample size."""

from collections.abc import Sequence

import pytest
import torch

from auctionsim.brands import parse_brands
from auctionsim.errors import UnsupportedError
from auctionsim.measurement.kept_replies import KeptReplies, KeptReply
from auctionsim.measurement.reply_values import ReadingValues
from auctionsim.measurement.stored_lotteries import setting_weights, stored_lottery
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.mechanisms import KLTilt
from auctionsim.substrates import Lottery

F64 = torch.float64
TEXTS = ("Nike. Nike is good.", "Adidas or Nike.", "Walk.", "Run.", "Nike!", "Adidas. I like it. Adidas!")
SETTING = (0, 0, 0, 1, 1, 1)
LOSSES = (0.5, 0.25, 0.0, 1.0, 0.75, 0.5)


def stored_texts(texts: Sequence[str] = TEXTS) -> StoredReplies:
    record = {
        "settings": {"temperature": 0.7, "top_p": 1.0, "mode": "multiply", "positions": "reply"},
        "prompts": {"A": [["Which shoes?"]]},
        "interventions": [[[0.0, 1.0], [0.0, 1.0]], [[8.0, 2.0], [0.0, 1.0]], [[8.0, 2.0], [8.0, 2.0]]],
        "brands": [["Nike"], ["Adidas"]],
        "neurons": "0",
    }
    replies = [KeptReply("A", 0, 0, SETTING[k], [0, 0, 0, k], text, [1], 1) for k, text in enumerate(texts)]
    return StoredReplies(KeptReplies(record, replies), "0" * 64, parse_brands("Nike,Adidas"))


def kept(unit: str = "nats a token", per: str = "user") -> dict[str, ReadingValues]:
    return {"kl": ReadingValues(unit, per, "", list(LOSSES))}


STORED, ALL = stored_texts(), range(len(TEXTS))


def test_exposures_are_stored_hits_and_losses_stored_values() -> None:
    lottery = stored_lottery(STORED, ALL, exposure="hits", loss="kl", values=kept())
    assert lottery.exposures.squeeze(2).tolist() == [[2, 0], [1, 1], [0, 0], [0, 0], [1, 0], [0, 2]]
    assert lottery.user_losses.tolist() == list(LOSSES)  # kl is a loss by itself, and stays as it is
    assert (lottery.features, lottery.losses, lottery.texts) == (("hits",), ("kl",), TEXTS)
    assert lottery.units["kl"] == "nats a token"
    part = stored_lottery(STORED, [4, 1], values=kept(), loss="kl")
    assert part.exposures.squeeze(2).tolist() == [[1, 0], [1, 1]]
    assert part.user_losses.tolist() == [0.75, 0.25]


def test_a_loss_by_difference_is_relative_to_the_weighted_mean() -> None:
    weights = torch.tensor([1.0, 1.0, 2.0, 0.0, 0.0, 4.0])
    lottery = stored_lottery(STORED, ALL, loss="longest_repeat", weights=weights)
    assert float(lottery.user_loss(lottery.null_allocation(1, dtype=F64))) == pytest.approx(0, abs=1e-12)
    assert lottery.reference.tolist() == pytest.approx((weights / 8).tolist())


def test_a_tilt_of_weighted_replies_is_the_tilt_of_the_law_that_they_stand_for() -> None:
    """A law over three replies, drawn evenly and weighted to (.7, .2, .1): rewards (0, 1, 1.2), τ = .5."""
    exposures = torch.tensor([[0.0], [1.0], [1.2]], dtype=F64)
    law = torch.tensor([0.7, 0.2, 0.1], dtype=F64)
    lottery = Lottery.of_texts(["a", "b", "c"], exposures, weights=law * 30)
    outcome = KLTilt(lottery, 0.5)(torch.ones(1, 1, 1, dtype=F64))
    assert float(outcome.allocation[0, 1]) == pytest.approx(0.4505, abs=5e-5)
    # the same law as repeated draws with equal weights
    repeats = [0] * 7 + [1] * 2 + [2]
    drawn = Lottery.of_texts(["abc"[k] for k in repeats], exposures[repeats])
    again = KLTilt(drawn, 0.5)(torch.ones(1, 1, 1, dtype=F64))
    assert float(again.allocation[0, 7:9].sum()) == pytest.approx(float(outcome.allocation[0, 1]))
    torch.testing.assert_close(again.payments, outcome.payments)


def test_setting_weights_draw_a_setting_first() -> None:
    weights = setting_weights(STORED, ALL, torch.tensor([0.75, 0.25, 0.0]))
    assert weights.tolist() == pytest.approx([0.25] * 3 + [0.25 / 3] * 3)
    only = stored_lottery(STORED, ALL, weights=setting_weights(STORED, ALL, torch.tensor([1.0, 0.0, 0.0])))
    bids = torch.ones(1, 2, 1, dtype=F64)
    assert float(KLTilt(only, 0.1)(bids).allocation[0, 3:].sum()) == 0  # replies of other settings stay out
    with pytest.raises(ValueError, match="setting 2 has a share"):
        setting_weights(STORED, ALL, torch.tensor([0.5, 0.25, 0.25]))


def test_effective_replies() -> None:
    lottery = stored_lottery(STORED, ALL)
    rows = torch.stack([lottery.reference, torch.eye(6, dtype=F64)[2], torch.tensor([0.5, 0.5, 0, 0, 0, 0], dtype=F64)])
    assert lottery.effective_replies(rows).tolist() == pytest.approx([6, 1, 2])
    tilted = KLTilt(lottery, 0.05)(torch.ones(1, 2, 1, dtype=F64)).allocation
    assert 1 <= float(lottery.effective_replies(tilted)) < 6


def test_stored_lotteries_refuse_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="numbers must be one or more of 0 … 5"):
        stored_lottery(STORED, [6])
    with pytest.raises(ValueError, match="must be a reading per brand"):
        stored_lottery(STORED, ALL, exposure="length")
    with pytest.raises(ValueError, match="must be a reading that is a loss"):
        stored_lottery(STORED, ALL, loss="hits")
    with pytest.raises(UnsupportedError, match="kl needs more than single texts"):
        stored_lottery(STORED, ALL, loss="kl")
    with pytest.raises(ValueError, match="weights must be 6 numbers >= 0, not all 0"):
        stored_lottery(STORED, ALL, weights=torch.zeros(6))
    other = {"kl": ReadingValues("nats a token", "user", "another model", list(LOSSES))}
    with pytest.raises(ValueError, match="rest on 'another model'"):
        stored_lottery(STORED, ALL, loss="kl", values=other)
