"""`python -m rpe.chaos.forking FD SUBJECT [TRANSPORT...]`: the process that workers are forked from.

Each message on the socket of that number is a number, and carries the input, the output and the
error stream of a worker. It is answered with `{"pid": 7, "number": 1}`; when the worker has ended,
`{"pid": 7, "code": 0}` follows. It ends when the other side says no more, and its workers have ended.

Forking is safe only where nothing runs yet: no thread, no event loop, no part of gRPC's core.
All that is done here is importing.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence

from rpe.chaos import worker
from rpe.chaos.subject import load_subject
from rpe.fakes.brain import Brain
from rpe.transport.registry import get_transport

__all__ = ["main", "serve"]

_PR_SET_PDEATHSIG = 1
_STREAMS = 3


def serve(ours: socket.socket) -> bool:
    """Fork workers as they are asked for. Returns False in the end, and True in each worker."""
    woken, wake = socket.socketpair()
    for end in (woken, wake):
        end.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    waiting = selectors.DefaultSelector()
    waiting.register(woken, selectors.EVENT_READ)
    waiting.register(ours, selectors.EVENT_READ)
    open_, children = True, 0
    while open_ or children:
        ready = {key.fileobj for key, _ in waiting.select()}
        if woken in ready:
            woken.recv(4096)
            children -= _bury(ours)
        if ours not in ready:
            continue
        message, streams, _, _ = socket.recv_fds(ours, 16, _STREAMS)
        if not message:
            open_ = False
            waiting.unregister(ours)
            continue
        pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            waiting.close()
            for end in (woken, wake, ours):
                end.close()
            _become(streams)
            return True
        for stream in streams:
            os.close(stream)
        children += 1
        _tell(ours, pid=pid, number=int(message))
    return False


def _become(streams: Sequence[int]) -> None:
    """Take the place of a process that was started with these streams, in a session of its own."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)


def _bury(ours: socket.socket) -> int:
    """Tell of the children that have ended, and return how many."""
    buried = 0
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return buried
        if not pid:
            return buried
        buried += 1
        _tell(ours, pid=pid, code=os.waitstatus_to_exitcode(status))


def _tell(ours: socket.socket, **words: int) -> None:
    try:
        ours.send(json.dumps(words).encode())
    except OSError:
        pass  # nobody is left to be told


def main() -> int:
    """Import, fork, and be a worker in each fork."""
    number, subject, *transports = sys.argv[1:]
    if subject:
        load_subject(subject)
    for transport in transports:
        # What makes a server is imported by the wire when it makes one.
        get_transport(transport).create_server(Brain(), {})
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(number)) as ours:
        is_worker = serve(ours)
    return worker.main() if is_worker else 0


if __name__ == "__main__":
    sys.exit(main())
