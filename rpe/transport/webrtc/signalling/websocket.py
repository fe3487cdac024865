"""Signalling by JSON-RPC 2.0 over a WebSocket: the client."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Self

import aiohttp

from rpe.clock import SYSTEM_CLOCK
from rpe.errors import (
    AuthenticationFailed,
    ConnectFailed,
    ConnectionLost,
    ProtocolViolation,
    RpeError,
    redact,
)
from rpe.transport.http.status import without_request
from rpe.transport.webrtc.signalling.certificates import client_context
from rpe.transport.webrtc.signalling.errors import Code, client_error
from rpe.transport.webrtc.signalling.jsonrpc import Call, Message, Outcome, call_text, outcome_text, read
from rpe.transport.webrtc.signalling.mailbox import Mailbox, read_sdp
from rpe.transport.webrtc.signalling.port import SERVER_PEER, RemoteCandidate, SignallingSettings
from rpe.transport.webrtc.signalling.rpc_events import candidate_params

__all__ = ["WebSocketSignaller"]

_GOODBYE_S = 0.5
"""How long the server has to return our close."""
_HEARTBEAT_S = 15.0
"""How often the server is asked for a sign of life, by the WebSocket's own ping."""

_ENDS = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


class WebSocketSignaller:
    """Fills `rpe.transport.webrtc.signalling.port.Signaller`. Made by `open`.

    One task reads; it ends with the connection, and `close` waits for it.
    """

    def __init__(
        self, peer_id: str, mail: Mailbox, session: aiohttp.ClientSession, ws: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._peer_id = peer_id
        self._mail = mail
        self._session = session
        self._ws = ws
        self._reader = asyncio.create_task(self._read(), name=f"signalling of {peer_id}")

    @classmethod
    async def open(
        cls, endpoint: str, settings: SignallingSettings, *, peer_id: str, capabilities: Sequence[str]
    ) -> Self:
        """Connect and announce a peer (see `open_signalling` for what it raises)."""
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        )
        try:
            ws = await _connect(session, endpoint, settings)
        except BaseException:
            await session.close()
            raise
        signaller = cls(peer_id, Mailbox(endpoint), session, ws)
        try:
            await signaller._announce(capabilities, settings.token)
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
        result = await self._ask("peer.offer", {"from": self._peer_id, "to": SERVER_PEER, "sdp": sdp})
        return read_sdp(result, self._mail.endpoint)

    async def send_candidate(self, candidate: RemoteCandidate) -> None:
        """Tell the pipeline one of our candidates (see the port)."""
        self._mail.check()
        params = candidate_params(self._peer_id, SERVER_PEER, candidate)
        await self._send(call_text("peer.ice_candidate", params))

    async def receive(self) -> RemoteCandidate | None:
        """Return the pipeline's next candidate; None once the connection has ended."""
        return await self._mail.receive()

    async def close(self, reason: str = "") -> None:
        """Say goodbye and end the connection (see the port)."""
        goodbye = call_text("peer.disconnect", {"peer_id": self._peer_id, "reason": reason})
        try:
            if not self._mail.lost.is_set():
                async with SYSTEM_CLOCK.deadline(SYSTEM_CLOCK.now() + _GOODBYE_S):
                    await self._ws.send_str(goodbye)
                    await self._ws.close()
        except (TimeoutError, OSError, RuntimeError, aiohttp.ClientError):
            pass  # it is ended all the same
        finally:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            await self._session.close()

    def __repr__(self) -> str:
        return f"WebSocketSignaller({self._peer_id!r} at {self._mail.endpoint!r})"

    async def _announce(self, capabilities: Sequence[str], token: str | None) -> None:
        params: dict[str, Any] = {"peer_id": self._peer_id, "capabilities": list(capabilities)}
        if token is not None:
            params["user_data"] = {"auth_token": token}
        result = await self._ask("peer.announce", params)
        if not isinstance(result, Mapping) or result.get("success", True) is not True:
            raise ProtocolViolation(
                "the signalling server did not take the announcement, and gave no error",
                endpoint=self._mail.endpoint,
                maybe_executed=False,
            )

    async def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        with self._mail.request() as (number, answer):
            await self._send(call_text(method, params, number))
            return await answer

    async def _send(self, text: str) -> None:
        try:
            await self._ws.send_str(text)
        except (OSError, RuntimeError, aiohttp.ClientError) as error:
            raise _lost(error, self._mail.endpoint) from error

    async def _read(self) -> None:
        error: RpeError = _lost("it was closed", self._mail.endpoint)
        try:
            while (message := await self._ws.receive()).type not in _ENDS:
                await self._take(message)
            error = _lost(f"it was closed (code {self._ws.close_code})", self._mail.endpoint)
        except RpeError as violation:
            error = violation
            self._mail.end(error)
            await self._hang_up()
        except (OSError, aiohttp.ClientError) as broken:
            error = _lost(broken, self._mail.endpoint)
        finally:
            self._mail.end(error)

    async def _hang_up(self) -> None:
        try:
            # A server that goes on sending would keep a close of no bound waiting for ever.
            async with SYSTEM_CLOCK.deadline(SYSTEM_CLOCK.now() + _GOODBYE_S):
                await self._ws.close(code=aiohttp.WSCloseCode.PROTOCOL_ERROR)
        except TimeoutError:
            pass

    async def _take(self, message: aiohttp.WSMessage) -> None:
        """Take one frame. Raises RpeError where it is none of this protocol's."""
        if message.type is aiohttp.WSMsgType.ERROR:
            if isinstance(message.data, aiohttp.WebSocketError):
                raise _not_ours(str(message.data), self._mail.endpoint)
            raise _lost(message.data, self._mail.endpoint)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise _not_ours("a binary message", self._mail.endpoint)
        messages, _ = read(message.data)
        for item in messages:
            await self._take_one(item)

    async def _take_one(self, item: Message) -> None:
        endpoint = self._mail.endpoint
        if isinstance(item, Outcome):
            if item.error is not None:
                error = client_error(*item.error, endpoint)
                if item.id is None:
                    raise error  # the server could not even read whose request it was
                self._mail.fail(item.id, error)
            elif item.id is None:
                raise _not_ours("a result without an id", endpoint)
            else:
                self._mail.settle(item.id, item.result)
        elif isinstance(item, Call):
            if item.wants_answer:
                refusal = Outcome(item.id, error=(Code.METHOD_NOT_FOUND, "a client takes no requests"))
                await self._send(outcome_text(refusal))
            elif item.method == "peer.ice_candidate":
                self._take_candidate(item.params)
        elif item.id is None:
            raise _not_ours(item.error[1], endpoint)
        else:
            self._mail.fail(item.id, _not_ours(item.error[1], endpoint))

    def _take_candidate(self, params: Mapping[str, Any]) -> None:
        if params.get("from", SERVER_PEER) != SERVER_PEER:
            return  # some other peer's: nothing was agreed on with it
        candidate, mid = params.get("candidate"), params.get("sdp_mid")
        index = params.get("sdp_m_line_index")
        if (
            not isinstance(candidate, str)
            or not isinstance(mid, str | None)
            or not isinstance(index, int | None)
        ):
            raise _not_ours("a candidate of a wrong shape", self._mail.endpoint)
        self._mail.add(RemoteCandidate(candidate, mid, index))


async def _connect(
    session: aiohttp.ClientSession, endpoint: str, settings: SignallingSettings
) -> aiohttp.ClientWebSocketResponse:
    tls, headers = settings.tls, list(settings.metadata)
    if settings.token is not None:
        headers.append(("Authorization", f"Bearer {settings.token}"))
    try:
        return await session.ws_connect(
            f"{'ws' if tls is None else 'wss'}://{endpoint}{settings.path}",
            headers=headers,
            ssl=True if tls is None else client_context(tls),
            server_hostname=None if tls is None else tls.server_name,
            max_msg_size=settings.max_message_bytes,
            heartbeat=_HEARTBEAT_S,
            timeout=aiohttp.ClientWSTimeout(ws_close=_GOODBYE_S),
        )
    except aiohttp.WSServerHandshakeError as error:
        if error.status in (401, 403):
            raise AuthenticationFailed(
                f"the signalling server refused our credentials: HTTP {error.status}",
                endpoint=endpoint,
                token_refused=error.status == 401,
            ) from without_request(error)
        raise ConnectFailed(
            f"the signalling server refused the WebSocket: HTTP {error.status} {redact(error.message)}",
            endpoint=endpoint,
            hint=f"check that a signalling server listens there, at {settings.path}",
        ) from without_request(error)
    except aiohttp.ClientResponseError as error:
        raise _not_ours(f"no HTTP: {redact(error.message)}", endpoint) from without_request(error)
    except (OSError, ValueError, aiohttp.ClientError) as error:
        raise ConnectFailed(f"no connection to the signalling server: {error}", endpoint=endpoint) from error


def _not_ours(what: str, endpoint: str) -> ProtocolViolation:
    return ProtocolViolation(
        f"the signalling server sent what is no signalling: {what}", endpoint=endpoint, maybe_executed=False
    )


def _lost(why: object, endpoint: str) -> ConnectionLost:
    return ConnectionLost(f"the signalling connection ended: {why}", endpoint=endpoint, maybe_executed=False)
