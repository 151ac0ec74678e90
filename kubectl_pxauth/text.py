"""Texts of others, made fit for a terminal; and commands, made fit for a shell."""

_LONGEST_LINE = 4000
_LONGEST_SHOWN = 60


def printable(text: str, longest: int = _LONGEST_LINE) -> str:
    """One line that can't steer a terminal or flood it, whatever a server or a file put into it."""
    line = " ".join(text.split())
    if len(line) > longest:
        line = f"{line[:longest]}…"
    if line.isprintable():  # as almost every one is
        return line
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in line
    )


def shown(text: str) -> str:
    """A text of others in quotes, for a message: its beginning, and what is not printable escaped.

    Where the whole of it matters, it is in what `inspect` and -o json show.
    """
    short = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"
    if short.isprintable():
        return f'"{short}"'
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in short) + '"'


def command_line(*words: str) -> str:
    """A command for a hint, quoted so that a shell takes each word as it is."""
    import shlex

    return shlex.join(words)
