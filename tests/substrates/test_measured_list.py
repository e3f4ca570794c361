"""A measured list answers for what is on it, and for nothing else."""

import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from measured_fakes import CONTEXTS, FEATURES, LEVERS, PROVENANCE, fake_list, fake_replicates, listed_allocations
from torch import Tensor

from auctionsim.mechanisms import VCG
from auctionsim.substrates import Lever, MeasuredList, is_finite

LIST = fake_list()
LISTED = listed_allocations()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_listed_allocations_give_what_was_measured(dtype: torch.dtype) -> None:
    for name, measured in LIST.replicates.items():
        view = LIST.replicate(name)
        for k in range(len(CONTEXTS)):
            context = torch.full((len(LISTED),), k)
            assert torch.equal(view.exposure(LISTED.to(dtype), context), measured.features.mean[k].to(dtype))
            assert torch.equal(view.user_loss(LISTED.to(dtype), context), measured.losses["kl"].mean[k].to(dtype))
            noise = view.standard_error(LISTED, context)
            torch.testing.assert_close(noise.exposure, measured.features.standard_error[k])
        torch.testing.assert_close(view.exposure(LISTED), measured.features.mean.mean(0))


def test_what_is_not_listed_is_refused_by_name() -> None:
    x = LISTED[:3].clone()
    assert LIST.feasible(x).all()
    x[1, 2] = torch.tensor([64.0, 1.75])
    assert LIST.feasible(x).tolist() == [True, False, True]
    for answer in (LIST.exposure, LIST.user_loss, LIST.standard_error):
        with pytest.raises(ValueError, match=r"row 1 is not on the list .*num_neurons 64, amplification 1.75; num"):
            answer(x)


def test_the_null_may_be_written_in_other_words() -> None:
    x = torch.tensor([[[0.0, 3.0], [5.0, 1.0], [0.0, 1.0], [7.0, 1.0]]])
    assert LIST.feasible(x).all()
    assert torch.equal(LIST.exposure(x), LIST.exposure(LIST.null_allocation(1)))


def test_finite_range_has_the_null_first_and_each_intervention_once() -> None:
    listed = LIST.finite_range(torch.tensor([1, 2]))
    assert len(listed.allocations) == len(LISTED) - 1
    assert torch.equal(listed.allocations[:1], LIST.null_allocation(1, dtype=torch.float64))
    for k in range(len(listed.allocations)):
        x = listed.allocations[k].expand(2, 4, 2)
        assert torch.equal(LIST.exposure(x, torch.tensor([1, 2])), listed.exposures[:, k])
        assert torch.equal(LIST.user_loss(x, torch.tensor([1, 2])), listed.user_losses[:, k])


@given(seed=st.integers(0, 2**31), user_weight=st.sampled_from([0.0, 0.5]))
def test_maximise_finds_the_best_of_the_list(seed: int, user_weight: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(-8, 9, (5, 4, 2), generator=generator).double() / 4
    context = torch.randint(3, (5,), generator=generator)
    best = LIST.maximise(weights, user_weight, context)

    def objective(x: Tensor) -> Tensor:
        return (weights * LIST.exposure(x, context)).sum((1, 2)) - user_weight * LIST.user_loss(x, context)

    everything = torch.stack([objective(entry.expand(5, 4, 2)) for entry in LISTED])
    torch.testing.assert_close(objective(best), everything.max(0).values, rtol=0, atol=1e-12)
    for k in range(5):
        one = slice(k, k + 1)
        assert torch.equal(best[one], LIST.maximise(weights[one], user_weight, context[one]))
    assert torch.equal(LIST.maximise(torch.zeros(2, 4, 2), 0.0), LIST.null_allocation(2))


def test_views_equality_and_proofs() -> None:
    assert is_finite(LIST)
    sold = LIST.sell("hits").replicate("B")
    assert sold == fake_list().replicate("B").sell("hits")
    assert pickle.loads(pickle.dumps(sold)) == sold != LIST
    assert sold.exposure(LISTED).shape == (len(LISTED), 4, 1)
    assert VCG(sold).dsic_proof(pickle.loads(pickle.dumps(sold)))
    assert torch.equal(LIST.allocations, LISTED)
    assert sold.exposure(LISTED[:0]).shape == (0, 4, 1)
    assert sold.maximise(torch.ones(0, 4, 1), 0.0).shape == (0, 4, 2)


@pytest.mark.parametrize(
    ("allocations", "levers", "message"),
    [
        (LISTED[:2], LEVERS, "the null allocation must be among the cells"),
        (LISTED[:0], LEVERS, "at least one entry"),
        (LISTED[..., :1], LEVERS, "2 levers"),
        (LISTED.long(), LEVERS, "floating-point"),
        (LISTED * torch.nan, LEVERS, "num_neurons must lie in"),
        (LISTED * 2, LEVERS, r"num_neurons must lie in \[0.0, 256.0\] in every allocation, got 512.0"),
        (LISTED, (LEVERS[0], Lever("amplification", 2.0, 3.0, 1.0)), "the null of amplification must lie in"),
        (LISTED, (LEVERS[0], LEVERS[0]), "levers must be one or more different names"),
    ],
)
def test_a_broken_list_is_refused(allocations: Tensor, levers: tuple[Lever, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeasuredList(
            levers=levers,
            allocations=allocations,
            features=FEATURES,
            contexts=CONTEXTS,
            replicates=fake_replicates(LISTED, (len(LISTED),)),
            provenance=PROVENANCE,
        )


def test_one_intervention_has_one_measurement() -> None:
    replicates = fake_replicates(LISTED, (len(LISTED),))
    replicates["A"].losses["kl"].mean[1, 3] += 1  # entry 3 is the null in other words
    with pytest.raises(ValueError, match=r"kl: mean differs .*allocation \(num_neurons 0, amplification 2; num"):
        MeasuredList(
            levers=LEVERS,
            allocations=LISTED,
            features=FEATURES,
            contexts=CONTEXTS,
            replicates=replicates,
            provenance=PROVENANCE,
        )
