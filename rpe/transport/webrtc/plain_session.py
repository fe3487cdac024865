"""The caller's end of a session in plain mode."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping

from rpe.data import RuntimeData
from rpe.errors import (
    ConnectionLost,
    InvalidRequest,
    RpeError,
    SessionClosed,
    StreamBroken,
)
from rpe.transport.failures import check_rising
from rpe.transport.ports import ChunkResult
from rpe.transport.webrtc.plain_channel import PlainChannel
from rpe.transport.webrtc.plain_peer import PLAIN_LABEL, PlainPeer
from rpe.transport.webrtc.status import late

__all__ = ["PlainClientSession"]


class PlainClientSession:
    """Fills `rpe.transport.ports.ClientStreamSession`: the n-th output is taken for the answer to chunk n.

    Nothing tells a plain server that no chunk follows. After `finish` the session is closed
    once as many outputs have come as chunks were sent; where a pipeline gives fewer, its
    deadline ends it.
    """

    def __init__(self, peer: PlainPeer, channel: PlainChannel, ends_s: float) -> None:
        self.endpoint = peer.endpoint
        self.session_id = PLAIN_LABEL
        self.last_answered: int | None = None
        self._peer = peer
        self._channel = channel
        self._last_sent = -1
        self._unanswered: deque[int] = deque()
        self._finished = False
        self._closed = False
        self._error: RpeError | None = None
        self._deadline = asyncio.get_running_loop().call_at(ends_s, self._time_is_up)

    async def send(
        self,
        data: RuntimeData | Mapping[str, RuntimeData],
        *,
        node_id: str,
        sequence: int,
        timestamp_ms: int = 0,
    ) -> None:
        """Send one chunk (see the port); plain mode takes a single buffer, and no name of a node."""
        if self._finished or self._error is not None:
            raise self._dead()
        check_rising(sequence, self._last_sent, self.endpoint)
        if isinstance(data, Mapping):
            raise InvalidRequest("plain mode sends one buffer in a chunk", endpoint=self.endpoint)
        self._last_sent = sequence
        self._unanswered.append(sequence)
        try:
            await self._channel.send(data)
        except asyncio.CancelledError:
            self.cancel()
            raise
        except RpeError as error:
            raise self._fail(error) from None

    async def receive(self) -> ChunkResult | None:
        """Return the next output as the answer to the first chunk that has none (see the port)."""
        if self._closed:
            return None
        if self._error is not None:
            raise self._error
        if self._finished and not self._unanswered:
            self._closed = True
            self._release()
            return None
        try:
            output = await self._channel.receive()
        except RpeError as error:
            raise self._fail(error) from None
        sequence = self._unanswered.popleft() if self._unanswered else max(self._last_sent, 0)
        self.last_answered = sequence
        return ChunkResult(sequence, {"output": output})

    async def finish(self) -> None:
        """Say that no chunk follows; outputs still come until each chunk has one."""
        self._finished = True

    def cancel(self) -> None:
        """Close the channel; harmless when that is done."""
        if self._error is None and not self._closed:
            self._error = SessionClosed("the session was cancelled", endpoint=self.endpoint)
        self._release()

    def _time_is_up(self) -> None:
        self._fail(late(self.endpoint))

    def _fail(self, error: RpeError) -> RpeError:
        if self._error is None:
            if type(error) is ConnectionLost:
                error = StreamBroken(error.message, endpoint=self.endpoint, last_sequence=self.last_answered)
            self._error = error
        self._release()
        return self._error

    def _release(self) -> None:
        self._deadline.cancel()
        self._peer.drop(self._channel, self._error)

    def _dead(self) -> RpeError:
        return self._error or SessionClosed("the session is closed", endpoint=self.endpoint)
