"""The largest resident size of a process, its own and not its parent's."""

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def peak_bytes() -> int:
    """Return the largest resident size of this process so far, bytes.

    On Linux `ru_maxrss` begins with the size of the process that started this one: below it nothing would be seen.
    """
    if STATUS.is_file():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
