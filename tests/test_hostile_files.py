"""Files from a stranger: small ones that would unfold, links that lead elsewhere, names that climb, and pickles."""

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import safetensors.torch
import torch
from measured_fakes import fake_list, fake_surface
from pyarrow import parquet

from auctionsim import cli
from auctionsim.agents import load_strategies
from auctionsim.files import read_bounded
from auctionsim.measurement import read_replies
from auctionsim.mechanisms import MenuAuction, MenuNetwork, load_mechanism, save_mechanism
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import read_prompts
from auctionsim.records import MOST_JSON_BYTES, parse_json, read_json, read_record
from auctionsim.report import write_runs_report
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates import MeasuredList, QuadraticSubstrate, ResponseSurface
from auctionsim.substrates.surface import MOST_CELLS


def small_surface(path: Path, bidders: int, values: int, levers: int = 1) -> Path:
    """Write a surface of a few hundred bytes that says it has values^(bidders · levers) cells."""
    grids = [{"name": f"l{k}", "values": list(range(values)), "null": 0} for k in range(levers)]
    record = {"grids": grids, "num_bidders": bidders, "features": ["f"], "contexts": ["c"], "provenance": {}}
    write_stored(path, Stored(record, {}), ResponseSurface.file_format, 1)
    return path


def peak_of(code: str, *words: str) -> int:
    """Return by how many MiB the largest resident size of a new process grew while it ran `code`."""
    program = (
        "import sys\nfrom peak_memory import peak_bytes\n"
        "from auctionsim.substrates import ResponseSurface, MeasuredList\n"
        "from auctionsim.report.runs import read_run\nfrom auctionsim.measurement import read_replies\n"
        "from pathlib import Path\nimport pyarrow.parquet, markdown_it\n"
        "before = peak_bytes()\n"
        f"try:\n    {code}\nexcept ValueError as error:\n    assert str(error)\n"
        "print(peak_bytes() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) >> 20


@pytest.mark.parametrize(
    ("bidders", "values", "levers"), [(10, 10, 1), (2**62, 2, 1), (1, 2, 60), (3, 128, 1), (21, 2, 1)]
)
def test_a_surface_is_no_larger_than_it_may_be(bidders: int, values: int, levers: int, tmp_path: Path) -> None:
    path = small_surface(tmp_path / "small.safetensors", bidders, values, levers)
    assert path.stat().st_size < 4000
    began = time.perf_counter()
    with pytest.raises(ValueError, match=rf"small\.safetensors: .* has more than {MOST_CELLS} cells: measure a list"):
        ResponseSurface.load(path)
    assert time.perf_counter() - began < 5


def test_numbers_are_not_spread_over_cells_without_end(tmp_path: Path) -> None:
    """Every lever has two values, so nearly all cells are the null: a few numbers stand for a million cells."""
    levers, names = 20, [f"f{k}" for k in range(40)]
    grids = [{"name": f"l{k}", "values": [0.0, 1.0], "null": 0.0} for k in range(levers)]
    record = {"grids": grids, "num_bidders": 1, "features": names, "contexts": ["c"], "provenance": {}}
    numbers, counts = torch.zeros(1, 2, 1, 40, dtype=torch.float64), torch.ones(1, 2, 1, 40, dtype=torch.int64)
    arrays = {f"{r}/features/{part}": numbers for r in "AB" for part in ("mean", "standard_error")}
    arrays |= {f"{r}/features/n": counts for r in "AB"}
    arrays |= {f"{r}/user_loss/{part}": numbers[..., 0, 0] for r in "AB" for part in ("mean", "standard_error")}
    arrays |= {f"{r}/user_loss/n": counts[..., 0, 0] for r in "AB"}
    path = tmp_path / "spread.safetensors"
    write_stored(path, Stored(record, {k: a.clone() for k, a in arrays.items()}), ResponseSurface.file_format, 1)
    with pytest.raises(ValueError, match=r"spread\.safetensors: holds \d+ numbers, spread over its cells; at most"):
        ResponseSurface.load(path)


def test_hostile_surfaces_take_little_memory(tmp_path: Path) -> None:
    path = small_surface(tmp_path / "small.safetensors", 10, 10)
    assert peak_of("ResponseSurface.load(sys.argv[1])", str(path)) < 100


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("num_bidders", "2", "num_bidders must be a whole number in .*, got '2'"),
        ("num_bidders", 2.0, "num_bidders must be a whole number"),
        ("num_bidders", True, "num_bidders must be a whole number .* got True"),
        ("features", "hits", "features must be a list, got 'hits'"),
        ("features", ["hits", 1], r"features\[1\] must be a text, got 1"),
        ("contexts", None, "contexts must be a list, got None"),
        ("grids", {}, "grids must be a list"),
        ("grids", [[]], r"grids\[0\] must be an object"),
        ("grids", [{"name": 5, "values": [0, 1], "null": 0}], "name must be a text, got 5"),
        ("grids", [{"name": "a", "values": ["0", 1], "null": 0}], r"values\[0\] must be a number, got '0'"),
        ("grids", [{"name": "a", "values": 5, "null": 0}], "values must be a list, got 5"),
        ("grids", [{"name": "../a", "values": [0, 1], "null": 0}], "must be a Python identifier"),
        ("grids", [{"name": "a", "values": [0, 10**30], "null": 0}], "must be a finite number"),
        ("provenance", [], "provenance must be an object, got a list of 0"),
    ],
)
def test_a_right_checksum_and_a_wrong_field_is_one_sentence(
    name: str, value: object, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "bent.safetensors"
    stored = fake_surface()._written[0]
    write_stored(path, Stored({**stored.record, name: value}, stored.arrays), ResponseSurface.file_format, 1)
    with pytest.raises(ValueError, match=rf"bent\.safetensors: .*{message}"):
        ResponseSurface.load(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("[" * 65 + "]" * 65, "nested too deeply: at most 64"),
        ('{"a": 1e400}', "beyond what a double holds"),
        (f'{{"a": {"9" * 100_000}}}', "a number of 100000 digits"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "Infinity is no number"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        ('{"a": "x', "is not JSON"),
        ("", "is not JSON"),
        ("\0", "is not JSON"),
        ("[]", "must be an object, got a list of 0"),
    ],
)
def test_json_is_read_strictly(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"record\.json: {message}|record\.json: .*{message}"):
        read_record(path)


def test_json_of_another_encoding_or_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match=r"record\.json: is not JSON: not UTF-8 at byte 7"):
        read_json(path)
    with path.open("wb") as file:
        file.truncate(MOST_JSON_BYTES + 1)  # nothing but holes: no room on the disk
    with pytest.raises(ValueError, match=rf"record\.json: has {MOST_JSON_BYTES + 1} bytes; at most {MOST_JSON_BYTES}"):
        read_json(path)
    assert parse_json('{"a": [1, 2.5, "x", null, true]}') == {"a": [1, 2.5, "x", None, True]}
    assert parse_json("[" * 64 + "]" * 64)


@pytest.mark.parametrize(
    "load", [ResponseSurface.load, MeasuredList.load, BrandNeurons.load, load_strategies, read_replies]
)
def test_pipes_devices_and_folders_are_not_waited_for(load: object, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(ValueError, match=f"{path}: is no regular file"):
            load(path)  # type: ignore[operator]


def test_a_name_has_no_character_zero() -> None:
    with pytest.raises(ValueError, match="a file's name has no character 0"):
        read_bounded("a\0b", 10)


def test_a_header_is_no_longer_than_it_may_be(tmp_path: Path) -> None:
    path = tmp_path / "header.safetensors"
    with path.open("wb") as file:
        file.write((1 << 25).to_bytes(8, "little"))
        file.truncate(8 + (1 << 25))
    with pytest.raises(ValueError, match=r"header\.safetensors: has a header of 33554432 bytes; at most"):
        ResponseSurface.load(path)


def test_a_network_is_no_larger_than_its_tensors(tmp_path: Path) -> None:
    place = QuadraticSubstrate(2)
    path = tmp_path / "menu.safetensors"
    save_mechanism(MenuAuction(place, MenuNetwork(place, entries=2, hidden=4)), path)
    stored = read_stored(path, "auctionsim/mechanism", 1)
    for hidden in (10**6, 2**40, 3, 0, -1, "4", 4.0, None):
        settings = {**stored.record["settings"], "hidden": hidden}
        write_stored(path, Stored({**stored.record, "settings": settings}, stored.arrays), "auctionsim/mechanism", 1)
        with pytest.raises(
            ValueError, match=r"menu\.safetensors: .*(hidden must be a whole number|body\.2\.weight must be)"
        ):
            load_mechanism(path, place)


def test_a_tensor_of_objects_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.safetensors"
    stored = fake_list(3)._written[0]
    for name, array in (
        ("allocations", stored.arrays["allocations"].long()),
        ("A/features/n", stored.arrays["A/features/n"].double()),
        ("A/features/mean", stored.arrays["A/features/mean"].bool()),
        ("A/user_loss/mean", stored.arrays["A/user_loss/mean"] * torch.nan),
        ("A/user_loss/standard_error", -stored.arrays["A/user_loss/standard_error"]),
    ):
        write_stored(path, Stored(stored.record, {**stored.arrays, name: array}), MeasuredList.file_format, 1)
        with pytest.raises(ValueError, match=r"list\.safetensors: "):
            MeasuredList.load(path)
    (tmp_path / "pickle.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(ValueError, match="is truncated, or no safetensors file"):
        MeasuredList.load(tmp_path / "pickle.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "torch.safetensors")
    with pytest.raises(ValueError, match=r"torch\.safetensors: "):
        MeasuredList.load(tmp_path / "torch.safetensors")
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="was not written by auctionsim"):
        MeasuredList.load(tmp_path / "foreign.safetensors")


def test_replies_do_not_unpack_without_end(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    lines = b'{"format": "auctionsim replies", "version": 1, "replies": 9000000, "record": {"prompts": {}, '
    lines += b'"interventions": []}}\n' + b"{}\n" * 5_000_000
    path.write_bytes(gzip.compress(lines, 1))
    assert path.stat().st_size < 1_000_000
    del lines
    assert peak_of("read_replies(sys.argv[1])", str(path)) < 300


def run_folder(folder: Path, **files: str) -> Path:
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"command": "x", "settings": {}}))
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"run_json": "[" * 100_000}, r"run\.json: is nested too deeply"),
        ({"run_json": "{"}, r"run\.json: is not JSON"),
        ({"run_json": "[]"}, r"run\.json: must be an object"),
        ({"run_json": '{"settings": 5}'}, r"run\.json: settings must be an object, got 5"),
        ({"run_json": '{"settings": {"brands": 5}}'}, r"run\.json: brands must be a list, got 5"),
        ({"run_json": '{"brands": [[]]}'}, r"run\.json: a brand has no name"),
        ({"run_json": '{"brands": ["a,b"]}'}, r"run\.json: a brand's name must be plain text"),
        ({"run_json": '{"command": {}}'}, r"run\.json: command must be a text"),
        ({"run_json": '{"replies": [{"prompt": 5}]}'}, r"run\.json: replies\[0\], prompt must be a text, got 5"),
        ({"run_json": '{"claims": 1}'}, r"run\.json: claims must be a list, got 1"),
        ({"menu_csv": "reply,num_neurons\nx,many\n"}, r"menu\.csv: num_neurons must be a number, got 'many'"),
        ({"menu_csv": "reply\n\0\n"}, r"menu\.csv: is no CSV table"),
        ({"menu_csv": "a,b\n1\n"}, r"menu\.csv: is no CSV table: line 2 has 1 cells"),
        ({"a_png": "<svg onload=alert(1)>"}, r"a\.png: is no PNG picture"),
        ({"table_parquet": "PAR1xxxxPAR1"}, r"table\.parquet: is no table that can be read"),
        ({"comparison_parquet": ""}, r"comparison\.parquet: is no table that can be read"),
        ({"section_md": "x" * 300_000}, r"section\.md: has 300000 bytes; at most"),
    ],
)
def test_a_damaged_run_folder_is_one_line_and_an_exit_code(
    files: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    folder = run_folder(tmp_path / "run", **files)
    with pytest.raises(ValueError, match=message):
        write_runs_report([folder], folder / "report.html")
    monkeypatch.setattr(sys, "argv", ["auctionsim", "report", str(folder)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err.strip()
    assert ended.value.code == 2
    assert told.startswith("error: ")
    assert len(told.splitlines()) == 1
    assert "Traceback" not in told
    assert not (folder / "report.html").exists()


@pytest.mark.parametrize("name", ["table.csv", "table.parquet", "figure.png", "section.md", "replies.jsonl"])
def test_a_loop_of_links_is_no_defect(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run.json").write_text("{}")
    (tmp_path / name).symlink_to(name)
    monkeypatch.setattr(sys, "argv", ["auctionsim", "report", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, 2)
    assert "defect" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["run.json", "a.png", "menu.csv", "section.md", "table.parquet", "comparison.parquet"])
def test_a_run_folder_shows_nothing_from_outside(name: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the user's own")
    folder = run_folder(tmp_path / "run")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(secret)
    with pytest.raises(ValueError, match=rf"{name}: leads out of the run folder, and is not shown"):
        write_runs_report([folder], tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_data_that_leads_elsewhere_is_not_listed_and_links_within_are_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret.json").write_text("{}")
    folder = run_folder(tmp_path / "run", section_md="# found")
    (folder / "elsewhere.json").symlink_to(tmp_path / "secret.json")
    (folder / "again.json").symlink_to(folder / "run.json")
    page = write_runs_report([folder], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "again.json" in page
    assert "elsewhere.json" not in page
    assert ["elsewhere.json is a link" in record.getMessage() for record in caplog.records] == [True]
    (tmp_path / "other").symlink_to(folder)  # the folder itself may be one
    write_runs_report([tmp_path / "other"], tmp_path / "report.html")


def test_a_small_table_in_a_run_folder_takes_little_memory(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(3000, dtype=np.int32)), pa.array(["x" * (1 << 20)]))
    parquet.write_table(pa.table({"a": column}), folder / "table.parquet")
    whole = pa.table({"n": pa.array(np.zeros(20_000_000, dtype=np.int8))})
    parquet.write_table(whole, folder / "rows.parquet")
    del whole
    assert sum(f.stat().st_size for f in folder.glob("*.parquet")) < 1 << 20
    assert peak_of("read_run(Path(sys.argv[1]), Path('.'), 'run')", str(folder)) < 300


def test_a_table_of_long_texts_is_cut_and_many_tables_are_refused(tmp_path: Path) -> None:
    folder = run_folder(tmp_path / "run")
    text = pa.DictionaryArray.from_arrays(pa.array(np.zeros(500, dtype=np.int32)), pa.array(["x" * (1 << 19)]))
    parquet.write_table(pa.table({f"c{k}": text for k in range(100)}), folder / "table.parquet")
    page = write_runs_report([folder], tmp_path / "report.html")
    assert page.stat().st_size < 30_000_000
    (folder / "table.parquet").unlink()
    for k in range(101):
        (folder / f"t{k}.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match="has 101 tables; a page shows at most 100"):
        write_runs_report([folder], tmp_path / "report.html")


def test_prompts_with_a_file_that_is_too_long_or_climbs(tmp_path: Path) -> None:
    with (tmp_path / "long.txt").open("wb") as file:
        file.truncate(16_000_001)
    with pytest.raises(ValueError, match="longer than 16 MB"):
        read_prompts(tmp_path / "long.txt")


def test_brands_and_names_from_a_file_name_no_path(tmp_path: Path) -> None:
    """A name that becomes a path is cut to letters and digits first."""
    from auctionsim.experiments.running.preparation import slug

    for name in ("../../etc/passwd", "a/b", "..", "a\\b", "C:\\x", "~root", "a\0b"):
        made = slug(name)
        assert Path(made).name == made
        assert ".." not in made
        assert not set(made) & set("/\\~\0:")


def test_checksums_are_over_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "list.safetensors"
    fake_list(3).save(path)
    whole = bytearray(path.read_bytes())
    for place in range(8, len(whole), 211):
        whole[place] ^= 1
        path.write_bytes(whole)
        with pytest.raises(ValueError, match=r"list\.safetensors: "):
            MeasuredList.load(path)
        whole[place] ^= 1
