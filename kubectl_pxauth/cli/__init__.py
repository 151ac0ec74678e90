"""What a person types: the entry point, and what its errors look like."""

import gc
import sys

# A run is short and almost all of it is imports: collecting garbage on the way costs more than
# the memory it would give back.
gc.disable()


def main() -> None:
    """Run `kubectl pxauth` with this process's arguments, and exit with its code."""
    from kubectl_pxauth.cli.app import run

    sys.exit(run(sys.argv[1:]))
