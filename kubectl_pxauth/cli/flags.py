"""Flags that several commands share, as dataclasses; a command takes each group as one value."""

from typing import Annotated

import typer

from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.output import DataFormat, Format
from kubectl_pxauth.cluster.kubeconfig import (
    ConnectionOptions,
    names_in_kubeconfig,
    parse_timeout,
)
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.errors import ClusterError, UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.profile import PROFILES

_LOG_REQUESTS = 6  # the level at which kubectl logs requests


ProfileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PROFILE", help="kubernetes or admin.", autocompletion=lambda: list(PROFILES)
    ),
]

DataFormatFlag = Annotated[DataFormat | None, typer.Option("--output", "-o", help="Output format.")]

AllNamespacesFlag = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.")
]

SelectorFlag = Annotated[
    str | None,
    typer.Option(
        "--selector", "-l", metavar="SELECTOR", help="Only Secrets with these labels: team=a,x!=y."
    ),
]

NoHeadersFlag = Annotated[
    bool, typer.Option("--no-headers", help="Leave out the line with the headings.")
]

AllContextsFlag = Annotated[
    bool,
    typer.Option(
        "--all-contexts",
        help="Look at the clusters of all contexts; so does --context"
        " that is repeated, at those that it names.",
    ),
]

DryRunFlag = Annotated[
    DryRun, typer.Option(help="Only say what would be done, or let the server check it.")
]

WithinFlag = Annotated[
    str, typer.Option(metavar="TIME", help="How near its end a token is about to end: 12h, 30d.")
]


@dataclass(frozen=True)
class IdentityFlags:
    """Who the token is for."""

    filename: Annotated[
        str | None,
        typer.Option(
            "--filename",
            "-f",
            "--auth-config",
            metavar="FILE",
            help="User file (YAML) with the identity; - is standard input.",
        ),
    ] = None
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="The user's name.")] = None
    email: Annotated[str | None, typer.Option(metavar="TEXT", help="The user's email address.")] = (
        None
    )
    sub: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The user's unique id; volumes belong to it.")
    ] = None
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="A role, instead of the profile's; repeatable."),
    ] = None
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="A group, instead of the profile's; repeatable."),
    ] = None


PortworxNamespaceFlag = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Namespace that Portworx runs in.",
        show_default="any; what the cluster is to say is looked for there",
    ),
]


SharedSecretFromFlag = Annotated[
    str | None,
    typer.Option(
        metavar="[NAMESPACE/]NAME[:KEY]",
        help="Secret that holds the shared secret.",
        show_default="what the cluster says, else kube-system/pxkeys:shared-secret",
    ),
]


@dataclass(frozen=True)
class SharedSecretFlags:
    """What signs tokens, and in whose name."""

    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The cluster's JWT issuer.",
            show_default="what the cluster says, else portworx.com",
        ),
    ] = None
    shared_secret_from: SharedSecretFromFlag = None
    shared_secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File that holds the shared secret; - is standard input. The environment"
            " variable PORTWORX_AUTH_SHARED_SECRET is taken where neither flag is given.",
        ),
    ] = None
    portworx_namespace: PortworxNamespaceFlag = None


NamespaceFlag = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace of the token's Secret.",
        show_default="the kubeconfig's current one",
    ),
]


RenewedNamespaceFlag = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        metavar="NAME",
        help="Namespace whose tokens the job renews.",
        show_default="the kubeconfig's current one",
    ),
]


@dataclass(frozen=True)
class AuthorityFlags(SharedSecretFlags):
    """What signs the token, and in whose name; a private key in place of the shared secret."""

    rsa_private_keyfile: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Sign with this RSA key instead (RS256)."),
    ] = None
    ecdsa_private_keyfile: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Sign with this ECDSA key on P-256 instead (ES256)."),
    ] = None


@dataclass(frozen=True)
class TokenFlags:
    """How long the token lives, and where it is meant to be kept."""

    secret: Annotated[
        str | None, typer.Option(metavar="NAME", help="The token's Secret, not the profile's.")
    ] = None
    duration: Annotated[
        str | None,
        typer.Option(
            "--duration",
            "--token-duration",
            metavar="TIME",
            help="How long the token lives: 30m, 12h, 90d, 1y.",
            show_default="as long as the one that `issue` finds, else 1y",
        ),
    ] = None


@dataclass(frozen=True)
class WriteFlags:
    """What is written, and what is shown of it."""

    dry_run: Annotated[
        DryRun, typer.Option(help="Only show what would be sent, or let the server check it.")
    ] = DryRun.NONE
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None


@dataclass(frozen=True)
class MetadataFlags:
    """What others want to see on the objects that are made."""

    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="A label for what is made; repeatable."),
    ] = None
    annotation: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="An annotation for what is made; repeatable."),
    ] = None


@dataclass(frozen=True)
class ConnectionFlags:
    """kubectl's own flags for the server to talk to."""

    kubeconfig: Annotated[str | None, typer.Option(metavar="FILE", help="The kubeconfig file.")] = (
        None
    )
    context: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="The kubeconfig's context.")
    ] = None
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="The kubeconfig's cluster.")
    ] = None
    user: Annotated[str | None, typer.Option(metavar="NAME", help="The kubeconfig's user.")] = None
    as_user: Annotated[
        str | None, typer.Option("--as", help="User to impersonate.", metavar="USER")
    ] = None
    as_group: Annotated[
        list[str] | None, typer.Option(metavar="GROUP", help="Group to impersonate; repeatable.")
    ] = None
    as_uid: Annotated[str | None, typer.Option(metavar="UID", help="UID to impersonate.")] = None
    as_user_extra: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Extra field of the user to impersonate; repeatable."
        ),
    ] = None
    bearer_token: Annotated[
        str | None,
        typer.Option("--token", help="Bearer token for the API server.", metavar="TOKEN"),
    ] = None
    server: Annotated[
        str | None, typer.Option("--server", "-s", metavar="URL", help="The API server's address.")
    ] = None
    certificate_authority: Annotated[
        str | None, typer.Option(metavar="FILE", help="The server's certificate authority.")
    ] = None
    client_certificate: Annotated[
        str | None, typer.Option(metavar="FILE", help="Client certificate for TLS.")
    ] = None
    client_key: Annotated[str | None, typer.Option(metavar="FILE", help="Client key for TLS.")] = (
        None
    )
    insecure_skip_tls_verify: Annotated[
        bool,
        typer.Option(
            "--insecure-skip-tls-verify", help="Do not check the server's certificate. Insecure."
        ),
    ] = False
    tls_server_name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name that the server's certificate must have."),
    ] = None
    proxy_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Proxy to the API server.")
    ] = None
    kuberc: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="kubectl's preferences: its policy for plugins counts."),
    ] = None
    request_timeout: Annotated[
        str, typer.Option(metavar="TIME", help="Time for one request: 1s, 2m, 3h; 0 is no limit.")
    ] = "0"
    verbosity: Annotated[
        int, typer.Option("-v", "--v", help="6 and more log each request.", metavar="LEVEL")
    ] = 0

    def connection(self) -> Connection:
        """The one cluster that the flags name; raises UsageError."""
        contexts = dict.fromkeys(self.context or ())
        if len(contexts) > 1:
            raise UsageError(f"--context names {len(contexts)} clusters, and this is for one")
        return self._connection(next(iter(contexts), None))

    def connections(self, *, all_contexts: bool) -> dict[str, Connection]:
        """The clusters that the flags name, by their context; a single one is called "".

        Raises UsageError, and ClusterError where the kubeconfig can't be read.
        """
        contexts = list(dict.fromkeys(self.context or ()))
        if all_contexts:
            if contexts:
                raise UsageError("--context and --all-contexts exclude each other")
            contexts = names_in_kubeconfig("contexts", self._connection(None).options)
            if not contexts:
                raise ClusterError("the kubeconfig has no contexts")
        elif len(contexts) < 2:  # noqa: PLR2004
            return {"": self.connection()}
        for flag, given in {"--server": self.server, "--cluster": self.cluster}.items():
            if given is not None:
                raise UsageError(f"{flag} names one cluster, and the contexts several")
        return {name: self._connection(name) for name in contexts}

    def _connection(self, context: str | None) -> Connection:
        options = ConnectionOptions(
            kubeconfig=self.kubeconfig,
            context=context,
            cluster=self.cluster,
            user=self.user,
            as_user=self.as_user,
            as_groups=tuple(self.as_group or ()),
            as_uid=self.as_uid,
            as_user_extra=tuple(_pair(extra) for extra in self.as_user_extra or ()),
            token=self.bearer_token,
            server=self.server,
            certificate_authority=self.certificate_authority,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            insecure_skip_tls_verify=self.insecure_skip_tls_verify,
            tls_server_name=self.tls_server_name,
            proxy_url=self.proxy_url,
            kuberc=self.kuberc,
            request_timeout=parse_timeout(self.request_timeout),
        )
        return Connection(options, log_requests=self.verbosity >= _LOG_REQUESTS)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f'--as-user-extra "{text}" is not KEY=VALUE')
    return key, value
