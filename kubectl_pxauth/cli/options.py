"""The command `kubectl pxauth options`."""

import typer

from kubectl_pxauth.cli.command_line import FOR_ANY_COMMAND
from kubectl_pxauth.cli.flags import ConnectionFlags
from kubectl_pxauth.cli.parameter_groups import takes_groups

HELP = """Put them before the command's name or after it. They mean the same as for kubectl."""

EXAMPLES = (
    ("Show the flags", "kubectl pxauth options"),
    (
        "Use one of them, before the command or after it",
        "kubectl pxauth --context west list -A\nkubectl pxauth list -A --context west",
    ),
)


@takes_groups
def command(*, invocation: typer.Context, connection_flags: ConnectionFlags) -> None:
    """Print the flags as the help of a command would."""
    formatter = invocation.make_formatter()
    shown = [
        one for one in invocation.command.get_params(invocation) if one.name in FOR_ANY_COMMAND
    ]
    with formatter.section("Every command that talks to a cluster takes these flags"):
        formatter.write_dl([one.get_help_record(invocation) or ("", "") for one in shown])
    print(formatter.getvalue(), end="")
