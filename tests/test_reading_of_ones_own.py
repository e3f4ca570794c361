"""A reading and a loss are one file each: measured, charged for, and taken later of stored replies."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim import plugins
from auctionsim.carriers.neurons import Neurons
from auctionsim.measurement import REPLIES_FILE, Measuring, Workers, measure
from auctionsim.measurement.second_pass import SecondPass, gather_values
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.mechanisms import VCG
from auctionsim.readings import names, unregister
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
from auctionsim.testing import fake_language_model

SHOUTS = '''
"""How much of a reply is in capital letters, by brand: a feature."""
from auctionsim.readings import TextReading, register

def read(replies, brands):
    return [[sum(map(str.isupper, r.text)) + len(b.name) / 100 for b in brands] for r in replies]

register(TextReading("capitals", "letters a reply", per="brand", bounds=(0.0, 1e6), read=read))
'''
RARE = '''
"""How improbable a reply's least probable token is to the untouched model: a loss, where less is better."""
from auctionsim.readings import LOWER, ModelReading, register

def read(passes):
    log_p = passes.untouched.log_softmax(-1).gather(2, passes.tokens.unsqueeze(2)).squeeze(2)
    return (-log_p * passes.live).amax(1)

register(ModelReading("rarest", "nats", per="user", bounds=(0.0, 1e6), loss=LOWER, read=read))
'''
BREVITY = '''
"""How much a reply says, in letters: a loss where a shorter reply is the worse one."""
from auctionsim.readings import HIGHER, TextReading, Unscored, register

def read(replies, brands):
    return [float(len(r.text)) if r.text.strip() else Unscored("blank") for r in replies]

register(TextReading("letters_said", "letters", per="reply", bounds=(0.0, 1e6), loss=HIGHER, read=read))
'''
OWN = ("capitals", "rarest", "letters_said")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    """The three files, loaded as `--plugin FILE` loads them."""
    folder, before = tmp_path_factory.mktemp("own"), set(names())
    for name, text in zip(OWN, (SHOUTS, RARE, BREVITY), strict=True):
        (folder / f"{name}.py").write_text(text)
        plugins.load(folder / f"{name}.py")
    yield OWN
    for name in set(names()) - before:
        unregister(name)
    for file in plugins.loaded():
        if Path(file.path).parent == folder.resolve():
            plugins._files.pop(plugins.module_name(Path(file.path)))
            sys.modules.pop(plugins.module_name(Path(file.path)))


@pytest.fixture(scope="module")
def folder(own: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A measurement with the three readings."""
    folder, model = tmp_path_factory.mktemp("measured"), fake_model()
    settings = replace(SETTINGS, num_neurons=(0.0, 24.0), readings=own)
    surface = measure(folder, model, fake_neurons(model), fake_prompts(), settings)
    surface.save(folder / "surface.safetensors")
    return folder


def work(folder: Path, readings: tuple[str, ...]) -> Measuring:
    model = fake_model()
    settings = replace(SETTINGS, num_neurons=(0.0, 24.0), readings=readings)
    return Measuring(folder, model, fake_neurons(model), fake_prompts(), settings)


def test_they_are_measured_sold_and_charged_for(folder: Path, own: tuple[str, ...]) -> None:
    surface = work(folder, own).surface()
    assert surface.measured_features[-1] == "capitals"
    assert set(surface.losses) == {"kl", "rarest", "letters_said"}
    assert [surface.units[name] for name in OWN] == ["letters a reply", "nats", "letters"]
    null, both = surface.null_allocation(1, dtype=torch.float64), torch.tensor([[[24.0, 3.0]] * 2]).double()
    for name in ("rarest", "letters_said"):
        view = surface.sell("capitals", loss=name)
        assert view.user_loss(null).item() == 0
        assert view.user_loss(both).item() != 0
        assert view.user_loss(both).item() == surface.observe(both).losses[name].item()
    view = surface.sell("capitals", loss="rarest")
    outcome = VCG(view, user_weight=0.1)(torch.ones(1, 2, 1, dtype=torch.float64))
    assert bool(view.feasible(outcome.allocation).all())
    slow = [
        [value for r in work(folder, own).results() if r.unit.replicate == "A" and r.unit.context == 0
         for reply, value in zip(r.replies, r.readings["rarest"], strict=True) if reply.intervention == k]
        for k in (0, 3)
    ]  # fmt: skip
    expected = sum(slow[1]) / len(slow[1]) - sum(slow[0]) / len(slow[0])
    assert surface.replicates["A"].losses["rarest"].mean[0, 1, 1, 1, 1].item() == pytest.approx(expected)


def test_replies_are_those_without_them(folder: Path, tmp_path: Path) -> None:
    """Readings are no part of the plan: the folder is taken up without them, and numbers and replies are the same."""
    with_them, without = work(folder, OWN), work(folder, ())
    assert without.missing == []
    plain = without.surface()
    for name in "AB":
        one, other = with_them.surface().replicates[name], plain.replicates[name]
        assert torch.equal(one.losses["kl"].mean, other.losses["kl"].mean)
        assert torch.equal(one.features.mean[..., :4], other.features.mean)
    bare = work(tmp_path, ())
    bare.run()
    assert [r.replies for r in bare.results()] == [r.replies for r in without.results()]
    gathered = work(tmp_path, ("capitals", "letters_said")).surface()  # of stored texts
    expected = with_them.surface()
    for name in "AB":
        assert torch.equal(gathered.replicates[name].features.mean, expected.replicates[name].features.mean)
    with pytest.raises(
        ValueError, match=r"was measured without rarest: read .* `auctionsim surface read RUN --reading"
    ):
        work(tmp_path, ("rarest",)).surface()


def test_they_are_taken_later_of_stored_replies(folder: Path, own: tuple[str, ...], tmp_path: Path) -> None:
    model = fake_model()
    stored = StoredReplies.load(folder / REPLIES_FILE)
    second = SecondPass(tmp_path, stored, own, fake_neurons(model), model)
    gathered = gather_values(second, second.run()).means
    surface = work(folder, own).surface()
    cells = work(folder, own).interventions.cells
    for name in "AB":
        for loss in ("rarest", "letters_said"):
            there, again = surface.replicates[name].losses[loss], gathered[loss][name][loss]
            torch.testing.assert_close(again.mean[:, cells], there.mean, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(again.standard_error[:, cells], there.standard_error, rtol=1e-4, atol=1e-5)
        capitals = gathered["capitals"][name]["capitals"].mean[:, cells]
        assert torch.equal(capitals, surface.replicates[name].features.mean[..., 4])


def test_the_live_model_observes_them(own: tuple[str, ...]) -> None:
    model = fake_model()
    live = LanguageModelSubstrate(
        model, Neurons(fake_neurons(model), num_neurons=24, amplification=3.0), fake_prompts().first(1),
        max_new_tokens=6, manner=Manner(leads=(), readings=own),
    )  # fmt: skip
    assert live.features == ("slot_probability", "mention_probability", "hits", "capitals")
    assert live.losses == ("kl", "rarest", "letters_said")
    levers = torch.tensor([[[0.0, 1.0]] * 2, [[24.0, 3.0]] * 2])
    seen = live.observe(levers)
    assert all(float(seen.losses[name][0]) == 0 for name in live.losses)
    batches = [live.replies(prompts[0], levers, (c, 0), 4) for c, prompts in enumerate(live.prompts.prompts)]
    for name, sign in (("rarest", 1), ("letters_said", -1)):
        means = torch.stack([batch.numbers(name).view(2, 4).nanmean(1) for batch in batches]).mean(0)
        assert float(seen.losses[name][1]) == pytest.approx(sign * float(means[1] - means[0]), rel=1e-4)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_workers_load_the_same_files(folder: Path, own: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="workers are Ray's")
    model, stored = fake_model(), StoredReplies.load(folder / REPLIES_FILE)
    here = SecondPass(tmp_path / "here", stored, own, fake_neurons(model), model)
    there = SecondPass(tmp_path / "there", stored, own, fake_neurons(model), model)
    crew = Workers(2, partial(fake_language_model, end_gain=2.5))
    mine, theirs = here.run(), there.run(crew)
    assert theirs["capitals"] == mine["capitals"]
    assert theirs["letters_said"] == mine["letters_said"]
    assert theirs["rarest"] == pytest.approx(mine["rarest"], rel=1e-4)


COUNTING = """
from auctionsim.readings import LOWER, TextReading, register

def read(replies, brands):
    return [float({times} * len(r.text)) for r in replies]

register(TextReading("counted", "letters", per="reply", bounds=(0.0, 1e6), loss=LOWER, read=read))
"""


def test_a_file_that_was_changed_gives_its_own_values(tmp_path: Path) -> None:
    """Kept under the reading's name alone, the values of yesterday's file would be taken for today's."""
    losses = []
    for times in (1, 2):
        plugin = tmp_path / f"version_{times}.py"
        plugin.write_text(COUNTING.replace("{times}", str(times)))
        plugins.load(plugin)
        try:
            done = work(tmp_path / "measured", ("counted",))
            done.run()
            losses.append(done.surface().replicates["A"].losses["counted"].mean)
            done.keep_replies(tmp_path / REPLIES_FILE)
            stored = StoredReplies.load(tmp_path / REPLIES_FILE)
            second = SecondPass(tmp_path / "values", stored, ("counted",))
            if times == 1:
                second.run()
            else:
                with pytest.raises(ValueError, match=r"counted\.json holds values of something else \(plugin"):
                    second.run()
                values = SecondPass(tmp_path / "others", stored, ("counted",)).run()["counted"]
                texts = [stored.kept.replies[number].text for number in second.numbers()]
                assert values == [2.0 * len(text) for text in texts]
        finally:
            unregister("counted")
            plugins._files.pop(plugins.module_name(plugin))
            sys.modules.pop(plugins.module_name(plugin))
    assert losses[0].abs().max() > 0
    assert torch.equal(losses[1], 2 * losses[0])
