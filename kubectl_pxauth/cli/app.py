"""The commands, each loaded only when it is called, and the way every run ends."""

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from kubectl_pxauth import __version__
from kubectl_pxauth.cli import output, signals
from kubectl_pxauth.cli._click import NoArgsIsHelpError
from kubectl_pxauth.cli._click import UsageError as TyperUsageError
from kubectl_pxauth.cli.command_line import Command, Group, in_order
from kubectl_pxauth.cli.output import DONE, FAILED, MISUSED
from kubectl_pxauth.cli.streams import BROKEN_PIPE
from kubectl_pxauth.errors import InterruptedWriteError, PxauthError, UsageError

PROGRAM = "kubectl pxauth"
COMMANDS = {
    "issue": "Issue a token into a Secret, or renew the one that it holds.",
    "token": "Make a token and print it, without storing it.",
    "list": "List the Secrets that hold tokens, with their status.",
    "inspect": "Show what a token says, and whether Portworx accepts it.",
    "verify": "Check a token as Portworx does; the exit code is the answer.",
    "renew": "Renew the tokens that expire soon, for the same users.",
    "schedule": "Create a CronJob that renews tokens, or change it.",
    "unschedule": "Delete the CronJob that renews tokens, and its rights.",
    "storageclass": "Create a StorageClass that uses a token, or update it.",
    "snapshotclass": "Create a VolumeSnapshotClass that uses a token, or update it.",
    "status": "Show a cluster's key, tokens and renewals on one screen.",
    "doctor": "Find what is wrong with keys, tokens and classes.",
    "discover": "Show which shared secret and issuer the cluster uses.",
    "keys create": "Create the Secret with the keys that Portworx starts with.",
    "keys adopt": "Copy the keys to where the Portworx operator reads them.",
    "keys rotate": "Replace the shared secret, and re-sign its tokens.",
    "keys status": "Show the shared secret, and how far its rotation is.",
    "pxctl": "Run pxctl in a Portworx pod, with a short-lived token.",
    "context create": "Save a token as a pxctl context on every node.",
    "context delete": "Delete a pxctl context on every node.",
    "context set": "Make a pxctl context the current one on every node.",
    "context list": "List the pxctl contexts of every node.",
    "options": "Show the flags that every command takes.",
    "version": "Show the version of kubectl-pxauth.",
}
"""Each command by its words, with its summary; `a b` is module b of package a, in group a."""
GROUPS = {
    "keys": (
        "Create, rotate and look at the keys of a cluster.",
        (
            (
                "Create the keys before you start Portworx with security",
                "kubectl pxauth keys create",
            ),
            (
                "Show the shared secret's fingerprint, and what to do next",
                "kubectl pxauth keys status",
            ),
        ),
    ),
    "context": (
        "Save tokens as pxctl contexts on the nodes.",
        (
            (
                "Save a context for the storage administrator in every Portworx pod",
                "kubectl pxauth context create admin",
            ),
            ("List the contexts of every node", "kubectl pxauth context list"),
        ),
    ),
}
"""Each group of commands with its summary and its examples."""

Examples = tuple[tuple[str, str], ...]
"""What a comment says, which may be nothing, and the command; what a module calls EXAMPLES."""

_NAMED = 10  # objects, in the words of an interrupt
_SHORT_FLAG = r"-[a-zA-Z]"

_HELP = "Issue Portworx tokens into Kubernetes Secrets, and look after them."
_EXAMPLES = (
    (
        "Issue the token for Kubernetes into Secret portworx/px-k8s-user",
        "kubectl pxauth issue kubernetes -n portworx",
    ),
    ("List all tokens of the cluster", "kubectl pxauth list -A"),
    ("Find out why claims stay Pending", "kubectl pxauth doctor"),
)


def run(arguments: list[str]) -> int:
    """Run one command line; returns the exit code."""
    code, problem = _run(arguments)
    signals.ignore_signals()
    if problem:
        output.problem(problem)
    sys.stdout.flush()
    failure = getattr(sys.stdout, "failure", None)
    if failure is None:
        return code
    if isinstance(failure, BrokenPipeError):
        return BROKEN_PIPE  # whoever read it has seen enough
    output.problem(PxauthError(f"standard output: {failure.strerror}"))
    return FAILED


def _run(arguments: list[str]) -> tuple[int, PxauthError | None]:  # noqa: PLR0911 - a way to end each
    """The exit code, and what went wrong, if that is still to be said."""
    try:
        arguments = in_order(arguments, COMMANDS)
        app = typer.main.get_command(application(arguments))
        spelled = as_typer_spells(arguments, app)
        with app.make_context(PROGRAM, spelled) as context:
            signals.begin_work()
            app.invoke(context)
    except typer.Exit as end:
        return end.exit_code, None
    except NoArgsIsHelpError as error:
        print(error.format_message())
    except TyperUsageError as error:
        from kubectl_pxauth.cli.slips import explain

        return MISUSED, explain(error, arguments)
    except UsageError as error:
        return MISUSED, error
    except PxauthError as error:
        return FAILED, error
    except KeyboardInterrupt as interrupt:
        return signals.exit_code(), PxauthError(f"interrupted{_state(interrupt)}")
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return FAILED, PxauthError(f"{where}{error.strerror or type(error).__name__}")
    except (MemoryError, SystemError, ImportError) as error:
        return FAILED, PxauthError(signals.not_loaded(error))
    except Exception as error:  # a traceback could show a key or a token
        return FAILED, _bug(error)
    return DONE, None


def _state(interrupt: KeyboardInterrupt) -> str:
    """What an interrupt leaves in the cluster."""
    from kubectl_pxauth.cli.connection import opened

    written = [what for cluster in opened for what in cluster.written]
    named = written[:_NAMED] + ["more"] * (len(written) > _NAMED)
    said = f"; written before: {', '.join(named)}" if written else ""
    if isinstance(interrupt, InterruptedWriteError):
        return f" while {interrupt} was written: whether that is done is not known{said}"
    return said or ("; nothing is written" if opened else "")


def as_typer_spells(arguments: list[str], app: Any) -> list[str]:
    """Spell flags in typer's way where kubectl's is another: -n=x as -nx, --flag=true as --flag."""
    switches = _switches(arguments, app)
    spelled: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            return spelled + arguments[index:]
        switch, equals, value = argument.partition("=")
        if equals and switch in switches and value in ("true", "false"):
            spelled += [switch] if value == "true" else switches[switch]
        elif equals and re.fullmatch(_SHORT_FLAG, switch):
            spelled.append(switch + value)
        else:
            spelled.append(argument)
    return spelled


def _switches(arguments: list[str], command: Any) -> dict[str, list[str]]:
    """The called command's flags without a value, each with the flag for its opposite, if any."""
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    return {
        flag: parameter.secondary_opts[:1]
        for parameter in command.params
        if getattr(parameter, "is_flag", False)
        for flag in parameter.opts
    }


def _bug(error: Exception) -> PxauthError:
    """What an error that nobody thought of may say: where it was, but none of its words."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f" in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""
    return PxauthError(
        f"kubectl-pxauth {__version__} has a bug: {type(error).__name__}{where}",
        hint="please report it, with the command that you ran",
    )


def application(arguments: list[str]) -> typer.Typer:
    """The command that the arguments call; where they call none, all of them by name alone."""
    app = typer.Typer(
        name=PROGRAM,
        cls=Group,
        help=help_text(_HELP, _EXAMPLES),
        add_completion=False,
        no_args_is_help=True,
        suggest_commands=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    )
    app.callback()(_root)
    groups: dict[str, typer.Typer] = {}
    words = [argument for argument in arguments if not argument.startswith("-")]
    called = [name for name in COMMANDS if words[: len(name.split())] == name.split()]
    for name in called or COMMANDS:
        group, _, verb = name.rpartition(" ")
        if group and group not in groups:
            groups[group] = typer.Typer(
                cls=Group, no_args_is_help=True, rich_markup_mode=None, suggest_commands=False
            )
            app.add_typer(
                groups[group],
                name=group,
                help=help_text(*GROUPS[group]),
                short_help=GROUPS[group][0],
            )
        parent = groups[group] if group else app
        summary = COMMANDS[name]
        if called:
            module = load(name)
            text = help_text(f"{summary}\n\n{module.HELP}", module.EXAMPLES)
            parent.command(verb, cls=Command, help=text, short_help=summary)(module.command)
        else:
            parent.command(verb, short_help=summary)(_not_called)
    return app


def load(name: str) -> Any:
    """The module of one of COMMANDS: its command, HELP and EXAMPLES."""
    return import_module(f"kubectl_pxauth.cli.{name.replace(' ', '.')}")


def help_text(text: str, examples: Examples) -> str:
    """The help as typer takes it, which wraps every paragraph that has no mark to leave it."""
    lines = [text, "", "\b", "Example:" if len(examples) == 1 else "Examples:"]
    for comment, command in examples:
        lines += [f"  # {comment}"] if comment else []
        lines += [f"  {line}" for line in command.split("\n")]
        lines += ["", "\b"]
    return "\n".join(lines[:-2])


def _not_called() -> None:
    """Stand for a command that this run only names."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"kubectl-pxauth {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None: ...
