"""The command line: a thin layer that parses, calls and shows."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of `inmateria`; leaves with the command's exit status."""
    try:
        from inmateria.cli.exits import run

        status = run(sys.argv[1:])
    except KeyboardInterrupt:
        # Ctrl-C while the program itself is still being read.
        print("stopped: nothing had been started", file=sys.stderr)
        status = 2
    sys.exit(status)
