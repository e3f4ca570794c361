"""Targets of the fuzz of files: sheets of gold labels and their keys, used on the small run that they were drawn of."""

import csv
import io
import json
import random
import sys
from pathlib import Path
from typing import Any

from bending import bent, bent_bytes, written

from auctionsim.gold.corrections import correct_loss
from auctionsim.gold.filled_sheets import read_sheet
from auctionsim.gold.sheet_keys import key_beside
from auctionsim.signed_json import signed_json

sys.path.append(str(Path(__file__).parents[1]))  # the fakes' folder

from gold_fakes import LOSS, fill, opened, small_run, write_small_sheet


class GoldTargets:
    """Sheets of both forms, filled in, with their keys.

    Args:
        folder: Where all is written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.run = small_run(folder)
        self.sheets = [folder / "sheet.csv", folder / "lines.jsonl"]
        write_small_sheet(self.run, self.sheets[0], number=48)
        fill(self.sheets[0])
        write_small_sheet(self.run, self.sheets[1], number=48)
        rows = [json.loads(line) for line in self.sheets[1].read_text().splitlines()]
        self.sheets[1].write_text(
            "".join(json.dumps({**row, "bad": int(k % 3 == 0)}) + "\n" for k, row in enumerate(rows))
        )
        self.whole = [(sheet.read_bytes(), key_beside(sheet).read_bytes()) for sheet in self.sheets]

    def _use(self, sheet: Path) -> None:
        """Read a sheet and correct a loss by it."""
        try:
            labels = read_sheet(sheet)
        except ValueError as error:
            if sheet.stem not in str(error):
                raise NotImplementedError(f"does not name the file: {error}") from error
            raise
        found = correct_loss(*opened(self.run), labels, LOSS)
        for name in "AB":
            loss = found.measured.replicates[name].losses[LOSS]
            assert bool(loss.mean.isfinite().all()), "a loss that is no number"

    def sheet(self, draw: random.Random) -> Any:
        """Bend a cell or the bytes of a sheet."""
        place = draw.randrange(2)
        path, (whole, key) = self.sheets[place], self.whole[place]
        key_beside(path).write_bytes(key)
        if draw.random() < 0.3:
            data = bent_bytes(whole, draw)
        elif place:
            lines = whole.splitlines()
            number = draw.randrange(len(lines))
            lines[number] = written(bent(json.loads(lines[number]), draw), draw).replace(b"\n", b" ")
            data = b"\n".join(lines)
        else:
            rows = list(csv.reader(io.StringIO(whole.decode(), newline="")))
            row = draw.randrange(len(rows))
            rows[row][draw.randrange(len(rows[row]))] = draw.choice(
                ("", "1", "0", "2", "=1+1", "'", '"', "\ufeff", "r0")
            )
            text = io.StringIO()
            csv.writer(text).writerows(rows)
            data = text.getvalue().encode()
        path.write_bytes(data)
        return self._use(path)

    def key(self, draw: random.Random) -> Any:
        """Bend a key, its checksum repaired, or its bytes."""
        path, (whole, key) = self.sheets[0], self.whole[0]
        path.write_bytes(whole)
        document = {name: value for name, value in json.loads(key).items() if name != "sha256"}
        changed = bent(document, draw)
        if isinstance(changed, dict):
            try:
                changed = json.loads(signed_json(changed))
            except (TypeError, ValueError):  # keys of two kinds
                changed = {**changed, "sha256": ""}
        data = written(changed, draw)
        key_beside(path).write_bytes(bent_bytes(key, draw) if draw.random() < 0.1 else data)
        return self._use(path)
