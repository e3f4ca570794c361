"""Estimates in place of measured cells: shrinkage by a slow loop, lower ends, halves of a sample."""

import math

import pytest
import torch
from measured_fakes import fake_list, fake_subsets, fake_surface
from torch import Tensor

from auctionsim.levers import at_null
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.substrates.estimates import MEASURED, Estimation, estimated, halves, joint_deviations
from auctionsim.substrates.measurements import Measurement

VIEWS = (fake_surface(2).sell("hits"), fake_list(3).sell("slot_probability"), fake_subsets(3).sell("hits"))
SoldCells = tuple[Tensor, Tensor, Tensor]


def entries(view: ResponseSurface | MeasuredList) -> SoldCells:
    """Return means and errors (context, entry, bidder) of the sold feature, and allocations (entry, bidder, lever)."""
    cells, one = view._cells, view.replicates[view.scored_replicate].features
    place, axes = view.measured_features.index(view.features[0]), len(cells.shape)
    mean, error = (part[..., place].flatten(1, axes)[:, cells.distinct] for part in (one.mean, one.standard_error))
    return mean, error, at_null(cells.allocations[cells.distinct], cells.levers)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: type(view).__name__)
@pytest.mark.parametrize("centre", ["contexts", "levers"])
@pytest.mark.parametrize("strength", [0.5, 3.0])
def test_shrunk_cells_are_those_of_a_slow_loop(
    view: ResponseSurface | MeasuredList, centre: str, strength: float
) -> None:
    y, s, allocations = entries(view)
    shrunk, _, _ = entries(estimated(view, Estimation("shrunk", strength, centre)))  # type: ignore[arg-type]
    contexts, count, bidders = y.shape
    for i in range(bidders):
        middle, freedom = torch.zeros(contexts, count).double(), torch.zeros(contexts, count).double()
        for c in range(contexts):
            for k in range(count):
                over = y[:, k, i].mean()
                middle[c, k], freedom[c, k] = over, 1 - 1 / contexts
                if centre == "levers":
                    alike = [j for j in range(count) if torch.equal(allocations[j, i], allocations[k, i])]
                    middle[c, k] = over + sum(y[c, j, i] - y[:, j, i].mean() for j in alike) / len(alike)
                    freedom[c, k] = (1 - 1 / contexts) * (1 - 1 / len(alike))
        spread = float(((y[..., i] - middle) ** 2).mean() - (freedom * s[..., i] ** 2).mean()) / float(freedom.mean())
        share = strength * s[..., i] ** 2 / (strength * s[..., i] ** 2 + max(spread, 0.0))
        wanted = (y[..., i] - share * (y[..., i] - middle)).clamp(0, 1 if "probability" in view.features[0] else 1e9)
        torch.testing.assert_close(shrunk[..., i], wanted, atol=1e-12, rtol=0)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: type(view).__name__)
def test_only_the_reported_replicate_changes_and_only_what_is_sold(view: ResponseSurface | MeasuredList) -> None:
    for how in (Estimation("shrunk", 1.0), Estimation("lower", 0.5)):
        made = estimated(view, how)
        assert made != view
        assert made.digest != view.digest
        assert estimated(view, how) == made
        for before, after in zip(view.replicates["B"].features, made.replicates["B"].features, strict=True):
            assert torch.equal(before, after)
        other = next(k for k, name in enumerate(view.measured_features) if name not in view.features)
        pair = [one.replicates["A"].features for one in (view, made)]
        assert torch.equal(pair[0].mean[..., other], pair[1].mean[..., other])
        assert torch.equal(pair[0].standard_error, pair[1].standard_error)
        assert bool((made.user_loss(made.null_allocation(1)) == 0).all())
    assert estimated(view, MEASURED) is view
    assert estimated(view, Estimation("lower", 0.0)) is view


def test_lower_ends_are_lower_by_so_many_errors_and_the_loss_is_higher() -> None:
    view = fake_surface(2).sell("hits").replicate("B")
    x = view.finite_range().allocations
    context = torch.zeros(len(x), dtype=torch.int64)
    errors, made = view.standard_error(x, context), estimated(view, Estimation("lower", 0.5))
    assert made.scored_replicate == "B"
    exposure, loss = view.exposure(x, context), view.user_loss(x, context)
    torch.testing.assert_close(made.exposure(x, context), (exposure - 0.5 * errors.exposure).clamp_min(0))
    torch.testing.assert_close(made.user_loss(x, context)[1:], (loss + 0.5 * errors.user_loss)[1:])


def test_joint_ends_hold_together_as_often_as_they_say() -> None:
    view = fake_list(3).sell("hits")
    count = view._cells.distinct.numel() * 3 * (3 + 1)
    deviations = joint_deviations(view, 0.9)
    tail = 0.5 * math.erfc(deviations / 2**0.5)
    assert tail * count == pytest.approx(0.1, rel=0.02)  # Bonferroni over exposures and losses
    drawn = torch.randn(4000, count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert 0.88 <= float((drawn <= deviations).all(1).double().mean()) <= 0.93
    assert joint_deviations(view, 0.99) > deviations


def test_halves_have_the_mean_between_them_and_are_independent() -> None:
    view = fake_surface(2, seed=3).sell("hits")
    y, s, _ = entries(view)
    inside = y > 8 * s  # not cut at 0
    generator = torch.Generator().manual_seed(0)
    drawn = [[entries(half)[0] for half in halves(view, generator)] for _ in range(100)]
    one, other = (torch.stack([pair[k] for pair in drawn]) for k in (0, 1))
    torch.testing.assert_close(((one + other) / 2)[:, inside], y[inside].expand(100, -1), atol=1e-12, rtol=0)
    deviation = ((one - y) / s)[:, inside]
    assert float(deviation.mean().abs()) < 0.03
    assert float(deviation.std()) == pytest.approx(1.0, abs=0.03)  # of the sample; with its own error √2 s of the truth
    halved = halves(view, generator)[0].replicates["A"].features.standard_error
    place = view.measured_features.index("hits")
    torch.testing.assert_close(halved[..., place], 2**0.5 * view.replicates["A"].features.standard_error[..., place])


def test_pooling_brings_cells_that_are_alike_nearer_to_the_truth_and_leaves_unlike_ones() -> None:
    view = fake_list(3).sell("hits")
    one = view.replicates["A"]
    generator = torch.Generator().manual_seed(1)
    for unlike, most, least in ((0.0, 0.6, 0.0), (10.0, 1.02, 0.9)):
        groups = view._cells.canonical
        truth = 20 + torch.randn(1, 14, 3, 1, generator=generator, dtype=torch.float64)[:, groups]
        truth = truth + unlike * torch.randn(3, 14, 3, 1, generator=generator, dtype=torch.float64)[:, groups].abs()
        noise = torch.randn(3, 14, 3, 1, generator=generator, dtype=torch.float64)[:, groups]
        mean = torch.cat([one.features.mean[..., :1], truth + noise], 3)
        features = Measurement(mean, torch.ones_like(mean), one.features.n)
        made = MeasuredList(
            levers=view.levers,
            allocations=view.allocations,
            features=view.measured_features,
            contexts=view.contexts,
            replicates={**view.replicates, "A": one._replace(features=features)},
            provenance={},
        ).sell("hits")
        shrunk = entries(estimated(made, Estimation("shrunk", 1.0)))[0]
        wanted = truth[..., 0][:, view._cells.distinct]
        ratio = float((shrunk - wanted).square().mean() / (entries(made)[0] - wanted).square().mean())
        assert least <= ratio <= most


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (Estimation("shrunk", -1.0), "strength"),
        (Estimation("lower", float("nan")), "strength"),
        (Estimation("better", 1.0), "kind of an estimate must be one of .*got 'better'"),  # type: ignore[arg-type]
        (Estimation("shrunk", 1.0, "all"), "centre of an estimate must be one of .*got 'all'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_estimate_is_refused(how: Estimation, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        estimated(VIEWS[0], how)
