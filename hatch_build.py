"""What hatchling calls while it builds the wheel: adds the man pages, made from the commands."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPages(BuildHookInterface[Any]):
    """Lays the man pages where pip and pipx install them, in share/man/man1."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make them, but for an editable installation."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from release.reference import write_man_pages

        folder = Path(self.root, "build", "man")
        write_man_pages(folder)
        build_data["shared_data"][str(folder)] = "share/man/man1"
