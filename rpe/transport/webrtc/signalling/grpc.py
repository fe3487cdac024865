"""Signalling by the gRPC service WebRtcSignaling: the client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Self

import grpc
from google.protobuf.message import DecodeError

from rpe.clock import SYSTEM_CLOCK
from rpe.errors import ConnectionLost, ProtocolViolation, RpeError
from rpe.transport.grpc.status import status_error
from rpe.transport.ports import TlsSettings
from rpe.transport.webrtc.signalling.errors import client_error
from rpe.transport.webrtc.signalling.grpc_messages import SIGNAL, capabilities_message, code_from_wire
from rpe.transport.webrtc.signalling.mailbox import Mailbox, read_sdp
from rpe.transport.webrtc.signalling.port import SERVER_PEER, RemoteCandidate, SignallingSettings
from rpe.wire.generated.remotemedia.v1.webrtc import signaling_pb2 as pb

__all__ = ["GrpcSignaller"]

_GOODBYE_S = 0.5


class GrpcSignaller:
    """Fills `rpe.transport.webrtc.signalling.port.Signaller`. Made by `open`.

    A cancelled write would cancel the whole call, so one task writes and one reads, and
    callers touch neither. Both end in `close`.
    """

    def __init__(self, peer_id: str, mail: Mailbox, channel: grpc.aio.Channel, call: Any) -> None:
        self._peer_id = peer_id
        self._mail = mail
        self._channel = channel
        self._call = call
        self._outgoing: asyncio.Queue[pb.SignalingRequest | None] = asyncio.Queue()
        self._unanswered_offer = 0
        self._writer = asyncio.create_task(self._write(), name=f"signalling from {peer_id}")
        self._reader = asyncio.create_task(self._read(), name=f"signalling to {peer_id}")

    @classmethod
    async def open(
        cls, endpoint: str, settings: SignallingSettings, *, peer_id: str, capabilities: Sequence[str]
    ) -> Self:
        """Connect and announce a peer (see `open_signalling` for what it raises)."""
        channel = _make_channel(endpoint, settings)
        metadata = [(key.lower(), value) for key, value in settings.metadata]
        if settings.token is not None:
            metadata.append(("authorization", f"Bearer {settings.token}"))
        call: Any = channel.stream_stream(SIGNAL)(metadata=tuple(metadata))
        signaller = cls(peer_id, Mailbox(endpoint), channel, call)
        announce = pb.AnnounceRequest(peer_id=peer_id, capabilities=capabilities_message(capabilities))
        try:
            await signaller._ask(pb.SignalingRequest(announce=announce))
        except BaseException:
            await signaller.close("not announced")
            raise
        return signaller

    @property
    def lost(self) -> asyncio.Event:
        """Set once the connection has ended, by either side."""
        return self._mail.lost

    async def offer(self, sdp: str) -> str:
        """Offer a session to the pipeline and return its answer (see the port)."""
        request = pb.OfferRequest(to_peer_id=SERVER_PEER, sdp=sdp, type="offer")
        return read_sdp(await self._ask(pb.SignalingRequest(offer=request)), self._mail.endpoint)

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        """Tell the pipeline one of our candidates (see the port)."""
        self._mail.check()
        request = pb.IceCandidateRequest(
            to_peer_id=SERVER_PEER,
            candidate=candidate.candidate,
            sdp_mid=candidate.sdp_mid or "",
            sdp_mline_index=candidate.sdp_mline_index or 0,
        )
        self._outgoing.put_nowait(pb.SignalingRequest(ice_candidate=request))

    async def receive(self) -> RemoteCandidate | None:
        """Return the pipeline's next candidate; None once the connection has ended."""
        return await self._mail.receive()

    async def close(self, reason: str = "") -> None:
        """Say goodbye and end the connection (see the port). The service has no place for the reason."""
        goodbye = pb.DisconnectRequest(peer_id=self._peer_id)
        try:
            if not self._mail.lost.is_set():
                self._outgoing.put_nowait(pb.SignalingRequest(disconnect=goodbye))
                self._outgoing.put_nowait(None)
                async with SYSTEM_CLOCK.deadline(SYSTEM_CLOCK.now() + _GOODBYE_S):
                    await self._mail.lost.wait()
        except TimeoutError:
            pass  # it is ended all the same
        finally:
            self._call.cancel()
            self._writer.cancel()
            self._reader.cancel()
            await asyncio.wait([self._writer, self._reader])
            await self._channel.close()

    def __repr__(self) -> str:
        return f"GrpcSignaller({self._peer_id!r} at {self._mail.endpoint!r})"

    async def _ask(self, request: pb.SignalingRequest) -> Any:
        with self._mail.request() as (number, answer):
            request.request_id = str(number)
            if request.WhichOneof("request") == "offer":
                self._unanswered_offer = number
            self._outgoing.put_nowait(request)
            return await answer

    async def _write(self) -> None:
        while (request := await self._outgoing.get()) is not None:
            try:
                await self._call.write(request.SerializeToString())
            except (grpc.RpcError, asyncio.InvalidStateError):
                return  # the call has ended, and the reader learns why
        await self._call.done_writing()

    async def _read(self) -> None:
        endpoint = self._mail.endpoint
        error: RpeError = ConnectionLost(
            "the signalling connection was closed", endpoint=endpoint, maybe_executed=False
        )
        try:
            while (payload := await self._call.read()) is not grpc.aio.EOF:
                self._take(payload)
            # The end of the stream says nothing of its status, which only this does.
            if (code := await self._call.code()) is not grpc.StatusCode.OK:
                error = status_error(_status(code, await self._call.details()), endpoint)
        except RpeError as violation:
            error = violation
            self._call.cancel()
        except grpc.aio.AioRpcError as status:
            error = status_error(status, endpoint)
        finally:
            self._mail.end(error)

    def _take(self, payload: bytes) -> None:
        """Take one response. Raises RpeError where it is none of this protocol's."""
        try:
            response = pb.SignalingResponse.FromString(payload)
        except DecodeError as error:
            raise _not_ours("not a SignalingResponse", self._mail.endpoint) from error
        kind, number = response.WhichOneof("response"), _number(response.request_id)
        if kind == "notification":
            self._take_notification(response.notification)
        elif kind is None:
            raise _not_ours("an empty response", self._mail.endpoint)
        elif kind == "error":
            answered = response.error
            meant = client_error(code_from_wire(answered.code), answered.message, self._mail.endpoint)
            if number is None:
                raise meant  # it could not even read whose request it was
            self._mail.fail(number, meant)
        elif kind == "ack" and (number != self._unanswered_offer or response.ack.data):
            self._mail.settle(number, _read_data(response.ack.data))

    def _take_notification(self, note: pb.SignalingNotification) -> None:
        kind = note.WhichOneof("notification")
        if kind == "ice_candidate" and note.ice_candidate.from_peer_id in ("", SERVER_PEER):
            given = note.ice_candidate
            self._mail.add(RemoteCandidate(given.candidate, given.sdp_mid or None, given.sdp_mline_index))
        elif kind == "answer" and note.answer.from_peer_id in ("", SERVER_PEER):
            # A server may acknowledge an offer with nothing in it, and answer it like this.
            self._mail.settle(self._unanswered_offer, note.answer.sdp)


def _read_data(data: str) -> Any:
    """Return what an acknowledgement carries: JSON by the contract, but an SDP as it is will do."""
    try:
        return json.loads(data) if data else {}
    except (ValueError, RecursionError):
        return data


def _number(request_id: str) -> int | None:
    return (
        int(request_id) if request_id.isascii() and request_id.isdecimal() and len(request_id) < 10 else None
    )


def _status(code: grpc.StatusCode, details: str | None) -> grpc.aio.AioRpcError:
    empty = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(code, empty, empty, details=details)


def _make_channel(endpoint: str, settings: SignallingSettings) -> grpc.aio.Channel:
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_http_proxy", 0),
    ]
    tls: TlsSettings | None = settings.tls
    if tls is None:
        return grpc.aio.insecure_channel(endpoint, options=options)
    if tls.server_name:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    credentials = grpc.ssl_channel_credentials(
        root_certificates=tls.root_certificates,
        private_key=tls.private_key,
        certificate_chain=tls.certificate_chain,
    )
    return grpc.aio.secure_channel(endpoint, credentials, options=options)


def _not_ours(what: str, endpoint: str) -> ProtocolViolation:
    return ProtocolViolation(
        f"the signalling server sent what is no signalling: {what}", endpoint=endpoint, maybe_executed=False
    )
