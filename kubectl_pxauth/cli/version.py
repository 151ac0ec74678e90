"""The command `kubectl pxauth version`."""

import platform
import sys

from kubectl_pxauth import __version__
from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import DataFormatFlag

HELP = """With -o it shows the Python and the platform as well, for a bug report."""

EXAMPLES = (
    ("Show the version", "kubectl pxauth version"),
    ("Print the version alone, for a script", "kubectl pxauth version -o json | jq -r .version"),
)


def command(*, form: DataFormatFlag = None) -> None:
    """Print the version; no cluster is asked."""
    if form is None:
        print(f"kubectl-pxauth {__version__}")
        return
    python = platform.python_version()
    machine = f"{sys.platform}/{platform.machine()}"
    output.objects({"version": __version__, "python": python, "platform": machine}, form)
