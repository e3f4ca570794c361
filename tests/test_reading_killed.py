"""`surface read` is killed while a slow reading of one's own is at work: it goes on, and one part at most is lost."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from measurement_fakes import SETTINGS, fake_model, fake_neurons, fake_prompts

from auctionsim.measurement import REPLIES_FILE, measure
from auctionsim.measurement.second_pass import ROWS
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.substrates import ResponseSurface

PLUGIN = """
import time
from pathlib import Path
from auctionsim.readings import TextReading, register

LOG = Path(__file__).with_name("read.txt")

def read(replies, brands):
    values = []
    for reply in replies:
        time.sleep(0.002)
        with LOG.open("a") as log:
            log.write("-".join(map(str, reply.place)) + f" {hash_of(reply.text)}\\n")
        values.append(float(len(reply.text)))
    return values

def hash_of(text):
    import hashlib
    return hashlib.sha256(text.encode()).hexdigest()

register(TextReading("slow", "letters", per="reply", bounds=(0, 1e6), loss="lower is better", read=read))
"""


@pytest.mark.deep
@pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")
def test_a_kill_in_the_midst_of_a_slow_reading_loses_one_part_at_most(tmp_path: Path) -> None:
    run, model = tmp_path / "run", fake_model()
    settings = replace(SETTINGS, num_neurons=(0.0, 24.0), samples=20, rows=80, max_new_tokens=3)
    surface = measure(run / "measurement", model, fake_neurons(model), fake_prompts(1), settings)
    surface.save(run / "surface.safetensors")
    stored = StoredReplies.load(run / "measurement" / REPLIES_FILE)
    (tmp_path / "plugin.py").write_text(PLUGIN)
    log = tmp_path / "read.txt"
    words = ["--plugin", str(tmp_path / "plugin.py"), "surface", "read", str(run), "--reading", "slow"]
    command = [sys.executable, "-m", "auctionsim.cli", *words]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while first.poll() is None and (not log.exists() or len(log.read_text().splitlines()) < 2.4 * ROWS):
        time.sleep(0.01)
    assert first.poll() is None  # in the midst of it
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    begun = len(log.read_text().splitlines())
    parts = [json.loads(path.read_text()) for path in (run / "measurement" / "readings").glob("parts-*/*.json")]
    kept = sum(len(part["values"]["slow"]) for part in parts)
    assert begun - ROWS <= kept <= begun
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read = Counter(log.read_text().splitlines())
    replies = len(stored.kept.replies)
    assert replies > 2.4 * ROWS
    assert replies <= sum(read.values()) <= replies + ROWS
    assert not list((run / "measurement" / "readings").glob("parts-*"))
    after = ResponseSurface.load(run / "surface.safetensors").replicates
    assert (
        sum(int(after[name].losses["slow"].n.flatten(1)[:, surface._cells.distinct].sum()) for name in "AB") == replies
    )
