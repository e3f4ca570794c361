"""Records of auctions on disk: a journal that grows while an environment runs, and one parquet file at the end."""

import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import torch

from auctionsim.checks import checked_count
from auctionsim.envs.game import AuctionGame
from auctionsim.envs.rounds import PlayedRound
from auctionsim.errors import ExistingFileError, FolderError, InputError, InputTypeError, MissingFileError
from auctionsim.files import replacing

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    import pyarrow

BLOCK_ROWS = 1024  # rows that are held back before they go to the journal
GROUP_ROWS = 2**16  # rows of a parquet row group
ARROW = b"\xff\xff\xff\xff"  # how an Arrow stream begins
RECORDING = b"auctionsim_recording"  # in a file's metadata: which recording its rows belong to

Columns = dict[str, Any]


class AuctionRecorder:
    """The rows of one recording: held back in blocks, appended to a journal beside the file, folded into the file.

    One row a bidder and round: env (the row of a vector environment, else 0), episode (of that row, those played
    counted from 0), round, context (a name, or null), bidder, reward, payment, user_loss (null if not asked for),
    throttled, present (where bidders may be absent), cost (where targets are one), and per feature valuation_…,
    asked_… (what was bid), bid_… (what was cleared), exposure_….

    Rows reach the journal, `PATH.rows`, whenever `block_rows` are together; a killed process loses at most as many,
    less one, and `recover_auctions` makes the file from the rest. `finish` writes what is held back, folds the journal
    into the file and removes it; later rows begin another journal, which the next `finish` adds to the same file.

    Args:
        path: The file; an old one is replaced by the first `finish` that has rows.
        block_rows: ≥ 1.
    Raises:
        IsADirectoryError: The path is a folder's.
    """

    def __init__(self, path: str | Path, block_rows: int = BLOCK_ROWS) -> None:
        self._path = Path(path)
        if self._path.is_dir():
            raise FolderError(f"{self._path} is a folder: name the parquet file to record in")
        self._block_rows = checked_count(block_rows, "block_rows")
        self._token = secrets.token_hex(8).encode()
        self._episodes = np.zeros(0, dtype=np.int64)
        self._held: list[Columns] = []
        self._held_rows = 0
        self._journal: BinaryIO | None = None
        self._stream: Any = None
        self._process = os.getpid()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be copied or pickled.

        Raises:
            TypeError: Always: two copies would write one file.
        """
        raise InputTypeError(
            f"the recording at {self._path} cannot be copied or pickled, since both would write one file: "
            "copy the environment inside, and record the copy at a path of its own"
        )

    def note(self, game: AuctionGame, played: PlayedRound) -> None:
        """Keep a round of some rows.

        Raises:
            FileExistsError: Another recording has a journal at this path.
        """
        columns = self._columns(game, played)
        if self._journal is None:
            self._begin(columns)
        self._held.append(columns)
        self._held_rows += len(columns["bidder"])
        if self._held_rows >= self._block_rows:
            self._append()

    def finish(self) -> None:
        """Put all rows so far into the file; without new rows nothing is done."""
        if self._journal is None or os.getpid() != self._process:  # a fork's copy is not the recorder
            return
        self._append()
        self._stream.close()
        self._journal.close()
        self._journal = None
        fold(journal_of(self._path), self._path)

    def _begin(self, columns: Columns) -> None:
        import pyarrow

        journal = journal_of(self._path)
        journal.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._journal = journal.open("xb", buffering=0)
        except FileExistsError:
            raise ExistingFileError(
                f"{journal} has the rows of another recording, which is running or was broken off: "
                f"auctionsim.envs.wrappers.recover_auctions({str(self._path)!r}) makes its file"
            ) from None
        self._stream = pyarrow.ipc.new_stream(self._journal, _schema(columns, self._token))

    def _append(self) -> None:
        import pyarrow

        if self._held:
            together = {name: np.concatenate([part[name] for part in self._held]) for name in self._held[0]}
            self._stream.write_table(pyarrow.table(together, schema=_schema(together, self._token)))
        self._held, self._held_rows = [], 0

    def _columns(self, game: AuctionGame, played: PlayedRound) -> Columns:
        rows, n = len(played.rows), game.num_bidders
        happened, valuations = played.round, game.valuations(played.before)
        context = game.context(played.before)
        names = None if context is None else np.array(game.contexts, dtype=object)[context.numpy()]
        loss = happened.user_loss
        shared = {
            "env": played.rows.numpy(),
            "episode": self._episode(played),
            "round": played.before.round.numpy(),
            "context": np.full(rows, None) if names is None else names,
            "user_loss": np.full(rows, None) if loss is None else loss.double().numpy(),
        }
        own = {
            "bidder": torch.arange(n).expand(rows, n),
            "reward": happened.rewards.double(),
            "payment": happened.outcome.payments.double(),
            "throttled": happened.throttled,
        }
        own |= {
            name: part for name, part in (("present", happened.present), ("cost", happened.cost)) if part is not None
        }
        parts = {"valuation": valuations, "asked": happened.asked, "bid": happened.bids, "exposure": happened.exposure}
        for feature, name in enumerate(game.substrate.features):
            own |= {f"{kind}_{name}": part[:, :, feature].double() for kind, part in parts.items()}
        return {
            **{name: np.repeat(column, n) for name, column in shared.items()},
            **{name: column.flatten().numpy().copy() for name, column in own.items()},
        }

    def _episode(self, played: PlayedRound) -> np.ndarray:
        """Return which episode of its own each row plays: the next one where the round is the first."""
        rows = played.rows.numpy()
        missing = int(rows.max(initial=-1)) + 1 - len(self._episodes)
        if missing > 0:
            self._episodes = np.concatenate([self._episodes, np.full(missing, -1, dtype=np.int64)])
        self._episodes[rows[played.before.round.numpy() == 0]] += 1
        episodes: np.ndarray = self._episodes[rows].clip(0)
        return episodes


def journal_of(path: Path) -> Path:
    """Return where a recording keeps its rows while it runs."""
    return path.with_name(path.name + ".rows")


def recover_auctions(path: str | Path) -> int:
    """Make the file of a recording whose process was killed, from its journal; return how many rows it has.

    Raises:
        FileNotFoundError: There is no journal: the recording was finished, or never began.
        ValueError: What is there is no journal of a recording.
    """
    whole = Path(path)
    journal = journal_of(whole)
    if not journal.exists():
        raise MissingFileError(f"{journal} is not there: nothing at {whole} was broken off")
    with journal.open("rb") as file:
        head = file.read(len(ARROW))
    if not ARROW.startswith(head):
        raise InputError(f"{journal} is no recording's journal: it begins otherwise than an Arrow stream")
    return fold(journal_of(whole), whole, broken=True)


def fold(journal: Path, path: Path, *, broken: bool = False) -> int:
    """Put a journal's rows into its file, after those that the same recording has there; remove the journal.

    Args:
        journal: An Arrow stream.
        path: The parquet file.
        broken: The stream may end in the middle of a block, which is left out.
    Returns:
        How many rows the file has.
    """
    from pyarrow import parquet

    total = 0
    blocks = _blocks(journal, broken=broken)
    first = next(blocks, None)
    if first is not None:
        if RECORDING not in (first.schema.metadata or {}):
            raise InputError(f"{journal} is no recording's journal: an Arrow stream of something else")
        with replacing(path) as draft, parquet.ParquetWriter(draft, first.schema) as writer:
            for block in _grouped(_earlier(path, first.schema), iter([first]), blocks):
                writer.write_table(block)
                total += len(block)
    journal.unlink()
    return total


def _blocks(journal: Path, *, broken: bool) -> "Iterator[pyarrow.Table]":
    import pyarrow

    with journal.open("rb") as file:
        try:
            stream = pyarrow.ipc.open_stream(file)
            while True:
                yield pyarrow.Table.from_batches([stream.read_next_batch()])
        except StopIteration:
            return
        except (pyarrow.ArrowInvalid, OSError):
            if not broken:
                raise
            _log.warning("%s breaks off in the middle of a batch: what was written before it is kept", journal)


def _earlier(path: Path, schema: "pyarrow.Schema") -> "Iterator[pyarrow.Table]":
    """Return what the same recording has in its file already."""
    from pyarrow import parquet

    if not path.exists() or (parquet.read_schema(path).metadata or {}).get(RECORDING) != schema.metadata[RECORDING]:
        return
    with parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


def _grouped(*sources: "Iterator[pyarrow.Table]") -> "Iterator[pyarrow.Table]":
    """Return tables of some size, the small ones of all sources joined."""
    import pyarrow

    waiting: list[Any] = []
    for source in sources:
        for table in source:
            waiting.append(table)
            if sum(map(len, waiting)) >= GROUP_ROWS:
                yield pyarrow.concat_tables(waiting)
                waiting = []
    if waiting:
        yield pyarrow.concat_tables(waiting)


def _schema(columns: Columns, token: bytes) -> "pyarrow.Schema":
    import pyarrow

    kinds = {"i": pyarrow.int64(), "f": pyarrow.float64(), "b": pyarrow.bool_()}
    nullable = {"context": pyarrow.string(), "user_loss": pyarrow.float64()}
    fields = [(name, nullable.get(name) or kinds[column.dtype.kind]) for name, column in columns.items()]
    return pyarrow.schema(fields, metadata={RECORDING: token})
