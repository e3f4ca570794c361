"""Where this user's own files live on this machine: de-quantised weights, timings, the key that signs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """Return the user's cache folder: $AUCTIONSIM_CACHE, else auctionsim's in $XDG_CACHE_HOME or ~/.cache."""
    chosen = os.environ.get("AUCTIONSIM_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "auctionsim"
