"""A plain aiortc server behind WebSocket signalling, nothing of rpe's serving side: the same for every arm.

A bare channel carries whole messages. The pipeline channel carries frames (14 bytes of
header, 8 more before a fragment) whose messages are the same. A session whose node is a
`Sink` is not answered until it is closed.
"""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiortc import RTCDataChannel, RTCPeerConnection, RTCSessionDescription

from benchmarks.bare.webrtc import gather_at_loopback, make_connection
from benchmarks.harness import run_on
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

_HEADER = struct.Struct("!BBIII")
_PART = struct.Struct("!II")
_MESSAGE, _END, _PING, _PONG = 0x12, 0x13, 0x15, 0x16


class Pipeline:
    """One call: the answer to each request, as a message of its own."""

    def __init__(self) -> None:
        self.closed = False
        self._sink = False
        self._parts = bytearray()

    def answer(self, payload: bytes) -> bytes | None:
        """Return what a whole request is answered with."""
        request = streaming_pb2.StreamRequest.FromString(payload)
        response = streaming_pb2.StreamResponse()
        kind = request.WhichOneof("request")
        if kind == "init" and request.init.data_inputs:
            for buffer in request.init.data_inputs.values():
                response.result.data_outputs["output"].CopyFrom(buffer)
            self.closed = True
        elif kind == "init":
            self._sink = request.init.manifest.nodes[0].node_type == "Sink"
            response.ready.session_id = "echo"
        elif kind == "data_chunk":
            if self._sink:
                return None
            response.result.sequence = request.data_chunk.sequence
            response.result.data_outputs["output"].CopyFrom(request.data_chunk.buffer)
        else:
            response.closed.session_id = "echo"
            self.closed = True
        return response.SerializeToString()

    def part(self, payload: bytes, total: int) -> bytes | None:
        """Take a part of a request, and answer the one that it completes."""
        self._parts += payload
        if len(self._parts) < total:
            return None
        whole = bytes(self._parts)
        self._parts.clear()
        return self.answer(whole)


def serve_bare(channel: RTCDataChannel) -> Callable[[bytes], None]:
    """One call at a time. A message too large for a channel comes as text of its size, and then its parts."""
    pipeline = Pipeline()
    total = 0

    def take(message: bytes | str) -> None:
        nonlocal total
        if isinstance(message, str):
            total = int(message)
            return
        answer = pipeline.part(message, total) if total else pipeline.answer(message)
        if answer is not None:
            channel.send(answer)

    return take


def serve_frames(channel: RTCDataChannel) -> Callable[[bytes], None]:
    """Many calls, by their numbers."""
    calls: dict[int, tuple[Pipeline, list[int]]] = {}

    def take(message: bytes) -> None:
        at = 0
        while at < len(message):
            kind, flags, call, _, length = _HEADER.unpack_from(message, at)
            at += _HEADER.size
            total = length
            if flags & 1:
                _, total = _PART.unpack_from(message, at)
                at += _PART.size
            payload, at = message[at : at + length], at + length
            if kind == _PING:
                channel.send(_HEADER.pack(_PONG, 0, call, 0, 0))
            elif kind == _MESSAGE:
                pipeline, sent = calls.setdefault(call, (Pipeline(), [0]))
                answer = pipeline.answer(payload) if total == length else pipeline.part(payload, total)
                if answer is not None:
                    reply(call, pipeline, sent, answer)

    def reply(call: int, pipeline: Pipeline, sent: list[int], answer: bytes) -> None:
        message = _HEADER.pack(_MESSAGE, 0, call, sent[0], len(answer)) + answer
        sent[0] += 1
        if pipeline.closed:
            del calls[call]
            message += _HEADER.pack(_END, 0, call, sent[0], 0)
        channel.send(message)

    return take


def serve_control(channel: RTCDataChannel) -> Callable[[bytes], None]:
    """Answer each question for a sign of life."""

    def take(message: bytes) -> None:
        kind, _, call, number, _ = _HEADER.unpack_from(message)
        if kind == _PING:
            channel.send(_HEADER.pack(_PONG, 0, call, number, 0))

    return take


_SERVED = {"bare": serve_bare, "remotemedia-pipeline": serve_frames, "remotemedia-control": serve_control}


async def signalling(request: web.Request) -> web.WebSocketResponse:
    """One peer: its announcement, its offer, and the connection that comes of it."""
    ws = web.WebSocketResponse()
    await ws.prepare(request)
    connection: RTCPeerConnection | None = None
    async for message in ws:
        call = message.json()
        result: dict[str, Any] = {}
        if call["method"] == "peer.announce":
            peer_id = call["params"]["peer_id"]
            result = {"success": True, "peer_id": peer_id, "peers_count": 1, "other_peers": []}
        elif call["method"] == "peer.offer":
            connection = make_connection()
            connection.on("track", connection.addTrack)  # what is heard is said again
            connection.on("datachannel", lambda found: found.on("message", _SERVED[found.label](found)))
            await connection.setRemoteDescription(
                RTCSessionDescription(sdp=call["params"]["sdp"], type="offer")
            )
            gather_at_loopback(connection)
            await connection.setLocalDescription()
            result = {"sdp": connection.localDescription.sdp}
        if "id" in call:
            await ws.send_json({"jsonrpc": "2.0", "id": call["id"], "result": result})
    if connection is not None:
        await connection.close()
    return ws


async def main(ports: int) -> None:
    runners = []
    addresses = []
    for _ in range(ports):
        app = web.Application()
        app.router.add_get("/ws", signalling)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        addresses.append(f"{host}:{port}")
        runners.append(runner)
    print(*addresses, os.getpid(), flush=True)
    # The parent closes our input when it is done with us, also when it dies.
    await asyncio.to_thread(sys.stdin.read)
    for runner in runners:
        await runner.cleanup()


if __name__ == "__main__":
    run_on("".join(sys.argv[2:]), main(int(sys.argv[1])))
