"""The measure of memory that other tests rely on sees what a child of a large process takes."""

import os
import subprocess
import sys
from pathlib import Path

CHILD = (
    "from peak_memory import peak_bytes; before = peak_bytes(); x = b'1' * (200 << 20); print(peak_bytes() - before)"
)


def test_a_small_child_of_a_large_process_is_seen_to_grow() -> None:
    large = b"1" * (400 << 20)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True, env=environment)
    assert len(large) == 400 << 20
    assert 190 << 20 < int(done.stdout) < 260 << 20
