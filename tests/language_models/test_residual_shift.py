"""Vectors in the residual stream: null rows to the bit, rows apart, found in three families, nothing left behind."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from auctionsim.errors import InputError, UnsupportedError
from auctionsim.language_models import LanguageModel
from auctionsim.language_models.residual_shift import ResidualShift, ShiftInForce, read_residuals, residual_width
from auctionsim.testing import fake_language_model
from auctionsim.testing.tiny_networks import tiny_network

MODEL = fake_language_model()
WIDTH = residual_width(MODEL)
IDS = torch.arange(30, 54).view(3, 8)
FAMILIES = ("llama", "gpt2", "gemma3_text")


def of_family(kind: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    return fake_language_model(network=tiny_network(kind), dtype=dtype)


def logits(model: LanguageModel, ids: Tensor = IDS) -> Tensor:
    out: Tensor = model.network(ids, use_cache=False).logits
    return out


def shifts(rows: int, layers: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(rows, layers, WIDTH, generator=torch.Generator().manual_seed(seed))


def hooks_left(model: LanguageModel) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in model.network.modules())


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_null_rows_keep_every_bit_beside_rows_that_move(kind: str, dtype: torch.dtype) -> None:
    model = of_family(kind, dtype)
    before = logits(model)
    with ResidualShift((0, 2), torch.zeros(3, 2, WIDTH)).applied(model):
        assert hooks_left(model) == 0
        assert torch.equal(logits(model), before)
    mixed = shifts(3)
    mixed[:2] = 0
    change = ResidualShift((0, 2), mixed)
    assert change.null.tolist() == [True, True, False]
    with change.applied(model):
        assert hooks_left(model) == 2
        after = logits(model)
    assert torch.equal(after[:2], before[:2])
    assert (after[2] - before[2]).abs().max() > 0.1
    assert hooks_left(model) == 0
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_negative_zero_stays_one(dtype: torch.dtype) -> None:
    """0 is added as −0: 0 + −0 would be 0, which is another number to the bit."""
    stream = torch.tensor([-0.0, 0.0, 1.0, -1e-30], dtype=dtype).expand(2, 1, 4).contiguous()
    model = fake_language_model(dtype=dtype)
    shift = torch.zeros(2, 1, WIDTH)
    shift[1] = 1.0
    with ResidualShift((0,), shift).applied(model) as force:
        narrow = ShiftInForce({0: force.steps[0][:, :, :4]})
        moved = narrow.added(0, stream, "a block")
    assert torch.equal(moved[0].signbit(), stream[0].signbit())
    assert torch.equal(moved[0], stream[0])
    assert torch.equal(moved[1], stream[1] + 1)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_stream_behind_a_layer_moves_by_the_vector_and_none_before_it(kind: str) -> None:
    model = of_family(kind)
    every = tuple(range(model.num_layers))
    with read_residuals(model, every) as streams:
        logits(model)
        before = dict(streams)
    shift = shifts(3, 1)
    with ResidualShift((1,), shift).applied(model), read_residuals(model, every) as streams:
        logits(model)
    assert torch.equal(streams[0], before[0])
    torch.testing.assert_close(streams[1], before[1] + shift)
    assert not torch.allclose(streams[2] - before[2], streams[1] - before[1], rtol=1e-2)  # later layers answer to it
    hidden = model.network(IDS, use_cache=False, output_hidden_states=True).hidden_states
    torch.testing.assert_close(before[1], hidden[2])  # transformers' own: 0 is the embedding


def test_rows_are_apart_and_layers_add_up() -> None:
    change = ResidualShift((0, 2), shifts(3))
    with change.applied(MODEL):
        together = logits(MODEL)
    for row in range(3):
        with change.select(slice(row, row + 1)).applied(MODEL):
            alone, everywhere = logits(MODEL, IDS[row : row + 1]), logits(MODEL)
        torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(everywhere[row], together[row], rtol=1e-4, atol=1e-5)
        assert not torch.allclose(everywhere[row - 1], together[row - 1], rtol=1e-2)
    first = ResidualShift((0,), change.shift[:, :1])
    second = ResidualShift((2,), change.shift[:, 1:])
    with first.applied(MODEL), second.applied(MODEL):
        assert torch.equal(logits(MODEL), together)


def test_rows_are_selected_repeated_and_dropped_in_force() -> None:
    change = ResidualShift((0, 2), shifts(3))
    mask = torch.tensor([True, False, True])
    assert torch.equal(change.select(mask).repeat(2).shift, change.repeat(2).select(mask.repeat_interleave(2)).shift)
    assert torch.equal(change.select(torch.tensor([2, 0])).shift, change.shift[[2, 0]])
    one = ResidualShift((0, 2), shifts(1))
    assert one.select(torch.tensor([0, 0])) is one
    with change.applied(MODEL) as force:
        whole = logits(MODEL)
        force.keep(mask)
        assert torch.allclose(logits(MODEL, IDS[mask]), whole[mask], rtol=1e-4, atol=1e-5)
        force.keep(torch.tensor([1]))
        assert torch.allclose(logits(MODEL, IDS[2:]), whole[2:], rtol=1e-4, atol=1e-5)
    with one.applied(MODEL) as force:
        force.keep(mask)
        assert logits(MODEL, IDS[mask]).shape[0] == 2


def test_a_copy_in_float32_is_changed_by_itself() -> None:
    model = fake_language_model(dtype=torch.bfloat16)
    change = ResidualShift((1,), shifts(3, 1))
    before, other = logits(model.in_float32), logits(model)
    with change.applied(model.in_float32):
        assert not torch.allclose(logits(model.in_float32), before, rtol=1e-2)
        assert torch.equal(logits(model), other)


def test_no_hook_is_left_after_an_exception() -> None:
    change = ResidualShift((0, 2), shifts(3))
    with pytest.raises(KeyboardInterrupt), change.applied(MODEL):  # noqa: PT012
        assert hooks_left(MODEL) == 2
        raise KeyboardInterrupt
    assert hooks_left(MODEL) == 0
    with pytest.raises(InputError, match="2 rows of residual vectors for a forward pass of 3 rows"):  # noqa: SIM117
        with change.select(slice(0, 2)).applied(MODEL):
            logits(MODEL)
    assert hooks_left(MODEL) == 0
    model = fake_language_model()

    def refuse(*arguments: object) -> None:
        raise RuntimeError("no more hooks")

    model.network.model.layers[2].register_forward_hook = refuse  # type: ignore[union-attr,index,assignment]
    with pytest.raises(RuntimeError, match="no more hooks"), change.applied(model):
        pass
    assert hooks_left(model) == 0


class _Wrapped(nn.Module):
    """A block that returns something else than the block within."""

    def __init__(self, block: nn.Module, kind: str) -> None:
        super().__init__()
        self.block, self.kind = block, kind

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return the stream first of several, on an axis too many, or not at all."""
        stream = self.block(*inputs, **named)
        return {"tuple": (stream, None), "axis": stream.unsqueeze(0), "none": {"stream": stream}}[self.kind]


def _wrapping(kind: str) -> LanguageModel:
    model = fake_language_model()
    layers = model.network.model.layers  # type: ignore[union-attr]
    for k in range(3):
        layers[k] = _Wrapped(layers[k], kind)  # type: ignore[index,operator]
    return model


def test_what_a_block_returns_may_be_a_tuple_and_nothing_else() -> None:
    change = ResidualShift((1,), shifts(3, 1))
    model = _wrapping("tuple")
    embedded = torch.randn(3, 8, WIDTH)
    block = model.network.model.layers[1]  # type: ignore[union-attr,index]
    rotary = model.network.model.rotary_emb(embedded, torch.arange(8).unsqueeze(0))  # type: ignore[union-attr,operator]
    with change.applied(model):
        moved, rest = block(embedded, position_embeddings=rotary)
    torch.testing.assert_close(moved, block(embedded, position_embeddings=rotary)[0] + change.shift)
    assert rest is None
    for kind in ("axis", "none"):
        model = _wrapping(kind)
        block = model.network.model.layers[1]  # type: ignore[union-attr,index]
        with pytest.raises(UnsupportedError, match=r"_Wrapped of layer 1 does not return the residual stream"):  # noqa: SIM117
            with change.applied(model):
                block(embedded, position_embeddings=rotary)


def test_bad_vectors_are_refused() -> None:
    with pytest.raises(TypeError, match=r"a shift must be a floating-point tensor, got torch.int64"):
        ResidualShift((0,), torch.zeros(1, 1, WIDTH, dtype=torch.int64))
    for layers in ((), (1, 1), (2, 0), (-1,)):
        with pytest.raises(InputError, match="layers must be whole numbers >= 0 in ascending order"):
            ResidualShift(layers, torch.zeros(1, len(layers), WIDTH))
    with pytest.raises(
        InputError, match=r"behind layers \(0, 1\) must have shape \(row, layer=2, width\), got \(1, 1,"
    ):
        ResidualShift((0, 1), torch.zeros(1, 1, WIDTH))
    with pytest.raises(InputError, match="a shift must be finite, got inf"):
        ResidualShift((0,), torch.full((1, 1, WIDTH), float("inf")))
    with pytest.raises(InputError, match=r"layer 3 is beyond the model's 3 layers 0 … 2"):  # noqa: SIM117
        with ResidualShift((3,), shifts(1, 1)).applied(MODEL):
            pass
    with pytest.raises(InputError, match="vectors of width 7 for a residual stream of width 32"):  # noqa: SIM117
        with ResidualShift((0,), torch.ones(1, 1, 7)).applied(MODEL):
            pass
