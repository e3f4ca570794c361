"""No rows are no trouble, numbers that are none are refused, and what is needed on the way stays small."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from measured_fakes import fake_list, fake_surface
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from auctionsim import blocks, metrics
from auctionsim.checks import checked_finite
from auctionsim.mechanisms import VCG, FirstPrice, KLTilt, MenuAuction, MenuNetwork, PayAsBid, SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, TruncatedNormal, Uniform, product
from auctionsim.regret import ex_interim_regret, ex_post_regret
from auctionsim.substrates import (
    Bundles,
    Items,
    Lottery,
    MeasuredList,
    MNLPositions,
    Positions,
    Prominence,
    QuadraticSubstrate,
    ResponseSurface,
    Substrate,
    Units,
)
from auctionsim.substrates.protocol import contexts_of, is_finite

F64 = torch.float64
LOTTERY = Lottery(torch.arange(12.0, dtype=F64).view(3, 2, 2) / 8, torch.tensor([0.0, 0.5, 0.25]))
SUBSTRATES: list[Substrate] = [
    Items(2),
    Items(3, 2),
    Positions(3, (1.0, 0.5)),
    Units(2, 3),
    Bundles.llg(),
    Prominence(3, 0.5),
    MNLPositions(((1.5, 0.8), (1.2, 0.9))),
    LOTTERY,
    QuadraticSubstrate(2, 0.5),
    QuadraticSubstrate(3),
    fake_surface(),
    fake_list(2),
]
METRICS = (
    metrics.utility,
    metrics.revenue,
    metrics.welfare,
    metrics.efficiency,
    metrics.ir_violation,
    metrics.participation_gain,
    metrics.user_loss,
)


def named(part: object) -> str:
    return getattr(part, "__name__", type(part).__name__)


def nobody(substrate: Substrate, dtype: torch.dtype = F64) -> Tensor:
    return torch.zeros(0, substrate.num_bidders, len(substrate.features), dtype=dtype)


@pytest.mark.parametrize("substrate", SUBSTRATES, ids=named)
def test_a_substrate_takes_no_rows(substrate: Substrate) -> None:
    contexts = [None, *([torch.zeros(0, dtype=torch.int64)] if contexts_of(substrate) else [])]
    n, m = substrate.num_bidders, len(substrate.features)
    for context in contexts:
        best = substrate.maximise(nobody(substrate), 0.5, context)
        assert best.shape == substrate.null_allocation(0).shape
        assert substrate.exposure(best, context).shape == (0, n, m)
        assert substrate.user_loss(best, context).shape == (0,)
        assert substrate.feasible(best).shape == (0,)
        for kind in (VCG, PayAsBid):
            outcome = kind(substrate, 0.5)(nobody(substrate), context)
            assert outcome.payments.shape == (0, n)
            for metric in METRICS:
                assert metric(outcome, substrate, nobody(substrate), context).shape[0] == 0
        if is_finite(substrate):
            assert len(substrate.finite_range(context).allocations) > 0  # type: ignore[attr-defined]


def test_menus_that_are_written_take_no_rows() -> None:
    for place in (QuadraticSubstrate(2), QuadraticSubstrate(2, 0.5)):
        rule = MenuAuction(place, MenuNetwork(place, entries=3))
        assert rule(nobody(place)).payments.shape == (0, 2)


def test_a_tilt_takes_no_rows() -> None:
    assert KLTilt(LOTTERY, 0.5)(nobody(LOTTERY)).allocation.shape == (0, 3)


@pytest.mark.parametrize(
    "prior",
    [
        Uniform(0, 1),
        Exponential(1),
        Beta(2, 5),
        TruncatedNormal(0.5, 0.2, 0, 1),
        Mixture([Uniform(0, 1), Uniform(1, 2)]),
        Empirical([1.0, 2.0]),
    ],
    ids=named,
)
def test_a_prior_takes_no_numbers(prior: Prior) -> None:
    nothing = torch.zeros(0, dtype=F64)
    answers = [prior.cdf, prior.quantile, prior.virtual_value, prior.curve.evaluate, prior.curve.inverse]
    for answer in answers if prior.atoms is not None else [*answers, prior.pdf]:
        assert answer(nothing).shape == (0,)
    assert prior.sample((0, 3), None).shape == (0, 3)
    assert product(prior, 2).sample(0, torch.Generator()).shape == (0, 2, 1)


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="valuations must have at least one row"):
        ex_post_regret(FirstPrice(), Items(2), nobody(Items(2)))
    with pytest.raises(ValueError, match="valuations must have at least one row"):
        ex_interim_regret(FirstPrice(), Items(2), Uniform(0, 1), valuations=nobody(Items(2)))
    with pytest.raises(ValueError, match="samples must be a vector of at least two"):
        metrics.mean_interval(torch.zeros(0))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("substrate", SUBSTRATES, ids=named)
def test_a_lever_that_is_no_number_is_refused_and_infeasible(substrate: Substrate, number: float) -> None:
    allocation = substrate.null_allocation(3, dtype=F64)
    allocation[(1, *[-1] * (allocation.ndim - 1))] = number
    assert substrate.feasible(allocation).tolist() == [True, False, True]
    for answer in (substrate.exposure, substrate.user_loss):
        with pytest.raises(
            ValueError, match=rf"(must be finite, got {number}|must lie in the measured|not on the list)"
        ):
            answer(allocation)
    v = torch.ones(3, substrate.num_bidders, len(substrate.features), dtype=F64)
    outcome = Outcome(allocation, torch.zeros(3, substrate.num_bidders, dtype=F64))
    for metric in METRICS:
        with pytest.raises(ValueError, match=rf"allocation must be finite, got {number} at \(1, "):
            metric(outcome, substrate, v)


class Broken(Items):
    """Exposes nobody knows how much."""

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return super().exposure(allocation, context) * math.nan

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return super().user_loss(allocation, context) + math.inf


@pytest.mark.parametrize("metric", METRICS, ids=named)
def test_payments_and_exposures_that_are_no_numbers_are_refused(metric: Callable[..., Tensor]) -> None:
    v = torch.rand(4, 2, 1, dtype=F64)
    outcome = SecondPrice()(v)
    for number in (math.nan, math.inf):
        payments = outcome.payments.clone()
        payments[2, 1] = number
        with pytest.raises(ValueError, match=rf"payments must be finite, got {number} at \(2, 1\)"):
            metric(outcome._replace(payments=payments), Items(2), v)
    if metric is not metrics.revenue:
        with pytest.raises(ValueError, match=r"(exposure|user_loss) must be finite, got (nan|inf) at \(0,"):
            metric(outcome, Broken(2), v)


@pytest.mark.parametrize("part", ["allocation", "payments"])
def test_a_rule_that_answers_no_numbers_has_no_regret(part: str) -> None:
    def rule(bids: Tensor, context: Tensor | None = None) -> Outcome:
        outcome = SecondPrice()(bids)
        broken = torch.where(getattr(outcome, part) > 0, math.nan, getattr(outcome, part))
        return outcome._replace(**{part: broken})

    v = torch.rand(4, 2, 1, dtype=F64)
    with pytest.raises(ValueError, match=f"{part} must be finite, got nan"):
        ex_post_regret(rule, Items(2), v)
    with pytest.raises(ValueError, match=f"{part} must be finite, got nan"):
        ex_interim_regret(rule, Items(2), Uniform(0, 1), valuations=v, draws=64)
    with pytest.raises(ValueError, match="exposure must be finite, got nan"):
        ex_post_regret(SecondPrice(), Broken(2), v)


class LargestTensor(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that is made inside, views apart."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for part in tree_leaves(made):
            if isinstance(part, Tensor):
                self.numbers = max(self.numbers, part.untyped_storage().nbytes() // part.element_size())
        return made


def quarters(*shape: int) -> Tensor:
    return torch.randint(0, 9, shape, generator=torch.Generator().manual_seed(1)).to(F64) / 4


def big_lottery() -> Lottery:
    return Lottery(quarters(400, 3, 2), quarters(400))


ROWS = 256
BIG: list[tuple[Callable[[], Any], int, int]] = [
    (lambda: VCG(Items(12, 9)), 12 * 9, 13 * 12 * 9),
    (lambda: VCG(Bundles(tuple((k, k + 1) for k in range(9)))), 9, 10 * 9),
    (lambda: PayAsBid(Bundles(tuple((k,) for k in range(9)))), 9, 512),
    (lambda: VCG(big_lottery(), 0.5), 400, 4 * 400),
    (lambda: PayAsBid(big_lottery(), 0.5), 400, 400),
    (lambda: KLTilt(big_lottery(), 0.5), 400, 3 * 400),
    (lambda: VCG(Units(3, 24)), 3 * 24, 4 * 3 * 24),
    (lambda: PayAsBid(Units(3, 60)), 3 * 60, 61 * 61),
]


@pytest.mark.parametrize(("make", "answer", "on_the_way"), BIG)
def test_what_is_needed_on_the_way_stays_small_and_changes_nothing(
    make: Callable[[], Any], answer: int, on_the_way: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = make()
    bids = quarters(ROWS, rule.num_bidders, rule.num_features)
    with LargestTensor() as whole:
        expected = rule(bids)
    assert whole.numbers >= ROWS * on_the_way * 3 // 4  # else nothing needs blocks here
    monkeypatch.setattr(blocks, "MOST_NUMBERS", 5 * on_the_way)
    with LargestTensor() as parts:
        found = rule(bids)
    sizes = [part.numel() for part in vars(rule).values() if isinstance(part, Tensor)]
    own = max([2 * 401 * 6, 512 * 10, *sizes])  # the lists that are searched
    assert parts.numbers <= max(ROWS * answer, 6 * on_the_way, own), (parts.numbers, whole.numbers)
    assert torch.equal(found.payments, expected.payments)
    assert torch.equal(found.allocation, expected.allocation)


def test_blocks_cover_every_row_once() -> None:
    for batch in (0, 1, 7, 100):
        for numbers in (0, 1, blocks.MOST_NUMBERS // 7, blocks.MOST_NUMBERS, blocks.MOST_NUMBERS * 9):
            parts = list(blocks.row_blocks(batch, numbers))
            assert parts[0].start == 0
            assert parts[-1].stop == batch
            assert all(one.stop == two.start for one, two in itertools.pairwise(parts))
            assert all((part.stop - part.start) * numbers <= max(blocks.MOST_NUMBERS, numbers) for part in parts)


def test_kinds_are_all_here() -> None:
    assert {ResponseSurface, MeasuredList} < {type(place) for place in SUBSTRATES}


def test_a_sum_that_overflows_is_no_number_that_is_none() -> None:
    for dtype in (torch.float16, torch.float32, F64):
        large = torch.full((3, 2, 1), torch.finfo(dtype).max, dtype=dtype)
        assert checked_finite(large, "money") is large
        large[1, 1, 0] = math.inf
        with pytest.raises(ValueError, match=r"money must be finite, got inf at \(1, 1, 0\)"):
            checked_finite(large, "money")
