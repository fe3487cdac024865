"""What goes back to a caller of the Connect protocol: one answer, a stream of envelopes, or events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from rpe.fakes.definition.connect_wire import (
    END_OF_STREAM,
    Codec,
    end_form,
    envelope,
    error_form,
    http_status,
    json_bytes,
    metadata_text,
)
from rpe.fakes.definition.ending import CallEnded, Metadata, Outgoing

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["Answers", "EnvelopeAnswers", "EventAnswers", "UnaryAnswer", "error_response"]

_PROTOCOL = ("connect-", "trailer-")
_OF_HTTP = ("connection", "content-encoding", "content-length", "content-type", "transfer-encoding")


class Answers(Protocol):
    """Where the answers of one call go."""

    async def begin(self, metadata: Metadata) -> None:
        """Send the metadata that is before the first answer."""
        ...

    async def send(self, answer: Outgoing) -> None:
        """Send an answer. Raises CallEnded where it cannot be written, or nobody reads it any more."""
        ...

    async def end(self, ended: CallEnded | None, metadata: Metadata) -> web.StreamResponse:
        """Tell how the call ended, None for well, with the trailing metadata; return what was sent."""
        ...


def error_response(ended: CallEnded, status: int | None = None, **headers: str) -> web.Response:
    """Return an error as the whole answer to a request, by default with the HTTP status of its code."""
    from aiohttp import web

    return web.Response(
        body=json_bytes(error_form(ended)),
        status=http_status(ended.code) if status is None else status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        content_type="application/json",
    )


class UnaryAnswer:
    """The answer of a unary call: an HTTP response of its own, whose headers hold all metadata."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._leading: Metadata = ()
        self._body = b""

    async def begin(self, metadata: Metadata) -> None:
        """Keep the metadata until the call ends."""
        self._leading = metadata

    async def send(self, answer: Outgoing) -> None:
        """Keep the answer until the call ends."""
        self._body = self._codec.answer(answer)

    async def end(self, ended: CallEnded | None, metadata: Metadata) -> web.StreamResponse:
        """Return the response, which has not been sent yet."""
        from aiohttp import web

        if ended is None:
            response = web.Response(body=self._body, content_type=f"application/{self._codec.name}")
        else:
            response = error_response(ended)
        _add(response, self._leading)
        _add(response, metadata, "trailer-")
        return response


class _Streamed:
    """A response whose headers go out with the first of what it sends."""

    def __init__(self, request: web.Request, headers: dict[str, str]) -> None:
        from aiohttp import web

        self._request = request
        self._response = web.StreamResponse(headers=headers)

    async def begin(self, metadata: Metadata) -> None:
        """Send the headers, with the metadata, at once."""
        _add(self._response, metadata)
        await self._write(b"")

    async def _write(self, data: bytes) -> None:
        try:
            if not self._response.prepared:
                await self._response.prepare(self._request)
            if data:
                await self._response.write(data)
        except ConnectionError as error:
            raise CallEnded("CANCELLED", "the caller has gone") from error

    async def _finish(self, data: bytes) -> web.StreamResponse:
        try:
            await self._write(data)
            await self._response.write_eof()
        except (CallEnded, ConnectionError):
            pass  # nobody is there to be told
        return self._response


class EnvelopeAnswers(_Streamed):
    """The answers of a stream, each in an envelope; the last envelope tells how the call ended."""

    def __init__(self, request: web.Request, codec: Codec) -> None:
        super().__init__(request, {"content-type": f"application/connect+{codec.name}"})
        self._codec = codec

    async def send(self, answer: Outgoing) -> None:
        """Send an answer at once."""
        await self._write(envelope(self._codec.answer(answer)))

    async def end(self, ended: CallEnded | None, metadata: Metadata) -> web.StreamResponse:
        """Send the last envelope."""
        return await self._finish(envelope(json_bytes(end_form(ended, metadata)), END_OF_STREAM))


class EventAnswers(_Streamed):
    """The answers of a server stream as server-sent events, and a last event `end`: our own addition."""

    def __init__(self, request: web.Request, codec: Codec) -> None:
        super().__init__(request, {"content-type": "text/event-stream", "cache-control": "no-cache"})
        self._codec = codec

    async def send(self, answer: Outgoing) -> None:
        """Send an answer as an event."""
        await self._write(_event(self._codec.answer(answer)))

    async def end(self, ended: CallEnded | None, metadata: Metadata) -> web.StreamResponse:
        """Send the event that tells how the call ended."""
        told: dict[str, Any] = {"code": "ok"} if ended is None else error_form(ended)
        if metadata:
            told["metadata"] = end_form(None, metadata)["metadata"]
        return await self._finish(_event(json_bytes(told), "end"))


def _event(data: bytes, name: str = "") -> bytes:
    from rpe.transport.http.sse import format_event

    return format_event(data, event=name)


def _add(response: web.StreamResponse, metadata: Metadata, prefix: str = "") -> None:
    for key, value in metadata:
        # What belongs to HTTP would break the response, and what belongs to Connect is reserved.
        if key not in _OF_HTTP and not key.startswith(_PROTOCOL):
            response.headers.add(prefix + key, metadata_text(value))
