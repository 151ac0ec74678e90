"""What of click this program needs, and typer has in a copy of its own without offering it.

typer parses with that copy, so neither click's own errors nor its own completion would fit.
"""

from typer._click.core import Parameter
from typer._click.exceptions import NoArgsIsHelpError, NoSuchOption, UsageError
from typer._click.shell_completion import _resolve_context as resolve_context
from typer._click.shell_completion import _resolve_incomplete as resolve_incomplete

__all__ = [
    "NoArgsIsHelpError",
    "NoSuchOption",
    "Parameter",
    "UsageError",
    "keep_words_whole",
    "resolve_context",
    "resolve_incomplete",
]


def keep_words_whole() -> None:
    """Let no line of a help end within kube-system, or a flag: people copy them."""
    from typer._click._textwrap import TextWrapper

    TextWrapper.wordsep_re = TextWrapper.wordsep_simple_re
