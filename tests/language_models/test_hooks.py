"""Reading and scaling neurons: exact at the null, row by row, nothing else touched, nothing left behind."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.language_models import LanguageModel, read_neurons, scale_neurons
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
SHAPE = (MODEL.num_layers, MODEL.num_neurons)
IDS = torch.arange(30, 54).view(3, 8)


def logits(model: LanguageModel, ids: Tensor = IDS) -> Tensor:
    out: Tensor = model.network(ids).logits
    return out


def random_scales(rows: int, seed: int = 0) -> Tensor:
    return 3 * torch.rand(rows, *SHAPE, generator=torch.Generator().manual_seed(seed))


def hooks_left(model: LanguageModel) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.network.modules())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_at_the_null_the_logits_are_the_untouched_models(dtype: torch.dtype) -> None:
    model = fake_language_model(dtype=dtype)
    untouched = logits(model)
    for rows in (1, 3):
        with scale_neurons(model, torch.ones(rows, *SHAPE)):
            assert torch.equal(logits(model), untouched)
            assert hooks_left(model) == 0
    mixed = torch.cat([torch.ones(2, *SHAPE), random_scales(1)])
    with scale_neurons(model, mixed):
        changed = logits(model)
    assert torch.equal(changed[:2], untouched[:2])  # a factor of exactly 1 in a batch with others changes no bit either
    assert not torch.equal(changed[2], untouched[2])
    assert torch.equal(logits(model), untouched)


def test_rows_have_their_own_scales() -> None:
    scales = random_scales(3)
    with scale_neurons(MODEL, scales):
        together = logits(MODEL)
    for row in range(3):
        with scale_neurons(MODEL, scales[row : row + 1]):
            alone = logits(MODEL, IDS[row : row + 1])
            everywhere = logits(MODEL)
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(everywhere[row], together[row], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(everywhere[row - 1], together[row - 1], rtol=1e-2)


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1)), max_size=5),
    st.sampled_from([0.0, 0.5, 2.0, 7.0]),
    st.integers(0, 8),
)
def test_only_the_scaled_entries_of_the_input_change(
    places: list[tuple[int, int, int]], factor: float, first: int
) -> None:
    scales = torch.ones(3, *SHAPE)
    for place in places:
        scales[place] = factor
    with read_neurons(MODEL) as before:
        logits(MODEL)
    before = dict(before)
    with scale_neurons(MODEL, scales, first_position=first), read_neurons(MODEL) as seen:
        logits(MODEL)
    for ffn in MODEL.feed_forwards:
        untouched_so_far = bool((scales[:, : ffn.layer] == 1).all())
        if untouched_so_far:  # below the first scaled layer the activations are the untouched ones, scaled
            expected = before[ffn.hook_point].clone()
            expected[:, first:] *= scales[:, ffn.layer, None, :]
            assert torch.equal(seen[ffn.hook_point], expected)
    for row in range(3):
        if not any(place[0] == row for place in places) or factor == 1:
            for name in before:
                assert torch.equal(seen[name][row], before[name][row])


def test_positions_before_the_first_are_untouched() -> None:
    untouched = logits(MODEL)
    with scale_neurons(MODEL, random_scales(3), first_position=5):
        changed = logits(MODEL)
    torch.testing.assert_close(changed[:, :5], untouched[:, :5], rtol=1e-5, atol=1e-5)
    assert not torch.isclose(changed[:, 5:], untouched[:, 5:], rtol=1e-2).all(-1).any()


def test_no_hook_is_left_after_an_exception() -> None:
    untouched = logits(MODEL)
    with pytest.raises(RuntimeError, match="stop here"), scale_neurons(MODEL, random_scales(3)):  # noqa: PT012
        assert hooks_left(MODEL) == MODEL.num_layers
        raise RuntimeError("stop here")
    assert hooks_left(MODEL) == 0
    with pytest.raises(KeyboardInterrupt), read_neurons(MODEL):
        raise KeyboardInterrupt
    assert hooks_left(MODEL) == 0
    with pytest.raises(ValueError, match="2 rows of scales for a forward pass of 3 rows"):  # noqa: SIM117
        with scale_neurons(MODEL, random_scales(2)):
            logits(MODEL)
    assert hooks_left(MODEL) == 0
    assert torch.equal(logits(MODEL), untouched)


def test_no_hook_is_left_if_hooking_itself_fails() -> None:
    model = fake_language_model()
    last = model.feed_forwards[-1].down_projection

    def refuse(*arguments: object) -> None:
        raise RuntimeError("no more hooks")

    last.register_forward_pre_hook = refuse  # type: ignore[method-assign,assignment]
    with pytest.raises(RuntimeError, match="no more hooks"), scale_neurons(model, random_scales(1)):
        pass
    assert hooks_left(model) == 0


@pytest.mark.parametrize("bad", [float("nan"), -0.5, float("inf")])
def test_bad_factors_are_refused(bad: float) -> None:
    scales = torch.ones(1, *SHAPE)
    scales[0, 1, 2] = bad
    with pytest.raises(ValueError, match="scales must be finite and >= 0"), scale_neurons(MODEL, scales):
        pass


@pytest.mark.parametrize("shape", [(1, SHAPE[0], SHAPE[1] + 1), (1, SHAPE[0] + 1, SHAPE[1]), SHAPE, (1, 1, *SHAPE)])
def test_wrong_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"scales must have shape \(row, layer, neuron\) = \(row, 3, 48\)"):  # noqa: SIM117
        with scale_neurons(MODEL, torch.ones(shape)):
            pass
    with pytest.raises(TypeError, match="scales must be a floating-point tensor"):  # noqa: SIM117
        with scale_neurons(MODEL, torch.ones(1, *SHAPE, dtype=torch.int64)):
            pass


def test_reading_gives_the_input_of_the_down_projection() -> None:
    seen: list[Tensor] = []
    handles = [
        ffn.down_projection.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
        for ffn in MODEL.feed_forwards
    ]
    with read_neurons(MODEL) as activations:
        logits(MODEL)
    for handle in handles:
        handle.remove()
    assert list(activations) == [f"blocks.{layer}.mlp.hook_post" for layer in range(SHAPE[0])]
    assert all(torch.equal(one, two) for one, two in zip(activations.values(), seen, strict=True))
    assert all(value.shape == (3, 8, SHAPE[1]) for value in activations.values())


def test_gradients_are_the_finite_differences_of_log_scale() -> None:
    """d score / d log s_k = Σ_positions a_k g_k, layers above included."""
    model = fake_language_model(dtype=torch.float64)
    ids = IDS[:1]

    def score(value: Tensor) -> Tensor:
        return torch.log_softmax(value[0, -1], -1)[77]

    with torch.enable_grad(), read_neurons(model, gradients=True) as activations:
        gradients = torch.autograd.grad(score(logits(model, ids)), list(activations.values()))
    products = [(a.detach() * g).sum(1)[0] for a, g in zip(activations.values(), gradients, strict=True)]
    step = 1e-2  # the norms compute in float32: smaller steps drown in rounding
    for layer in range(SHAPE[0]):
        for neuron in range(0, SHAPE[1], 7):
            ends = []
            for sign in (1, -1):
                scales = torch.ones(1, *SHAPE, dtype=torch.float64)
                scales[0, layer, neuron] = torch.tensor(sign * step, dtype=torch.float64).exp()
                with scale_neurons(model, scales):
                    ends.append(score(logits(model, ids)))
            slope = (ends[0] - ends[1]) / (2 * step)
            torch.testing.assert_close(products[layer][neuron], slope, rtol=5e-3, atol=2e-4)
    assert all(not parameter.requires_grad for parameter in model.network.parameters())
