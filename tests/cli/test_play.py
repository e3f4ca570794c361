"""`auctionsim play`: it says where it is, ends by Ctrl-C, and says in one sentence why it cannot begin."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

COMMAND = [sys.executable, "-m", "auctionsim.cli", "play", "--no-open", "--no-model"]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment}
    )


def test_it_answers_until_ctrl_c() -> None:
    started = subprocess.Popen([*COMMAND, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert started.stdout is not None
        line = started.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address, line
        with urllib.request.urlopen(address[0] + "api/auction", timeout=60) as answer:
            assert answer.status == 200
        started.send_signal(signal.SIGINT)
        out, said = started.communicate(timeout=60)
    finally:
        started.kill()
    assert (started.returncode, said) == (0, "")
    assert out == "the playground has ended\n"


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = run("--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert re.fullmatch(r"error: port \d+ of 127\.0\.0\.1 is taken: choose another by --port; .*\n", done.stderr)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "starlette.py").write_text("raise ModuleNotFoundError('no', name='starlette')")
    done = run("--port", "0", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == "error: the playground needs starlette and uvicorn: pip install 'auctionsim[play]'\n"


def test_a_surface_that_is_not_there_is_one_sentence() -> None:
    done = run("--surface", "nosuch")
    assert done.returncode == 2
    assert "no measurement called 'nosuch' ships" in done.stderr
    assert "Traceback" not in done.stderr
