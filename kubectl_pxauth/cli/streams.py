"""The standard streams, and what becomes of text that nobody can take."""

import io
import os
import sys

BROKEN_PIPE = 141
"""What a program ends with that SIGPIPE ends, as kubectl is where nobody reads on."""


class Stream(io.TextIOWrapper):
    """A standard stream that is written line by line, and whose failure stops no work.

    What comes after a failure is dropped: failure says why.
    """

    failure: OSError | None = None

    def write(self, text: str) -> int:
        """Write, or note why that is not possible."""
        try:
            return super().write(text)
        except OSError as error:
            self._give_up(error)
            return len(text)

    def flush(self) -> None:
        """Flush, or note why that is not possible."""
        try:
            super().flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.failure = self.failure or error
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())


def prepare_streams() -> None:
    """Make the standard streams ours, with somewhere to go for those that are closed.

    Else a connection could take their number.
    """
    if sys.stdin is None:
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY))
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name) or os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        if isinstance(stream, io.TextIOWrapper):
            encoding, below = stream.encoding, stream.detach()
            if name == "stderr" and isinstance(below, io.BufferedWriter):
                # A buffer has a lock, and Python aborts where a thread still has it at the end.
                below = below.detach()
            stream = Stream(
                below,
                encoding,
                errors="backslashreplace",  # a locale may know fewer letters
                line_buffering=True,
                write_through=name == "stderr",
            )
        setattr(sys, name, stream)
        # A frozen program flushes these at its end; the stream that they had is detached.
        setattr(sys, f"__{name}__", stream)
