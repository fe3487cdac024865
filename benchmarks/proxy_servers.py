"""What the proxy's benchmark talks to, each in a process of its own; ends when its input does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import threading

MESSAGE_BYTES = 1024


def echo() -> None:
    """Echo on connections that begin with a short message; on others swallow all, up to the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"127.0.0.1:{listener.getsockname()[1]}", flush=True)

    def serve(sock: socket.socket) -> None:
        buffer = bytearray(1024 * 1024)
        with sock, contextlib.suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            size = sock.recv_into(buffer)
            echoes = size == MESSAGE_BYTES
            while size:
                if echoes:
                    sock.sendall(memoryview(buffer)[:size])
                size = sock.recv_into(buffer)

    def accept() -> None:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


async def embedded() -> None:
    """Serve the embedded proxy."""
    from rpe.faults.proxy import EmbeddedProxy

    async with EmbeddedProxy() as proxy:
        print(proxy.url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["echo"]:
            echo()
        case ["asyncio"]:
            asyncio.run(embedded())
        case ["uvloop"]:
            import uvloop

            uvloop.run(embedded())
