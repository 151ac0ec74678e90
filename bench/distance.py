"""A TCP proxy that puts a server far away: everything arrives late, but no slower."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CHUNK = 1 << 16


@contextmanager
def distance(host: str, port: int, round_trip: float) -> Iterator[int]:
    """Serve on a port of the loopback, round_trip seconds away from host and port."""
    loop = asyncio.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    over = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The kernel has taken the connection at once; over a network that is a round trip, too.
        await asyncio.sleep(round_trip)
        # asyncio does it for connections that it opens, not for those that it accepts.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far_reader, far_writer = await asyncio.open_connection(host, port)
        await asyncio.gather(
            _carry(reader, far_writer, round_trip / 2), _carry(far_reader, writer, round_trip / 2)
        )

    async def serve() -> None:
        server = await asyncio.start_server(connected, sock=listener)
        await over.wait()
        server.close()
        if last := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(last, timeout=1)

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write what is read, in order and each chunk `delay` seconds after it came."""
    clock = asyncio.get_running_loop().time
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, chunk = await under_way.get()
            await asyncio.sleep(due - clock())
            if not chunk:
                writer.close()
                return
            writer.write(chunk)

    delivery = asyncio.create_task(deliver())
    chunk = b"-"
    while chunk:
        try:
            chunk = await reader.read(_CHUNK)
        except ConnectionError:
            chunk = b""
        under_way.put_nowait((clock() + delay, chunk))
    await delivery
