"""`python -m auctionsim.cli` is the command `auctionsim`."""

from auctionsim.cli import main

main()
