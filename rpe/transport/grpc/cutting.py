"""Breaking a caller's connection as a crash would: gRPC itself can end a call only with a status."""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from urllib.parse import unquote

__all__ = ["cut_connection"]

_FILES = Path("/proc/self/fd")
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def cut_connection(peer: str) -> bool:
    """Reset the TCP connection of this process whose other end is `peer`, as gRPC writes it.

    gRPC's core owns the socket and does not hand it out, so it is looked up by its
    address among the open files of the process (Linux). gRPC then reads the end of the
    connection and closes it, which sends RST. Every call on that connection breaks.

    Returns False where there is no such connection.
    """
    scheme, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    if scheme not in ("ipv4", "ipv6") or not port.isdecimal():
        return False
    wanted = (host.strip("[]"), int(port))
    return any(_cut(int(entry.name), wanted) for entry in _FILES.iterdir())


def _cut(file: int, wanted: tuple[str, int]) -> bool:
    try:
        if not str((_FILES / str(file)).readlink()).startswith("socket:"):
            return False
        with socket.socket(fileno=os.dup(file)) as found:
            if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
                return False
            host, port, *_ = found.getpeername()
            if (host.removeprefix("::ffff:"), port) != wanted:
                return False
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            found.shutdown(socket.SHUT_RD)
    except OSError:
        return False  # closed in the meantime, listening, or not connected
    return True
