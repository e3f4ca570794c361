"""Low-rank updates of down projections: the merged weight's outputs, null rows to the bit, nothing left behind."""

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from auctionsim.errors import InputError
from auctionsim.language_models import LanguageModel, find_feed_forwards
from auctionsim.language_models.low_rank import LowRankFactors, LowRankUpdate, UpdateInForce
from auctionsim.language_models.residual_shift import residual_width
from auctionsim.testing import fake_language_model
from auctionsim.testing.tiny_networks import tiny_network

MODEL = fake_language_model()
IDS = torch.arange(30, 54).view(3, 8)
FAMILIES = ("llama", "gpt2", "gemma3_text", "opt")  # opt: rows and positions in one axis


def of_family(kind: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    return fake_language_model(network=tiny_network(kind), dtype=dtype)


def logits(model: LanguageModel, ids: Tensor = IDS) -> Tensor:
    out: Tensor = model.network(ids, use_cache=False).logits
    return out


def factors(model: LanguageModel, updates: int = 2, seed: int = 0) -> LowRankFactors:
    generator = torch.Generator().manual_seed(seed)
    down = torch.randn(updates, 2, 3, model.num_neurons, generator=generator) / model.num_neurons**0.5
    up = torch.randn(updates, 2, residual_width(model), 3, generator=generator)
    return LowRankFactors((0, 2), down, up)


def merged(model: LanguageModel, parts: LowRankFactors, weights: Tensor) -> LanguageModel:
    """A copy of the model whose weights are W + Σ_k w_k U_k D_k."""
    network = copy.deepcopy(model.network)
    ffns = tuple(
        replace(new, flattened=old.flattened)
        for new, old in zip(find_feed_forwards(network), model.feed_forwards, strict=True)
    )
    for place, layer in enumerate(parts.layers):
        step = torch.einsum("k,kwr,krn->wn", weights, parts.up[:, place], parts.down[:, place])
        weight = ffns[layer].down_projection.get_parameter("weight")
        weight.data += step.T if type(ffns[layer].down_projection).__name__ == "Conv1D" else step
    return replace(model, network=network, feed_forwards=ffns)


def hooks_left(model: LanguageModel) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.network.modules())


@pytest.mark.parametrize("kind", FAMILIES)
def test_rows_are_those_of_models_with_the_update_in_their_weights(kind: str) -> None:
    model = of_family(kind)
    parts = factors(model)
    weights = torch.tensor([[1.0, 0.0], [0.5, -1.0], [0.0, 0.25]])
    with LowRankUpdate(parts, weights).applied(model):
        found = logits(model)
    for row in range(3):
        expected = logits(merged(model, parts, weights[row]))
        torch.testing.assert_close(found[row], expected[row], rtol=1e-3, atol=1e-4)
        assert not torch.allclose(found[row], logits(model)[row], rtol=1e-2)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_null_rows_keep_every_bit_beside_rows_that_move(kind: str, dtype: torch.dtype) -> None:
    model = of_family(kind, dtype)
    before, parts = logits(model), factors(model)
    with LowRankUpdate(parts, torch.zeros(3, 2)).applied(model):
        assert hooks_left(model) == 0
        assert torch.equal(logits(model), before)
    change = LowRankUpdate(parts, torch.tensor([[0.0, 0.0], [0.0, 1.0], [-0.0, 0.0]]))
    assert change.null.tolist() == [True, False, True]
    with change.applied(model):
        assert hooks_left(model) >= 2
        after = logits(model)
    assert torch.equal(after[[0, 2]], before[[0, 2]])
    assert not torch.allclose(after[1], before[1], rtol=1e-2)
    assert hooks_left(model) == 0
    assert torch.equal(logits(model), before)


def test_a_null_row_keeps_a_negative_zero_and_is_safe_from_overflow() -> None:
    force = UpdateInForce(torch.tensor([[[0.0]], [[1.0]]]))
    output = torch.full((2, 1, 4), -0.0)
    moved = force.added(torch.full((2, 1, 3), 1e30), output, torch.full((1, 3), 1e30), torch.ones(4, 1))
    assert torch.equal(moved[0], output[0])
    assert bool(moved[0].signbit().all())
    assert not bool(moved[1].isfinite().any())


def test_rows_are_selected_repeated_and_dropped_in_force() -> None:
    parts = factors(MODEL)
    change = LowRankUpdate(parts, torch.tensor([[1.0, 0.0], [0.5, -1.0], [0.0, 0.25]]))
    mask = torch.tensor([True, False, True])
    assert torch.equal(
        change.select(mask).repeat(2).weights, change.repeat(2).select(mask.repeat_interleave(2)).weights
    )
    one = change.select(slice(1, 2))
    assert one.select(torch.tensor([0, 0])) is one
    with change.applied(MODEL) as force:
        whole = logits(MODEL)
        force.keep(mask)
        assert torch.allclose(logits(MODEL, IDS[mask]), whole[mask], rtol=1e-4, atol=1e-5)
    with one.applied(MODEL) as force:
        force.keep(mask)
        assert torch.allclose(logits(MODEL, IDS)[1], whole[1], rtol=1e-4, atol=1e-5)


def test_a_copy_in_float32_is_changed_by_itself() -> None:
    model = fake_language_model(dtype=torch.bfloat16)
    change = LowRankUpdate(factors(model), torch.ones(1, 2))
    before, other = logits(model.in_float32), logits(model)
    with change.applied(model.in_float32):
        assert not torch.allclose(logits(model.in_float32), before, rtol=1e-2)
        assert torch.equal(logits(model), other)


def test_no_hook_is_left_after_an_exception() -> None:
    change = LowRankUpdate(factors(MODEL), torch.ones(2, 2))
    with pytest.raises(InputError, match="2 rows of updates for a forward pass of 3 rows"), change.applied(MODEL):
        logits(MODEL)
    assert hooks_left(MODEL) == 0
    flat = of_family("opt")
    with pytest.raises(InputError, match="2 rows of updates for a forward pass of 3 rows"):  # noqa: SIM117
        with LowRankUpdate(factors(flat), torch.ones(2, 2)).applied(flat):
            logits(flat)
    assert hooks_left(flat) == 0


def test_bad_factors_and_weights_are_refused() -> None:
    parts = factors(MODEL)
    with pytest.raises(TypeError, match=r"down must be a floating-point tensor, got torch.int64"):
        LowRankFactors((0, 2), parts.down.long(), parts.up)
    with pytest.raises(TypeError, match=r"weights must be a floating-point tensor, got torch.int64"):
        LowRankUpdate(parts, torch.ones(3, 2, dtype=torch.int64))
    with pytest.raises(InputError, match=r"factors for layers \(0,\) must have shapes \(update, layer=1"):
        LowRankFactors((0,), parts.down, parts.up)
    with pytest.raises(InputError, match="up must be finite, got -inf"):
        LowRankFactors((0, 2), parts.down, parts.up / 0)
    with pytest.raises(InputError, match="layers must be whole numbers >= 0 in ascending order"):
        LowRankFactors((2, 0), parts.down, parts.up)
    with pytest.raises(InputError, match=r"weights must have shape \(row, update=2\), got \(3, 1\)"):
        LowRankUpdate(parts, torch.ones(3, 1))
    with pytest.raises(InputError, match="weights must be finite, got nan"):
        LowRankUpdate(parts, torch.full((3, 2), float("nan")))
    with pytest.raises(InputError, match=r"layer 3 is beyond the model's 3 layers 0 … 2"):  # noqa: SIM117
        with LowRankUpdate(replace(parts, layers=(0, 3)), torch.ones(1, 2)).applied(MODEL):
            pass
    other = fake_language_model(num_neurons=40)
    with pytest.raises(InputError, match=r"factors for 48 neurons .* width 32, the model has 40 and 32"):  # noqa: SIM117
        with LowRankUpdate(parts, torch.ones(1, 2)).applied(other):
            pass
