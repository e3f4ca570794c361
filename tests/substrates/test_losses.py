"""Losses by name: read beside a measurement, charged singly or together, of either sign, with their units."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from measured_fakes import fake_list, fake_surface
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim import metrics
from auctionsim.data import packaged_names, readings_beside, surfaces_folder
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.regret import ex_post_regret
from auctionsim.storage import Stored, checksum, read_stored, stored_format, write_stored
from auctionsim.substrates import (
    AskedOnce,
    BaseSubstrate,
    ChargedLoss,
    FiniteRange,
    Lever,
    Lottery,
    MeasuredList,
    Measurement,
    Observation,
    Offer,
    QuadraticSubstrate,
    Quantity,
    Replicate,
    ResponseSurface,
    View,
    charged_loss_of,
    is_finite,
    losses_of,
    maximises_exactly,
    observe,
    units_of,
)
from auctionsim.substrates.side_readings import FORMAT
from auctionsim.testing import check_mechanism

READINGS = {
    "better": {"role": "loss", "unit": "votes", "per": "user", "bounds": [None, None]},
    "length": {"role": "loss", "unit": "tokens", "per": "reply", "bounds": [None, None]},
    "unscored": {"role": "diagnostic", "unit": "share of replies", "per": "reply", "bounds": [0.0, 1.0]},
}


def signed(kl: Measurement, share: float) -> Measurement:
    """Return a loss that is below 0 where the sum of levers is small and above it where it is large; 0 at the null."""
    return kl._replace(mean=kl.mean * (kl.mean - share))


def with_losses(surface: ResponseSurface) -> ResponseSurface:
    """Return the surface with `better` and `length` measured too."""
    replicates = {
        name: Replicate(
            one.features,
            {**one.losses, "better": signed(one.losses["kl"], 0.3), "length": signed(one.losses["kl"], 0.9)},
        )
        for name, one in surface.replicates.items()
    }
    return ResponseSurface(
        grids=surface.grids,
        num_bidders=surface.num_bidders,
        features=surface.measured_features,
        contexts=surface.contexts,
        replicates=replicates,
        provenance=surface.provenance,
        quantities={"better": Quantity("votes"), "length": Quantity("tokens")},
    )


SURFACE = with_losses(fake_surface())
SIGNED = SURFACE.sell("hits", loss="better")
PAID_FOR = SURFACE.sell("hits", loss="length-0.5*better+.5*kl")
"""Weights of both signs: the user gains somewhere, and loses somewhere."""


def test_files_of_version_2_hold_losses_by_name(tmp_path: Path) -> None:
    path = tmp_path / "named.safetensors"
    SURFACE.save(path)
    again = ResponseSurface.load(path)
    assert again == SURFACE
    assert again.losses == ("kl", "better", "length")
    assert again.units["better"] == "votes"
    for name, item in SURFACE.replicates["B"].losses.items():
        assert all(torch.equal(*pair) for pair in zip(item, again.replicates["B"].losses[name], strict=True))
    assert read_stored(path, ResponseSurface.file_format, 2).fields.record("quantities").record("length").text("unit")
    with pytest.raises(ValueError, match=r"is of version 2 .* reads versions up to 1"):
        read_stored(path, ResponseSurface.file_format, 1)


@pytest.mark.parametrize("name", packaged_names())
def test_packaged_files_keep_their_bytes_and_so_their_digest(name: str, tmp_path: Path) -> None:
    path = surfaces_folder() / f"{name}.safetensors"
    kind = MeasuredList if stored_format(path) == MeasuredList.file_format else ResponseSurface
    packaged, original = kind.packaged(name), path.read_bytes()
    assert packaged.digest == checksum(original)[:16]
    packaged.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == original
    stored = read_stored(tmp_path / "again.safetensors", kind.file_format, kind.file_version)
    entries = packaged.finite_range(torch.arange(len(packaged.contexts)))
    old, new = "A/user_loss/mean", f"A/losses/{packaged.losses[0]}/mean"  # of version 1, and later
    first = old if old in stored.arrays else new
    assert torch.equal(entries.user_losses, stored.arrays[first])


def test_a_loss_needs_a_unit_bounds_and_zero_at_the_null() -> None:
    replicates = SURFACE.replicates
    parts = {
        "grids": SURFACE.grids,
        "num_bidders": 2,
        "features": SURFACE.features,
        "contexts": SURFACE.contexts,
        "provenance": {},
    }
    with pytest.raises(ValueError, match="the loss 'better' needs a unit"):
        ResponseSurface(replicates=replicates, **parts)
    units = {"better": Quantity("votes", 0.0), "length": Quantity("tokens")}
    with pytest.raises(ValueError, match=r"better: must lie in \[0, inf\]: -0\.0"):
        ResponseSurface(replicates=replicates, quantities=units, **parts)
    lost = replicates["B"].losses["length"]
    moved = {**replicates["B"].losses, "length": lost._replace(mean=lost.mean + 1)}
    broken = {**replicates, "B": replicates["B"]._replace(losses=moved)}
    units = {"better": Quantity("votes"), "length": Quantity("tokens")}
    with pytest.raises(
        ValueError, match=r"B, length: a loss is relative to the untouched reply, so exactly 0 .*: 1.0 at"
    ):
        ResponseSurface(replicates=broken, quantities=units, **parts)
    with pytest.raises(ValueError, match="must have the same losses"):
        ResponseSurface(replicates={**replicates, "B": fake_surface().replicates["B"]}, quantities=units, **parts)


def test_a_view_charges_one_loss_or_several(generator: torch.Generator) -> None:
    weights = {"kl": 0.3, "length": 1.0}
    both = SURFACE.sell("hits", loss=weights)
    x = both.finite_range().allocations[torch.randint(20, (40,), generator=generator)]
    context = torch.randint(3, (40,), generator=generator)
    seen = both.observe(x, context)
    assert list(seen.losses) == ["kl", "better", "length"]
    expected = 0.3 * seen.losses["kl"] + seen.losses["length"]
    torch.testing.assert_close(both.user_loss(x, context), expected)
    torch.testing.assert_close(both.charged(seen.losses), expected)
    assert torch.equal(both.exposure(x, context), seen.exposure)
    for name in SURFACE.losses:
        assert torch.equal(SURFACE.sell("hits", loss=name).user_loss(x, context), seen.losses[name])
    assert both.charged_loss == ChargedLoss("0.3 kl + 1 length", "0.3 (nats a token) + 1 (tokens)")
    assert both.replicate("B").sell("slot_probability").offer == Offer("slot_probability", weights)
    apart = [SURFACE.sell("hits", loss=name).standard_error(x, context).user_loss for name in ("kl", "length")]
    torch.testing.assert_close(both.standard_error(x, context).user_loss, 0.3 * apart[0] + apart[1])
    w = torch.rand(30, 2, 1, generator=generator, dtype=torch.float64)
    entries = both.finite_range()
    scores = torch.einsum("bif,kif->bk", w, entries.exposures[0]) - 0.5 * entries.user_losses
    assert torch.equal(both.maximise(w, 0.5), entries.allocations[scores.argmax(1)])
    for loss in ("beauty", {"kl": 1, "beauty": 2}):
        with pytest.raises(ValueError, match=r"the loss must be one of \('kl', 'better', 'length'\), .* got 'beauty'"):
            SURFACE.sell("hits", loss=loss)


def test_a_view_of_anything_charges_what_there_is(generator: torch.Generator) -> None:
    """The same surface read through `View` and by its own columns: two independent ways to the same auction."""
    for loss in ("better", {"kl": 0.5}, {"kl": 0.3, "length": 1.0}, {"kl": -1}, "better-0.5*length"):
        slow, fast = View(SURFACE, Offer("hits", loss)), SURFACE.sell("hits", loss=loss)
        w = torch.rand(30, 2, 1, generator=generator, dtype=torch.float64)
        context = torch.randint(3, (30,), generator=generator)
        assert maximises_exactly(slow)
        x = fast.maximise(w, 0.5, context)
        assert torch.equal(slow.maximise(w, 0.5, context), x)
        torch.testing.assert_close(slow.user_loss(x, context), fast.user_loss(x, context))
        for ours, theirs in zip(slow.finite_range(context), fast.finite_range(context), strict=True):
            torch.testing.assert_close(ours, theirs)
        assert slow.charged_loss == fast.charged_loss


def honest_rules(place: ResponseSurface) -> list[m.Mechanism]:
    """Return the rules that are honest by proof, at a weight of the user's loss."""
    entries = place.finite_range()
    affine = m.AffineMaximizer(place, entries.allocations, -0.5 * entries.user_losses[0])
    return [m.VCG(place, 0.5), m.VirtualWelfareMaximizer(place, Uniform(0, 1), 0.5), affine]


@pytest.mark.parametrize(
    ("place", "rule"),
    [(place, rule) for place in (SIGNED, PAID_FOR) for rule in honest_rules(place)],
    ids=lambda part: part.offer.loss_name if isinstance(part, ResponseSurface) else type(part).__name__,
)
def test_honest_rules_stay_honest_where_a_loss_is_negative(place: ResponseSurface, rule: m.Mechanism) -> None:
    entries = place.finite_range()
    assert float(entries.user_losses.min()) < -0.01 < 0.01 < float(entries.user_losses.max())
    v = torch.rand(40, 2, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = ex_post_regret(rule, place, v)
    assert found.upper is not None
    assert found.max < 1e-9
    searched = [ex_post_regret(Unproved(rule), place, v[:10], budget=64)]  # believing no claim
    assert max(one.max for one in searched) < 1e-9
    outcome = rule(v)
    assert bool((metrics.utility(outcome, place, v) >= -1e-9).all())
    if isinstance(rule, m.VCG):  # the user gains by it: it is done though nobody pays
        allocation, payments = rule(torch.full((1, 2, 1), 1e-9, dtype=torch.float64))
        assert float(place.user_loss(allocation)) == float(entries.user_losses.min())
        assert float(payments.abs().max()) < 1e-8


class Unproved:
    """The rule as a function, of which nothing is known."""

    def __init__(self, rule: m.Mechanism) -> None:
        self.rule = rule

    def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        return self.rule(bids, context)


@pytest.mark.deep
@pytest.mark.parametrize("rule", honest_rules(SIGNED), ids=lambda rule: type(rule).__name__)
def test_the_kit_finds_no_fault_where_a_loss_is_negative(rule: m.Mechanism) -> None:
    check_mechanism(rule, SIGNED, dsic=True, individually_rational=True)


def test_first_prices_are_searched_with_a_negative_loss() -> None:
    rule = m.PayAsBid(SIGNED, 0.5)
    v = torch.rand(20, 2, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    exact, searched = ex_post_regret(rule, SIGNED, v), ex_post_regret(Unproved(rule), SIGNED, v, budget=256)
    assert exact.method.startswith("exact")
    assert bool((exact.lower >= searched.lower - 1e-9).all())
    assert exact.max > 0.01


def test_a_mechanism_is_loaded_on_its_own_loss_only(tmp_path: Path) -> None:
    path = tmp_path / "menu.safetensors"
    menu = m.Menu(torch.tensor([[[64.0, 1.5]], [[256.0, 3.0]]]).double(), torch.tensor([[0.1], [0.2]]).double())
    m.save_mechanism(m.MenuAuction(SIGNED, menu), path)
    assert m.load_mechanism(path, SIGNED) is not None
    with pytest.raises(ValueError, match=r"was saved for the user loss 'better' \('votes'\), and this .* charges 'kl'"):
        m.load_mechanism(path, SURFACE.sell("hits"))
    with pytest.raises(ValueError, match="was saved for the user loss 'better'"):
        m.load_mechanism(path, SURFACE.sell("hits", loss={"better": 2.0}))
    stored = read_stored(path, "auctionsim/mechanism", 1)
    old = {**stored.record, "substrate": {k: v for k, v in stored.record["substrate"].items() if k != "loss"}}
    write_stored(path, Stored(old, stored.arrays), "auctionsim/mechanism", 1)
    assert m.load_mechanism(path, SURFACE.sell("hits")) is not None  # a file of before losses had names: the first
    with pytest.raises(ValueError, match="was saved for the user loss 'kl'"):
        m.load_mechanism(path, SIGNED)


# Readings beside a measurement


def side(measured: ResponseSurface | MeasuredList, path: Path, **changes: Any) -> Stored:
    """Write readings beside a measurement; return what was written."""
    record = {
        "surface": measured.digest,
        "num_bidders": measured.num_bidders,
        "contexts": list(measured.contexts),
        "readings": READINGS,
    }
    shape = (len(measured.contexts), len(measured.finite_range().allocations))
    generator, arrays = torch.Generator().manual_seed(1), {}
    for replicate in "AB":
        for name, reading in READINGS.items():
            mean = torch.rand(shape, generator=generator, dtype=torch.float64) - (
                0.5 if reading["role"] == "loss" else 0
            )
            mean[:, 0] = 0
            folder = "losses" if reading["role"] == "loss" else "diagnostics"
            start = f"{replicate}/{folder}/{name}"
            arrays |= {
                f"{start}/mean": mean,
                f"{start}/standard_error": mean.abs() / 9,
                f"{start}/n": torch.full(shape, 8),
            }
    stored = Stored(record | changes, arrays)
    write_stored(readings_beside(path), stored, FORMAT, 1)
    return stored


@pytest.mark.parametrize("measured", [fake_surface(), fake_list()], ids=["surface", "list"])
def test_readings_beside_a_measurement_are_offered_too(
    measured: ResponseSurface | MeasuredList, tmp_path: Path
) -> None:
    path = tmp_path / "shoes@1.safetensors"
    measured.save(path)
    written = side(measured, path)
    found = type(measured).load(path)
    assert found == measured  # under kl: name, digest and numbers stay
    assert found.digest == measured.digest
    assert found.losses == ("kl", "better", "length")
    assert found.units["length"] == "tokens"
    sold = found.sell("hits", loss="length").replicate("B")
    entries = sold.finite_range(torch.arange(len(found.contexts)))
    assert torch.equal(entries.user_losses, written.arrays["B/losses/length/mean"])
    assert found.fewest_draws("length") == 2 * 3 * 8  # replicates, contexts
    found.save(tmp_path / "copy.safetensors")
    assert (tmp_path / "copy.safetensors").read_bytes() == path.read_bytes()
    side(measured, path, readings={**READINGS, "length": {**READINGS["length"], "unit": "words"}})
    other = type(measured).load(path)
    assert other == found
    assert other.sell("hits", loss="length") != found.sell("hits", loss="length")


def test_foreign_and_damaged_readings_are_reported(tmp_path: Path) -> None:
    path, surface = tmp_path / "shoes@1.safetensors", fake_surface()
    surface.save(path)
    beside = readings_beside(path)
    named = r"shoes@1\.readings\.safetensors: "
    side(surface, path, surface="0123456789abcdef")
    with pytest.raises(ValueError, match=named + "belongs to the measurement 0123456789abcdef, not to"):
        ResponseSurface.load(path)
    whole = beside.read_bytes()
    for data in (whole[:-9], whole[:700] + b"?" + whole[701:], b""):
        beside.write_bytes(data)
        with pytest.raises(ValueError, match=named):
            ResponseSurface.load(path)
    for changes, message in (
        ({"contexts": ["elsewhere"]}, "is of other contexts"),
        ({"readings": {**READINGS, "kl": READINGS["length"]}}, "lacks the tensor"),
        ({"readings": {"unscored": {**READINGS["unscored"], "role": "song"}}}, "the role of a reading must be one of"),
        ({"readings": {**READINGS, "better": {**READINGS["better"], "bounds": [0.0, None]}}}, "must lie in"),
        ({"readings": {**READINGS, "better": {**READINGS["better"], "bounds": [0.0]}}}, "bounds must be two ends"),
        ({"readings": {**READINGS, "better": {"role": "loss"}}}, "lacks 'unit'|lacks 'bounds'"),
    ):
        side(surface, path, **changes)
        with pytest.raises(ValueError, match=named + f".*({message})"):
            ResponseSurface.load(path)


# Substrates of others


class Bare:
    """Exactly the members of the protocol, and nothing inherited."""

    num_bidders = 2
    features = ("clicks",)
    levers = (Lever("x", 0.0, 1.0, 0.0),)

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        return torch.zeros(batch, 2, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        return ((allocation >= 0) & (allocation <= 1)).flatten(1).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return allocation.clone()

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return -allocation.sum((1, 2)) / 8

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        return (weights + user_weight / 8 > 0).to(weights.dtype)


class Polled(BaseSubstrate):
    """Only `observe` is written, with two losses."""

    num_bidders = 2
    features = ("clicks",)
    levers = Bare.levers
    losses = ("votes", "tokens")
    null_allocation = Bare.null_allocation
    feasible = Bare.feasible

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        total = allocation.sum((1, 2))
        return Observation(allocation.clone(), {"votes": -total, "tokens": 2 * total})


def test_a_substrate_without_the_base_class_works_and_can_nothing_more() -> None:
    bare = Bare()
    assert losses_of(bare) == ("loss",)
    assert units_of(bare) == {"clicks": "clicks", "loss": "loss"}
    assert charged_loss_of(bare) == ChargedLoss("loss", "loss")
    assert not is_finite(bare)
    x = torch.tensor([[[0.5], [0.25]]])
    assert torch.equal(observe(bare, x).losses["loss"], bare.user_loss(x))
    view = View(bare, ["clicks"])
    assert torch.equal(view.observe(x).exposure, x)
    v = torch.tensor([[[0.5], [0.75]]], dtype=torch.float64)
    assert ex_post_regret(m.VCG(bare, 0.5), bare, v).max < 1e-9
    assert ex_post_regret(m.VCG(view, 0.5), view, v).max < 1e-9


def test_the_base_class_makes_each_of_the_other_and_refuses_neither_silently() -> None:
    polled, x = Polled(), torch.tensor([[[0.5], [0.25]]])
    assert torch.equal(polled.exposure(x), x)
    assert polled.user_loss(x).tolist() == [-0.75]
    view = View(polled, Offer("clicks", "tokens"))
    assert view.user_loss(x).tolist() == [1.5]
    assert str(view.charged_loss) == "tokens"
    with pytest.raises(NotImplementedError, match="Polled has no exact argmax"):
        polled.maximise(torch.ones(1, 2, 1), 0.5)
    with pytest.raises(NotImplementedError, match="Polled has no exact argmax under the loss tokens"):
        view.maximise(torch.ones(1, 2, 1), 0.5)

    class Silent(BaseSubstrate):
        pass

    with pytest.raises(NotImplementedError, match="Silent must have observe, or both exposure and user_loss"):
        Silent().exposure(x)

    class Pair(Polled):
        def observe(self, allocation: Tensor, context: Tensor | None = None) -> Any:
            return allocation, allocation.sum((1, 2))

    with pytest.raises(TypeError, match=r"Pair\.observe must return an Observation"):
        observe(Pair(), x)


@pytest.mark.parametrize(
    ("text", "charges"),
    [
        ("kl", {"kl": 1}),
        ("kl-0.5*length", {"kl": 1, "length": -0.5}),
        ("-1*length", {"length": -1}),
        ("-length", {"length": -1}),
        (" .3*kl - 1e-3 * length", {"kl": 0.3, "length": -0.001}),
        ("1e+2*kl+-2*better", {"kl": 100, "better": -2}),
    ],
)
def test_a_charge_as_text_has_weights_of_either_sign(text: str, charges: dict[str, float]) -> None:
    offer = Offer(("hits",), text)
    assert offer == Offer(("hits",), charges)
    assert Offer(("hits",), offer.loss) == offer


def test_a_negative_weight_pays_for_what_the_loss_counts() -> None:
    assert Offer(("hits",), {"length": -1}).loss_name == "-1 length"
    assert Offer(("hits",), {"kl": 1, "better": -0.5}).loss_name == "-0.5 better + 1 kl"
    assert Offer(("hits",), {"a": 1, "b": -1}).loss_unit({"a": "votes", "b": "votes"}) == "votes"
    assert Offer(("hits",), {"a": 1, "b": -1}).loss_unit({"a": "votes", "b": "words"}) == "1 (votes) - 1 (words)"
    entries = SURFACE.sell("hits", loss="length").finite_range()
    paid = SURFACE.sell("hits", loss={"length": -1})
    nothing = torch.zeros(1, 2, 1, dtype=torch.float64)
    assert torch.equal(paid.maximise(nothing, 1.0)[0], entries.allocations[entries.user_losses[0].argmax()])
    assert paid != SURFACE.sell("hits", loss="length")
    assert paid.digest == SURFACE.digest
    analytic = View(QuadraticSubstrate(2), Offer("exposure", {"loss": -1.0}))  # its maximum is that of a price
    assert torch.equal(analytic.user_loss(torch.ones(1, 2, 1)), torch.tensor([-1.0]))
    assert not maximises_exactly(analytic)
    with pytest.raises(NotImplementedError, match="no exact argmax under the loss -1 loss"):
        analytic.maximise(torch.ones(1, 2, 1), 1.0)


def test_learned_designs_take_the_gain_where_a_loss_is_negative(tmp_path: Path) -> None:
    """The user gains by it, so a design does it though nobody pays for it, and loses nothing over doing nothing."""
    place, small = PAID_FOR, {"steps": 20, "batch": 64}
    affine = m.train_affine_maximizer(place, Uniform(0, 1), 2.0, entries=20, **small)
    menu = m.train_menu(place, Uniform(0, 1), 2.0, entries=8, **small)
    v = torch.rand(64, 2, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for rule in (affine, menu):
        outcome = rule(v)
        gained = metrics.revenue(outcome, place, v) - 2.0 * metrics.user_loss(outcome, place, v)
        assert float(gained.mean()) > 0
        m.save_mechanism(rule, tmp_path / "rule.safetensors")
        again = m.load_mechanism(tmp_path / "rule.safetensors", place)
        assert torch.equal(again(v).payments, outcome.payments)
        with pytest.raises(ValueError, match="was saved for the user loss"):
            m.load_mechanism(tmp_path / "rule.safetensors", SURFACE.sell("hits", loss={"better": -1}))
    assert ex_post_regret(affine, place, v[:10]).max < 1e-9


def test_a_tilt_towards_replies_that_are_better_than_the_untouched_one() -> None:
    """π ∝ π_ref exp((r − λ L)/τ) with L of both signs: the closed form."""
    losses = torch.tensor([0.0, -1.0, 0.5], dtype=torch.float64)
    replies = Lottery(torch.tensor([[[0.0]], [[0.5]], [[1.0]]], dtype=torch.float64), losses)
    outcome = m.KLTilt(replies, 0.5, user_weight=0.7)(torch.ones(1, 1, 1, dtype=torch.float64))
    expected = torch.softmax((torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64) - 0.7 * losses) / 0.5, 0)
    torch.testing.assert_close(outcome.allocation[0], expected)
    assert float(outcome.payments.min()) >= 0


def test_replies_may_be_better_than_the_untouched_one() -> None:
    replies = Lottery(torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]]]), torch.tensor([0.0, -1.0]))
    entries: FiniteRange = replies.finite_range()
    assert entries.user_losses.min() == -1
    assert torch.equal(replies.maximise(torch.zeros(1, 2, 1), 1.0), torch.tensor([[0.0, 1.0]]))


@pytest.mark.parametrize(
    "loss",
    [{"kl": weight} for weight in (float("nan"), float("inf"), float("-inf"), 0.0, -0.0, 10**400, True)]
    + [
        "",
        "kl+kl",
        "kl+",
        "nan*kl",
        "-0*kl",
        "kl--1*length",
        "kl-kl",
        "-",
        "2*-kl",
        "1e999*kl",
        "1e39*kl",  # its square overflows, or the next one vanishes: errors of sums would be 0
        "1e-39*kl",
        {},
        {"kl": "x"},
        ["kl"],
        [("kl", 1.0)],
        3,
        b"kl",
        {1: 1.0},
    ],
)
def test_a_charge_that_is_none_is_refused(loss: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Offer(("hits",), loss)
    with pytest.raises((ValueError, TypeError)):
        SURFACE.sell("hits", loss=loss)


@pytest.mark.parametrize("features", [(), "", None, 3, {"hits"}, {"hits": 1}, ("hits", "hits"), (3,), ("hits", "")])
def test_features_that_have_no_names_or_no_order_are_refused(features: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        Offer(features, "kl")
    with pytest.raises((ValueError, TypeError)):
        SURFACE.sell(features)


def test_a_name_may_hold_what_stands_between_names() -> None:
    """A sum that is charged becomes one loss of a substrate with a memory; it is sold on, copied and saved with it."""

    class Plus(Polled):
        losses = ("time+money", "2*kl")
        units = {"clicks": "clicks", "time+money": "euros", "2*kl": "nats"}  # noqa: RUF012

        def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
            total = allocation.sum((1, 2))
            return Observation(allocation.clone(), {"time+money": total, "2*kl": -total})

    x = torch.tensor([[[0.5], [0.25]]])
    view = View(Plus(), ["clicks"])
    assert view.sell("clicks").user_loss(x).tolist() == [0.75]
    assert view.sell("clicks", loss={"2*kl": 1.0}).sell("clicks").user_loss(x).tolist() == [-0.75]
    assert pickle.loads(pickle.dumps(view.offer)) == view.offer
    both = SURFACE.sell("hits", loss={"kl": 0.3, "length": 1.0})
    remembered = View(AskedOnce(both), ["hits"])
    assert remembered.charged_loss == both.charged_loss
    on = both.null_allocation(1) + 1
    torch.testing.assert_close(remembered.user_loss(on), both.user_loss(on))


def test_losses_without_names_are_refused_in_a_sentence() -> None:
    """What made a replicate of features and one loss is told what it takes now."""
    one = SURFACE.replicates["A"]
    old = Replicate(one.features, {"kl": one.losses["kl"].mean})
    parts = {"grids": SURFACE.grids, "num_bidders": 2, "features": SURFACE.measured_features, "provenance": {}}
    with pytest.raises(TypeError, match=r"replicate A: losses must be measurements by name"):
        ResponseSurface(contexts=SURFACE.contexts, replicates={"A": old, "B": old}, **parts)
