"""Feed what reads others' words with what a coverage-guided fuzzer makes of the corpus.

Each target runs in a process of its own for its part of the time. What is found stays in
tests/corpus, for `make test` to try again.
"""

import argparse
import subprocess
import sys
from pathlib import Path

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
TARGETS = sorted(folder.name for folder in CORPUS.iterdir())


def main() -> None:
    """Exit with 1 where a target found something."""
    parser = argparse.ArgumentParser(prog="python -m soak.fuzz", description=main.__doc__)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--target", choices=TARGETS)
    arguments = parser.parse_args()
    if arguments.target:
        fuzz(arguments.target, arguments.seconds)
        return
    failed = []
    for target in TARGETS:
        command = [sys.executable, "-m", "soak.fuzz", "--target", target]
        seconds = str(arguments.seconds // len(TARGETS))
        done = subprocess.run([*command, "--seconds", seconds], capture_output=True, text=True)
        counts = [line for line in done.stderr.splitlines() if line.startswith("Done ")]
        said = counts[-1] if counts else done.stdout[-2000:] + done.stderr[-2000:]
        print(f"{target}: {said}", flush=True)
        if done.returncode:
            failed.append(target)
    sys.exit(bool(failed))


def fuzz(target: str, seconds: int) -> None:
    """Run one target; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["kubectl_pxauth", "yaml"]):
        from soak.targets import run
    found = CORPUS / target
    made = Path("build", "fuzz", target)
    made.mkdir(parents=True, exist_ok=True)
    flags = [f"-max_total_time={seconds}", f"-artifact_prefix={found}/found-", "-timeout=30"]
    flags += ["-max_len=20000", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *flags, str(made), str(found)], lambda data: run(target, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
