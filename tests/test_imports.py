"""What `issue` imports is listed, so that a careless import shows in review.

Ours and kubernetes' by the module, other packages by name: which modules they have is theirs.
"""

import subprocess
from pathlib import Path

from tests.conftest import BIN, Shell

LISTED = Path(__file__).with_name("imports_of_issue.txt")
PROGRAM = """\
import os, sys
os._exit = sys.exit
before = set(sys.modules)
from kubectl_pxauth.cli import main
sys.argv = ["kubectl-pxauth", "issue", "kubernetes", "-n", sys.argv[1]]
try:
    main()
finally:
    whole = ("kubectl_pxauth", "kubernetes")
    names = set()
    for module in set(sys.modules) - before:
        package = module.partition(".")[0]
        if package not in sys.stdlib_module_names and not package.startswith(("_", "cython")):
            names.add(module if package in whole else package)
    print(*sorted(names), sep="\\n", file=sys.stderr)
"""


def test_issue_imports_what_is_listed_and_no_more(shell: Shell) -> None:
    done = subprocess.run(
        [BIN / "python", "-c", PROGRAM, shell.namespace],
        capture_output=True,
        text=True,
        env=shell.environment | {"HOME": str(shell.home)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == LISTED.read_text(), "if it has to be, change tests/imports_of_issue.txt"
