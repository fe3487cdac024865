"""The client of the glossary service, which is another team's and speaks plain gRPC."""

from __future__ import annotations

from typing import Any

import grpc

from captions import glossary_pb2

__all__ = ["Glossary"]

_SERVICE = "/glossary.v1.Glossary"


class Glossary:
    """Looks words up. Used as an async context."""

    def __init__(self, endpoint: str, *, timeout_s: float = 1.0) -> None:
        self._channel = grpc.aio.insecure_channel(endpoint)
        self._timeout_s = timeout_s
        self._look: Any = self._channel.unary_unary(
            f"{_SERVICE}/Look",
            request_serializer=glossary_pb2.LookRequest.SerializeToString,
            response_deserializer=glossary_pb2.Entry.FromString,
        )
        self._list: Any = self._channel.unary_stream(
            f"{_SERVICE}/List",
            request_serializer=glossary_pb2.ListRequest.SerializeToString,
            response_deserializer=glossary_pb2.Entry.FromString,
        )

    async def spelling(self, word: str) -> str:
        """Return how a word is spelled; as it is where the glossary does not know it, or cannot be asked."""
        try:
            entry = await self._look(glossary_pb2.LookRequest(word=word), timeout=self._timeout_s)
        except grpc.aio.AioRpcError:
            return word
        return str(entry.spelling) or word

    async def words(self) -> list[str]:
        """Return the words that the glossary has, as far as it could be read."""
        found: list[str] = []
        try:
            async for entry in self._list(glossary_pb2.ListRequest(), timeout=self._timeout_s):
                found.append(entry.word)
        except grpc.aio.AioRpcError:
            pass
        return found

    async def __aenter__(self) -> Glossary:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()
