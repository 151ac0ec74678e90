"""Install the newest of what this project depends on, whatever it is held below."""

import re
import subprocess
import sys
import tomllib

from release.archive import ROOT


def main() -> None:
    """Upgrade each dependency in this environment."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[<>=!~ ]", text)[0] for text in project["dependencies"]]
    pip = [sys.executable, "-m", "pip", "install", "--upgrade", "--upgrade-strategy=eager", "--pre"]
    subprocess.run([*pip, *names], check=True)


if __name__ == "__main__":
    main()
