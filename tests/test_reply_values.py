"""Values of single replies lie beside a measurement in its replies' order; what is damaged or of others is refused."""

import gzip
from pathlib import Path

import pytest
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.data import values_beside
from auctionsim.errors import DamagedFileError
from auctionsim.measurement import REPLIES_FILE, Measuring
from auctionsim.measurement.reply_values import in_file_order, live_values, read_reply_values, write_reply_values
from auctionsim.measurement.second_pass import SecondPass
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.readings import Unscored

FILE = values_beside(Path("list.safetensors"))


@pytest.fixture(scope="module")
def measuring(tmp_path_factory: pytest.TempPathFactory) -> Measuring:
    """A finished measurement with its replies, to be read only."""
    folder, model = tmp_path_factory.mktemp("run"), fake_model()
    measuring = Measuring(folder, model, fake_neurons(model), fake_prompts(), SETTINGS)
    measuring.run()
    measuring.keep_replies(folder / REPLIES_FILE)
    return measuring


@pytest.fixture(scope="module")
def stored(measuring: Measuring) -> StoredReplies:
    return StoredReplies.load(measuring.folder / REPLIES_FILE)


def test_values_are_in_the_replies_order(measuring: Measuring, stored: StoredReplies, tmp_path: Path) -> None:
    """What was taken live and what a second pass takes of the same texts meet reply by reply."""
    live = live_values(measuring.results(), ("hits", "kl"))
    second = SecondPass(tmp_path / "pass", stored, ("hits", "length"))
    values = second.run()
    again = {name: in_file_order(second.numbers(), values[name]) for name in values}
    assert again["hits"] == live["hits"]
    assert again["length"] == [float(reply.length) for reply in stored.kept.replies]
    path = tmp_path / FILE
    write_reply_values(path, stored, live, {"command": "first"})
    before = path.read_bytes()
    write_reply_values(path, stored, live, {"command": "first"})
    assert path.read_bytes() == before, "equal contents give equal bytes"
    write_reply_values(path, stored, {"length": again["length"]}, {"command": "second"})
    found = read_reply_values(path, stored)
    assert {name: one.values for name, one in found.items()} == {**live, "length": again["length"]}
    assert (found["kl"].unit, found["kl"].per, found["hits"].per) == ("nats a token", "user", "brand")


def test_an_unscored_reply_stays_so_with_its_reason(stored: StoredReplies, tmp_path: Path) -> None:
    values = [float(k) for k in range(len(stored.kept.replies))]
    given = [*values[:-1], Unscored("no words")]
    write_reply_values(tmp_path / FILE, stored, {"kl": given}, {})
    assert read_reply_values(tmp_path / FILE, stored)["kl"].values == given


def test_what_does_not_fit_is_refused(stored: StoredReplies, tmp_path: Path) -> None:
    values = [0.0] * len(stored.kept.replies)
    with pytest.raises(ValueError, match=r"kl needs .* values, one a reply"):
        write_reply_values(tmp_path / FILE, stored, {"kl": values[1:]}, {})
    with pytest.raises(ValueError, match="slot_probability is of prompts or of sets"):
        write_reply_values(tmp_path / FILE, stored, {"slot_probability": values}, {})
    with pytest.raises(ValueError, match="each once"):
        in_file_order([0, 0], [1.0, 2.0])
    write_reply_values(tmp_path / FILE, stored, {"kl": values}, {})
    others = StoredReplies(stored.kept, "0" * 64, stored.brands)
    with pytest.raises(ValueError, match="holds values of other replies"):
        read_reply_values(tmp_path / FILE, others)


def test_damage_is_named(stored: StoredReplies, tmp_path: Path) -> None:
    path = tmp_path / FILE
    write_reply_values(path, stored, {"kl": [0.0] * len(stored.kept.replies)}, {})
    whole = path.read_bytes()
    text = gzip.decompress(whole)
    changed = gzip.compress(text.replace(b"[0.0, 0.0", b"[0.5, 0.0", 1))
    for content in (whole[: len(whole) // 2], b"no gzip", changed, gzip.compress(text[:-1])):
        path.write_bytes(content)
        with pytest.raises(DamagedFileError, match=FILE.name):
            read_reply_values(path, stored)
