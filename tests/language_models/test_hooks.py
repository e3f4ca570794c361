"""Reading and scaling neurons: exact at the null, row by row, nothing else touched, nothing left behind."""

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.language_models import Intervention, LanguageModel, intervene, read_neurons, scale_neurons, untouched
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
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, SHAPE[0] - 1), st.integers(0, SHAPE[1] - 1), st.integers(0, 1)),
        max_size=5,
    ),
    st.sampled_from([0.0, 0.5, 2.0, 7.0]),
    st.sampled_from([None, 0.0, -1.5, 0.25]),
    st.integers(0, 8),
)
def test_only_the_chosen_entries_of_the_input_change(
    places: list[tuple[int, int, int, int]], factor: float, step: float | None, first: int
) -> None:
    scales, shifts = torch.ones(3, *SHAPE), None if step is None else torch.zeros(3, *SHAPE)
    for *place, which in places:
        if which and shifts is not None:
            shifts[tuple(place)] = step
        else:
            scales[tuple(place)] = factor
    change = Intervention(scales, shifts)
    with read_neurons(MODEL) as before:
        logits(MODEL)
    before = dict(before)
    with intervene(MODEL, change, first_position=first), read_neurons(MODEL) as seen:
        logits(MODEL)
    for ffn in MODEL.feed_forwards:
        below = scales[:, : ffn.layer], (torch.zeros(0) if shifts is None else shifts[:, : ffn.layer])
        if bool((below[0] == 1).all()) and bool((below[1] == 0).all()):
            # below the first changed layer the activations are the untouched ones, changed
            expected = before[ffn.hook_point].clone()
            expected[:, first:] *= scales[:, ffn.layer, None, :]
            if shifts is not None:
                expected[:, first:] += shifts[:, ffn.layer, None, :]
            torch.testing.assert_close(seen[ffn.hook_point], expected, rtol=1e-6, atol=1e-6)
            alike = torch.ones_like(expected, dtype=torch.bool)
            changed = (scales[:, ffn.layer] != 1) | (False if shifts is None else shifts[:, ffn.layer] != 0)
            alike[:, first:] = ~changed.unsqueeze(1)
            assert torch.equal(seen[ffn.hook_point][alike], before[ffn.hook_point][alike])  # to the bit
    assert change.null.tolist() == [
        bool((scales[k] == 1).all()) and not (shifts is not None and shifts[k].any()) for k in range(3)
    ]
    for row in change.null.nonzero().flatten().tolist():
        for name in before:
            assert torch.equal(seen[name][row], before[name][row])


def test_shifts_are_added_after_scaling_row_by_row() -> None:
    """A slow loop over rows and positions on the first layer's input."""
    scales, shifts = random_scales(3), random_scales(3, seed=4) - 1.5
    with read_neurons(MODEL) as before:
        logits(MODEL)
    start = before["blocks.0.mlp.hook_post"]
    with intervene(MODEL, Intervention(scales, shifts)), read_neurons(MODEL) as seen:
        together = logits(MODEL)
    for row in range(3):
        for position in range(8):
            expected = scales[row, 0] * start[row, position] + shifts[row, 0]
            torch.testing.assert_close(seen["blocks.0.mlp.hook_post"][row, position], expected)
        one = Intervention(scales, shifts).select(slice(row, row + 1))
        with intervene(MODEL, one):
            torch.testing.assert_close(logits(MODEL)[row], together[row], rtol=1e-4, atol=1e-5)


def test_interventions_are_selected_and_repeated_by_row() -> None:
    change = Intervention(random_scales(3), random_scales(3, seed=1))
    assert change.shift is not None
    picked = change.select(torch.tensor([False, True, True])).repeat(2)
    assert torch.equal(picked.scale, change.scale[[1, 1, 2, 2]])
    assert picked.shift is not None
    assert torch.equal(picked.shift, change.shift[[1, 1, 2, 2]])
    one = untouched(MODEL)
    assert one.select(torch.tensor([0, 0])) is one
    assert untouched(MODEL, 3).null.tolist() == [True] * 3


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
    shifted = Intervention(torch.ones(3, *SHAPE), random_scales(3))
    with pytest.raises(RuntimeError, match="stop here"), intervene(MODEL, shifted):  # noqa: PT012
        assert hooks_left(MODEL) == MODEL.num_layers
        raise RuntimeError("stop here")
    assert hooks_left(MODEL) == 0
    with pytest.raises(KeyboardInterrupt), read_neurons(MODEL):
        raise KeyboardInterrupt
    assert hooks_left(MODEL) == 0
    with pytest.raises(ValueError, match="2 rows of interventions for a forward pass of 3 rows"):  # noqa: SIM117
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
    with pytest.raises(ValueError, match=r"scales must have shape \(row, layer, neuron\)( = \(row, 3, 48\))?, got"):  # noqa: SIM117
        with scale_neurons(MODEL, torch.ones(shape)):
            pass
    with pytest.raises(TypeError, match="scales must be a floating-point tensor"):  # noqa: SIM117
        with scale_neurons(MODEL, torch.ones(1, *SHAPE, dtype=torch.int64)):
            pass


def test_bad_shifts_are_refused() -> None:
    ones = torch.ones(2, *SHAPE)
    with pytest.raises(ValueError, match=r"shifts must have shape .* got \(1, 3, 48\) beside scales of \(2, 3, 48\)"):
        Intervention(ones, ones[:1])
    with pytest.raises(TypeError, match="shifts must be a floating-point tensor"):
        Intervention(ones, ones.long())
    with pytest.raises(ValueError, match="shifts must be finite"), intervene(MODEL, Intervention(ones, ones / 0)):
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
