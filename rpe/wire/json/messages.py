"""The messages of the HTTP wire around a TransportData."""

from __future__ import annotations

import functools
from typing import Any

from rpe.data import RuntimeData
from rpe.data.base import EMPTY
from rpe.data.json_value import check_json
from rpe.errors import DataValidationError, ManifestInvalid
from rpe.manifest.model import Manifest
from rpe.wire.json.labels import Labels
from rpe.wire.json.parsing import parse
from rpe.wire.json.transport import Transport, read_transport, write_transport
from rpe.wire.json.values import as_object, required

__all__ = [
    "decode_execute_request",
    "decode_input",
    "decode_output",
    "decode_stream_request",
    "decode_transport",
    "encode_execute_request",
    "encode_input",
    "encode_output",
    "encode_stream_request",
    "encode_transport",
]

_PAYLOAD = "payload"
"""The field that errors name where the message as a whole is wrong."""


def encode_transport(data: RuntimeData, *, sequence: int | None = None, metadata: Labels = EMPTY) -> bytes:
    """The text of a TransportData: an event of a stream's output.

    sequence: the number of the chunk that it belongs to.
    metadata: labels to send with those of the data.

    Raises DataValidationError where JSON cannot carry the data (samples that are not
    finite), or where a label is one that the codec sets itself. Labels of the data must
    not begin with `rpe-`; those in `metadata` may, and stay out of `data.metadata` then.
    """
    return b"".join(write_transport(data, sequence, metadata))


def decode_transport(payload: bytes | str) -> Transport:
    """Read a TransportData.

    Raises DataValidationError, with the path of the part in `field`, where it breaks its
    contract; never anything else, whoever sent it. So do all decoders here.
    """
    return read_transport(as_object(parse(payload, _PAYLOAD), _PAYLOAD), "")


def encode_output(data: RuntimeData, *, sequence: int | None = None, metadata: Labels = EMPTY) -> bytes:
    """The answer to an execution; arguments and errors as of `encode_transport`."""
    return b"".join([b'{"output":', *write_transport(data, sequence, metadata), b"}"])


def decode_output(payload: bytes | str) -> Transport:
    """Read the answer to an execution."""
    return _member(payload, "output")


def encode_input(data: RuntimeData, *, sequence: int | None = None, metadata: Labels = EMPTY) -> bytes:
    """The input of a stream; arguments and errors as of `encode_transport`."""
    return b"".join([b'{"data":', *write_transport(data, sequence, metadata), b"}"])


def decode_input(payload: bytes | str) -> Transport:
    """Read an input of a stream."""
    return _member(payload, "data")


def encode_execute_request(
    manifest: Manifest, data: RuntimeData, *, sequence: int | None = None, metadata: Labels = EMPTY
) -> bytes:
    """The request to execute a pipeline; further arguments and errors as of `encode_transport`."""
    return b"".join(
        [_HEAD, manifest.form("http", _text), _INPUT, *write_transport(data, sequence, metadata), b"}"]
    )


def decode_execute_request(payload: bytes | str) -> tuple[Manifest, Transport]:
    """Read the request to execute a pipeline. Raises ManifestInvalid where its manifest is wrong."""
    text = payload if isinstance(payload, bytes) else _encoded(payload)
    parts = _split(text)
    if parts is not None:
        return parts
    body = as_object(parse(text, _PAYLOAD), _PAYLOAD)
    manifest = _manifest(body)
    return manifest, read_transport(required(body, "input", "input"), "input")


def encode_stream_request(manifest: Manifest) -> bytes:
    """The request to open a stream."""
    return b"".join([_HEAD, manifest.form("http", _text), b"}"])


def decode_stream_request(payload: bytes | str) -> Manifest:
    """Read the request to open a stream. Raises ManifestInvalid where its manifest is wrong."""
    return _manifest(as_object(parse(payload, _PAYLOAD), _PAYLOAD))


_HEAD = b'{"manifest":'
_INPUT = b',"input":'
_KEPT_BYTES = 1 << 16
"""A longer text of a manifest is not kept, lest strangers fill the memory."""


def _split(text: bytes) -> tuple[Manifest, Transport] | None:
    """Read a request that begins with a manifest, and ends with its input; None for any other.

    What stands before the first `,"input":` is either a whole JSON value, and then the
    whole manifest, or it is none, and no manifest can be read from it.
    """
    end = text.find(_INPUT, len(_HEAD))
    if not text.startswith(_HEAD) or not text.endswith(b"}") or not len(_HEAD) < end <= _KEPT_BYTES:
        return None
    try:
        manifest = _known(text[len(_HEAD) : end])
        value = parse(text[end + len(_INPUT) : -1], _PAYLOAD)
    except (DataValidationError, ManifestInvalid):
        return None  # the slow way tells what is wrong, or knows better
    return manifest, read_transport(value, "input")


@functools.lru_cache(maxsize=64)
def _known(text: bytes) -> Manifest:
    """Read a manifest. Callers send the same one with each call, and it does not change."""
    return Manifest.from_json(text)


def _manifest(body: dict[str, Any]) -> Manifest:
    if "manifest" not in body:
        raise ManifestInvalid("the request has no manifest")
    value = body["manifest"]
    try:
        check_json(value, "the manifest")
    except DataValidationError as error:
        raise ManifestInvalid(error.message) from error
    return Manifest.from_dict(value)


def _member(payload: bytes | str, name: str) -> Transport:
    body = as_object(parse(payload, _PAYLOAD), _PAYLOAD)
    return read_transport(required(body, name, name), name)


def _text(manifest: Manifest) -> bytes:
    return manifest.to_json().encode()


def _encoded(payload: str) -> bytes:
    try:
        return payload.encode()
    except UnicodeError as error:
        raise DataValidationError(f"is not JSON: {error}", field=_PAYLOAD) from error
