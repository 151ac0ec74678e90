"""What `issue` imports is listed, so that a careless import shows in review.

Ours and kubernetes' by the module, other packages by name: which modules they have is theirs.
"""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from kubectl_pxauth.cli.app import application
from kubectl_pxauth.imports import compiling_later
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


def test_help_loads_nothing_of_connections(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "os._exit = sys.exit\n"
        "from kubectl_pxauth.cli import main\n"
        "sys.argv = ['kubectl-pxauth', '--help']\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    assert 'kubectl_pxauth.cluster.kubeconfig' not in sys.modules\n"
        "    assert 'ssl' not in sys.modules\n"
    )
    command = [str(BIN / "python"), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path)})
    assert (done.returncode, done.stderr) == (0, "")
    assert "Find what is wrong" in done.stdout


def test_a_pattern_is_compiled_when_it_is_first_used() -> None:
    with compiling_later():
        word = re.compile("B(.)", re.IGNORECASE)
        broken = re.compile("(")
        assert re.search("b", "abc")
    assert not isinstance(word, re.Pattern)
    assert word.sub(r"\1", "abc") == "ac"
    with pytest.raises(re.error):
        broken.search("abc")
    assert isinstance(re.compile("B"), re.Pattern)


def test_connecting_compiles_nothing_for_yaml_in_python_or_for_ipv6(shell: Shell) -> None:
    program = (
        "import re, sys\n"
        "from kubectl_pxauth.cluster.connection import Cluster\n"
        "from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, read_kubeconfig\n"
        "Cluster(read_kubeconfig(ConnectionOptions()).target())\n"
        "assert not isinstance(sys.modules['yaml.reader'].Reader.NON_PRINTABLE, re.Pattern)\n"
        "assert not isinstance(sys.modules['urllib3.util.url']._IPV6_RE, re.Pattern)\n"
    )
    command = [str(BIN / "python"), "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=shell.environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_typer_is_told_of_the_called_command_alone() -> None:
    app: Any = get_command(application(["keys", "rotate", "--yes"]))
    assert list(app.commands) == ["keys"]
    assert list(app.commands["keys"].commands) == ["rotate"]


def test_issue_imports_what_is_listed_and_no_more(shell: Shell) -> None:
    done = subprocess.run(
        [BIN / "python", "-c", PROGRAM, shell.namespace],
        capture_output=True,
        text=True,
        env=shell.environment | {"HOME": str(shell.home)},
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == LISTED.read_text(), "if it has to be, change tests/imports_of_issue.txt"
