"""The dtype that decodes faster is taken, timed once, the same in every process after."""

import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from auctionsim.language_models import load_model
from auctionsim.language_models.devices import choose_dtype
from auctionsim.language_models.probe import faster_dtype, remembered_dtype
from auctionsim.testing import fake_language_model


def network(pause: float = 0.0) -> nn.Module:
    found = fake_language_model(end_gain=9.0).network  # its end token is likely: the probe must not stop there
    found.register_forward_pre_hook(lambda module, inputs: time.sleep(pause))
    return found


def test_the_faster_is_taken() -> None:
    slow, fast = network(0.03), network()
    assert faster_dtype({torch.float32: slow, torch.bfloat16: fast}) == torch.bfloat16
    assert faster_dtype({torch.float32: fast, torch.bfloat16: slow}) == torch.float32


def test_every_network_takes_all_steps() -> None:
    """One prefill and three decode steps a repetition, end tokens or not; attention and configuration left alone."""
    passes: list[int] = []
    found = network()
    found.register_forward_pre_hook(lambda module, inputs: passes.append(1))
    before = found.config._attn_implementation  # type: ignore[union-attr]
    faster_dtype({torch.float32: found})
    assert len(passes) == 4 * (1 + 3)
    assert found.config._attn_implementation == before  # type: ignore[union-attr]
    assert found.generation_config.eos_token_id == 1  # type: ignore[union-attr]


def test_the_answer_is_kept(tmp_path: Path) -> None:
    found = network()
    answer = remembered_dtype(found, tmp_path)
    assert answer in (torch.float32, torch.bfloat16)
    assert {parameter.dtype for parameter in found.parameters()} == {torch.float32}
    (path,) = tmp_path.iterdir()
    assert json.loads(path.read_text()) == {"dtype": str(answer).removeprefix("torch.")}
    other = {torch.float32: "bfloat16", torch.bfloat16: "float32"}[answer]
    path.write_text(json.dumps({"dtype": other}))
    assert str(remembered_dtype(found, tmp_path)) == f"torch.{other}"  # not timed again
    remembered_dtype(fake_language_model(num_layers=2).network, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2  # another model has an answer of its own
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"dtype-.*\.json is damaged: remove it"):
        remembered_dtype(found, tmp_path)


@pytest.mark.skipif(
    choose_dtype("auto", torch.device("cpu")) != torch.bfloat16, reason="this CPU does not compute in bfloat16"
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_loaded_model_has_the_kept_dtype(dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path / "cache"))
    fake = fake_language_model()
    fake.network.save_pretrained(tmp_path / "model")  # type: ignore[operator]
    fake.tokenizer.save_pretrained(tmp_path / "model")
    load_model(str(tmp_path / "model"), device="cpu")
    (path,) = (tmp_path / "cache" / "probes").iterdir()
    path.write_text(json.dumps({"dtype": dtype}))
    loaded = load_model(str(tmp_path / "model"), device="cpu")
    assert str(loaded.dtype) == f"torch.{dtype}"
    ids = torch.arange(10, 20).unsqueeze(0)
    expected = load_model(str(tmp_path / "model"), device="cpu", dtype=dtype).network(ids).logits
    assert torch.equal(loaded.network(ids).logits, expected)
