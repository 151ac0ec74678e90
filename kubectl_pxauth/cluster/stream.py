"""A WebSocket on which nobody can send without end."""

from websocket import WebSocket

from kubectl_pxauth.errors import ClusterError


class BoundedWebSocket(WebSocket):
    """Ends with a ClusterError where more comes than so many bytes, in whatever frames."""

    def __init__(self, most_bytes: int) -> None:
        """Take the bytes of all frames that may come."""
        super().__init__()
        self._most = self._left = most_bytes

    def _recv(self, bufsize: int) -> bytes:
        # What its buffer of frames reads with.
        data: bytes = super()._recv(bufsize)  # type: ignore[no-untyped-call]
        self._left -= len(data)
        if self._left < 0:
            raise ClusterError(f"the command says more than {self._most >> 20} MiB")
        return data
