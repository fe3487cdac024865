"""The signalling of one client, rewritten: offers, answers and candidates speak of the relay's addresses.

Messages are JSON-RPC 2.0. Those that say nothing of addresses, and text that is not JSON,
pass untouched, letter by letter.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from rpe.faults.relay.candidates import Translate, rewritten_candidate, rewritten_sdp
from rpe.faults.relay.flow import Flow
from rpe.faults.relay.standin import Side

__all__ = ["Passed", "Rewriter"]

SERVER_PEER = "remotemedia-server"
"""Who is meant where a message names nobody: the pipeline itself."""

CANDIDATE = "peer.ice_candidate"
DESCRIBING = ("peer.offer", "peer.answer")

PENDING_LIMIT = 256
"""How many requests are remembered until their answer comes."""


class Passed(NamedTuple):
    """What becomes of a message: `on` goes to the other end, `back` to the one that it came from."""

    on: str | None
    back: str | None = None


class _LeftOut(Exception):
    """A candidate that is not passed on."""


class Rewriter:
    """Knows the flows of one signalling connection: one per peer at the other end.

    `open_flow` opens a flow for a peer that is spoken to for the first time.
    """

    def __init__(self, open_flow: Callable[[], Flow]) -> None:
        self._open_flow = open_flow
        self._flows: dict[str, Flow] = {}
        self._pending: OrderedDict[str, str] = OrderedDict()

    def from_client(self, text: str) -> Passed:
        """Rewrite what the client says: its addresses become those that face the server."""
        return self._rewritten(text, "server")

    def from_server(self, text: str) -> Passed:
        """Rewrite what the server says: its addresses become those that face the client."""
        return self._rewritten(text, "client")

    def release(self) -> None:
        """The connection has ended: its flows end too, once no datagram passes any more."""
        for flow in self._flows.values():
            flow.released = True

    def _rewritten(self, text: str, facing: Side) -> Passed:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return Passed(text)
        batch = content if isinstance(content, list) else [content]
        kept: list[Any] = []
        answers: list[Any] = []
        changed = False
        for message in batch:
            try:
                changed |= isinstance(message, dict) and self._rewrite(message, facing)
                kept.append(message)
            except _LeftOut:
                changed = True
                if message.get("id") is not None:
                    answers.append({"jsonrpc": "2.0", "id": message["id"], "result": {"success": True}})
        if not changed:
            return Passed(text)
        is_batch = isinstance(content, list)
        return Passed(_text(kept, is_batch), _text(answers, is_batch))

    def _rewrite(self, message: dict[str, Any], facing: Side) -> bool:
        """Change a message in place and say whether it was changed. Raises _LeftOut."""
        method = message.get("method")
        if method is None:
            result = message.get("result")
            counterpart = self._pending.pop(json.dumps(message.get("id")), SERVER_PEER)
            return isinstance(result, dict) and self._describe(result, counterpart, facing)
        params = message.get("params")
        if not isinstance(params, dict):
            return False
        counterpart = str(params.get("to" if facing == "server" else "from") or SERVER_PEER)
        if method == CANDIDATE:
            return self._candidate(params, counterpart, facing)
        if method in DESCRIBING:
            if facing == "server" and message.get("id") is not None:
                self._remember(json.dumps(message["id"]), counterpart)
            return self._describe(params, counterpart, facing)
        return False

    def _describe(self, holder: dict[str, Any], counterpart: str, facing: Side) -> bool:
        if not isinstance(holder.get("sdp"), str):
            return False
        holder["sdp"] = rewritten_sdp(holder["sdp"], self._translate(counterpart, facing))
        return True

    def _candidate(self, params: dict[str, Any], counterpart: str, facing: Side) -> bool:
        candidate = params.get("candidate")
        if not isinstance(candidate, str) or not candidate.strip():
            return False
        new = rewritten_candidate(candidate, self._translate(counterpart, facing))
        if new is None:
            raise _LeftOut
        params["candidate"] = new
        return new != candidate

    def _translate(self, counterpart: str, facing: Side) -> Translate:
        if counterpart not in self._flows:
            self._flows[counterpart] = self._open_flow()
        flow = self._flows[counterpart]

        def translate(address: tuple[str, int]) -> tuple[str, int] | None:
            stand_in = flow.stand_in(address, facing=facing)
            return None if stand_in is None else stand_in.address

        return translate

    def _remember(self, call_id: str, counterpart: str) -> None:
        self._pending[call_id] = counterpart
        if len(self._pending) > PENDING_LIMIT:
            self._pending.popitem(last=False)


def _text(messages: list[Any], is_batch: bool) -> str | None:
    if not messages:
        return None
    return json.dumps(messages if is_batch else messages[0])
