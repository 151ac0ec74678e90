"""The reference of the commands, made from the commands: Markdown for the site, and man pages."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml

from kubectl_pxauth import __version__
from kubectl_pxauth.cli.app import COMMANDS, PROGRAM, application, load
from kubectl_pxauth.cli.command_line import FOR_ANY_COMMAND, grouped
from kubectl_pxauth.cluster.access import role_manifests
from kubectl_pxauth.portworx.rights import Places, command_rights
from kubectl_pxauth.portworx.settings import PXKEYS

_EXIT_CODES = (
    ("0", "done"),
    ("1", "failed; an `error:` line on standard error says what"),
    ("2", "misused: the command line asks for something that can't be"),
    ("3", "`status` alone: something is worth a look"),
    ("4", "`status` alone: something is broken"),
    ("129, 130, 143", "ended by SIGHUP, Ctrl-C or SIGTERM; a summary says what was done"),
    ("141", "nobody reads what is printed any more"),
)


@dataclass(frozen=True)
class Flag:
    """A flag or an argument, as the help shows it."""

    names: str
    meaning: str


@dataclass(frozen=True)
class Command:
    """A command as its module describes it; flags are below their headings in the help."""

    name: str
    summary: str
    description: str
    examples: tuple[tuple[str, str], ...]
    usage: str
    flags: tuple[tuple[str, tuple[Flag, ...]], ...]

    @property
    def slug(self) -> str:
        """Its name in file names."""
        return self.name.replace(" ", "-")


def read_command(name: str) -> Command:
    """Describe one of COMMANDS."""
    module = load(name)
    found: Any = typer.main.get_command(application(name.split()))
    for word in name.split():
        found = found.commands[word]
    flags = tuple((heading, tuple(map(_flag, shown))) for heading, shown in grouped(found.params))
    if name == "options":
        for_any = [one for one in found.params if one.name in FOR_ANY_COMMAND]
        flags = (("Flags", tuple(map(_flag, for_any))),)
    arguments = [flag.names for flag in dict(flags).get("Arguments", ())]
    return Command(
        name=name,
        summary=COMMANDS[name],
        description=module.HELP,
        examples=module.EXAMPLES,
        usage=" ".join([PROGRAM, name, *arguments, "[flags]"]),
        flags=flags,
    )


def _flag(parameter: Any) -> Flag:
    meaning = parameter.help or ""
    if parameter.param_type_name == "argument":
        metavar = parameter.metavar or parameter.name.upper()
        names = metavar if parameter.required else f"[{metavar}]"
        return Flag(names, meaning)
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    choices = getattr(parameter.type, "choices", None)
    if choices:
        names += f" {'|'.join(str(getattr(choice, 'value', choice)) for choice in choices)}"
    elif not parameter.is_flag:
        names += f" {parameter.metavar or parameter.type.name.upper()}"
    default = parameter.show_default if isinstance(parameter.show_default, str) else None
    if default is None and parameter.default not in (None, False, "", ()):
        default = str(getattr(parameter.default, "value", parameter.default))
    return Flag(names, f"{meaning} Default: {default}." if default else meaning)


def markdown(command: Command) -> str:
    """The command's page on the site."""
    lines = [f"# kubectl pxauth {command.name}", "", command.summary, "", command.description, ""]
    lines += ["```text", command.usage, "```", ""]
    lines += ["## Examples", ""]
    for comment, example in command.examples:
        lines += ["```sh", *([f"# {comment}"] if comment else []), example, "```", ""]
    for heading, flags in command.flags:
        lines += [f"## {heading}", "", "| | |", "| --- | --- |"]
        lines += [f"| `{_cell(flag.names)}` | {_cell(flag.meaning)} |" for flag in flags]
        lines.append("")
    if command.name != "options":
        lines += ["[Flags of every command](options.md) choose the cluster and the user.", ""]
    return "\n".join(lines)


def index() -> str:
    """The page that lists the commands and the exit codes."""
    lines = ["# Commands", "", "| Command | |", "| --- | --- |"]
    for name, summary in COMMANDS.items():
        lines.append(f"| [`{name}`]({name.replace(' ', '-')}.md) | {summary} |")
    lines += ["", "## Exit codes", "", "| Code | Meaning |", "| --- | --- |"]
    lines += [f"| {code} | {meaning} |" for code, meaning in _EXIT_CODES]
    return "\n".join([*lines, ""])


def rights() -> str:
    """The page with the smallest Role of each command, for the places of the Portworx docs."""
    places = Places(PXKEYS, "portworx", portworx="kube-system")
    lines = [
        "# Rights",
        "",
        "The smallest rights of each command, for tokens in namespace `portworx`, the key in Secret"
        f" `{PXKEYS.namespace}/{PXKEYS.name}`, and Portworx in `{places.portworx}`. Put your own"
        " names in their place. RBAC can't limit `create` and `list` to a name. Bind each Role"
        " to its user, for example with `kubectl create rolebinding NAME --role=NAME --user=USER"
        " -n NAMESPACE`.",
        "",
        "`kubectl pxauth doctor` and `kubectl pxauth status` need none: they say what they could"
        " not look at. What a command uses but does not need stands below its Role.",
        "",
    ]
    for one in command_rights(places):
        lines += [f"## {one.command}{f', where {one.when}' if one.when else ''}", ""]
        if roles := role_manifests(f"pxauth-{one.command.split()[0]}", one.required(places)):
            lines += ["```yaml", _yaml(roles), "```", ""]
        if one.optional:
            more = [right for rule in one.optional for right in rule.rights()]
            said = "; ".join(f"`{right.verb}` {right.what}" for right in more)
            lines += [f"Used, but not needed: {said}.", ""]
    return "\n".join(lines)


def _yaml(manifests: list[dict[str, Any]]) -> str:
    return yaml.safe_dump_all(manifests, sort_keys=False, default_flow_style=None).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def man_page(command: Command) -> str:
    """The command's man page, in section 1."""
    name = f"kubectl-pxauth-{command.slug}"
    lines = [f'.TH "{name.upper()}" 1 "" "kubectl-pxauth {__version__}"']
    lines += [".SH NAME", _roff(f"{name} - {command.summary}")]
    lines += [".SH SYNOPSIS", _roff(command.usage)]
    lines += [".SH DESCRIPTION", _roff(" ".join(command.description.split()))]
    for heading, flags in command.flags:
        lines.append(f".SH {heading.upper()}")
        for flag in flags:
            lines += [".TP", f"\\fB{_roff(flag.names)}\\fR", _roff(flag.meaning)]
    lines.append(".SH EXAMPLES")
    for comment, example in command.examples:
        lines += [".PP", *([_roff(comment) + ":"] if comment else []), ".nf"]
        lines += [*map(_roff, example.split("\n")), ".fi"]
    lines.append(".SH EXIT STATUS")
    for code, meaning in _EXIT_CODES:
        lines += [".TP", code, _roff(meaning)]
    lines += [".SH SEE ALSO", _roff("kubectl-pxauth-options(1), kubectl(1)")]
    return "\n".join([*lines, ""])


def write_man_pages(folder: Path) -> None:
    """Write a man page for each command into the folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for command in commands():
        page = folder / f"kubectl-pxauth-{command.slug}.1"
        page.write_text(man_page(command), encoding="utf-8")


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", escaped)


def commands() -> Iterator[Command]:
    """All commands, in the order of the help."""
    return map(read_command, COMMANDS)
