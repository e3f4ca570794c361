"""The fuzz of files: every format that is read, bent with its checksum repaired, or damaged byte by byte.

Run by `test_fuzz.py` in a process of its own: `python tests/fuzz/files.py COUNT SEED`.
"""

import gzip
import hashlib
import io
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import market_targets
import numpy as np
import pandas as pd
import safetensors.torch
import torch
from bending import NUMBERS, TEXTS, bent, bent_bytes, bent_tensor, value, written
from gold_targets import GoldTargets
from pyarrow import parquet
from rich.console import Console
from small_carriers import MODEL, small_carriers, small_neurons, use_carrier
from trying import Target, run

from auctionsim.agents import Shading, TableStrategy, Truthful, load_strategies, save_strategies
from auctionsim.agents.networks import BiddingNetwork, CappedStrategy, NetworkStrategy
from auctionsim.agents.pacing import AnswerBook, read_answers, replayed
from auctionsim.brands import parse_brands
from auctionsim.carriers import carrier_names, load_carrier, save_carrier
from auctionsim.envs import build_game
from auctionsim.envs.learner import LearnerSeat
from auctionsim.envs.offline import log_episodes
from auctionsim.envs.transition_files import KEY, read_transitions, write_transitions
from auctionsim.experiments.running.board_cell import BoardCell, Price, RowName, board_cell_document
from auctionsim.experiments.running.board_cells import FORM as BOARD_FORM
from auctionsim.experiments.running.carrier_cell import CarrierCell, CellReplicate, cell_document
from auctionsim.experiments.running.carrier_cells import FORM as CELL_FORM
from auctionsim.experiments.running.carrier_lists import CARRIER_FILE, CarrierRecipe, _kept_carrier, _kept_pilot
from auctionsim.experiments.running.corpus_cell import COLUMNS, corpus_cell_document
from auctionsim.experiments.running.corpus_cells import FORM as CORPUS_FORM
from auctionsim.experiments.running.geometry import geometry_from
from auctionsim.experiments.running.preparation import Stages
from auctionsim.experiments.running.recipes import read_allocations
from auctionsim.experiments.running.run import Run, kept_section
from auctionsim.experiments.running.tuning import claim
from auctionsim.experiments.tables.bidders_corpus import headlines, summary_rows
from auctionsim.kept import key_digest
from auctionsim.logs.evaluation import evaluate
from auctionsim.logs.log_files import read_log_file
from auctionsim.measurement.kept_replies import KeptReplies, KeptReply, read_replies, write_replies
from auctionsim.measurement.levels import joint_list, levels_at
from auctionsim.measurement.reply_values import read_reply_values, write_reply_values
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.measurement.units import MeasuredReply, Unit, UnitResult, read_unit, write_unit
from auctionsim.mechanisms import VCG, load_mechanism, save_mechanism
from auctionsim.neurons import BrandNeurons
from auctionsim.priors import parse_priors
from auctionsim.prompts import build_prompts, read_prompts
from auctionsim.readings import Unscored
from auctionsim.readings.checklists import FORMAT as CHECKS_FORMAT
from auctionsim.readings.checklists import checks_digest, passed, read_checks
from auctionsim.readings.values import as_tensor
from auctionsim.records import parse_json, read_record
from auctionsim.report.runs import read_run
from auctionsim.signatures import read_signed, sign_folder, verified_folder, write_signed
from auctionsim.signed_json import signed_json
from auctionsim.storage import Stored, read_stored, stored_format
from auctionsim.substrates import MeasuredList, ResponseSurface
from auctionsim.tables import csv_text, read_csv, read_parquet

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "substrates"), str(ROOT / "mechanisms")]

from measured_fakes import fake_list, fake_surface  # noqa: E402
from test_every_mechanism import REGISTERED, named  # noqa: E402

FOLDER = Path(tempfile.mkdtemp(prefix="auctionsim-fuzz-"))
MISSING = (FileNotFoundError,)
CAMPAIGNS, QUERY_TYPES = market_targets.campaigns(FOLDER), market_targets.query_types(FOLDER)
MARKET_CONFIG = market_targets.config(FOLDER)
CONSOLE = Console(file=io.StringIO())


def forged(stored: Stored, file_format: Any, version: Any, draw: random.Random) -> bytes:
    """Return a file of whatever is given, with a checksum that fits."""
    document = {"sha256": "0" * 64, "format": file_format, "version": version, "record": stored.record}
    text = written(document, draw).decode("utf-8", "replace") if draw.random() < 0.05 else json.dumps(document)
    arrays = {name: array.contiguous() for name, array in stored.arrays.items()}
    text = text.encode("utf-8", "replace").decode()  # safetensors takes no half of a surrogate pair
    return repaired(safetensors.torch.save(arrays, metadata={"auctionsim": text}))


def repaired(data: bytes) -> bytes:
    """Return a file with the checksum of what it holds."""
    mark = b'sha256\\": \\"'
    place = data.find(mark)
    if place < 0:
        return data
    start = place + len(mark)
    blank = data[:start] + b"0" * 64 + data[start + 64 :]
    return blank[:start] + hashlib.sha256(blank).hexdigest().encode() + blank[start + 64 :]


def stored_target(make: Callable[[Path], Any], load: Callable[[Path], Any], name: str) -> Target:
    """Return a target that bends a file of named tensors: a field, a tensor, or its bytes."""
    path = FOLDER / f"{name}.safetensors"
    make(path)
    whole, file_format = path.read_bytes(), stored_format(path)
    version = 2 if file_format.endswith("neurons") else 1
    stored = read_stored(path, file_format, version)

    def attempt(draw: random.Random) -> Any:
        record, arrays = stored.record, dict(stored.arrays)
        match draw.randrange(10):
            case 0 | 1 | 2 | 3:
                data = forged(Stored(bent(record, draw), arrays), file_format, version, draw)
            case 4 | 5 | 6 if arrays:
                chosen = draw.choice(sorted(arrays))
                arrays[chosen] = bent_tensor(arrays[chosen], draw)
                data = forged(Stored(record, arrays), file_format, version, draw)
            case 7 if arrays:
                chosen = draw.choice(sorted(arrays))
                array = arrays.pop(chosen)
                arrays |= {draw.choice((*TEXTS[1:3], chosen + "x")): array} if draw.random() < 0.5 else {}
                data = forged(Stored(record, arrays), file_format, version, draw)
            case 8:
                data = repaired(bent_bytes(whole, draw)) if draw.random() < 0.7 else bent_bytes(whole, draw)
            case _:
                data = forged(
                    stored, draw.choice((file_format, value(draw))), draw.choice((version, value(draw))), draw
                )
        path.write_bytes(data)
        return naming(path, load)

    return attempt, MISSING


def naming(path: Path, load: Callable[[Path], Any]) -> Any:
    """Read a file; a refusal must name it."""
    try:
        return load(path)
    except ValueError as error:
        if path.stem not in str(error):
            raise NotImplementedError(f"does not name the file: {error}") from error
        raise


def use_measured(measured: ResponseSurface | MeasuredList) -> None:
    """Ask a measurement all that a mechanism asks."""
    for name in "AB":
        view = measured.replicate(name)
        x = view.null_allocation(2, dtype=torch.float64)
        weights = torch.ones(2, view.num_bidders, len(view.features), dtype=torch.float64)
        for part in (view.exposure(x), view.user_loss(x), view.maximise(weights, 0.5), VCG(view)(weights).payments):
            assert bool(part.isfinite().all()), "an answer that is no number"
    assert measured.table()[0]._fields
    repr(measured)


def use_neurons(neurons: BrandNeurons) -> None:
    """Amplify neurons that were read."""
    allocation = torch.ones(1, len(neurons.brands), 2)
    assert neurons.intervention(allocation).scale.shape[0] == 1
    assert bool(neurons.overlap(1).isfinite().all())
    neurons.layers(0, 1)


def carriers() -> dict[str, Target]:
    """Return a target for every kind of carrier; each that is registered has one."""
    small = small_carriers()
    assert set(small) == set(carrier_names())
    return {
        f"carrier {name}": stored_target(
            lambda path, carrier=carrier: save_carrier(path, carrier),  # type: ignore[misc]
            lambda path: use_carrier(load_carrier(path)),
            f"carrier-{name}",
        )
        for name, carrier in small.items()
    }


def save_bidders(path: Path) -> None:
    """Write one bidder of every kind."""
    network = BiddingNetwork(torch.ones(1), 4, torch.Generator())
    table = TableStrategy(torch.tensor([0.0, 1.0]), torch.tensor([0.0, 0.5]))
    bidders = [NetworkStrategy(network), CappedStrategy(network), table, Shading(0.5), Truthful()]
    save_strategies(path, bidders, {"seed": 0, "setting": "first-price"})


def use_bidders(path: Path) -> None:
    """Let bidders that were read bid."""
    v = torch.tensor([[0.0], [0.5], [1.0]])
    for strategy in load_strategies(path).strategies:
        assert strategy(v).shape[0] == 3


def mechanisms() -> dict[str, Target]:
    """Return a target for every kind of mechanism that has a file."""
    found: dict[str, Target] = {}
    for number, rule in enumerate(REGISTERED):
        bids = torch.full((2, rule.num_bidders or 3, rule.num_features or 1), 0.5, dtype=torch.float64)

        def load(path: Path, rule: Any = rule, bids: torch.Tensor = bids) -> None:
            assert bool(load_mechanism(path, rule.substrate)(bids).payments.isfinite().all())

        name = f"mechanism {named(rule)} {number}"
        found[name] = stored_target(lambda path, rule=rule: save_mechanism(rule, path), load, name)  # type: ignore[misc]
    return found


def json_target(name: str, structure: Any, load: Callable[[Path], Any], *, named: bool = True) -> Target:
    """Return a target that bends a JSON file; where it is `named`, a refusal must name the file."""
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)

    def attempt(draw: random.Random) -> Any:
        path.write_bytes(written(bent(structure, draw), draw))
        return naming(path, load) if named else load(path)

    return attempt, MISSING


REPLY = KeptReply("A", 0, 0, 0, [0, 0, 0, 0], "Buy Nike.", [3, 5], 2)
WITH_AD = REPLY._replace(ads=((0, 3), (4, 9)))
REPLIES = {"settings": {"seed": 0}, "interventions": [[[0.0, 1.0]]], "prompts": {"A": [["Which?"]], "B": [["What?"]]}}


def replies(draw: random.Random) -> Any:
    """Bend a file of replies: a line of it, its bytes, or a bomb."""
    path = FOLDER / "replies.jsonl.gz"
    write_replies(path, REPLIES, [draw.choice((REPLY, WITH_AD)), REPLY._replace(replicate="B")])
    lines = gzip.decompress(path.read_bytes()).split(b"\n")[:-2]
    if draw.random() < 0.7:
        number = draw.randrange(len(lines))
        lines[number] = written(bent(json.loads(lines[number]), draw), draw).replace(b"\n", b" ")
    else:
        lines = bent_bytes(b"\n".join(lines), draw).split(b"\n")
    body = b"\n".join(lines)
    packed = gzip.compress(body + b"\n" + json.dumps({"sha256": hashlib.sha256(body).hexdigest()}).encode() + b"\n", 1)
    if draw.random() < 0.01:
        packed = gzip.compress(body + b"\n" * 10_000_000, 1)
    path.write_bytes(bent_bytes(packed, draw) if draw.random() < 0.1 else packed)
    return naming(path, read_replies)


UNIT = Unit("A", 0, 0, 0, 2, 0)


def unit(draw: random.Random) -> Any:
    """Bend a measured unit, its checksum repaired."""
    ads = draw.choice(((), ((0, 4),)))
    told = [MeasuredReply(k, s, "Nike!", [1, 2], ads) for k in (0, 1) for s in (0, 1)]
    values = {"hits": [[1.0, 0.0]] * 4, "kl": [0.1, Unscored("no reason"), 0.2, 0.0]}
    folder = FOLDER / "units"
    write_unit(folder, UnitResult(UNIT, {"slot_probability": [[[0.5, 0.1]], [[0.2, 0.3]]]}, told, values, {}), "plan")
    path = folder / UNIT.file_name
    document = json.loads(path.read_text())
    del document["sha256"]
    changed = bent(document, draw)
    if isinstance(changed, dict):
        try:
            digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
        except TypeError:  # keys of two kinds
            digest = ""
        changed = {**changed, "sha256": digest}
    path.write_bytes(written(changed, draw))
    return naming(path, lambda _: read_unit(folder, UNIT, "plan"))


STORED = StoredReplies(KeptReplies({**REPLIES, "brands": [["Nike"]]}, [REPLY, WITH_AD]), "0" * 64, parse_brands("Nike"))


def reply_values(draw: random.Random) -> Any:
    """Bend a file of replies' values, its checksum repaired, its bytes, or a bomb."""
    path = FOLDER / "values.json.gz"
    path.unlink(missing_ok=True)
    taken = {"mentions": [[1.0], [0.0]], "reply_kl": [0.5, Unscored("no reason")]}
    write_reply_values(path, STORED, taken, {"command": "x"})
    document = json.loads(gzip.decompress(path.read_bytes()))
    body = repaired_json(bent({k: v for k, v in document.items() if k != "sha256"}, draw), draw)
    if draw.random() < 0.01:
        body = b"[" + b"0," * 30_000_000
    packed = gzip.compress(body, 1)
    path.write_bytes(bent_bytes(packed, draw) if draw.random() < 0.1 else packed)
    found = naming(path, lambda _: read_reply_values(path, STORED))
    for one in found.values():
        assert bool((as_tensor(one.values, 1).isfinite() | as_tensor(one.values, 1).isnan()).all())
    return found


def repaired_json(document: Any, draw: random.Random) -> bytes:
    """Return a document as JSON with the checksum that fits."""
    if isinstance(document, dict):
        try:
            document = json.loads(signed_json(document))
        except (TypeError, ValueError):  # keys of two kinds
            document = {**document, "sha256": ""}
    return written(document, draw)


def signed_target(name: str, structure: Any, load: Callable[[Path], Any]) -> Target:
    """Return a target that bends a JSON file and repairs its checksum; what it is kept under stays half of the time."""
    path = FOLDER / name

    def attempt(draw: random.Random) -> Any:
        changed = bent(structure, draw)
        if isinstance(changed, dict) and draw.random() < 0.8:
            changed = {**structure, "cell": changed.get("cell")}
        path.write_bytes(repaired_json(changed, draw))
        return naming(path, load)

    return attempt, MISSING


CELL_KEY = {"list": "x"}


def cell() -> dict[str, Any]:
    """Return a cell of the table of carriers as its file has it."""
    one = CellReplicate(
        np.array([0, 0, 1, 1]),
        tuple("abcd"),
        2,
        np.ones((2, 4, 1)),
        np.ones((2, 4, 2)),
        {"reply_kl": np.ones((2, 4)), "quality": np.full((2, 4), np.nan)},
        np.ones((2, 1)),
        np.ones((2, 1)),
    )
    words = ("list", "slots", "slots after", "shoes", ("Nike",), ("slot",))
    settings, nulls = np.array([[[0.0]], [[1.0]]]), np.array([0.0])
    whole = CarrierCell(*words, settings, nulls, (1, 1), {"A": one, "B": one}, {"kl": "no reason"})
    return {
        "format": CELL_FORM.name,
        "version": 1,
        "key": CELL_KEY,
        "cell": json.loads(json.dumps(cell_document(whole))),
    }


def use_cell(path: Path) -> Any:
    """Ask a cell for a frontier's numbers."""
    found = CELL_FORM.read(path, CELL_KEY)
    assert found is not None
    assert found.alone(0)[0] == 0
    even = np.full(len(found.settings), 1 / len(found.settings))
    for name in "AB":
        for strata in (found.named_strata(name, even, 0, gain=True), found.column_strata(name, even, "reply_kl") or []):
            assert all(np.isfinite(stratum.values).all() for stratum in strata), "a mean that is no number"
        found.column_strata(name, even, "quality")
    return found.acts_after


class _Named:
    """Stands for a model where only its name and its dtype are asked for."""

    identity = MODEL
    dtype = torch.float32


def board() -> dict[str, Any]:
    """A kept cell of the board, as its file has it."""
    row = RowName("systems", "mine", "slots", "vcg", (("strength", 1.0),))
    scores = {"revenue": 0.5, "objective": 0.4, "kl": None}
    whole = BoardCell(
        row, "shoes", Price("reply_kl", 0.1), True, {"strength": 1.0}, 4, scores, "exact", "proved 0",
        (0.1, 0.5, 0.4), (0.2, 0.6, 0.5), ((0.1, 0.2), (0.0, 0.3)), ((0.0, 0.0), (0.0, 0.1)),
        (1.0, 2.0, 3.0), ((0.5, 0.2), (0.0, 0.3)), 1.25,
    )  # fmt: skip
    return {"format": BOARD_FORM.name, "version": 1, "key": CELL_KEY, "cell": board_cell_document(whole)}


def corpus() -> dict[str, Any]:
    """A kept cell of the reference corpus, as its file has it."""
    plain: dict[str, Any] = {"number": 0.25, "whole": 2, "text": "shading"}
    rows = [{name: plain[column.kind] for name, column in COLUMNS.items()} | {"bidder": i} for i in range(2)]
    return {"format": CORPUS_FORM.name, "version": 1, "key": CELL_KEY, "cell": corpus_cell_document(rows)}


def use_corpus(path: Path) -> Any:
    """Ask a cell of the corpus for its summary."""
    found = CORPUS_FORM.read(path, CELL_KEY)
    assert found is not None
    summary = summary_rows(found.rows)
    return [one["verdict"] for one in summary], list(headlines(summary, {}))


def use_board(path: Path) -> Any:
    """Ask a cell of the board for its numbers."""
    found = BOARD_FORM.read(path, CELL_KEY)
    assert found is not None
    assert np.isfinite(found.draws).all(), "a draw that is no number"
    assert np.isfinite([value for value in found.scores.values() if value is not None]).all()
    return found.row


def arena_folder() -> dict[str, Target]:
    """Return targets for what a run of `arena measure` keeps beside its measurement."""
    folder, recipe = FOLDER / "arena", CarrierRecipe("slots", "Nike,Adidas|adi")
    carrier: Any = small_carriers()["slots"]
    model: Any = _Named()
    folder.mkdir()
    save_carrier(folder / CARRIER_FILE, carrier)
    key = {
        "carrier": "slots",
        "model": MODEL,
        "dtype": "torch.float32",
        "brands": [one.written for one in carrier.brands],
    }
    key |= {"category": recipe.category}
    brands = [one.written for one in carrier.brands]
    key |= {"brands": brands, "prompts": recipe.prompts.digest, "seed": recipe.settings.seed}
    kept = {"key": key, "digest": carrier.digest}
    ladder = carrier.ladder().tolist()
    drawing = {"tokens": 48, "temperature": 0.7, "top_p": 1.0, "positions": recipe.settings.positions, "seed": 0}
    pilot_key = {"carrier": carrier.digest, "dtype": "torch.float32", "targets": list(recipe.targets), **drawing}
    pilot = {"key": pilot_key, "ladder": ladder}
    pilot |= {"reply_kl": [[0.5, 1.0], [0.25, 4.0]]}

    def levels(path: Path) -> Any:
        found = _kept_pilot(recipe, path.parent, model, carrier, Stages(CONSOLE))
        return naming(path, lambda _: joint_list(carrier, levels_at(found, carrier, recipe.targets)))

    return {
        "carrier record": json_target(
            "arena/carrier.json", kept, lambda p: _kept_carrier(recipe, p.parent, model, Stages(CONSOLE))
        ),
        "pilot": json_target("arena/pilot.json", pilot, levels),
        "cell": signed_target("cell.json", cell(), use_cell),
        "board cell": signed_target("board.json", board(), use_board),
        "corpus cell": signed_target("corpus.json", corpus(), use_corpus),
    }


def prompts(draw: random.Random) -> Any:
    """Bend a file of prompts in any of its forms."""
    kind = draw.choice((".json", ".jsonl", ".csv", ".tsv", ".txt", ".md"))
    whole = build_prompts("shoes")
    by_context = {c: list(some) for c, some in zip(whole.contexts, whole.prompts, strict=True)}
    rows = [{"context": c, "prompt": p} for c, some in by_context.items() for p in some[:2]]
    if kind == ".json":
        data = written(bent(by_context, draw), draw)
    elif kind == ".jsonl":
        data = b"\n".join(written(bent(row, draw), draw) for row in rows)
    else:
        sign = "\t" if kind == ".tsv" else ","
        cells = bent([["context", "prompt"], *([r["context"], r["prompt"]] for r in rows)], draw)
        lines = cells if isinstance(cells, list) else [[cells]]
        data = "\n".join(
            sign.join(map(str, line)) if isinstance(line, list) else repr(line)[:100] for line in lines
        ).encode("utf-8", "surrogatepass")
        data = bent_bytes(data, draw) if draw.random() < 0.3 else data
    path = FOLDER / f"prompts{kind}"
    path.write_bytes(data)
    found = naming(path, read_prompts)
    return found.split("A") if all(len(some) >= 8 for some in found.prompts) else found


RUN = {
    "command": "auctionsim x",
    "commit": None,
    "title": "A run",
    "settings": {"brands": [["Nike", "nike.com"], ["Adidas"]], "seed": 0},
    "claims": [{"name": "orthogonality", "verdict": "holds", "evidence": "x"}],
    "figures": {"a.png": "caption"},
    "replies": [
        {"prompt": "p", "untouched": "u", "boosted": "Nike", "brand": "Nike", "num_neurons": 64, "amplification": 2.0}
    ],
}
MENU = [
    {
        "user_weight": 1.0,
        "brand": "Nike",
        "num_neurons": 64.0,
        "amplification": 1.5,
        "price": 0.2,
        "prompt": "p",
        "reply": "=Nike",
    }
]
SWEEP = [
    {
        "mechanism": m,
        "replicate": r,
        "user_weight": 1.0,
        "revenue": 0.5,
        "user_loss": 0.1,
        "objective": 0.4,
        "objective_share": 1.0,
    }
    for m in ("optimum", "menu")
    for r in "AB"
]


def bent_frame(rows: list[dict[str, Any]], draw: random.Random) -> pd.DataFrame:
    """Return a table with a cell, a row or a column bent."""
    changed = json.loads(json.dumps(bent(rows, draw)).replace("\\ud800", ""))  # pandas takes no half of a pair
    listed = [row for row in changed if isinstance(row, dict)] if isinstance(changed, list) else []
    plain = [
        {k: v if isinstance(v, (bool, float)) or v is None else str(v)[:200] for k, v in r.items()} for r in listed
    ]
    return pd.DataFrame(plain if draw.random() < 0.5 else listed)


def run_folder(draw: random.Random) -> Any:
    """Bend one file of a run folder, or all."""
    folder = FOLDER / "run"
    folder.mkdir(exist_ok=True)
    which = draw.randrange(5)
    (folder / "run.json").write_bytes(written(bent(RUN, draw), draw) if which == 0 else json.dumps(RUN).encode())
    menu = csv_text(pd.DataFrame(MENU)).encode()
    (folder / "menu.csv").write_bytes(bent_bytes(menu, draw) if which == 1 else menu)
    if which == 1 and draw.random() < 0.5:
        (folder / "menu.csv").write_bytes(csv_text(bent_frame(MENU, draw)).encode("utf-8", "replace"))
    section = b"# Found\n\n| a | b |\n|--|--|\n| 1 | <script> |\n"
    (folder / "section.md").write_bytes(bent_bytes(section, draw) if which == 2 else section)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(20)
    (folder / "a.png").write_bytes(bent_bytes(picture, draw) if which == 3 else picture)
    parquet_bytes = io.BytesIO()
    try:
        (bent_frame(SWEEP, draw) if which == 4 else pd.DataFrame(SWEEP)).to_parquet(parquet_bytes)
        (folder / "comparison.parquet").write_bytes(parquet_bytes.getvalue())
    except Exception:  # noqa: BLE001  # pyarrow cannot write it
        (folder / "comparison.parquet").write_bytes(b"PAR1")
    part = naming(folder, lambda _: read_run(folder, FOLDER, "run0"))
    return [part.highlighted(card.text) for cards in part.replies.values() for card in cards]


TABLE = pd.DataFrame(
    {"text": ["x", None, "=y"] * 4, "n": range(12), "share": np.linspace(0, 1, 12), "told": [True] * 12}
)
PARQUET = io.BytesIO()
TABLE.to_parquet(PARQUET)


def table(draw: random.Random) -> Any:
    """Damage a parquet file."""
    path = FOLDER / "table.parquet"
    path.write_bytes(bent_bytes(PARQUET.getvalue(), draw))
    return naming(path, lambda _: read_parquet(path, draw.choice((None, 0, 1, 5))))


LOG: list[dict[str, Any]] = [
    {"source": source, "session": k, "option": "ab"[k % 2], "outcome": k / 7, "propensity": 0.5, "mediator_loss": k / 5}
    for source, count in (("obs", 6), ("exp", 8))
    for k in range(count)
]
LOG += [
    {"source": "sim", "session": k, "option": option, "outcome": None, "propensity": None, "mediator_loss": k / 4}
    for k in range(8)
    for option in "ab"
]


def log_file(draw: random.Random) -> Any:
    """Bend a log of sessions, and evaluate what is still one."""
    path = FOLDER / "sessions.parquet"
    try:
        bent_frame(LOG, draw).to_parquet(path)
    except Exception:  # noqa: BLE001  # pyarrow cannot write it
        path.write_bytes(bent_bytes(PARQUET.getvalue(), draw))
    sources = naming(path, read_log_file)
    return evaluate(sources, seed=0, names=("raw_means", "ips_exp")).lines()


def transitions(draw: random.Random) -> Any:
    """Damage a log of transitions, or what it says of itself: what is read is a log."""
    path = FOLDER / "log.parquet"
    game = build_game("first-price", rounds=2)
    write_transitions(path, log_episodes(LearnerSeat(game), None, episodes=3, seed=0))
    if draw.random() < 0.5:
        path.write_bytes(bent_bytes(path.read_bytes(), draw))
    else:
        whole = parquet.read_table(path)
        says = written(bent(json.loads(whole.schema.metadata[KEY]), draw), draw)
        parquet.write_table(whole.replace_schema_metadata({KEY: says}), path)
    return naming(path, lambda _: len(read_transitions(path).episodes()))


def csv_file(draw: random.Random) -> Any:
    """Damage a CSV file."""
    path = FOLDER / "table.csv"
    path.write_bytes(bent_bytes(csv_text(TABLE).encode(), draw))
    return naming(path, read_csv)


def signed(draw: random.Random) -> Any:
    """Damage a signed file: it must never be believed, unless nothing was changed."""
    path = FOLDER / "state.signed"
    write_signed(path, b"content" * 4, "fuzz")
    whole = path.read_bytes()
    data = bent_bytes(whole, draw)
    path.write_bytes(data)
    content = read_signed(path, "fuzz")
    assert data == whole, "a changed file is believed"
    return content


def signed_folder(draw: random.Random) -> Any:
    """Bend a signed folder's list, or a file of it."""
    folder = FOLDER / "signed"
    folder.mkdir(exist_ok=True)
    for name in ("a", "b"):
        (folder / name).write_bytes(name.encode() * 9)
    sign_folder(folder, "fuzz")
    path = folder / draw.choice(("signature.json", "a"))
    data = path.read_bytes()
    changed = written(bent(json.loads(data), draw), draw) if path.suffix == ".json" else bent_bytes(data, draw)
    path.write_bytes(changed)
    with verified_folder(folder, "fuzz") as copy:
        assert (copy / "a").read_bytes() == b"a" * 9, "a changed file is believed"


def priors(draw: random.Random) -> Any:
    """Bend the text of a prior."""
    text = draw.choice(
        ("uniform:0,1", ".6*beta:2,8+.4*beta:8,2", "normal:.5,.2,0,1", "empirical:.2,.5;exponential:1", "beta:2,5,0,3")
    )
    bytes_ = bent_bytes(text.encode(), draw).decode(errors="replace")
    parsed = parse_priors(bytes_.replace("1", str(draw.choice(NUMBERS))[:50], 1) if draw.random() < 0.5 else bytes_)
    return [p.cdf(0.5) for p in (parsed if isinstance(parsed, list) else [parsed])]


def brands(draw: random.Random) -> Any:
    """Bend a line of brands."""
    text = bent_bytes("Coca-Cola|Coke,Apple:case|iPhone,L'Oréal".encode(), draw).decode(errors="replace")
    text = text.replace("Coke", draw.choice(TEXTS), 1) if draw.random() < 0.5 else text
    return [brand.hits(text) for brand in parse_brands(text)]


PART = [{"a": 1, "b": "x"}]


def part(path: Path) -> Any:
    """Read a part of a run that was kept."""
    made = Run(FOLDER, _Settings(), {})
    path.rename(made._part("rows"))
    return made.part("rows", lambda: [{"a": 1}])


def run_record(path: Path) -> Any:
    """Read run.json as a run that goes on does, and as the study's page does."""
    (path.parent / "section.md").write_text("found")
    return kept_section(path.parent)


def _settings() -> Any:
    from dataclasses import make_dataclass

    return make_dataclass("Settings", [("seed", int, 0)], frozen=True)


_Settings = _settings()


CHECKS = {
    "format": CHECKS_FORMAT,
    "checks": [
        {"rule": "contains", "argument": "light shoes", "weight": 2.5, "name": "light"},
        {"rule": "at_most_words", "argument": 40},
        {"rule": "no_brand"},
    ],
}


def answers(draw: random.Random) -> Any:
    """Bend a line of recorded answers, or bytes of the file."""
    path = FOLDER / "answers.jsonl"
    path.unlink(missing_ok=True)
    AnswerBook(path, basis="someone").answered(
        ["day: 0\ntick: 0 of 2", "day: 0\ntick: 1 of 2"], lambda texts: ["0.5"] * 2
    )
    lines = path.read_bytes().split(b"\n")
    if draw.random() < 0.7:
        number = draw.randrange(3)
        lines[number] = written(bent(json.loads(lines[number]), draw), draw).replace(b"\n", b" ")
    data = b"\n".join(lines)
    path.write_bytes(data if draw.random() < 0.7 else bent_bytes(data, draw))
    return naming(path, lambda p: (read_answers(p), replayed(p).counts()))


def use_checks(path: Path) -> Any:
    checks = read_checks(path)
    return checks_digest(checks), passed(checks, "[insert name] 1. Nike, \ufffd!", parse_brands("Nike"))


def targets() -> dict[str, Target]:
    """Return every format."""
    parts = FOLDER / "parts" / Run(FOLDER, _Settings(), {}).digest
    parts.mkdir(parents=True)
    matrix = [[1.0, 0.5], [0.5, 1.0]]
    from auctionsim.experiments.running.geometry import Geometry

    study = FOLDER / "study"
    geometry = {name: matrix for name in Geometry._fields}
    gold = GoldTargets(FOLDER / "gold")
    return {
        "surface": stored_target(fake_surface().save, lambda p: use_measured(ResponseSurface.load(p)), "surface"),
        "day of a market": stored_target(market_targets.write_small_day, market_targets.read_small_day, "day"),
        "campaigns": (lambda draw: naming(FOLDER / "campaigns.parquet", lambda _: CAMPAIGNS(draw)), MISSING),
        "query types": (lambda draw: naming(FOLDER / "query_types.parquet", lambda _: QUERY_TYPES(draw)), MISSING),
        "config of a market": (MARKET_CONFIG, MISSING),
        "list": stored_target(fake_list(3).save, lambda p: use_measured(MeasuredList.load(p)), "list"),
        "neurons": stored_target(small_neurons().save, lambda p: use_neurons(BrandNeurons.load(p)), "neurons"),
        "bidders": stored_target(save_bidders, use_bidders, "bidders"),
        **mechanisms(),
        **carriers(),
        **arena_folder(),
        "replies": (replies, MISSING),
        "reply values": (reply_values, MISSING),
        "bidder answers": (answers, MISSING),
        "unit": (unit, MISSING),
        "prompts": (prompts, MISSING),
        "run folder": (run_folder, MISSING),
        "parquet": (table, MISSING),
        "sheet of labels": (gold.sheet, MISSING),
        "key of a sheet": (gold.key, MISSING),
        "log": (log_file, MISSING),
        "transitions": (transitions, MISSING),
        "csv": (csv_file, MISSING),
        "signed file": (signed, MISSING),
        "signed folder": (signed_folder, MISSING),
        "prior": (priors, ()),
        "brands": (brands, ()),
        "allocations": json_target("allocations.json", [[[64.0, 2.0], [0.0, 1.0]]] * 2, read_allocations),
        "checks": json_target("checks.json", CHECKS, use_checks),
        "part": json_target("rows.json", {"seconds": 1.0, "rows": PART, "digest": key_digest({"rows": PART})}, part),
        "run record": json_target("page/run.json", RUN, run_record),
        "study claim": json_target(
            "study/study.json", {"seed": 0, "axes": [1, 2]}, lambda _: claim(study, {"seed": 0}, {})
        ),
        "geometry": json_target(
            "geometry.json", geometry, lambda p: geometry_from(read_record(p).content), named=False
        ),
        "json": json_target("any.json", RUN, lambda p: parse_json(p.read_bytes()), named=False),
    }


if __name__ == "__main__":
    run("files", targets(), (ValueError,))
