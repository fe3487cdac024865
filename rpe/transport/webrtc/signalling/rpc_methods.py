"""The methods of the signalling protocol, as a JSON-RPC client calls them on a hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from rpe.transport.webrtc.signalling.errors import Code, SignallingError
from rpe.transport.webrtc.signalling.guest import Guest, Link
from rpe.transport.webrtc.signalling.hub import SignallingHub
from rpe.transport.webrtc.signalling.messages import PeerState
from rpe.transport.webrtc.signalling.port import SERVER_PEER
from rpe.transport.webrtc.signalling.rpc_events import peer_object, read_candidate

__all__ = ["OFFER", "RpcMethods"]

OFFER = "peer.offer"
"""The only method that may take long."""

Params = Mapping[str, Any]


class RpcMethods:
    """One client's calls. `guest` is the peer it has announced, if it has."""

    def __init__(self, hub: SignallingHub, link: Link) -> None:
        self.guest: Guest | None = None
        self._hub = hub
        self._link = link
        self._methods: dict[str, Callable[[Params], Awaitable[dict[str, Any]]]] = {
            "peer.announce": self._announce,
            OFFER: self._offer,
            "peer.answer": self._answer,
            "peer.ice_candidate": self._candidate,
            "peer.disconnect": self._disconnect,
            "peer.list": self._list,
            "peer.state_change": self._state_change,
        }

    async def call(self, method: str, params: Params) -> dict[str, Any]:
        """Return the result of a method. Raises SignallingError."""
        if (found := self._methods.get(method)) is None:
            raise SignallingError(Code.METHOD_NOT_FOUND, f"there is no method {method[:64]!r}")
        return await found(params)

    async def settle(self) -> None:
        """Do what is due once the answer to an offer is on its way."""
        if self.guest is not None:
            await self._hub.settle(self.guest)

    async def leave(self) -> None:
        """Let the peer go whose connection has ended."""
        guest, self.guest = self.guest, None
        if guest is not None:
            await self._hub.leave(guest, lost=True)

    async def _announce(self, params: Params) -> dict[str, Any]:
        user_data = params.get("user_data")
        if user_data is not None and not isinstance(user_data, Mapping):
            raise SignallingError(Code.INVALID_PARAMS, "user_data must be an object")
        shown = dict(user_data or {})
        token = shown.pop("auth_token", None)
        if token is not None and (not isinstance(token, str) or not token.isprintable()):
            raise SignallingError(Code.INVALID_PARAMS, "auth_token must be text")
        if self.guest is not None:
            raise SignallingError(
                Code.INVALID_REQUEST, f"this connection has announced {self.guest.peer_id!r} already"
            )
        self.guest = await self._hub.announce(
            self._link, params.get("peer_id"), params.get("capabilities", []), shown, token
        )
        others = [peer.peer_id for peer in self._hub.peers(but=self.guest)]
        return {
            "success": True,
            "peer_id": self.guest.peer_id,
            "peers_count": len(others) + 1,
            "other_peers": others,
        }

    async def _offer(self, params: Params) -> dict[str, Any]:
        guest, to = self._sender(params), params.get("to")
        sdp = await self._hub.offer(guest, to, params.get("sdp"))
        if sdp is None:
            return {"success": True, "to": to}
        return {"success": True, "from": SERVER_PEER, "to": guest.peer_id, "type": "answer", "sdp": sdp}

    async def _answer(self, params: Params) -> dict[str, Any]:
        self._hub.answer(self._sender(params), params.get("to"), params.get("sdp"))
        return {"success": True}

    async def _candidate(self, params: Params) -> dict[str, Any]:
        await self._hub.candidate(self._sender(params), params.get("to"), read_candidate(params))
        return {"success": True}

    async def _disconnect(self, params: Params) -> dict[str, Any]:
        guest = self._sender(params, "peer_id")
        self.guest = None
        await self._hub.leave(guest, lost=False, reason=str(params.get("reason") or ""))
        return {"success": True}

    async def _list(self, params: Params) -> dict[str, Any]:
        self._sender(params)
        peers = [peer_object(peer) for peer in self._hub.peers()]
        return {"peers": peers, "count": len(peers)}

    async def _state_change(self, params: Params) -> dict[str, Any]:
        guest, state = self._sender(params, "peer_id"), params.get("state")
        if state not in list(PeerState):
            raise SignallingError(Code.INVALID_PARAMS, f"state is one of {', '.join(PeerState)}")
        self._hub.change_state(guest, PeerState(state))
        return {"success": True}

    def _sender(self, params: Params, key: str = "from") -> Guest:
        """Return the announced peer; a call may name it, and then must name it rightly."""
        if self.guest is None:
            raise SignallingError(Code.PEER_NOT_FOUND, "announce yourself first")
        if params.get(key, self.guest.peer_id) != self.guest.peer_id:
            raise SignallingError(Code.INVALID_PARAMS, f"{key} must be {self.guest.peer_id!r}, as announced")
        return self.guest
