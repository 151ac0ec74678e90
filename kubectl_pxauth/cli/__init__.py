"""What a person types: the entry point, and what its errors look like."""

import gc
import sys

from kubectl_pxauth import __version__

# A run is short and almost all of it is imports: collecting garbage on the way costs more than
# the memory it would give back.
gc.disable()


def main() -> None:
    """Run `kubectl pxauth` with this process's arguments, and exit with its code."""
    arguments = sys.argv[1:]
    if arguments == ["--version"]:
        print(f"kubectl-pxauth {__version__}")  # which needs no parser
        return
    from kubectl_pxauth.cli.head_start import head_start

    head_start(arguments)
    from kubectl_pxauth.cli.app import run

    sys.exit(run(arguments))
