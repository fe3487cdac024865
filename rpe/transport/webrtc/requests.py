"""What a caller sends: the channel messages of its requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rpe.data import RuntimeData
from rpe.errors import InvalidRequest
from rpe.manifest.model import Manifest
from rpe.transport.ports import Metadata
from rpe.transport.webrtc.control import CallKind, Opening
from rpe.transport.webrtc.framing import FrameType, FramingError, encode, split
from rpe.wire.generated.remotemedia.v1.streaming_pb2 import StreamControl, StreamInit, StreamRequest
from rpe.wire.manifest import encode_manifest
from rpe.wire.protobuf import encode as encode_data

__all__ = ["CLIENT_VERSION", "CLOSE", "check_size", "init_bytes", "open_frame", "request_messages"]

CLIENT_VERSION = "v1"

CLOSE = StreamRequest(control=StreamControl(command=StreamControl.COMMAND_CLOSE)).SerializeToString()


def init_bytes(manifest: Manifest, inputs: Mapping[str, RuntimeData]) -> bytes:
    """Return the StreamRequest of `init`.

    Messages that are joined end to end are read as one, so the manifest is serialized only once.
    """
    head = manifest.form("webrtc", _head)
    if not inputs:
        return head
    data = {name: encode_data(value) for name, value in inputs.items()}
    return head + StreamRequest(init=StreamInit(data_inputs=data)).SerializeToString()


def _head(manifest: Manifest) -> bytes:
    init = StreamInit(manifest=encode_manifest(manifest), client_version=CLIENT_VERSION)
    return StreamRequest(init=init).SerializeToString()


def open_frame(
    call: int, kind: CallKind, timeout_s: float, metadata: Metadata, *, limit: int, endpoint: str, lossy: bool
) -> bytes:
    """Return the OPEN of a call. Raises InvalidRequest where its metadata is too large to be sent."""
    try:
        opening = Opening(kind, max(round(timeout_s * 1000), 0), tuple(metadata), lossy)
        frame = encode(FrameType.OPEN, call, payload=opening.encode())
        if len(frame) > limit:
            raise FramingError(f"metadata of {len(frame)} bytes, but the server takes {limit} at once")
    except FramingError as error:
        raise InvalidRequest(f"the request is too large: {error}", endpoint=endpoint) from error
    return frame


def request_messages(call: int, opening: bytes, payload: bytes, *, limit: int) -> Iterator[bytes]:
    """Yield the channel messages of a whole unary request: one where it is small."""
    return split(call, 0, payload, limit=limit, head=opening, last=True)


def check_size(payload: bytes, most_bytes: int, endpoint: str) -> None:
    """Raise InvalidRequest where a message is larger than the settings allow."""
    if len(payload) > most_bytes:
        raise InvalidRequest(
            f"the request is too large: {len(payload)} bytes, and at most {most_bytes} are sent",
            endpoint=endpoint,
            hint="send less, or raise max_message_bytes",
        )
