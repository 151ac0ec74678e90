"""What mkdocs calls while it builds the site: adds the pages that are made from elsewhere."""

import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[1]))  # mkdocs loads this file alone

from release.reference import commands, index, markdown, rights

_ROOT = Path(__file__).parents[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the commands in the reference."""
    (reference,) = [part["Reference"] for part in config.nav or [] if "Reference" in part]
    reference += [{command.name: f"reference/{command.slug}.md"} for command in commands()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each command and those of all, and the pages that GitHub wants at the root."""
    pages = {f"reference/{command.slug}.md": markdown(command) for command in commands()}
    pages |= {"reference/index.md": index(), "reference/rights.md": rights()}
    for name in ("SECURITY.md", "CHANGELOG.md"):
        pages[name.lower()] = (_ROOT / name).read_text().replace("](docs/", "](")
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    return files
