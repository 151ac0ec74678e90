"""Flags that several commands share, as dataclasses; a command takes each group as one value."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.output import DataFormat, Format
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.errors import ClusterError, UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.text import command_line
from kubectl_pxauth.token.profile import PROFILES

if TYPE_CHECKING:
    from kubectl_pxauth.cli.connection import Connection

_LOG_REQUESTS = 6  # the level at which kubectl logs requests


ProfileArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="PROFILE",
        help="Profile of the token: kubernetes or admin.",
        autocompletion=lambda: list(PROFILES),
    ),
]

DataFormatFlag = Annotated[DataFormat | None, typer.Option("--output", "-o", help="Output format.")]

AllNamespacesFlag = Annotated[
    bool, typer.Option("--all-namespaces", "-A", help="Look in all namespaces.")
]

SelectorFlag = Annotated[
    str | None,
    typer.Option(
        "--selector",
        "-l",
        metavar="SELECTOR",
        help="Only Secrets that match these labels: team=a,x!=y.",
    ),
]

NoHeadersFlag = Annotated[bool, typer.Option("--no-headers", help="Do not print the headings.")]

AllContextsFlag = Annotated[
    bool,
    typer.Option(
        "--all-contexts",
        help="Ask the clusters of all contexts in the kubeconfig; to ask some of them, repeat"
        " --context.",
    ),
]

QuietFlag = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        callback=output.be_quiet,
        help="Print no messages but warnings and errors.",
    ),
]

DryRunFlag = Annotated[
    DryRun,
    typer.Option(help="client only says what would be done; server also lets the server check it."),
]

WithinFlag = Annotated[
    str,
    typer.Option(
        metavar="TIME",
        help="Treat tokens that end within this time, or in the last third of their life if that"
        " is shorter, as expiring: 12h, 30d.",
    ),
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
            help="YAML file that names the user; - reads standard input.",
        ),
    ] = None
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="The user's name.")] = None
    email: Annotated[str | None, typer.Option(metavar="TEXT", help="The user's email address.")] = (
        None
    )
    sub: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The user's unique ID, which owns volumes.")
    ] = None
    role: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE", help="Role in place of the profile's; repeatable."),
    ] = None
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help="Group in place of the profile's; repeatable."),
    ] = None


PortworxNamespaceFlag = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Namespace that Portworx runs in.",
        show_default="all are searched",
    ),
]


SharedSecretFromFlag = Annotated[
    str | None,
    typer.Option(
        metavar="[NAMESPACE/]NAME[:KEY]",
        help="Secret that holds the shared secret.",
        show_default="the one that Portworx uses, else kube-system/pxkeys:shared-secret",
    ),
]


@dataclass(frozen=True)
class SharedSecretFlags:
    """What signs tokens, and in whose name."""

    issuer: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="JWT issuer that Portworx trusts.",
            show_default="the one that Portworx uses, else portworx.com",
        ),
    ] = None
    shared_secret_from: SharedSecretFromFlag = None
    shared_secret_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="File that holds the shared secret; - reads standard input. Without either flag,"
            " the environment variable PORTWORX_AUTH_SHARED_SECRET is read.",
        ),
    ] = None
    portworx_namespace: PortworxNamespaceFlag = None


def namespace_option(text: str, default: str = "the kubeconfig's current one") -> Any:
    """Kubectl's -n with the help that fits; default says what counts without it."""
    return typer.Option("--namespace", "-n", metavar="NAME", help=text, show_default=default)


def duration_option(what: str, default: str) -> Any:
    """The lifetime of what is signed, also by the name that the generators give the flag."""
    return typer.Option(
        "--duration",
        "--token-duration",
        metavar="TIME",
        help=f"How long {what}: 30m, 12h, 90d, 1y.",
        show_default=default,
    )


NamespaceFlag = Annotated[str | None, namespace_option("Namespace of the token's Secret.")]
UserNamespaceFlag = Annotated[
    str | None,
    namespace_option("Namespace that the user is named after, if you name no user."),
]
RenewedNamespaceFlag = Annotated[
    str | None, namespace_option("Namespace whose tokens the job renews.")
]


@dataclass(frozen=True)
class AuthorityFlags(SharedSecretFlags):
    """What signs the token, and in whose name; a private key in place of the shared secret."""

    rsa_private_keyfile: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Sign with this RSA private key (RS256)."),
    ] = None
    ecdsa_private_keyfile: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Sign with this ECDSA private key on curve P-256 (ES256)."
        ),
    ] = None
    allow_weak_key: Annotated[
        bool,
        typer.Option(
            "--allow-weak-key",
            help="Sign even with a key that can be guessed: a shared secret of less than 16 bytes,"
            " an RSA key of less than 2048 bits.",
        ),
    ] = False


@dataclass(frozen=True)
class TokenFlags:
    """How long the token lives, and where it is meant to be kept."""

    secret: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Secret for the token, in place of the profile's."),
    ] = None
    duration: Annotated[
        str | None,
        duration_option("the token lives", "as long as the token in the Secret, else 1y"),
    ] = None


@dataclass(frozen=True)
class UnstoredTokenFlags(TokenFlags):
    """The same for a token that goes into no Secret."""

    secret: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Secret that the user is named after, in place of the profile's.",
        ),
    ] = None
    duration: Annotated[str | None, duration_option("the token lives", "1y")] = None


@dataclass(frozen=True)
class WriteFlags:
    """What is written, and what is shown of it."""

    dry_run: Annotated[
        DryRun,
        typer.Option(
            help="client only prints what would be sent; server also lets the server check it."
        ),
    ] = DryRun.NONE
    form: Annotated[Format | None, typer.Option("--output", "-o", help="Output format.")] = None
    quiet: QuietFlag = False


@dataclass(frozen=True)
class MetadataFlags:
    """What others want to see on the objects that are made."""

    label: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Label for what is created; repeatable."),
    ] = None
    annotation: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Annotation for what is created; repeatable."),
    ] = None


@dataclass(frozen=True)
class ConnectionFlags:
    """kubectl's own flags for the server to talk to."""

    kubeconfig: Annotated[
        str | None, typer.Option(metavar="FILE", help="Path to the kubeconfig file.")
    ] = None
    context: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Context of the kubeconfig to use; repeatable for issue, renew, list, status and"
            " doctor.",
        ),
    ] = None
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="Cluster of the kubeconfig to use.")
    ] = None
    user: Annotated[
        str | None, typer.Option(metavar="NAME", help="User of the kubeconfig to use.")
    ] = None
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
        str | None, typer.Option("--server", "-s", metavar="URL", help="Address of the API server.")
    ] = None
    certificate_authority: Annotated[
        str | None, typer.Option(metavar="FILE", help="Certificate authority of the API server.")
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
        typer.Option(metavar="NAME", help="Name to check the server's certificate against."),
    ] = None
    proxy_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Proxy to the API server.")
    ] = None
    kuberc: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="kubectl's preferences, for their policy on credential plugins."
        ),
    ] = None
    request_timeout: Annotated[
        str,
        typer.Option(
            metavar="TIME", help="How long one request may take: 1s, 2m, 3h; 0 means no limit."
        ),
    ] = "0"
    verbosity: Annotated[
        int,
        typer.Option("-v", "--v", help="Log level; 6 and above log each request.", metavar="LEVEL"),
    ] = 0

    def connection(self) -> "Connection":
        """The one cluster that the flags name; raises UsageError."""
        contexts = dict.fromkeys(self.context or ())
        if len(contexts) > 1:
            raise UsageError(
                f"--context names {len(contexts)} clusters, but this command takes one"
            )
        context = next(iter(contexts), None)
        output.choose_cluster(self._flags(context))
        return self._connection(context)

    def connections(self, *, all_contexts: bool) -> "dict[str, Connection]":
        """The clusters that the flags name, by their context; a single one is called "".

        Raises UsageError, and ClusterError where the kubeconfig can't be read.
        """
        contexts = list(dict.fromkeys(self.context or ()))
        if all_contexts:
            if contexts:
                raise UsageError("--context and --all-contexts can't be used together")
            from kubectl_pxauth.cluster.kubeconfig import names_in_kubeconfig

            contexts = names_in_kubeconfig("contexts", self._connection(None).options)
            if not contexts:
                raise ClusterError("the kubeconfig has no contexts")
        elif len(contexts) < 2:  # noqa: PLR2004
            return {"": self.connection()}
        for flag, given in {"--server": self.server, "--cluster": self.cluster}.items():
            if given is not None:
                raise UsageError(f"{flag} is for one cluster, but you name several contexts")
        output.choose_cluster(self._flags(None))
        return {name: self._connection(name, shown=name) for name in contexts}

    def _flags(self, context: str | None) -> str:
        """The flags that choose cluster and user, for a shell; not those with a secret."""
        given = {
            "--kubeconfig": self.kubeconfig,
            "--context": context,
            "--cluster": self.cluster,
            "--user": self.user,
            "--as": self.as_user,
            "--as-uid": self.as_uid,
            "--server": self.server,
            "--certificate-authority": self.certificate_authority,
            "--client-certificate": self.client_certificate,
            "--client-key": self.client_key,
            "--tls-server-name": self.tls_server_name,
            "--proxy-url": self.proxy_url,
        }
        words = [
            word for flag, value in given.items() if value is not None for word in (flag, value)
        ]
        words += [word for group in self.as_group or () for word in ("--as-group", group)]
        words += [word for extra in self.as_user_extra or () for word in ("--as-user-extra", extra)]
        words += ["--insecure-skip-tls-verify"] if self.insecure_skip_tls_verify else []
        return command_line(*words) if words else ""

    def _connection(self, context: str | None, shown: str = "") -> "Connection":
        from kubectl_pxauth.cli.connection import Connection
        from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, parse_timeout

        if self.bearer_token is not None:
            from kubectl_pxauth.cli.guard import refuse_portworx_token

            refuse_portworx_token(self.bearer_token)
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
        return Connection(options, self.verbosity >= _LOG_REQUESTS, shown)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise UsageError(f'--as-user-extra "{text}" is not KEY=VALUE')
    return key, value
