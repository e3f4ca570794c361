"""Values that rest on fitted weights or a prompt: on others they are another measure's, wherever they are kept."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.carriers.neurons import Neurons
from auctionsim.data import readings_beside
from auctionsim.measurement import REPLIES_FILE, Measuring
from auctionsim.measurement.second_pass import SecondPass, gather_values
from auctionsim.measurement.side_files import write_side_file
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.mechanisms import VCG, load_mechanism, save_mechanism
from auctionsim.readings import TextReading, register, unregister
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates import LanguageModelSubstrate, Manner, ResponseSurface, View
from auctionsim.substrates.protocol import ChargedLoss, charged_loss_of
from auctionsim.substrates.side_readings import FORMAT, VERSION

PROMPT = "a prompt of as many words as a message does not show, whatever is behind them"
FIT = {"digest": f"{PROMPT}; fit 1", "factor": 1.0}


def _read(replies: Any, brands: Any) -> list[float]:
    return [FIT["factor"] * len(reply.text) for reply in replies]


@pytest.fixture(autouse=True)
def fitted() -> Iterator[None]:
    """A loss that rests on a fit, which a test may change."""
    FIT.update(digest=f"{PROMPT}; fit 1", factor=1.0)
    parts: dict[str, Any] = {"per": "reply", "bounds": (0.0, 1e6), "loss": "lower is better", "admission": "a report"}
    register(TextReading("fitted", "letters", read=_read, basis=lambda: FIT["digest"], **parts))
    yield
    unregister("fitted")


def refit() -> None:
    FIT.update(digest=f"{PROMPT}; fit 2", factor=2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("basis")


def work(folder: Path, *readings: str) -> Measuring:
    model, settings = fake_model(), replace(SETTINGS, num_neurons=(0.0, 24.0), samples=2, readings=readings)
    return Measuring(folder, model, fake_neurons(model), fake_prompts(1), settings)


def test_a_measurement_reads_its_texts_again_and_its_file_says_on_what_it_rests(folder: Path, tmp_path: Path) -> None:
    one = work(folder, "fitted")
    one.run()
    first = one.surface()
    assert first.bases == {"fitted": f"{PROMPT}; fit 1"}
    first.save(tmp_path / "first.safetensors")
    assert ResponseSurface.load(tmp_path / "first.safetensors") == first
    refit()
    again = work(folder, "fitted")
    assert again.missing == []
    second = again.surface()
    assert second.bases == {"fitted": f"{PROMPT}; fit 2"}
    for name in "AB":
        before, after = (part.replicates[name].losses["fitted"].mean for part in (first, second))
        assert float(before.abs().max()) > 0
        assert torch.equal(after, 2 * before)
    assert second.digest != first.digest
    views = [part.sell("hits", loss={"kl": 1, "fitted": -0.5}) for part in (first, second)]
    save_mechanism(VCG(views[0], 1.0), tmp_path / "rule.safetensors")
    assert load_mechanism(tmp_path / "rule.safetensors", views[0]) is not None
    with pytest.raises(ValueError, match=r"resting on 'fit 1', and this .* resting on 'fit 2'"):
        load_mechanism(tmp_path / "rule.safetensors", views[1])
    kl = [part.sell("hits") for part in (first, second)]
    save_mechanism(VCG(kl[0], 1.0), tmp_path / "rule.safetensors")  # what rests on nothing is the same loss
    assert load_mechanism(tmp_path / "rule.safetensors", kl[1]) is not None


def test_a_side_file_has_one_basis(folder: Path, tmp_path: Path) -> None:
    whole = work(folder)
    whole.run()
    whole.keep_replies(folder / REPLIES_FILE)
    stored, path = StoredReplies.load(folder / REPLIES_FILE), tmp_path / "surface.safetensors"
    whole.surface().save(path)

    def read(values: str, *names: str) -> ResponseSurface:
        second = SecondPass(tmp_path / values, stored, names)
        gathered = gather_values(second, second.run())
        write_side_file(readings_beside(path), ResponseSurface.load(path), stored, gathered, {})
        return ResponseSurface.load(path)

    first = read("one", "length", "fitted")
    assert first.bases == {"fitted": f"{PROMPT}; fit 1"}
    assert first.sell("hits", loss="length+fitted").error_is_exact
    refit()
    with pytest.raises(ValueError, match=r"fitted\.json holds values of something else \(basis"):
        read("one", "fitted")
    later = read("one", "shape")  # `fitted` on the old basis lies beside: another measure's, so of no covariance
    assert later.bases == {"fitted": f"{PROMPT}; fit 1"}
    assert later.sell("hits", loss="length+fitted").error_is_exact  # both as they were
    assert not later.sell("hits", loss="shape+fitted").error_is_exact
    second = read("two", "fitted")
    assert second.bases == {"fitted": f"{PROMPT}; fit 2"}
    assert not second.sell("hits", loss="length+fitted").error_is_exact  # length was not read beside it
    assert torch.equal(second.replicates["A"].losses["fitted"].mean, 2 * first.replicates["A"].losses["fitted"].mean)
    a, b = (part.sell("hits", loss="fitted") for part in (first, second))
    assert a.charged_loss == ChargedLoss("fitted", "letters", f"fitted: {PROMPT}; fit 1")
    assert a != b
    assert a.digest != b.digest
    contents = read_stored(readings_beside(path), FORMAT, VERSION)
    assert contents.record["readings"]["fitted"]["basis"] == f"{PROMPT}; fit 2"
    mixed = {**contents.arrays, "A/diagnostics/fitted/mean": contents.arrays["A/losses/fitted/mean"].clone()}
    write_stored(readings_beside(path), Stored(contents.record, mixed), FORMAT, VERSION)
    with pytest.raises(ValueError, match="which none of its readings has"):
        ResponseSurface.load(path)


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    register(TextReading("shape", "o a reply", per="reply", bounds=(0.0, 1e6), loss="lower is better", read=_round))
    yield
    unregister("shape")


def _round(replies: Any, brands: Any) -> list[float]:
    return [float(reply.text.count("o")) for reply in replies]


def test_a_live_model_says_on_what_its_losses_rest() -> None:
    model = fake_model()
    live = LanguageModelSubstrate(
        model,
        Neurons(fake_neurons(model), num_neurons=24, amplification=3.0),
        fake_prompts().first(1),
        max_new_tokens=4,
        samples=2,
        manner=Manner(readings=("fitted",)),
    )
    assert live.bases == {"fitted": f"{PROMPT}; fit 1"}
    assert charged_loss_of(View(live, ("hits",))).basis == ""
    assert charged_loss_of(View(live, ("hits",)).sell("hits", loss="fitted")).basis == f"fitted: {PROMPT}; fit 1"
