"""A control plane for each test process, and the installed plugin run by the real kubectl."""

import base64
import hmac
import itertools
import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from controlplane.build import openstorage_tool
from controlplane.run import ControlPlane
from tests.leaks import LeakWatch, without_continue

# A run in the background may begin with it ignored, and so would all programs that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy is no failure.
settings.register_profile("unhurried", settings(), deadline=None)
settings.load_profile("unhurried")

BIN = Path(sys.executable).parent
SHARED_SECRET = base64.b64encode(secrets.token_bytes(64))
_COUNTER = itertools.count()


@dataclass(frozen=True)
class Run:
    """How one command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """A place to run kubectl from: an environment, and a namespace of its own."""

    namespace: str
    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def popen_environment(self) -> dict[str, str]:
        """All that a command sees of the environment when it is run without `kubectl`."""
        return {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.home)} | self.environment

    def with_environment(self, **variables: str) -> "Shell":
        return replace(self, environment=self.environment | variables)

    def kubectl(self, *arguments: str | Path, stdin: str | None = None) -> Run:
        done = subprocess.run(
            [BIN / "kubectl", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=self.home,
            env=self.popen_environment,
            timeout=120,
        )
        return Run(done.returncode, done.stdout, done.stderr)

    def pxauth(self, *arguments: str | Path, stdin: str | None = None) -> Run:
        """Run the plugin; whatever it says, it never shows a traceback, a key or a token."""
        done = self.kubectl("pxauth", *arguments, stdin=stdin)
        assert "Traceback" not in done.err
        assert "has a bug" not in done.err
        assert SHARED_SECRET.decode() not in done.out + done.err
        assert "eyJ" not in without_continue(done.err)
        return done

    def issue(self, *arguments: str | Path, stdin: str | None = None) -> Run:
        """Run `issue` with this shell's namespace; it must succeed."""
        done = self.pxauth("issue", *arguments, "-n", self.namespace, stdin=stdin)
        assert done.code == 0, done.err
        return done

    def refused(self, *arguments: str | Path, stdin: str | None = None, code: int = 1) -> Run:
        """Run the plugin; it must fail with one error line and print no result."""
        done = self.pxauth(*arguments, stdin=stdin)
        assert (done.code, done.out) == (code, "")
        lines = [line for line in done.err.splitlines() if not line.startswith("warning: ")]
        assert [line.partition(":")[0] for line in lines] in (["error"], ["error", "hint"])
        return done

    def secret(self, name: str = "px-k8s-user") -> dict[str, Any]:
        done = self.kubectl("get", "secret", name, "-n", self.namespace, "-o", "json")
        assert done.code == 0, done.err
        manifest: dict[str, Any] = json.loads(done.out)
        return manifest

    def token(self, name: str = "px-k8s-user", key: str = "auth-token") -> str:
        return base64.b64decode(self.secret(name)["data"][key]).decode()

    def claims(self, name: str = "px-k8s-user") -> dict[str, Any]:
        return decode(self.token(name))

    def keep(self, name: str, token: str, **metadata: Any) -> None:
        """Put a token into a Secret as another tool would."""
        data = {"auth-token": base64.b64encode(token.encode()).decode()}
        self.create({"metadata": {"name": name, **metadata}, "data": data})

    def create(self, manifest: dict[str, Any], *flags: str) -> None:
        metadata = {"namespace": self.namespace} | manifest.pop("metadata")
        whole = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata} | manifest
        done = self.kubectl("create", "-f", "-", *flags, stdin=json.dumps(whole))
        assert done.code == 0, done.err


def decode(token: str) -> dict[str, Any]:
    """Read a token's claims without any JWT library."""
    payload = token.strip().split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims


def forge(claims: dict[str, Any], key: bytes = SHARED_SECRET, algorithm: str = "HS256") -> str:
    """Sign a token that may say anything, as another tool would, without any JWT library."""

    def segment(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    header = {"alg": algorithm, "typ": "JWT"}
    signed = ".".join(segment(json.dumps(part).encode()) for part in (header, claims))
    signature = hmac.digest(key, signed.encode(), f"sha{algorithm[2:]}")
    return f"{signed}.{segment(signature)}"


def claims_of(sub: str, *, days: int = 365, age_days: int = 0, **others: Any) -> dict[str, Any]:
    """The claims of a token for so many days that was made so long ago."""
    issued_at = int(time.time()) - age_days * 86400
    user = {"sub": sub, "name": f"name of {sub}", "email": f"{sub}@example.com"}
    times = {"iat": issued_at, "exp": issued_at + days * 86400}
    return {"iss": "portworx.com", **user, "roles": ["system.user"], **times, **others}


def judge(
    token: str, issuer: str = "portworx.com", shared_secret: bytes = SHARED_SECRET
) -> dict[str, Any]:
    """What OpenStorage's own verifier says of a token."""
    question = {
        "token": token.strip(),
        "issuer": issuer,
        "shared_secret_base64": base64.b64encode(shared_secret).decode(),
    }
    done = subprocess.run(
        [openstorage_tool("verify")],
        input=json.dumps(question) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out tests/e2e where no argument names it: it takes a machine that can have a node."""
    named = any("e2e" in argument for argument in config.args)
    return True if collection_path.name == "e2e" and not named else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what asks for a control plane, or for the archive, which is built for it."""
    slow = {"plane", "own_plane", "archive"}
    for item in items:
        if isinstance(item, pytest.Function) and slow & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeakWatch]:
    """A watch over the whole run, which fails at its end if a token or the key came out."""
    audit_log = tmp_path_factory.mktemp("audit") / "audit.log"
    with LeakWatch(audit_log, [SHARED_SECRET.decode()]) as watch:
        yield watch


@pytest.fixture(scope="session")
def plane(leaks: LeakWatch) -> Iterator[ControlPlane]:
    with ControlPlane(audit_log=leaks.audit_log) as running:
        furnish(running)
        yield running


def furnish(plane: ControlPlane) -> None:
    """Lay the shared secret where the Portworx docs have it, and make namespace portworx."""
    shell = Shell("kube-system", plane.folder, {"KUBECONFIG": str(plane.kubeconfig())})
    shell.create({"kind": "Namespace", "metadata": {"name": "portworx", "namespace": None}})
    data = {"shared-secret": SHARED_SECRET.decode()}
    shell.create({"metadata": {"name": "pxkeys"}, "stringData": data})


@pytest.fixture(scope="module")
def plane_arguments() -> list[str]:
    """What the API server of `own_plane` is started with; a module may have a fixture instead."""
    return []


@pytest.fixture(scope="module")
def own_plane(
    leaks: LeakWatch, tmp_path_factory: pytest.TempPathFactory, plane_arguments: list[str]
) -> Iterator[ControlPlane]:
    """A module's own, for commands that look at all namespaces or at the one key."""
    audit_log = tmp_path_factory.mktemp("audit") / "audit.log"
    with ControlPlane(audit_log=audit_log, arguments=plane_arguments) as running:
        yield running


def new_shell(plane: ControlPlane, home: Path) -> Shell:
    """A shell with a new namespace, which is its current one."""
    namespace = f"test-{next(_COUNTER)}"
    kubeconfig = plane.kubeconfig(namespace=namespace)
    shell = Shell(namespace, home, {"KUBECONFIG": str(kubeconfig)})
    assert shell.kubectl("create", "namespace", namespace).code == 0
    return shell


@pytest.fixture
def shell(plane: ControlPlane, tmp_path: Path) -> Shell:
    return new_shell(plane, tmp_path)


@dataclass(frozen=True)
class Portworx:
    """Three nodes, and a Portworx pod on each, whose pxctl is a stand-in that runs on this host."""

    shell: Shell
    homes: Path
    pxctl: Path
    nodes = ("node-a", "node-b", "node-c")

    def home(self, node: str) -> Path:
        """The home folder of what is executed in the node's pod."""
        return self.homes / node

    def context(self, *arguments: str | Path, pxctl: Path | None = None) -> Run:
        """Run `context …`, in this namespace unless another one is named."""
        flags = [] if "--portworx-namespace" in arguments else self.there
        return self.shell.pxauth("context", *arguments, *flags, "--pxctl", pxctl or self.pxctl)

    @property
    def there(self) -> list[str]:
        """The flags that name the namespace of the pods, which is not one that is usual."""
        return ["--portworx-namespace", self.shell.namespace]

    def token(self, node: str, context: str = "admin") -> str | None:
        """The token that the node has for a context."""
        file = self.home(node) / ".pxctl" / "contextconfig"
        config = json.loads(file.read_text()) if file.exists() else {"configurations": []}
        tokens = {item["context"]: item["token"] for item in config["configurations"]}
        return tokens.get(context)


@pytest.fixture(scope="session")
def pxctl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for pxctl, as a program."""
    program = tmp_path_factory.mktemp("bin") / "pxctl"
    program.write_text(f"#!{sys.executable}\n{Path(__file__).with_name('pxctl.py').read_text()}")
    program.chmod(0o755)
    return program


@pytest.fixture(scope="session")
def homes(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start a kubelet that answers for the three nodes; returns their home folders' folder."""
    folder = tmp_path_factory.mktemp("homes")
    plane.start_kubelet({f"portworx-{node}": folder / node for node in Portworx.nodes})
    shell = Shell("", folder, {"KUBECONFIG": str(plane.kubeconfig())})
    for node in Portworx.nodes:
        shell.create({"kind": "Node", "metadata": {"name": node}})
    return folder


@pytest.fixture
def portworx(shell: Shell, homes: Path, pxctl: Path) -> Iterator[Portworx]:
    """Portworx in the shell's namespace, with no contexts yet."""
    pods = []
    for node in Portworx.nodes:
        (homes / node).mkdir()
        metadata = {"name": f"portworx-{node}", "labels": {"name": "portworx"}}
        spec = {"nodeName": node, "containers": [{"name": "portworx", "image": "portworx"}]}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    shell.create({"kind": "List", "metadata": {}, "items": pods})
    ready = ("wait", "--for=condition=Ready", "pods", "--all", "--timeout=60s")
    assert shell.kubectl(*ready, "-n", shell.namespace).code == 0
    yield Portworx(shell, homes, pxctl)
    assert shell.kubectl("delete", "pods", "--all", "-n", shell.namespace).code == 0
    for node in Portworx.nodes:
        shutil.rmtree(homes / node)


@pytest.fixture
def offline(leaks: LeakWatch, tmp_path: Path) -> Shell:
    """A shell with a shared secret in its environment, and no kubeconfig at all."""
    return Shell("portworx", tmp_path, {"PORTWORX_AUTH_SHARED_SECRET": SHARED_SECRET.decode()})
