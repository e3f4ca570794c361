"""Corner regret: how the confidence is split between two corners, and to which cell an edge belongs."""

import pytest
import torch

from auctionsim.mechanisms import FirstPrice, SecondPrice
from auctionsim.priors import Empirical, Uniform
from auctionsim.regret import InterimSettings, corner_regret, ex_interim_regret
from auctionsim.substrates import Items


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_each_corner_misses_half_as_often(confidence: float) -> None:
    """The numbers of the interim evaluator at the four corners, at 1 − δ/2, the worse of each pair."""
    edges, bids = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.125, 0.25], [0.375, 0.5]])
    found = corner_regret(
        FirstPrice(), Items(2), Uniform(0, 1), edges, bids, draws=512, confidence=confidence, generator=seeded(3)
    )

    def strategy(column: int):
        return lambda v: bids[(v >= 0.5).long().squeeze(1), column].unsqueeze(1)

    corners = torch.tensor([0.0, 0.5, 0.5, 1.0]).view(4, 1, 1).repeat(1, 2, 1)
    direct = ex_interim_regret(
        FirstPrice(),
        Items(2),
        Uniform(0, 1),
        valuations=corners,
        settings=InterimSettings(reports=bids.repeat(2, 1).unsqueeze(2)),
        strategies=[strategy(0), strategy(1)],
        draws=512,
        confidence=(1 + confidence) / 2,
        generator=seeded(3),
    )
    torch.testing.assert_close(found.pointwise, direct.pointwise.view(2, 2, 2, 2).amax(1))
    torch.testing.assert_close(found.lower, direct.lower.view(2, 2, 2).amax(0))
    torch.testing.assert_close(found.upper, direct.upper.view(2, 2, 2).amax(0))
    assert found.interval.low == pytest.approx(float(found.pointwise[0].mean()))
    assert found.interval.high == pytest.approx(float(found.pointwise[1].mean()))
    assert found.lower.std() > 0


def test_an_edge_belongs_to_the_cell_above_it() -> None:
    """Every rival draw lies on an edge: it bids .75 there, and 0 if the edge fell to the cell below."""
    edges, bids = torch.tensor([0.0, 0.5, 1.0]), torch.tensor([[0.0, 0.0], [0.75, 0.75]])
    rival = Empirical([0.5, 0.5])
    found = corner_regret(SecondPrice(), Items(2), rival, edges, bids, draws=64, generator=seeded(0))
    # at 1 the own .75 ties with the rival's and pays .75 or nothing; against a rival at 0 bidding 0 would win for 0
    direct = ex_interim_regret(
        SecondPrice(),
        Items(2),
        rival,
        valuations=torch.tensor([0.0, 0.5, 0.5, 1.0]).view(4, 1, 1).repeat(1, 2, 1),
        settings=InterimSettings(reports=bids.repeat(2, 1).unsqueeze(2)),
        strategies=lambda v: torch.full_like(v, 0.75),
        draws=64,
        confidence=0.975,
        generator=seeded(0),
    )
    torch.testing.assert_close(found.lower, direct.lower.view(2, 2, 2).amax(0))
    assert found.lower[1, 0] == pytest.approx(0.25, abs=1e-6) or found.lower[1, 1] == pytest.approx(0.25, abs=1e-6)


def test_the_last_edge_belongs_to_the_last_cell_and_edges_may_be_the_supports_own() -> None:
    edges, bids = torch.tensor([1.0, 2.0]), torch.tensor([[0.5, 0.5]])
    top = corner_regret(FirstPrice(), Items(2), Empirical([1.0, 2.0]), edges, bids, draws=64, generator=seeded(0))
    assert top.lower.shape == (1, 2)
    # a rival bids .5 at 1 and at 2 alike: just above it the item is had by a bidder worth 2, who ties or loses now
    assert float(top.lower.max()) == pytest.approx(1.5, abs=0.05)
    for wrong in ([1.01, 2.0], [1.0, 1.99]):
        with pytest.raises(ValueError, match="edges must cover"):
            corner_regret(FirstPrice(), Items(2), Empirical([1.0, 2.0]), torch.tensor(wrong), bids)
    for wrong in ([-0.5, 2.0], [1.0], [2.0, 1.0]):
        with pytest.raises(ValueError, match="increasing vector of numbers >= 0"):
            corner_regret(FirstPrice(), Items(2), Empirical([1.0, 2.0]), torch.tensor(wrong), bids)


def test_the_worse_corner_is_told_with_its_misreport() -> None:
    """First price, own and rival bid 0 in the only cell: at value 1 a bid just above 0 wins, at 0 nothing gains."""
    found = corner_regret(
        FirstPrice(),
        Items(2),
        Uniform(0, 1),
        torch.tensor([0.0, 1.0]),
        torch.zeros(1, 2),
        draws=64,
        generator=seeded(0),
    )
    loser = int(found.lower[0].argmax())
    assert float(found.lower[0, loser]) > 0.99
    assert float(found.best_misreports[0, loser, 0]) > 0
    assert found.bids_up_to.shape == (1, 2, 1)
