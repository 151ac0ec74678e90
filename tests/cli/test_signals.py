"""Runs that are told to end, and output that nobody takes: what was done is said all the same."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import BIN, Shell
from tests.fault_proxy import FaultProxy, Stall, refusal
from tests.tenants import namespaces, tokens

ENDS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
SECRETS = r"/secrets(\?|$)"


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    with FaultProxy(plane) as running:
        yield running


@dataclass(frozen=True)
class Ended:
    """How a run ended that was sent signals, and how long after the first."""

    code: int
    out: str
    err: str
    seconds: float


def start(shell: Shell, *arguments: str) -> subprocess.Popen[str]:
    """Start the plugin as a terminal would, with all signals as they are by default."""
    return subprocess.Popen(
        ["env", "--default-signal=INT,TERM,HUP", BIN / "kubectl-pxauth", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=shell.popen_environment,
    )


def end(process: subprocess.Popen[str], *signals: signal.Signals) -> Ended:
    began = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.3)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "bug" not in err
    return Ended(process.returncode, out, err, time.monotonic() - began)


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("number", ENDS)
def test_one_signal_ends_a_run_that_waits_for_a_read(
    shell: Shell, proxy: FaultProxy, number: signal.Signals
) -> None:
    proxy.spoil(Stall(), method="GET", path="/pxkeys", times=None)
    process = start(proxy.shell(shell), "issue", "kubernetes", "-n", shell.namespace)
    wait_until(lambda: bool(proxy.met))
    ended = end(process, number)
    assert (ended.code, ended.out) == (ENDS[number], "")
    assert ended.err == "error: interrupted; nothing is written\n"
    assert ended.seconds < 3


@pytest.mark.parametrize("done", [True, False])
def test_a_write_without_an_answer_is_named(shell: Shell, proxy: FaultProxy, done: bool) -> None:
    proxy.spoil(Stall(done=done), method="POST", path=SECRETS)
    process = start(proxy.shell(shell), "issue", "kubernetes", "-n", shell.namespace)
    wait_until(lambda: bool(proxy.met))
    ended = end(process, signal.SIGINT)
    assert (ended.code, ended.out) == (130, "")
    assert ended.err == (
        f"error: interrupted while Secret {shell.namespace}/px-k8s-user was written:"
        " whether that is done is not known\n"
    )


def test_what_was_written_before_is_named(shell: Shell, proxy: FaultProxy) -> None:
    proxy.spoil(Stall(), method="PATCH", path="/cronjobs/.*fieldManager=[^&]*$")
    flags = ("-n", shell.namespace, "--image=example.com/pxauth", "-o=yaml")
    process = start(proxy.shell(shell), "schedule", *flags)
    wait_until(lambda: bool(proxy.met))
    ended = end(process, signal.SIGTERM)
    assert ended.code == 143
    job = f"kube-system/pxauth-renew-{shell.namespace}"
    objects = (
        f"ServiceAccount {job}",
        f"Role {shell.namespace}/pxauth-renew-{shell.namespace}",
        f"RoleBinding {shell.namespace}/pxauth-renew-{shell.namespace}",
        f"Role {job}-key",
        f"RoleBinding {job}-key",
    )
    assert ended.err.splitlines()[-1] == (
        f"error: interrupted while CronJob {job} was written: whether that is done is not known;"
        f" written before: {', '.join(objects)}"
    )


def test_what_was_only_rehearsed_is_not_called_written(shell: Shell, proxy: FaultProxy) -> None:
    proxy.spoil(Stall(), method="PATCH", path="/cronjobs/.*dryRun=All")
    flags = ("-n", shell.namespace, "--image=example.com/pxauth")
    process = start(proxy.shell(shell), "schedule", *flags)
    wait_until(lambda: bool(proxy.met))
    ended = end(process, signal.SIGTERM)
    assert (ended.code, ended.out) == (143, "")
    assert ended.err == "error: interrupted; nothing is written\n"


@pytest.mark.parametrize("number", ENDS)
def test_one_signal_ends_a_run_over_many(
    shell: Shell, proxy: FaultProxy, number: signal.Signals
) -> None:
    """One of them never gets its answer; the summary comes, and nothing more is begun."""
    names = namespaces(shell, 40)
    proxy.spoil(Stall(), method="POST", path=f"/{names[7]}/secrets")
    selector = f"--namespace-selector=tenant={shell.namespace}"
    process = start(proxy.shell(shell), "issue", "kubernetes", selector, "--concurrency=2")
    wait_until(lambda: bool(proxy.met))
    wait_until(lambda: len(tokens(shell)) > 12)
    ended = end(process, number)
    assert ended.code == ENDS[number]
    assert ended.seconds < 9
    lines = [line.partition(", expires ")[0] for line in ended.out.splitlines()]
    said = [line.rpartition(" ")[2] for line in lines]
    assert sorted(said) == sorted(tokens(shell))
    assert "no answer yet for 1 that was under way: whether that is done is not known" in ended.err
    assert ended.err.endswith(f"interrupted after {len(said)} of 40: {len(said)} created\n")


def test_one_signal_ends_a_run_over_many_that_lists(shell: Shell, proxy: FaultProxy) -> None:
    proxy.spoil(Stall(), method="GET", path="/secrets.*limit=")
    process = start(proxy.shell(shell), "renew", "-n", shell.namespace, "--all")
    wait_until(lambda: bool(proxy.met))
    ended = end(process, signal.SIGTERM)
    assert (ended.code, ended.out) == (143, "")
    assert ended.err == "error: interrupted after 0: none\n"
    assert ended.seconds < 9


def test_a_list_that_breaks_off_does_not_hide_what_was_done(
    shell: Shell, proxy: FaultProxy
) -> None:
    names = namespaces(shell, 3)
    shell.pxauth("issue", "kubernetes", *(f"-n={name}" for name in names))
    proxy.spoil(refusal(500), method="GET", path=f"/{names[1]}/secrets", times=None)
    through = proxy.shell(shell)
    done = through.pxauth("issue", "kubernetes", *(f"-n={name}" for name in names))
    assert done.code == 1
    assert "spoilt with 500" in done.err
    assert done.err.endswith("2 configured, 1 failed\n")
    proxy.spoil(refusal(500), method="GET", path="/secrets.*limit=", times=None)
    renewed = through.pxauth("renew", "-A", "--all")
    assert (renewed.code, renewed.out) == (1, "")
    assert renewed.err.splitlines()[-1] == "error: spoilt with 500"


def test_an_interrupt_while_modules_load(shell: Shell) -> None:
    """At any moment from main() on; what Python itself does before it is Python's."""
    program = (
        "import signal, sys, threading, time\n"
        "from kubectl_pxauth.cli import main\n"
        "sys.argv = ['kubectl-pxauth', 'issue', 'kubernetes']\n"
        "wait = float(sys.stdin.readline())\n"
        "me = threading.main_thread().ident\n"
        "def has_begun():\n"
        "    frame = sys._current_frames()[me]\n"
        "    while frame and frame.f_code is not main.__code__:\n"
        "        frame = frame.f_back\n"
        "    return frame\n"
        "def soon():\n"
        "    while not has_begun():\n"
        "        time.sleep(0)\n"
        "    time.sleep(wait)\n"
        "    signal.pthread_kill(me, signal.SIGINT)\n"
        "threading.Thread(target=soon, daemon=True).start()\n"
        "main()\n"
    )
    codes = set()
    for milliseconds in range(1, 160, 8):
        done = subprocess.run(
            ["env", "--default-signal=INT", BIN / "python", "-c", program],
            input=f"{milliseconds / 1000}\n",
            capture_output=True,
            text=True,
            env={"HOME": str(shell.home), "KUBECONFIG": "/nowhere"},
        )
        assert "Traceback" not in done.stderr, done.stderr
        codes.add(done.returncode)
        if done.returncode == 130:
            assert done.stderr.startswith("error: interrupted")
    assert 130 in codes
    assert codes <= {130, 1}


def test_signals_that_are_ignored_stay_so(shell: Shell, proxy: FaultProxy) -> None:
    """As under nohup, and in the background of a script."""
    proxy.spoil(Stall(seconds=2), method="GET", path="/pxkeys")
    process = subprocess.Popen(
        [
            *("sh", "-c", "trap '' INT HUP; exec \"$@\"", "sh"),
            *(BIN / "kubectl-pxauth", "issue", "kubernetes", "-n", shell.namespace),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(shell.home)} | proxy.shell(shell).environment,
    )
    wait_until(lambda: bool(proxy.met))
    ended = end(process, signal.SIGHUP, signal.SIGINT)
    assert ended.code == 0
    assert ended.out.startswith("secret/px-k8s-user created, expires ")


def run(shell: Shell, line: str) -> subprocess.CompletedProcess[str]:
    environment = shell.popen_environment
    return subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("{} > /dev/full", 1, "error: standard output: No space left on device\n"),
        ("{} | true; exit ${{PIPESTATUS[0]}}", 141, ""),
        ("{} | head -1; exit ${{PIPESTATUS[0]}}", 141, ""),
    ],
)
def test_output_that_nobody_takes_stops_no_work(
    shell: Shell, command: str, code: int, words: str
) -> None:
    names = namespaces(shell, 40)  # so many that a reader has left before the last
    flags = " ".join(f"-n {name}" for name in names)
    issue = f"kubectl pxauth issue kubernetes {flags} --concurrency 1"
    done = run(shell, command.format(issue))
    assert (done.returncode, done.stderr) == (code, f"40 created\n{words}")
    assert len(tokens(shell)) == 40


def test_lines_come_one_by_one_and_in_order(shell: Shell) -> None:
    missing = f"{shell.namespace}-missing"
    issue = f"kubectl pxauth issue kubernetes -n {shell.namespace} -n {missing} --concurrency=1"
    done = run(shell, f"{issue} 2>&1")
    first, second, last = done.stdout.splitlines()
    assert first.startswith(f"secret/px-k8s-user created in namespace {shell.namespace}, expires ")
    assert second.startswith("error: ")
    assert last == "1 created, 1 failed"


def injected(shell: Shell, error: str) -> subprocess.CompletedProcess[str]:
    """Run a command that meets an error that nobody foresaw."""
    program = (
        "import sys, kubectl_pxauth.cli.token as module\n"
        "from kubectl_pxauth.cli import main\n"
        "error = sys.stdin.read()\n"
        "def command(): raise eval(error)\n"
        "module.command = command\n"
        "sys.argv = ['kubectl-pxauth', 'token']\n"
        "main()\n"
    )
    return subprocess.run(
        [BIN / "python", "-c", program],
        input=error,
        capture_output=True,
        text=True,
        env={"HOME": str(shell.home)},
    )


def test_an_error_that_nobody_foresaw_shows_no_token(offline: Shell) -> None:
    done = injected(offline, "RuntimeError('eyJhbGciOi.secret.words')")
    assert done.returncode == 1
    assert "has a bug: RuntimeError in <string>:4" in done.stderr
    assert "eyJ" not in done.stderr
    assert "secret" not in done.stderr


def test_a_stray_error_of_the_system_is_not_standard_outputs(offline: Shell) -> None:
    done = injected(offline, "OSError(24, 'Too many open files', '/some/file')")
    assert (done.returncode, done.stderr) == (1, "error: /some/file: Too many open files\n")
    broken = injected(offline, "BrokenPipeError(32, 'Broken pipe')")
    assert (broken.returncode, broken.stderr) == (1, "error: Broken pipe\n")


def test_a_run_over_many_is_done_with_few_threads(shell: Shell, tmp_path: Path) -> None:
    """What the system does not give is done without."""
    program = (
        "import sys, threading\n"
        "from kubectl_pxauth.cli import main\n"
        "import kubectl_pxauth.parallel as parallel\n"
        "crew = parallel._Crew\n"
        "original = threading.Thread.start\n"
        "def start(thread):\n"
        "    if getattr(thread._target, '__name__', '') == '_run' and isinstance(\n"
        "        getattr(thread._target, '__self__', None), crew):\n"
        '        raise RuntimeError("can\'t start new thread")\n'
        "    original(thread)\n"
        "threading.Thread.start = start\n"
        "sys.argv = ['kubectl-pxauth', 'issue', 'kubernetes', *sys.argv[1:]]\n"
        "main()\n"
    )
    names = namespaces(shell, 3)
    done = subprocess.run(
        [BIN / "python", "-c", program, *(f"-n={name}" for name in names)],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path)} | shell.environment,
    )
    assert (done.returncode, done.stderr) == (0, "3 created\n")
    assert sorted(tokens(shell)) == names


@pytest.mark.parametrize(
    "module",
    [
        # Python 3.11 makes a RuntimeError of it here,
        "class Field:\n    def __set_name__(self, *_): signal.raise_signal(signal.SIGINT)\n"
        "class Made:\n    field = Field()\n",
        # and only prints it here.
        "class Gone:\n    def __del__(self): signal.raise_signal(signal.SIGINT)\nGone()\n",
    ],
)
def test_an_interrupt_where_python_would_lose_it(tmp_path: Path, module: str) -> None:
    (tmp_path / "slow.py").write_text(f"import signal\n{module}")
    program = (
        "import time\n"
        "from kubectl_pxauth.cli import signals\n"
        "signals.take_signals()\n"
        "signals.begin_work()\n"
        "try:\n"
        "    import slow\n"
        "    time.sleep(30)\n"
        "except KeyboardInterrupt:\n"
        "    print(signals.exit_code(), slow.__name__)\n"
    )
    command = ["env", "--default-signal=INT", str(BIN / "python"), "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("130 slow\n", "")
