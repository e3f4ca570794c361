"""Carriers that ship: each file is read, lies beside its list, and is what moved the list's replies."""

from pathlib import Path

import pytest

from auctionsim.carriers import load_carrier, save_carrier
from auctionsim.carriers.protocol import CARRIER_FORMAT, CARRIER_VERSION
from auctionsim.data import carrier_beside, readings_beside, replies_beside, surfaces_folder, values_beside
from auctionsim.measurement import read_replies
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates import MeasuredList

NAMES = sorted(
    path.name.removesuffix(".safetensors")
    for path in carrier_beside(surfaces_folder() / "any.safetensors").parent.glob("*.safetensors")
)


def test_eight_carriers_ship_in_two_categories() -> None:
    for category in ("running-shoes-2-", "charities-2-"):
        assert sum(name.startswith(category) for name in NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_that_of_its_carrier(name: str) -> None:
    path = surfaces_folder() / f"{name}.safetensors"
    carrier, listed = load_carrier(carrier_beside(path)), MeasuredList.packaged(name)
    assert name.removesuffix("@1").endswith(carrier.name)
    assert listed.provenance["carrier"]["digest"] == carrier.digest
    assert [brand.written for brand in carrier.brands] == [list(names) for names in listed.provenance["brands"]]
    assert carrier.feasible(listed.allocations).all()
    assert 2 <= len(listed.allocations) <= 25
    assert all(beside(path).exists() for beside in (replies_beside, readings_beside, values_beside))
    assert "reply_kl" in listed.losses
    assert "quality" in listed.losses


@pytest.mark.parametrize("category", ["running-shoes-2-", "charities-2-"])
def test_untouched_replies_are_the_same_under_every_carrier(category: str) -> None:
    found = []
    for name in (name for name in NAMES if name.startswith(category)):
        kept = read_replies(replies_beside(surfaces_folder() / f"{name}.safetensors")).replies
        found.append({tuple(one.place): one.token_ids for one in kept if one.intervention == 0})
    assert found[0]
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("kind", ["logit-bias", "low-rank", "prompt-ad", "residual-vector", "segments"])
def test_a_rule_in_other_words_stays_that_of_the_file(kind: str, tmp_path: Path) -> None:
    """So that rewording the code's own leaves files as they are."""
    path = carrier_beside(surfaces_folder() / f"running-shoes-2-{kind}@1.safetensors")
    stored = read_stored(path, CARRIER_FORMAT, CARRIER_VERSION)
    settings = {**stored.record["settings"], "rule": "in other words"}
    assert settings.keys() == stored.record["settings"].keys()
    record = {**stored.record, "settings": settings}
    write_stored(tmp_path / "worded", Stored(record, stored.arrays), CARRIER_FORMAT, CARRIER_VERSION)
    save_carrier(tmp_path / "again", load_carrier(tmp_path / "worded"))
    assert (tmp_path / "again").read_bytes() == (tmp_path / "worded").read_bytes()
