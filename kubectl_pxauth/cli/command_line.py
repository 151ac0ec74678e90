"""The shape of a command line: flags before the command, help in groups, no flag twice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from typing import Any

from typer.core import TyperCommand, TyperGroup

from kubectl_pxauth.cli._click import UsageError, keep_words_whole
from kubectl_pxauth.cli.flags import ConnectionFlags

FOR_ANY_COMMAND = {"help", *(field.name for field in fields(ConnectionFlags))}
"""The parameters that `kubectl pxauth options` shows, in place of each command's help."""

_HEADINGS = {
    "User": (
        *("filename", "name", "email", "sub", "role", "group"),
        *("change_identity", "allow_shared_subject"),
    ),
    "Key": (
        *("issuer", "shared_secret_from", "shared_secret_file", "portworx_namespace"),
        *("rsa_private_keyfile", "ecdsa_private_keyfile"),
        *("rsa_public_keyfile", "ecdsa_public_keyfile", "username_claim"),
    ),
    "Output": ("dry_run", "form", "file", "sort_by", "no_headers", "quiet"),
}
"""The headings of the help behind the first one, each with the parameters below it."""

_SECTIONS = {
    "Tokens": ("issue", "token", "list", "inspect", "verify", "renew"),
    "Renewal in the cluster": ("schedule", "unschedule"),
    "Classes": ("storageclass", "snapshotclass"),
    "Clusters": ("status", "doctor", "discover", "keys"),
    "pxctl": ("pxctl", "context"),
    "Other": ("options", "version"),
}
_SWITCHES = (
    *("-A", "--all-namespaces", "-q", "--quiet", "-h", "--help", "-y", "--yes"),
    *("--all-contexts", "--insecure-skip-tls-verify"),
)
"""Flags without a value that may come before the command, where it is not known yet."""


def in_order(arguments: list[str], commands: Iterable[str]) -> list[str]:
    """The command's words first, and behind them the flags that came before, as kubectl has it.

    `help COMMAND` is `COMMAND --help`.
    """
    if arguments[:1] == ["help"]:
        return [*in_order(arguments[1:], commands), "--help"]
    words: list[str] = []
    flags: list[str] = []
    rest = list(arguments)
    while rest and rest[0] != "--" and _may_go_on(words, commands):
        argument = rest.pop(0)
        if not argument.startswith("-"):
            words.append(argument)
            continue
        flags.append(argument)
        if rest and _takes_the_next(argument):
            flags.append(rest.pop(0))
    return words + flags + rest


def _may_go_on(words: list[str], commands: Iterable[str]) -> bool:
    """Whether these are the first words of a command that has more."""
    return any(
        len(name) > len(words) and name[: len(words)] == words
        for name in (command.split() for command in commands)
    )


def _takes_the_next(flag: str) -> bool:
    """Whether the value of a flag is the argument behind it."""
    whole = flag.startswith("--") or len(flag) == len("-n")
    return whole and "=" not in flag and flag not in _SWITCHES


class Command(TyperCommand):
    """A command whose help has its flags in groups, and that takes no flag twice."""

    def make_parser(self, ctx: Any) -> Any:
        """As typer, with a look at what was given more than once."""
        parser: Any = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args=args)
            if not ctx.resilient_parsing:
                _check_given_once(order, ctx)
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As typer, with lines that end between words."""
        keep_words_whole()
        super().format_help(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Write what must be given as kubectl does: NAME, where typer has {NAME}."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, and the flags below their headings."""
        for heading, parameters in grouped(self.get_params(ctx)):
            records = [parameter.get_help_record(ctx) for parameter in parameters]
            with formatter.section(heading):
                formatter.write_dl([(names, _without_brackets(text)) for names, text in records])
        formatter.write_paragraph()
        formatter.write('Use "kubectl pxauth options" for flags that choose cluster and user.\n')


class Group(TyperGroup):
    """Commands, which the help shows in sections."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands; flags are what all of them have."""
        self.format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write(f'Use "{ctx.command_path} COMMAND --help" for more about a command.\n')
        formatter.write('Use "kubectl pxauth options" for flags that choose cluster and user.\n')

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with its summary, in the sections where there are such."""
        sections = _SECTIONS if "issue" in self.commands else {"Commands": tuple(self.commands)}
        width = max(map(len, self.commands))
        for heading, names in sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].short_help) for name in names]
                )


def _without_brackets(text: str) -> str:
    """A flag's help with its default as it is: typer puts one in words into brackets."""
    return text.replace("[default: (", "[default: ").replace(")]", "]")


def _check_given_once(order: Sequence[Any], ctx: Any) -> None:
    """Raise UsageError for a flag that is given twice, where only the last would count."""
    for parameter, count in Counter(order).items():
        counts_once = parameter.param_type_name == "option" and not parameter.multiple
        same = parameter.is_flag and not parameter.secondary_opts if counts_once else False
        if counts_once and count > 1 and not same:
            names = "/".join([*parameter.opts, *parameter.secondary_opts])
            raise UsageError(f"{names} is given more than once, but only one can count", ctx)


def grouped(parameters: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The arguments and flags to show, by their heading."""
    heading_of = {name: heading for heading, names in _HEADINGS.items() for name in names}
    groups: dict[str, list[Any]] = {heading: [] for heading in ("Arguments", "Flags", *_HEADINGS)}
    for parameter in parameters:
        if parameter.param_type_name == "argument":
            groups["Arguments"].append(parameter)
        elif parameter.name not in FOR_ANY_COMMAND:
            groups[heading_of.get(parameter.name, "Flags")].append(parameter)
    return ((heading, group) for heading, group in groups.items() if group)
