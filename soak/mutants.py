"""Change the code a little, over and over, and see that the fast tests notice nine times of ten.

mutmut's settings are in pyproject.toml; docs/mutants.md says why some changes go unnoticed.
"""

import json
import subprocess
import sys
from pathlib import Path

_LEAST = 0.9
_MUTMUT = Path(sys.executable).with_name("mutmut")
_DECISIONS = (
    "kubectl_pxauth.token.*",
    "kubectl_pxauth.operations.issue.x__identity__*",
    "kubectl_pxauth.operations.issue.x__changes__*",
    "kubectl_pxauth.operations.renew.x__check_signature__*",
    "kubectl_pxauth.operations.renew.x__identity__*",
    "kubectl_pxauth.operations.renew.x__duration__*",
    "kubectl_pxauth.portworx.token_secrets.x_status_of__*",
)
"""What decides without asking anybody."""


def main() -> None:
    """Exit with 1 where too many mutants live; mutmut names the others."""
    subprocess.run([_MUTMUT, "run", *_DECISIONS], check=True)
    subprocess.run([_MUTMUT, "export-cicd-stats"], check=True, stdout=subprocess.DEVNULL)
    counts = json.loads(Path("mutants", "mutmut-cicd-stats.json").read_text())
    noticed = counts["killed"] + counts["timeout"] + counts["segfault"]
    tried = noticed + sum(counts[one] for one in ("survived", "no_tests", "suspicious"))
    print(f"{noticed} of {tried} mutants noticed; `mutmut results` lists the others")
    sys.exit(noticed < _LEAST * tried)


if __name__ == "__main__":
    main()
