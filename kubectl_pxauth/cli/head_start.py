"""Connect to the current context's server while the command line is still read."""

_COMMANDS = ("issue", "storageclass")
_CONNECTIONS = 4  # StorageClusters, DaemonSets, a key that is named, and what is to be written
_CONNECTIONS_TO_FIND_THE_KEY = 5  # another usual Secret as well
_NO_HEAD_START = (  # beginnings of flags that choose another server or user, or need none
    *(
        "--as",
        "--certificate",
        "--client",
        "--cluster",
        "--context",
        "--kube",
        "--proxy",
        "--server",
    ),
    *("--insecure", "--request-timeout", "--tls", "--token", "--user", "--v", "-s", "-v"),
    *("--dry-run", "--help", "-h"),
)


def head_start(arguments: list[str]) -> None:
    """Start to connect to the current context's server while the command line is still read.

    Reading the command line takes as long as connecting to a server 40 ms away. It finds this
    connection only if it asks for the same server and user; what goes wrong here goes wrong
    there again, and is said there.
    """
    if arguments[:1] not in ([command] for command in _COMMANDS) or any(
        argument.startswith(_NO_HEAD_START) for argument in arguments
    ):
        return
    from kubectl_pxauth.cli.connection import Connection
    from kubectl_pxauth.cluster.ahead import begin
    from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions

    connection = Connection(ConnectionOptions())
    try:
        user = connection.kubeconfig.user or {}
        if "exec" not in user:  # which may ask for a login
            named = any(argument.startswith("--shared-secret") for argument in arguments)
            number = _CONNECTIONS if named else _CONNECTIONS_TO_FIND_THE_KEY
            sockets = begin(connection.kubeconfig.target(), number)
            connection.open().connect_ahead(number, sockets)
    except Exception:  # it is said where the command asks for the connection
        return
