"""Peer connections as they are used here: no public STUN server, loopback included, closed for certain."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Sequence
from typing import Any

from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection
from aiortc.rtcconfiguration import RTCBundlePolicy, RTCIceTransportPolicy

from rpe.transport.webrtc.settings import IceSettings

__all__ = [
    "close_connection",
    "close_silently",
    "host_addresses",
    "ice_agents",
    "make_connection",
    "packets_received",
    "set_local",
]

_LOG = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1",)
_RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024
_EVERY_LOOPBACK = ("127.0.0.1", "::1")
_CLOSING_TAKES_S = 2.0
_SWEEP_TAKES_S = 0.05
_SWEEPS = 20


def host_addresses(settings: IceSettings, *, loopback: bool) -> Sequence[str]:
    """Return the addresses to gather host candidates at.

    Those of the settings, if any. Else loopback where the other side is reached over it, or
    where the machine has no other address; stock gathering never offers it, so that two
    peers on one machine without a network would not find each other.
    """
    if settings.host_addresses:
        return settings.host_addresses
    if loopback:
        return _LOOPBACK
    return get_host_addresses(use_ipv4=True, use_ipv6=True) or _EVERY_LOOPBACK


def make_connection(settings: IceSettings) -> RTCPeerConnection:
    """Return a peer connection that knows the servers of the settings, and no other.

    They are always given: aiortc's own default is a public STUN server, which costs seconds
    where there is no way to it.
    """
    servers = [
        RTCIceServer(urls=list(server.urls), username=server.username, credential=server.credential)
        for server in settings.ice_servers
    ]
    return RTCPeerConnection(
        RTCConfiguration(
            iceServers=servers,
            iceTransportPolicy=RTCIceTransportPolicy(settings.ice_transport_policy),
            bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
        )
    )


async def set_local(connection: RTCPeerConnection, settings: IceSettings, *, loopback: bool) -> str:
    """Make the offer or answer that is due, gather every candidate for it, and return it as SDP."""
    for ice in ice_agents(connection):
        _aim(ice, settings, loopback)
    await connection.setLocalDescription()
    for ice in ice_agents(connection):
        _widen(ice)
    return connection.localDescription.sdp


def _widen(ice: Any) -> None:
    """Let the sockets of an agent hold what comes while this process is busy.

    What overflows is lost, and SCTP waits for a second before it sends it again; everything
    on an ordered channel waits behind it.
    """
    for protocol in ice._protocols:
        get_extra_info = getattr(protocol.transport, "get_extra_info", None)  # a relayed one has none
        found = None if get_extra_info is None else get_extra_info("socket")
        if found is not None:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)


def _aim(ice: Any, settings: IceSettings, loopback: bool) -> None:
    """Let one ICE agent gather at the addresses of the settings, whatever it finds by itself."""
    gather = ice.get_component_candidates

    async def gather_there(component: int, addresses: Sequence[str], **_: Any) -> Any:
        if settings.ice_transport_policy == "all":
            addresses = host_addresses(settings, loopback=loopback)
        return await gather(component=component, addresses=addresses, timeout=settings.gather_timeout_s)

    ice.get_component_candidates = gather_there


def packets_received(connection: RTCPeerConnection) -> int:
    """Return how many datagrams of the other end have come, acknowledgements included."""
    sctp = connection.sctp
    if sctp is None:
        return 0
    return sum(stats.packetsReceived for stats in sctp.transport._get_stats().values())


async def close_connection(connection: RTCPeerConnection) -> None:
    """Close a peer connection, and wait until none of its tasks is left.

    Takes at most some seconds. Cancelling this does not stop the closing: aiortc cannot
    take a close up again that was cancelled halfway.
    """
    closing = asyncio.ensure_future(_close(connection))
    await _see_through(closing)


async def close_silently(connection: RTCPeerConnection) -> None:
    """Close a peer connection as a crash would: its sockets first, so that no goodbye gets out."""

    async def close() -> None:
        for ice in ice_agents(connection):
            with contextlib.suppress(Exception):
                await ice.close()
        await _close(connection)

    await _see_through(asyncio.ensure_future(close()))


async def _see_through(closing: asyncio.Future[None]) -> None:
    cancelled = False
    while not closing.done():
        try:
            await asyncio.wait([closing])
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError


async def _close(connection: RTCPeerConnection) -> None:
    closing = asyncio.ensure_future(connection.close())
    done, _ = await asyncio.wait([closing], timeout=_CLOSING_TAKES_S)
    if not done:
        _LOG.warning("a peer connection did not close within %s s", _CLOSING_TAKES_S)
        closing.cancel()
        await asyncio.wait([closing])
    elif closing.cancelled() or closing.exception() is not None:
        _LOG.warning("a peer connection did not close in good order", exc_info=closing.exception())
    for ice in ice_agents(connection):
        with contextlib.suppress(Exception):
            await ice.close()
    await _sweep(connection)


async def _sweep(connection: RTCPeerConnection) -> None:
    """Wait a moment for the tasks that aiortc starts and keeps nowhere, then cancel those that go on.

    One of them is made by the close itself: an ICE agent that is closed just as it has
    connected begins to ask for consent all the same, and would do so for ever.
    """
    owners = {id(connection), *_parts(connection)}
    for round_ in range(_SWEEPS):
        left = [task for task in asyncio.all_tasks() if _is_of(task, owners)]
        if not left:
            return
        if round_:
            for task in left:
                task.cancel()
        await asyncio.wait(left, timeout=_SWEEP_TAKES_S)
    _LOG.warning("%d tasks of a closed peer connection go on", len(left))


def _is_of(task: asyncio.Task[Any], owners: set[int]) -> bool:
    """Say whether a task's coroutine belongs to one of these objects, by what its frame names."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    if frame is None or task is asyncio.current_task():
        return False
    names = frame.f_locals
    if any(id(names.get(name)) in owners for name in ("self", "protocol")):
        return True
    # A TURN allocation under way knows its agent only as what makes the agent's protocols.
    cells = getattr(names.get("protocol_factory"), "__closure__", None) or ()
    return any(id(cell.cell_contents) in owners for cell in cells)


def _parts(connection: RTCPeerConnection) -> set[int]:
    found: set[int] = set()
    if connection.sctp is not None:
        found.add(id(connection.sctp))
    for dtls in _dtls(connection):
        ice = dtls.transport._connection
        found |= {id(dtls), id(dtls.transport), id(ice), *(id(protocol) for protocol in ice._protocols)}
    return found


def _dtls(connection: RTCPeerConnection) -> list[Any]:
    transports = [transceiver.receiver.transport for transceiver in connection.getTransceivers()]
    if connection.sctp is not None:
        transports.append(connection.sctp.transport)
    return list({id(transport): transport for transport in transports}.values())


def ice_agents(connection: RTCPeerConnection) -> list[Any]:
    """Return the ICE agents of a connection (`aioice.Connection`), each once."""
    return [dtls.transport._connection for dtls in _dtls(connection)]
