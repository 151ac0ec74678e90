"""Where the system gives little the work is done all the same, more slowly."""

import os
import resource
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import BIN, Run, Shell

# Root is let off the limits: so it becomes nobody, who may read all and write nothing.
_NOBODY = (
    *("setpriv", "--reuid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


def run(shell: Shell, *arguments: str, limit: Callable[[], None], nobody: bool = False) -> Run:
    prefix = _NOBODY if nobody and os.geteuid() == 0 else ()
    done = subprocess.run(
        [*prefix, BIN / "kubectl-pxauth", *arguments],
        capture_output=True,
        text=True,
        preexec_fn=limit,
        cwd="/",
        env={"PATH": f"{BIN}:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"} | shell.environment,
        timeout=120,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))


def no_threads() -> None:
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


@pytest.fixture
def namespaces(shell: Shell) -> list[str]:
    """Flags that name thirty namespaces."""
    names = [f"{shell.namespace}-{number}" for number in range(30)]
    for name in names:
        assert shell.kubectl("create", "namespace", name).code == 0
    return [word for name in names for word in ("-n", name)]


def test_twenty_open_files_are_enough(shell: Shell, namespaces: list[str]) -> None:
    done = run(shell, "issue", "kubernetes", *namespaces, "--concurrency", "64", limit=few_files)
    assert (done.code, done.err) == (0, "30 created\n")


def test_one_thread_is_enough(shell: Shell) -> None:
    flags = ("issue", "kubernetes", "-n", shell.namespace)
    done = run(shell, *flags, limit=no_threads, nobody=True)
    assert (done.code, done.err) == (0, "")


def little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (60_000 << 10, 60_000 << 10))


def test_too_little_memory_is_one_line(shell: Shell) -> None:
    done = run(shell, "issue", "kubernetes", "-n", shell.namespace, limit=little_memory)
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: there is not enough memory\n"


def test_no_home_and_nothing_that_can_be_written(shell: Shell) -> None:
    poor = shell.with_environment(HOME="/nonexistent", TMPDIR="/nonexistent")
    flags = ("issue", "kubernetes", "-n", shell.namespace)
    done = run(poor, *flags, limit=lambda: None, nobody=True)
    assert (done.code, done.err) == (0, "")
