"""One row of a benchmark: a command, and what its runs took."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

_LAUNCH = Path(__file__).with_name("launch.py")


@dataclass
class Row:
    """A command, and the plugin's program in it where there is one."""

    name: str
    command: list[str]
    folder: Path
    environment: dict[str, str]
    plugin: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)

    def measure(self) -> None:
        """Run it once more."""
        seconds, memory = self._launch(self.command)
        self.seconds.append(seconds)
        self.memory.append(memory)

    def warm_up(self) -> None:
        """Run it uncounted: disk caches, kubectl's discovery cache."""
        self._launch(self.command)

    @property
    def seconds_median(self) -> float:
        """The median of its runs."""
        return median(self.seconds)

    @property
    def milliseconds(self) -> float:
        """The median of its runs."""
        return self.seconds_median * 1000

    @property
    def megabytes(self) -> float:
        """The peak of its largest process, the median of its runs."""
        return median(self.memory) * 1024 / 1e6

    def plugin_megabytes(self) -> float | None:
        """The peak of the plugin alone, which starts as kubectl and so with kubectl's peak."""
        return self._launch(self.plugin)[1] * 1024 / 1e6 if self.plugin else None

    def plugin_instructions(self) -> int | None:
        """Count the plugin's instructions in user space, where this host can."""
        return (self._perf() or self._callgrind()) if self.plugin else None

    def _perf(self) -> int | None:
        if not shutil.which("perf"):
            return None
        counted = self.folder / "perf.csv"
        perf = ["perf", "stat", "-x,", "-e", "instructions:u", "-o", str(counted)]
        if self._run([*perf, *self.plugin]).returncode:
            return None
        count = counted.read_text().splitlines()[-1].partition(",")[0]
        return int(count) if count.isdecimal() else None  # else the processor is not let count

    def _callgrind(self) -> int | None:
        if not shutil.which("valgrind"):
            return None
        counted = self.folder / "callgrind.log"
        valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
        valgrind += ["--trace-children=yes", f"--log-file={counted}"]
        if self._run([*valgrind, *self.plugin]).returncode:
            return None
        return sum(int(count) for count in re.findall(r"Collected : (\d+)", counted.read_text()))

    def _launch(self, command: list[str]) -> tuple[float, int]:
        launch = [sys.executable, "-I", "-S", str(_LAUNCH), *command]
        done = self._run(launch)
        seconds, kibibytes, code = done.stdout.split()
        if code != "0":
            raise SystemExit(f"{self.name}: exit code {code}\n{done.stderr}")
        return float(seconds), int(kibibytes)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
