"""What mkdocs calls while it builds the site: adds the reference, made from the commands."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[1]))  # mkdocs loads this file alone

from release.reference import commands, index, markdown


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each command, and one that lists them."""
    pages = {f"{command.slug}.md": markdown(command) for command in commands()}
    for name, content in {"index.md": index(), **pages}.items():
        files.append(File.generated(config, f"reference/{name}", content=content))
    return files
