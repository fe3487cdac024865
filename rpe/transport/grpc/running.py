"""The calls that a server has running, and the one place where each of them ends."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc

from rpe.transport.grpc.cutting import cut_connection
from rpe.transport.ports import ATTEMPT_KEY, OPERATION_KEY
from rpe.transport.serving import ConnectionCut, Refusal, ServerCall, SessionBroken, StatusCode

__all__ = ["PUSHBACK_KEY", "Context", "RunningCalls", "server_call"]

PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""The trailer in which a server says when to try again (gRFC A6)."""

Context = grpc.aio.ServicerContext[Any, Any]

T = TypeVar("T")

_LOG = logging.getLogger(__name__)
_STATUS = {code: grpc.StatusCode[code.name] for code in StatusCode}
_LETTING_GO_TAKES_S = 0.1


class RunningCalls:
    """The tasks of running calls, kept so that a stopped server leaves none behind."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, context: Context, work: Coroutine[Any, Any, T]) -> T | None:
        """Do the work of one call, and end the call by whatever the work raises.

        `Refusal` becomes its status, `ConnectionCut` a broken connection, `SessionBroken`
        a plain end; any other error is INTERNAL and logged, and its text stays here.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Asked for now: gRPC's core crashes where it is asked for the peer of a call that has ended.
        peer = context.peer()
        try:
            return await work
        except SessionBroken:
            return None
        except Refusal as refusal:
            await _refuse(context, refusal)
        except ConnectionCut:
            await _cut(context, peer)
        except grpc.aio.AbortError:
            raise
        except Exception:
            _LOG.exception("the handler of a call failed")
            await context.abort(grpc.StatusCode.INTERNAL, "the server failed")
        finally:
            self._tasks.discard(task)
        return None

    async def cancel_all(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        # gRPC has a task of its own around each of ours, which ends when its core has let go
        # of the call: a moment later. Those of other servers on this loop look the same.
        if outer := [task for task in asyncio.all_tasks() if _is_of_grpc(task)]:
            await asyncio.wait(outer, timeout=_LETTING_GO_TAKES_S)


def _is_of_grpc(task: asyncio.Task[Any]) -> bool:
    return getattr(task.get_coro(), "__qualname__", "") == "_schedule_rpc_coro"


async def _refuse(context: Context, refusal: Refusal) -> None:
    trailers = list(refusal.metadata.items())
    if (after_s := refusal.retry_after_s) is not None:
        trailers.append((PUSHBACK_KEY, str(math.ceil(after_s * 1000)) if after_s >= 0 else "-1"))
    await context.abort(_STATUS[refusal.status], refusal.message, tuple(trailers))


async def _cut(context: Context, peer: str) -> None:
    if cut_connection(peer):
        # gRPC cancels this call, and so this task, as soon as it sees what happened.
        await asyncio.get_running_loop().create_future()
    await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")


def server_call(method: str, context: Context) -> ServerCall:
    """Return what is known of a call before its request is read."""
    metadata = {
        key: value if isinstance(value, str) else value.decode("latin-1")
        for key, value in context.invocation_metadata() or ()
    }
    attempt = metadata.get(ATTEMPT_KEY, "")
    return ServerCall(
        method=method,
        peer=context.peer(),
        metadata=metadata,
        remaining_s=context.time_remaining(),
        operation_id=metadata.get(OPERATION_KEY, ""),
        attempt=int(attempt) if attempt.isascii() and attempt.isdecimal() and len(attempt) < 10 else 0,
    )
