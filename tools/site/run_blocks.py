"""Runs the Python blocks of pages as a reader would: in order, in an empty folder, one name space per page.

python tools/site/run_blocks.py docs/market.md             # what tests run
python tools/site/run_blocks.py --deep docs/tutorials/*.md   # and what is marked as deep

A page runs in a process of its own. What marks there are: `code_blocks.py`. Prints one line per page, and ends with 1
where a page failed; a failure shows its traceback, with the page's lines.
"""

import argparse
import contextlib
import io
import os
import signal
import sys
import tempfile
import traceback
import types
from collections.abc import Sequence
from pathlib import Path

from code_blocks import ROOT, CodeBlock, blocks_of

SECONDS = {False: 120, True: 1800}
"""How long a page may take, by whether its deep blocks run too."""


def run_page(page: Path, *, deep: bool = False) -> str:
    """Return "" where a page's blocks ran, else what was printed and the traceback; the process's folder is changed.

    A page whose deep blocks are left out ends at the first of them.
    """
    module = types.ModuleType("page")
    sys.modules["page"] = module
    printed = io.StringIO()
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if block.kind == "deep" and not deep:
            break
        if block.kind == "file":
            Path(block.word).parent.mkdir(parents=True, exist_ok=True)
            Path(block.word).write_text(block.code, encoding="utf-8")
        elif block.language == "python" and block.kind != "skip":
            try:
                with contextlib.redirect_stdout(printed):
                    exec(compile(placed(block), str(page), "exec"), vars(module))
            except BaseException:  # noqa: BLE001  # whatever a page does, SystemExit too
                return f"{printed.getvalue()}{traceback.format_exc()}"
    return ""


def placed(block: CodeBlock) -> str:
    """Return a block's code behind so many empty lines that a traceback names the page's lines."""
    return "\n" * (block.line - 1) + block.code


def run_apart(page: Path, *, deep: bool = False) -> str:
    """Run a page in a process of its own that shares what is imported here; return as `run_page` does."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(SECONDS[deep])
        with tempfile.TemporaryDirectory(prefix="auctionsim-page-") as folder, os.fdopen(write, "w") as out:
            os.chdir(folder)
            out.write(run_page(page, deep=deep))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    return said or ("" if status == 0 else f"the page's process ended with {status}; it may take {SECONDS[deep]} s\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run pages, print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--deep", action="store_true", help="run the blocks that are marked as deep, too")
    chosen = parser.parse_args(arguments)
    import torch

    import auctionsim.agents  # once for all pages: a child that imports them takes a second
    import auctionsim.envs
    import auctionsim.mechanisms
    import auctionsim.regret
    import auctionsim.substrates  # noqa: F401

    torch.set_num_threads(1)  # threads do not survive a fork
    failed = 0
    for page in chosen.pages:
        failure = run_apart(page.resolve(), deep=chosen.deep)
        failed += bool(failure)
        name = page.resolve().relative_to(ROOT) if page.resolve().is_relative_to(ROOT) else page
        print(f"{'FAILED' if failure else 'ran'} {name}", flush=True)
        print(failure, end="")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
