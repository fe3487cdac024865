"""One client of the gRPC signalling server: its requests, its notifications, and an offer in the making."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import grpc

from rpe.clock import SYSTEM_CLOCK
from rpe.transport.grpc.cutting import cut_connection
from rpe.transport.grpc.running import Context
from rpe.transport.serving import Refusal, StatusCode
from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.grpc_messages import (
    acknowledged,
    event_message,
    peer_messages,
    read_capability_names,
    read_request,
    refused,
)
from rpe.transport.webrtc.signalling.guest import Guest
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.messages import Event
from rpe.transport.webrtc.signalling.port import SERVER_PEER, RemoteCandidate
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as pb

__all__ = ["GrpcConnection"]

MOST_WAITING = 1024
"""How many messages may wait for a client that does not read; at one more its connection is broken."""


class GrpcConnection:
    """Fills `rpe.transport.webrtc.signalling.guest.Link` for one `Signal` call."""

    def __init__(self, hub: SignallingHub, context: Context) -> None:
        # Asked once, and now: gRPC crashes the process where it is asked of a call that has ended.
        self._peer = context.peer()
        self.address = self._peer.partition(":")[2]
        self.metadata: Mapping[str, str] = {
            key: value if isinstance(value, str) else value.decode("latin-1")
            for key, value in context.invocation_metadata() or ()
        }
        self._hub = hub
        self._context = context
        self._guest: Guest | None = None
        self._refusal: Refusal | None = None
        self._aborted = False
        self._ended = False
        self._outgoing: asyncio.Queue[pb.SignalingResponse | None] = asyncio.Queue()
        self._offers: set[asyncio.Task[None]] = set()

    async def authenticate(self) -> None:
        """Raise Refusal where the metadata brings no right token."""
        try:
            await self._hub.authenticate(self)
        except SignallingError as error:
            raise _status(error) from error

    async def serve(self) -> None:
        """Read until either side ends the call. The peer has left when this ends.

        Raises Refusal where the call is to end with a status.
        """
        await self.authenticate()
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(self._write())
                try:
                    await self._read(group)
                finally:
                    for task in self._offers:
                        task.cancel()
                    writer.cancel() if self._refusal else self._outgoing.put_nowait(None)
        finally:
            self._ended = True
            guest, self._guest = self._guest, None
            if guest is not None:
                await self._hub.leave(guest, lost=True)
        if self._refusal is not None:
            raise self._refusal

    def tell(self, peer_id: str, event: Event) -> None:
        """Send an event when the client takes it, without waiting."""
        if (message := event_message(event)) is not None:
            self._put(message)

    def abort(self) -> None:
        """Reset the connection, as a crash would."""
        if not self._ended:
            self._aborted = True
            cut_connection(self._peer)

    async def _read(self, group: asyncio.TaskGroup) -> None:
        while self._refusal is None and (payload := await self._context.read()) is not grpc.aio.EOF:
            try:
                request = read_request(payload)
            except SignallingError as error:
                self._put(refused("", error))
                continue
            if request.WhichOneof("request") == "offer":
                # As with the WebSocket: what follows does not wait for the answer, but the offer
                # must have begun before it is looked at.
                task = group.create_task(self._answer(request))
                self._offers.add(task)
                task.add_done_callback(self._offers.discard)
                await SYSTEM_CLOCK.sleep(0.0)
            else:
                await self._answer(request)

    async def _answer(self, request: pb.SignalingRequest) -> None:
        try:
            self._put(await self._call(request))
        except SignallingError as error:
            if error.code == Code.UNAUTHENTICATED:
                self._refusal = _status(error)
            else:
                self._put(refused(request.request_id, error))
        if self._guest is not None:
            await self._hub.settle(self._guest)

    async def _call(self, request: pb.SignalingRequest) -> pb.SignalingResponse:
        kind, number = request.WhichOneof("request"), request.request_id
        if kind == "announce":
            return acknowledged(number, "announced", await self._announce(request.announce))
        if kind is None:
            raise SignallingError(Code.INVALID_REQUEST, "an empty request")
        if (guest := self._guest) is None:
            raise SignallingError(Code.PEER_NOT_FOUND, "announce yourself first")
        if kind == "list_peers":
            peers = peer_messages(self._hub.peers())
            listed = pb.PeerListResponse(peers=peers, count=len(peers))
            return pb.SignalingResponse(request_id=number, peer_list=listed)
        if kind == "offer":
            sdp = await self._hub.offer(guest, request.offer.to_peer_id, request.offer.sdp)
            if sdp is None:
                return acknowledged(number, "offered")
            return acknowledged(number, "answered", {"type": "answer", "sdp": sdp, "from": SERVER_PEER})
        if kind == "answer":
            self._hub.answer(guest, request.answer.to_peer_id, request.answer.sdp)
        elif kind == "ice_candidate":
            given = request.ice_candidate
            candidate = RemoteCandidate(given.candidate, given.sdp_mid or None, given.sdp_mline_index)
            await self._hub.candidate(guest, given.to_peer_id, candidate)
        else:
            await self._disconnect(guest, request.disconnect.peer_id)
        return acknowledged(number, kind)

    async def _announce(self, request: pb.AnnounceRequest) -> dict[str, Any]:
        if self._guest is not None:
            raise SignallingError(
                Code.INVALID_REQUEST, f"this connection has announced {self._guest.peer_id!r} already"
            )
        shown = dict(request.metadata)
        able = read_capability_names(request.capabilities)
        self._guest = await self._hub.announce(
            self, request.peer_id, able, shown, shown.pop("auth_token", None)
        )
        others = [peer.peer_id for peer in self._hub.peers(but=self._guest)]
        return {"peer_id": self._guest.peer_id, "peers_count": len(others) + 1, "other_peers": others}

    async def _disconnect(self, guest: Guest, peer_id: str) -> None:
        if peer_id not in ("", guest.peer_id):
            raise SignallingError(Code.INVALID_PARAMS, f"peer_id must be {guest.peer_id!r}, as announced")
        self._guest = None
        await self._hub.leave(guest, lost=False)

    async def _write(self) -> None:
        while (message := await self._outgoing.get()) is not None:
            await self._context.write(message.SerializeToString())

    def _put(self, message: pb.SignalingResponse) -> None:
        if self._outgoing.qsize() >= MOST_WAITING:
            self.abort()
        elif not self._aborted:  # gRPC would still send it before it notices
            self._outgoing.put_nowait(message)


def _status(error: SignallingError) -> Refusal:
    status = StatusCode.UNAUTHENTICATED if error.code == Code.UNAUTHENTICATED else StatusCode.UNAVAILABLE
    return Refusal(status, error.message)
