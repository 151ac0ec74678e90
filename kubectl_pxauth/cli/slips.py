"""What was probably meant by a command line that can't be read."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from kubectl_pxauth.cli._click import NoSuchOption
from kubectl_pxauth.cli.app import COMMANDS, GROUPS, PROGRAM
from kubectl_pxauth.errors import UsageError

_CLOSE = 0.7
_OTHER_WORDS = {
    **{"get": "list", "ls": "list", "tokens": "list", "secrets": "list"},
    **{"describe": "inspect", "show": "inspect", "decode": "inspect", "check": "verify"},
    **{"create": "issue", "apply": "issue", "generate": "token", "update": "renew"},
}
"""What other tools call our commands."""

_OTHER_FLAGS = {"-A": "--namespace-selector", "--all-namespaces": "--namespace-selector"}
"""What is meant by a flag that other commands have, where a command has the second one alone."""

_EVERYWHERE = ("status", "doctor", "discover", "keys rotate", "keys status")
"""Commands that take no namespace, as they look in all."""
_OF_NAMESPACES = ("-n", "--namespace", "-A", "--all-namespaces")


def explain(error: Any, arguments: list[str]) -> UsageError:
    """The error with the flag or argument that it is about, and a hint at what was probably meant.

    error is one of typer's; arguments begin with the words of the command.
    """
    # What typer takes an unknown flag for is left out: the hint says it better.
    message = error.message if isinstance(error, NoSuchOption) else error.format_message()
    return UsageError(message, hint=_hint_for(error, arguments))


def _hint_for(error: Any, arguments: list[str]) -> str:
    path = error.ctx.command_path if error.ctx else _called(arguments)
    meant: list[str] = []
    see = f"see `{path} --help`"
    if isinstance(error, NoSuchOption) and error.ctx:
        command = path.removeprefix(f"{PROGRAM} ")
        if command in _EVERYWHERE and error.option_name in _OF_NAMESPACES:
            return f"leave it out: {command} looks in all namespaces; {see}"
        meant = _flags_like(error.option_name, error.ctx.command.params)
    elif hasattr(getattr(error.ctx, "command", None), "commands"):
        group = path.removeprefix(PROGRAM).split()
        meant = [f"`{PROGRAM} {name}`" for name in _commands_like(arguments, group)]
    return f"did you mean {' or '.join(meant)}? {see}" if meant else see


def _called(arguments: list[str]) -> str:
    """The command that the arguments call."""
    named = (name for name in COMMANDS if arguments[: len(name.split())] == name.split())
    return " ".join([PROGRAM, *named])


def _flags_like(name: str, parameters: Iterable[Any]) -> list[str]:
    flags = [
        flag for parameter in parameters for flag in (*parameter.opts, *parameter.secondary_opts)
    ]
    if _OTHER_FLAGS.get(name) in flags:
        return [_OTHER_FLAGS[name]]
    long = [flag for flag in flags if flag.startswith("--")]
    begun = [flag for flag in long if flag.startswith(name)] if len(name) > len("--x") else []
    return begun or get_close_matches(name, long, n=1, cutoff=_CLOSE)


def _commands_like(arguments: list[str], group: list[str]) -> list[str]:
    word = arguments[len(group)] if len(arguments) > len(group) else ""
    names = [name for name in (*COMMANDS, *GROUPS) if name.split()[: len(group)] == group]
    by_last_word: dict[str, list[str]] = {}
    for name in names:
        by_last_word.setdefault(name.split()[-1], []).append(name)
    if group == [] and word in _OTHER_WORDS:
        return [_OTHER_WORDS[word]]
    close = get_close_matches(word, by_last_word, n=1, cutoff=_CLOSE)
    return by_last_word[close[0]] if close else []
