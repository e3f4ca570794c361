"""A measured grid between, at and beyond its nodes; what its constructor refuses; its views."""

import itertools
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from measured_fakes import (
    AMPLIFICATION,
    CONTEXTS,
    FEATURES,
    NEURONS,
    PROVENANCE,
    fake_replicates,
    fake_surface,
    grid_nodes,
)
from torch import Tensor

from auctionsim.data import packaged_names, surfaces_folder
from auctionsim.mechanisms import VCG
from auctionsim.storage import stored_format
from auctionsim.substrates import (
    LeverGrid,
    MeasuredList,
    Measurement,
    Replicate,
    ResponseSurface,
    is_finite,
    is_separable,
    same_substrate,
)

SURFACE = fake_surface()
GRIDS = (NEURONS, AMPLIFICATION)
NODES = grid_nodes(GRIDS, 2)
LOW, SPAN = torch.tensor([0.0, 1.0]).double(), torch.tensor([256.0, 2.0]).double()

seeds = st.integers(0, 2**31)


def inside(batch: int, generator: torch.Generator, num_bidders: int = 2) -> Tensor:
    return LOW + SPAN * torch.rand(batch, num_bidders, 2, generator=generator, dtype=torch.float64)


def objective(
    surface: ResponseSurface, x: Tensor, weights: Tensor, user_weight: float, context: Tensor | None
) -> Tensor:
    return (weights * surface.exposure(x, context)).sum((1, 2)) - user_weight * surface.user_loss(x, context)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["A", "B"])
def test_nodes_are_reproduced_exactly(name: str, dtype: torch.dtype) -> None:
    view, measured = SURFACE.replicate(name), SURFACE.replicates[name]
    for k in range(len(CONTEXTS)):
        context = torch.full((len(NODES),), k)
        exposure = view.exposure(NODES.to(dtype), context)
        assert torch.equal(exposure, measured.features.mean[k].reshape(-1, 2, 2).to(dtype))
        assert torch.equal(view.user_loss(NODES.to(dtype), context), measured.losses["kl"].mean[k].flatten().to(dtype))
    mean = measured.features.mean.mean(0).reshape(-1, 2, 2)
    torch.testing.assert_close(view.exposure(NODES), mean)
    torch.testing.assert_close(view.user_loss(NODES), measured.losses["kl"].mean.mean(0).flatten())


@given(seed=seeds, axis=st.integers(0, 3))
def test_linear_along_every_axis_between_neighbours(seed: int, axis: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    bidder, lever = divmod(axis, 2)
    values = torch.tensor(GRIDS[lever].values).double()
    x = inside(6, generator)
    node = torch.randint(len(values) - 1, (6,), generator=generator)
    share = torch.rand(6, generator=generator, dtype=torch.float64)
    low, high, between = x.clone(), x.clone(), x.clone()
    low[:, bidder, lever], high[:, bidder, lever] = values[node], values[node + 1]
    between[:, bidder, lever] = (1 - share) * values[node] + share * values[node + 1]
    context = torch.randint(3, (6,), generator=generator)
    loss = (1 - share) * SURFACE.user_loss(low, context) + share * SURFACE.user_loss(high, context)
    torch.testing.assert_close(SURFACE.user_loss(between, context), loss)
    t = share.view(6, 1, 1)
    exposure = (1 - t) * SURFACE.exposure(low, context) + t * SURFACE.exposure(high, context)
    torch.testing.assert_close(SURFACE.exposure(between, context), exposure)


@pytest.mark.parametrize("num_bidders", [1, 2, 3])
def test_interpolation_is_the_weighted_sum_over_the_corners(num_bidders: int, generator: torch.Generator) -> None:
    grids = (NEURONS, LeverGrid("amplification", (0.5, 1.0, 2.0, 3.0), 1.0))  # a null inside the grid
    surface = fake_surface(num_bidders, grids)
    x = inside(5, generator, num_bidders)
    context = torch.randint(3, (5,), generator=generator)
    for row in range(5):
        shares = []
        for level, grid in zip(x[row].flatten().tolist(), grids * num_bidders, strict=True):
            k = max(k for k in range(len(grid.values) - 1) if grid.values[k] <= level)
            t = (level - grid.values[k]) / (grid.values[k + 1] - grid.values[k])
            shares.append([(k, 1 - t), (k + 1, t)])
        loss, exposure = 0.0, torch.zeros(num_bidders, 2).double()
        for corner in itertools.product(*shares):
            place = (int(context[row]), *(k for k, _ in corner))
            weight = torch.tensor([t for _, t in corner]).double().prod()
            loss += weight * surface.replicates["A"].losses["kl"].mean[place]
            exposure += weight * surface.replicates["A"].features.mean[place]
        torch.testing.assert_close(surface.exposure(x, context)[row], exposure)
        torch.testing.assert_close(surface.user_loss(x, context)[row], torch.as_tensor(loss))


def test_gradient_is_that_of_the_interpolation(generator: torch.Generator) -> None:
    x = inside(3, generator).requires_grad_()
    context = torch.tensor([0, 2, 1])
    assert torch.autograd.gradcheck(lambda y: SURFACE.exposure(y, context), x)
    assert torch.autograd.gradcheck(SURFACE.user_loss, x)
    ends = torch.stack([LOW.repeat(2, 1), (LOW + SPAN).repeat(2, 1)]).requires_grad_()
    SURFACE.exposure(ends).sum().backward()
    assert ends.grad is not None
    assert ends.grad[1].abs().min() > 0  # a menu at the box's end can be trained back into it


@given(seed=seeds, user_weight=st.sampled_from([0.0, 0.25, 2.0]), informed=st.booleans())
def test_no_interior_point_beats_the_maximum(seed: int, user_weight: float, informed: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(4, 2, 2, generator=generator, dtype=torch.float64)
    context = torch.randint(3, (4,), generator=generator) if informed else None
    best = objective(SURFACE, SURFACE.maximise(weights, user_weight, context), weights, user_weight, context)
    nodes = finite_values(weights, user_weight, context)
    torch.testing.assert_close(best, nodes.max(1).values, rtol=0, atol=1e-12)
    for _ in range(8):
        other = objective(SURFACE, inside(4, generator), weights, user_weight, context)
        assert (other <= best + 1e-12).all()


def finite_values(weights: Tensor, user_weight: float, context: Tensor | None) -> Tensor:
    given_range = SURFACE.finite_range(context)
    return (weights.unsqueeze(1) * given_range.exposures).sum((2, 3)) - user_weight * given_range.user_losses


def test_ties_go_to_the_first_and_the_null_first() -> None:
    nulls = SURFACE.null_allocation(3)
    assert torch.equal(SURFACE.maximise(torch.zeros(3, 2, 2), 0.0), nulls)
    flat = ResponseSurface(**arguments(torch.zeros_like))  # everything ties
    assert torch.equal(flat.maximise(torch.full((3, 2, 2), 0.5), 0.25), nulls)
    louder = arguments()
    for replicate in louder["replicates"].values():
        replicate.features.mean[:, 2, 1:, :, :, :, 1] = 2.0  # all that give bidder 0 its 256 neurons, and more hits
        replicate.features.mean[..., 1] = replicate.features.mean[..., 1].where(replicate.features.mean[..., 1] == 2, 0)
    hits = ResponseSurface(**louder).sell("hits")
    first = torch.tensor([[[256.0, 1.5], [0.0, 1.0]]])
    assert torch.equal(hits.maximise(torch.ones(1, 2, 1), 0.0), first)


@given(seed=seeds)
def test_rows_do_not_touch_each_other(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, context = inside(7, generator), torch.randint(3, (7,), generator=generator)
    weights = torch.randint(-8, 9, (7, 2, 2), generator=generator) / 4
    for k in range(7):
        row, one = slice(k, k + 1), context[k : k + 1]
        assert torch.equal(SURFACE.exposure(x, context)[row], SURFACE.exposure(x[row], one))
        assert torch.equal(SURFACE.user_loss(x, context)[row], SURFACE.user_loss(x[row], one))
        assert torch.equal(SURFACE.maximise(weights, 0.5, context)[row], SURFACE.maximise(weights[row], 0.5, one))


def test_blocks_join_seamlessly(generator: torch.Generator) -> None:
    x, context = inside(20_001, generator), torch.randint(3, (20_001,), generator=generator)
    weights = torch.randn(20_001, 2, 2, generator=generator, dtype=torch.float64)
    late = slice(-9_000, None)
    assert torch.equal(SURFACE.exposure(x, context)[late], SURFACE.exposure(x[late], context[late]))
    assert torch.equal(SURFACE.user_loss(x)[late], SURFACE.user_loss(x[late]))
    for groups, last in ((context, context[late]), (None, None)):
        best = SURFACE.maximise(weights, 0.5, groups)
        assert torch.equal(best[late], SURFACE.maximise(weights[late], 0.5, last))
    chosen = SURFACE.maximise(weights, 0.5, context)
    torch.testing.assert_close(
        objective(SURFACE, chosen, weights, 0.5, context), finite_values(weights, 0.5, context).max(1).values
    )


def test_finite_range_lists_each_intervention_once() -> None:
    listed = SURFACE.finite_range()
    assert listed.allocations.shape == (25, 2, 2)  # (1 + 2 · 2)² of the 3⁴ nodes
    assert torch.equal(listed.allocations[:1], SURFACE.null_allocation(1, dtype=torch.float64))
    untouched = listed.allocations == torch.tensor([0.0, 1.0])
    assert (untouched.all(2) == untouched.any(2)).all()
    assert len(listed.allocations.flatten(1).unique(dim=0)) == 25
    context = torch.tensor([2, 0], dtype=torch.int32)
    per_row = SURFACE.finite_range(context)
    assert torch.equal(
        SURFACE.maximise(torch.ones(2, 2, 2), 0.5, context), SURFACE.maximise(torch.ones(2, 2, 2), 0.5, context.long())
    )
    for k, entry in enumerate(listed.allocations):
        x = entry.expand(2, 2, 2)
        assert torch.equal(SURFACE.exposure(x[:1]), listed.exposures[:, k])
        assert torch.equal(SURFACE.user_loss(x[:1]), listed.user_losses[:, k])
        assert torch.equal(SURFACE.exposure(x, context), per_row.exposures[:, k])
        assert torch.equal(SURFACE.user_loss(x, context), per_row.user_losses[:, k])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("batch", [0, 3])
def test_dtype_follows_the_input_and_the_batch_may_be_empty(batch: int, dtype: torch.dtype) -> None:
    x = SURFACE.null_allocation(batch, dtype=dtype)
    best = SURFACE.maximise(torch.ones(batch, 2, 2, dtype=dtype), 0.1)
    noise = SURFACE.standard_error(x)
    for result in (x, best, SURFACE.exposure(x), SURFACE.user_loss(x), noise.exposure, noise.user_loss):
        assert result.dtype == dtype
        assert len(result) == batch
    assert SURFACE.exposure(x).shape == noise.exposure.shape == (batch, 2, 2)
    assert SURFACE.feasible(best).all()


def test_what_lies_outside_the_grid_is_refused() -> None:
    x = SURFACE.null_allocation(2)
    x[1, 1] = torch.tensor([300.0, 2.0])
    assert SURFACE.feasible(x).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"num_neurons must lie in the measured \[0, 256\], got 300 for bidder 1"):
        SURFACE.exposure(x)
    x[1, 1] = torch.tensor([torch.nan, 2.0])
    assert SURFACE.feasible(x).tolist() == [True, False]
    with pytest.raises(ValueError, match=r"allocation must be finite, got nan at \(1, 1, 0\)"):
        SURFACE.user_loss(x)
    x[1, 1] = torch.nextafter(torch.tensor([256.0, 3.0]), torch.tensor(1e9))  # a menu's own rounding
    end = torch.tensor([[[0.0, 1.0], [256.0, 3.0]]])
    assert torch.equal(SURFACE.exposure(x)[1:], SURFACE.exposure(end))
    with pytest.raises(ValueError, match="made for another substrate"):
        SURFACE.exposure(torch.zeros(2, 3, 2))


@pytest.mark.parametrize("weights", [torch.full((1, 2, 2), torch.nan), torch.full((1, 2, 2), -torch.inf)])
def test_infinite_weights_are_refused(weights: Tensor) -> None:
    with pytest.raises(ValueError, match="weights must be finite"):
        SURFACE.maximise(weights, 0.0)
    with pytest.raises(ValueError, match="of shape"):
        SURFACE.maximise(torch.ones(1, 2, 3), 0.0)
    with pytest.raises(ValueError, match="context must index"):
        SURFACE.maximise(torch.ones(1, 2, 2), 0.0, torch.tensor([3]))


# Noise


def test_standard_errors_add_up_over_independent_interventions() -> None:
    se = SURFACE.replicates["A"].features.standard_error
    loss = SURFACE.replicates["A"].losses["kl"].standard_error
    context = torch.full((len(NODES),), 1)
    noise = SURFACE.standard_error(NODES, context)
    torch.testing.assert_close(noise.exposure, se[1].reshape(-1, 2, 2))
    torch.testing.assert_close(noise.user_loss, loss[1].flatten())
    averaged = SURFACE.standard_error(NODES).user_loss
    torch.testing.assert_close(averaged, loss.square().sum(0).sqrt().flatten() / 3)
    halfway = torch.tensor([[[64.0, 2.25], [0.0, 1.0]]]).double()  # between amplification 1.5 and 3
    expected = (se[1, 1, 1, 0, 0].square() / 4 + se[1, 1, 2, 0, 0].square() / 4).sqrt()
    torch.testing.assert_close(SURFACE.standard_error(halfway, context[:1]).exposure[0], expected)
    one_measurement = torch.tensor([[[0.0, 1.2], [32.0, 1.0]]]).double()  # four nodes, one intervention: the null
    torch.testing.assert_close(SURFACE.standard_error(one_measurement, context[:1]).exposure[0], se[1, 0, 0, 0, 0])


# Views


def test_views_share_the_numbers_and_know_who_they_are() -> None:
    sold = SURFACE.sell("hits")
    x = inside(4, torch.Generator().manual_seed(1))
    assert sold.features == ("hits",)
    assert sold.measured_features == FEATURES
    assert torch.equal(sold.exposure(x), SURFACE.exposure(x)[..., 1:])
    assert torch.equal(SURFACE.sell("hits", "slot_probability").exposure(x), SURFACE.exposure(x).flip(2))
    scored = sold.replicate("B")
    assert (scored.scored_replicate, sold.scored_replicate) == ("B", "A")
    assert not torch.equal(scored.exposure(x), sold.exposure(x))
    assert scored.replicate("A") == sold
    assert sold.sell(*FEATURES) == SURFACE
    again = fake_surface().sell("hits")
    assert same_substrate(sold, again)
    assert hash(sold) == hash(again)
    assert pickle.loads(pickle.dumps(scored)) == scored
    assert len({SURFACE, sold, scored, fake_surface(seed=1)}) == 4
    assert fake_surface(seed=1) != SURFACE
    assert SURFACE != "a surface"


def test_unknown_views_are_refused() -> None:
    for features in ((), ("intent",), ("hits", "hits")):
        with pytest.raises(ValueError, match="features to sell must be some of"):
            SURFACE.sell(*features)
    with pytest.raises(ValueError, match="replicate must be one of"):
        SURFACE.replicate("C")


def test_it_is_a_substrate_on_which_vcg_is_honest_by_proof() -> None:
    assert is_finite(SURFACE)
    assert not is_separable(SURFACE)
    assert is_separable(fake_surface(1))
    vcg = VCG(SURFACE, 0.3)
    assert vcg.dsic_proof(fake_surface())
    assert vcg.dsic_proof(SURFACE.replicate("B")) is None  # designed on A, scored on B
    bids = torch.randint(0, 9, (32, 2, 2), generator=torch.Generator().manual_seed(2)).double() / 4
    allocation, payments = vcg(bids)
    utility = (bids * SURFACE.exposure(allocation)).sum(2) - payments
    assert (utility >= -1e-12).all()


# Construction


def arguments(change: Any = None, **others: Any) -> dict[str, Any]:
    """Return the constructor's arguments, the means changed by `change`."""
    replicates = fake_replicates(NODES, (3, 3, 3, 3))
    if change is not None:
        replicates = {
            name: Replicate(
                item.features._replace(mean=change(item.features.mean)),
                {name: loss._replace(mean=change(loss.mean)) for name, loss in item.losses.items()},
            )
            for name, item in replicates.items()
        }
    given = {
        "grids": GRIDS,
        "num_bidders": 2,
        "features": FEATURES,
        "contexts": CONTEXTS,
        "replicates": replicates,
        "provenance": PROVENANCE,
    }
    return given | others


def changed(part: str, place: tuple[int, ...], value: float, quantity: str = "features") -> dict[str, Any]:
    """Return the constructor's arguments with one number of replicate B changed."""
    given = arguments()
    replicate = given["replicates"]["B"]
    item = {**replicate.diagnostics, **replicate.losses, "features": replicate.features}[quantity]
    getattr(item, part)[place] = value
    return given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            changed("mean", (1, 1, 2, 2, 1, 0, 1), torch.nan),
            r"replicate B, features: the mean is missing or infinite: nan at context 'comparison', allocation "
            r"\(num_neurons 64, amplification 3; num_neurons 256, amplification 1.5\), bidder 0, hits$",
        ),
        (
            changed("mean", (1, 1, 2, 2, 1, 0, 1), -0.5),
            r"must lie in \[0, 1\] or \[0, inf\]: -0.5 at .*'comparison'",
        ),
        (
            changed("mean", (1, 1, 2, 2, 1, 0, 0), 1.5),
            r"must lie in \[0, 1\] .*: 1.5 at .*, bidder 0, slot_probability",
        ),
        (changed("mean", (1, 1, 2, 2, 1), -0.5, "kl"), r"kl: must lie in \[0, inf\]"),
        (changed("mean", (1, 1, 2, 2, 1), torch.inf, "kl"), "kl: the mean is missing or infinite: inf"),
        (changed("mean", (1, 1, 2, 2, 1), 1e300, "kl"), r"kl: a mean must be what float32 holds: 1e\+300"),
        (changed("mean", (1, 1, 2, 2, 1), torch.nan, "repetition_rate"), "repetition_rate: the mean is missing"),
        (
            changed("mean", (1, 1, 2, 2, 1, 1), 2.0, "say_probability"),
            "say_probability: must .*2.0 at .*, bidder 1",
        ),
        (changed("standard_error", (1, 1, 2, 2, 1, 0, 1), -1.0), "standard errors must be finite and >= 0"),
        (changed("n", (1, 1, 2, 2, 1, 0, 1), 0), "n must be >= 1"),
        (changed("mean", (0, 0, 2, 2, 2, 0, 0), 0.5), r"mean differs from the same intervention's"),
        (changed("n", (0, 0, 2, 2, 2, 0, 0), 99), r"n differs from the same .*: 99 at .*\(num_neurons 0, amplificat"),
        (
            changed("mean", (0, 2, 0, 2, 2), 7.0, "kl"),
            r"kl: mean differs .*num_neurons 256, amplification 1;",
        ),
        (arguments(num_bidders=1), r"replicate A, features: mean must be a tensor of shape \(3, 3, 3, 1, 2\)"),
        (arguments(num_bidders=0), "num_bidders must be"),
        (arguments(contexts=("direct",)), r"must be a tensor of shape \(1, 3"),
        (arguments(contexts=()), "contexts must be one or more different names"),
        (arguments(features=("hits", "hits")), "features must be one or more different names"),
        (arguments(grids=()), "at least one lever"),
        (arguments(grids=(NEURONS, NEURONS)), "levers must be"),
        (
            arguments(grids=(NEURONS, AMPLIFICATION._replace(name="by how much"))),
            "a lever's name must be .*'by how much'",
        ),
        (arguments(grids=(NEURONS, AMPLIFICATION._replace(values=(1.0, 1.0, 3.0)))), "ascending values"),
        (arguments(grids=(NEURONS, AMPLIFICATION._replace(values=(1.0,)))), "two or more ascending"),
        (arguments(grids=(NEURONS, AMPLIFICATION._replace(values=(1.5, 2.0, 3.0)))), "must contain its null 1.0"),
        (arguments(replicates={"A": fake_replicates(NODES, (3,) * 4)["A"]}), "replicates must be A and B"),
        (arguments(provenance={"model": torch.zeros(2)}), "provenance must be JSON-serialisable"),
        (arguments(provenance={"seed": float("nan")}), "provenance must be JSON-serialisable"),
    ],
)
def test_a_broken_measurement_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ResponseSurface(**given)


def test_more_broken_measurements() -> None:
    replicates = fake_replicates(NODES, (3,) * 4)
    bare = replicates["B"]._replace(diagnostics={})
    with pytest.raises(ValueError, match="must have the same diagnostics"):
        ResponseSurface(**arguments(replicates=replicates | {"B": bare}))
    clash = replicates["A"]._replace(diagnostics={"hits": replicates["A"].losses["kl"]})
    with pytest.raises(ValueError, match=r"must have different names, .* got 'hits' twice"):
        ResponseSurface(**arguments(replicates={"A": clash, "B": clash}))
    loss = replicates["A"].losses["kl"]
    for wrong in (loss._replace(n=loss.n.double()), Measurement(loss.n, loss.standard_error, loss.n)):
        with pytest.raises(TypeError, match=r"replicate A, kl: (n must be integers|mean must be floating point)"):
            ResponseSurface(**arguments(replicates=replicates | {"A": replicates["A"]._replace(losses={"kl": wrong})}))


def test_the_caller_cannot_change_it_afterwards() -> None:
    given = arguments(provenance=dict(PROVENANCE))
    surface = ResponseSurface(**given)
    given["replicates"]["A"].features.mean.zero_()
    given["provenance"]["seed"] = 1
    surface.provenance["seed"] = 2
    assert surface == SURFACE
    assert torch.equal(surface.exposure(NODES), SURFACE.exposure(NODES))


# Who measured what


def test_a_surface_of_another_model_is_refused() -> None:
    SURFACE.require_model("fake:0123456789abcdef")
    SURFACE.require_model("a/folder:0123456789abcdef")  # the same weights, found elsewhere
    with pytest.raises(ValueError, match="measured on the model fake:0123456789abcdef, not on fake:fedcba"):
        SURFACE.require_model("fake:fedcba")
    with pytest.raises(ValueError, match="does not say on which model"):
        ResponseSurface(**arguments(provenance={})).require_model("fake:0123456789abcdef")


def test_table_has_every_number_once() -> None:
    rows = SURFACE.table()
    assert len(rows) == 2 * 3 * 25 * (
        2 * 2 + 1 + 1 + 2
    )  # features per bidder, loss, one diagnostic plain, one per bidder
    keys = [row[:-4] for row in rows]
    assert len(set(keys)) == len(rows)
    wanted = [
        row
        for row in rows
        if row[:2] == ("B", "loose")
        and (row.num_neurons_0, row.amplification_0, row.num_neurons_1, row.amplification_1) == (64.0, 3.0, 0.0, 1.0)
        and (row.quantity, row.bidder) == ("hits", 1)
    ]
    features = SURFACE.replicates["B"].features
    assert len(wanted) == 1
    assert wanted[0][-4:-1] == tuple(part[2, 1, 2, 0, 0, 1, 1].item() for part in features)
    assert {(row.quantity, row.unit) for row in rows} >= {("kl", "nats a token"), ("hits", "hits a reply")}
    assert {row.bidder for row in rows if row.quantity in ("kl", "repetition_rate")} == {None}


def test_packaged_surfaces_load_and_unknown_ones_are_named() -> None:
    with pytest.raises(ValueError, match=r"no measurement called '\.\./nothing' ships with auctionsim; there are: "):
        ResponseSurface.packaged("../nothing")
    for name in packaged_names():
        path = surfaces_folder() / f"{name}.safetensors"
        kind = MeasuredList if stored_format(path) == MeasuredList.file_format else ResponseSurface
        assert kind.packaged(name).num_bidders >= 2
