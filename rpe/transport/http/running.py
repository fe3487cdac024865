"""The requests that a server has running, and the one place where each of them ends."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Coroutine
from typing import Any, NoReturn

from aiohttp import web

from rpe.transport.http.answers import error_response, refusal_ending
from rpe.transport.http.keys import TIMEOUT_KEY
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY
from rpe.transport.serving import ConnectionCut, Refusal, ServerCall, StatusCode

__all__ = ["FAILED", "RunningRequests", "break_off", "server_call"]

_LOG = logging.getLogger(__name__)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LONGEST_NUMBER = 10

FAILED = Refusal(StatusCode.INTERNAL, "the server failed")
"""What a caller hears of an error that nobody foresaw; its text stays here."""


class RunningRequests:
    """The tasks of running requests, kept so that a stopped server leaves none behind."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(
        self, request: web.Request, work: Coroutine[Any, Any, web.StreamResponse]
    ) -> web.StreamResponse:
        """Do the work of one request, and answer with whatever it raises.

        `Refusal` becomes its status, `ConnectionCut` a broken connection; any other error is
        500 and logged.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await work
        except Refusal as refusal:
            return error_response(refusal_ending(refusal))
        except ConnectionCut:
            await break_off(request, reset=True)
        except web.HTTPRequestEntityTooLarge as error:
            return error_response(
                refusal_ending(Refusal(StatusCode.INVALID_ARGUMENT, str(error.text), http_status=413))
            )
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            _LOG.exception("the handler of a request failed")
            return error_response(refusal_ending(FAILED))
        finally:
            self._tasks.discard(task)

    async def wait(self, timeout_s: float) -> None:
        """Wait until nothing runs any more, for `timeout_s` seconds at most."""
        if self._tasks and timeout_s > 0:
            await asyncio.wait(list(self._tasks), timeout=timeout_s)

    async def cancel_all(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def break_off(request: web.Request, *, reset: bool) -> NoReturn:
    """End the connection of a request in the middle, and this task with it.

    With `reset` as a crash would (RST, and what was not sent is lost); otherwise once
    everything written so far has been sent.
    """
    transport = request.transport
    if transport is not None and reset:
        sock = transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    elif transport is not None:
        transport.close()
    # aiohttp cancels this task as soon as it sees that the connection has gone.
    await asyncio.get_running_loop().create_future()
    raise AssertionError("a future that nobody has was done")


def server_call(method: str, request: web.Request) -> ServerCall:
    """Return what is known of a request before its body is read."""
    metadata = {key.lower(): value for key, value in request.headers.items()}
    timeout_ms = _number(metadata.get(TIMEOUT_KEY, ""))
    return ServerCall(
        method=method,
        peer=_peer(request),
        metadata=metadata,
        remaining_s=None if timeout_ms is None else timeout_ms / 1000,
        operation_id=metadata.get(OPERATION_KEY, ""),
        attempt=_number(metadata.get(ATTEMPT_KEY, "")) or 0,
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _LONGEST_NUMBER else None


def _peer(request: web.Request) -> str:
    peer = request.transport.get_extra_info("peername") if request.transport is not None else None
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else ""
