"""Files of the arena from a stranger under a right checksum: shapes, ranges, and what would unpack without end."""

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auctionsim.brands import parse_brands
from auctionsim.carriers.slots import Slots
from auctionsim.experiments.running import carrier_cells
from auctionsim.experiments.running.carrier_cell import CarrierCell, CellReplicate, cell_document, cell_from
from auctionsim.experiments.running.carrier_lists import pilot_from
from auctionsim.measurement.kept_replies import KeptReplies, KeptReply
from auctionsim.measurement.reply_values import MOST_VALUES_BYTES, read_reply_values, write_reply_values
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.records import Record
from auctionsim.signed_json import signed_json

SLOTS = Slots(parse_brands("Nike,Puma"), "shoes", ["See {brand}.", "Try {brand}."])
PILOT = {"ladder": [[1.0], [2.0]], "reply_kl": [[0.5, 1.0], [0.25, 4.0]]}


def cell() -> dict[str, Any]:
    """A cell of two settings, four prompts in two contexts, two replies and one brand, as JSON has it."""
    numbers = (np.ones((2, 4, 1)), np.ones((2, 4, 2)), {"quality": np.full((2, 4), np.nan)})
    slots = np.ones((2, 1))
    one = CellReplicate(np.array([0, 0, 1, 1]), tuple("abcd"), 2, *numbers, slots, slots)
    words = ("list", "slots", "slots", "shoes", ("Nike",), ("slot",))
    whole = CarrierCell(*words, np.array([[[0.0]], [[1.0]]]), np.array([0.0]), (1, 1), {"A": one, "B": one}, {})
    return dict(json.loads(json.dumps(cell_document(whole))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ladder": []}, r"ladder must be lists of 1 numbers"),
        ({"ladder": [[1.0, 2.0], [2.0, 2.0]]}, r"ladder must be lists of 1 numbers"),
        ({"ladder": [[1.0], [9.0]]}, r"slots takes slot in \[0, 2\] \(whole\) a bidder, got .* in row 1"),
        ({"ladder": [[1.0], ["x"]]}, r"a rung, ladder\[0\] must be a number, got 'x'"),
        ({"reply_kl": [[0.5, 1.0]]}, "reply_kl must be 2 lists of 2 numbers"),
        ({"reply_kl": [[0.5], [0.25]]}, "reply_kl must be 2 lists of 2 numbers"),
        ({"reply_kl": [[0.5, -1.0], [0.25, 4.0]]}, r"must be a finite number in \[0, inf\], got -1.0"),
    ],
)
def test_a_pilot_is_one_of_its_carrier(change: dict[str, Any], message: str) -> None:
    assert pilot_from(Record(PILOT), SLOTS).reply_kl.tolist() == PILOT["reply_kl"]
    with pytest.raises(ValueError, match=message):
        pilot_from(Record({**PILOT, **change}), SLOTS)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("context", [0, 0, 1, 2**62], "no context of fewer than 4"),
        ("prompts", ["a"], "for each of 1 prompts"),
        ("named", [[[1.0]] * 4, [[3.0]] * 4], r"named must be numbers in \[0, 2\] of shape \(2, 4, 1\)"),
        ("named", [[[1.0]] * 4, [[None]] * 4], "named must be numbers"),
        ("named", [[[1.0]] * 4, [["x"]] * 4], "named must be numbers"),
        ("named", [[[1.0]] * 4, [[{}]] * 4], "named must be numbers"),
        ("reply_kl", [[[1.0, -1.0]] * 4] * 2, r"reply_kl must be numbers in \[0, inf\] of shape \(2, 4, 2\)"),
        ("columns", {"quality": [[1.0]]}, r"columns, quality must be numbers .* of shape \(2, 4\)"),
        ("slots", [[1.0, 1.0]], r"slots must be numbers .* of shape \(2, 1\)"),
    ],
)
def test_a_cell_has_the_shapes_that_its_settings_and_prompts_have(name: str, value: object, message: str) -> None:
    document = cell()
    assert cell_document(cell_from(Record(document)))["replicates"] == document["replicates"]
    document["replicates"]["B"][name] = value
    with pytest.raises(ValueError, match=message):
        cell_from(Record(document))


def test_a_cell_that_is_none_is_named_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "cell.json"
    bent = copy.deepcopy(cell())
    bent["nulls"] = [0.0, 0.0]
    whole = {"format": "auctionsim cell of the table of carriers", "version": 1, "key": {}, "cell": bent}
    path.write_text(signed_json(whole))
    with pytest.raises(ValueError, match=r"cell\.json is damaged .*nulls must be numbers .* of shape \(1\)"):
        carrier_cells.FORM.read(path, {})


REPLY = KeptReply("A", 0, 0, 0, [0, 0, 0, 0], "Nike.", [3], 1)
STORED = StoredReplies(KeptReplies({}, [REPLY, REPLY]), "0" * 64, parse_brands("Nike,Puma"))


def bent_values(path: Path, bend: Callable[[dict[str, Any]], object]) -> None:
    write_reply_values(path, STORED, {"mentions": [[1.0, 0.0]] * 2, "reply_kl": [0.5, 0.25]}, {})
    document = json.loads(gzip.decompress(path.read_bytes()))
    del document["sha256"]
    bend(document)
    path.write_bytes(gzip.compress(signed_json(document).encode()))


@pytest.mark.parametrize(
    ("bend", "message"),
    [
        (lambda d: d.update(readings=[]), "readings must be an object"),
        (lambda d: d["readings"]["reply_kl"].update(values=[[0.5, 0.5], [0.25, 0.5]]), "reply_kl must have a number"),
        (lambda d: d["readings"]["mentions"].update(values=[1.0, 0.0]), "mentions must have a number a reply, or 2"),
        (lambda d: d["readings"]["mentions"].update(values=[[1.0], [0.0]]), "mentions must have a number a reply"),
        (lambda d: d["readings"]["reply_kl"].update(per="set"), "reply_kl must have a number a reply"),
        (lambda d: d["readings"]["reply_kl"].update(values=[0.5]), "no value for each of the 2 replies"),
    ],
)
def test_values_are_of_the_kind_that_their_reading_says(
    bend: Callable[[dict[str, Any]], object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "list.values.json.gz"
    bent_values(path, lambda document: None)
    assert read_reply_values(path, STORED)["reply_kl"].values == [0.5, 0.25]
    path.unlink()
    bent_values(path, bend)
    with pytest.raises(ValueError, match=rf"list\.values\.json\.gz is damaged .*{message}"):
        read_reply_values(path, STORED)


def test_values_do_not_unpack_without_end(tmp_path: Path) -> None:
    path = tmp_path / "list.values.json.gz"
    path.write_bytes(gzip.compress(b"[" * (MOST_VALUES_BYTES + 1), 1))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=r"list\.values\.json\.gz is damaged .*unpacks to more than 33554432 bytes"):
        read_reply_values(path, STORED)
