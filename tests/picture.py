"""The picture of a terminal in README.md: recorded from a real run, as an SVG.

python -m tests.picture    writes it
"""

import re
import shlex
from io import StringIO
from xml.etree import ElementTree

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from tests.conftest import Shell
from tests.terminal import run_on_terminal
from tests.transcripts import ROOT, World, world

PICTURE = ROOT / "docs" / "terminal.svg"
COMMANDS = (
    "kubectl pxauth keys create",
    "kubectl pxauth issue kubernetes -n portworx",
    "kubectl pxauth inspect -n portworx",
    "kubectl pxauth issue kubernetes -n portworx --duration 90d",
    "kubectl pxauth list -A",
)
_COLUMNS = 110
# Whoever looks at the picture loads nothing from elsewhere.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


def draw(told_to: World) -> str:
    """Run the commands on a terminal, and draw what it shows."""
    console = Console(record=True, width=_COLUMNS, file=StringIO())
    environment = told_to.environment | {"COLUMNS": str(_COLUMNS), "TZ": "UTC"}
    shell = Shell("portworx", told_to.folder, environment)
    for command in COMMANDS:
        done, shown = run_on_terminal(shell, *shlex.split(command)[1:])
        console.print(Text.assemble(("$ ", "green"), (command, "bold")))
        console.print(Text.from_ansi(shown.replace("\r\n", "\n") + done.err))
    return console.export_svg(title="kubectl pxauth", code_format=_FORMAT, unique_id="pxauth")


def lines_of(svg: str) -> list[str]:
    """The text that an SVG of rich shows, line by line."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text"):
        place = float(element.get("x", "0")), "".join(element.itertext()).replace("\xa0", " ")
        rows.setdefault(float(element.get("y", "0")), []).append(place)
    return ["".join(text for _, text in sorted(rows[y])).strip() for y in sorted(rows)]


if __name__ == "__main__":
    with world() as told:
        PICTURE.write_text(draw(told))
