"""What OPEN and RESET carry: small JSON objects, written and read here and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from rpe.transport.serving import Refusal, StatusCode
from rpe.transport.webrtc.framing import FramingError

__all__ = ["LARGEST_CONTROL", "CallKind", "Opening", "Reset", "cancelled", "going_away", "refused"]

CallKind = Literal["execute", "stream"]

LARGEST_CONTROL: Final = 32 * 1024
"""How many bytes an OPEN or a RESET carries at most."""

_STATUSES = {status.value: status for status in StatusCode}


@dataclass(frozen=True, slots=True)
class Opening:
    """What a caller says of a call before its first message.

    `timeout_ms` is what is left of its deadline, None where it has none. `lossy` says that
    results may travel on the lossy channel.
    """

    kind: CallKind
    timeout_ms: int | None = None
    metadata: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    lossy: bool = False

    def encode(self) -> bytes:
        """Return the JSON. Raises FramingError where it is more than LARGEST_CONTROL bytes."""
        if not self.metadata and not self.lossy and self.timeout_ms is not None:
            return b'{"kind":"%s","timeout_ms":%d}' % (self.kind.encode(), self.timeout_ms)
        form: dict[str, Any] = {"kind": self.kind}
        if self.timeout_ms is not None:
            form["timeout_ms"] = self.timeout_ms
        if self.metadata:
            form["metadata"] = self.metadata
        if self.lossy:
            form["lossy"] = True
        payload = _ENCODER.encode(form).encode()
        if len(payload) > LARGEST_CONTROL:
            raise FramingError(f"metadata of more than {LARGEST_CONTROL} bytes cannot be sent")
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Opening:
        """Read the JSON. Raises FramingError where it is none, or not of this shape."""
        form = _read(payload, "OPEN")
        kind, timeout_ms, lossy = form.get("kind"), form.get("timeout_ms"), form.get("lossy", False)
        if kind not in ("execute", "stream"):
            raise FramingError("the kind of an OPEN is neither execute nor stream")
        if timeout_ms is not None and (type(timeout_ms) is not int or timeout_ms < 0):
            raise FramingError("the timeout_ms of an OPEN is no number of milliseconds")
        if type(lossy) is not bool:
            raise FramingError("lossy in an OPEN is neither true nor false")
        pairs = form.get("metadata", [])
        if not isinstance(pairs, list) or not all(_is_pair(pair) for pair in pairs):
            raise FramingError("the metadata of an OPEN is no list of pairs of text")
        return cls(kind, timeout_ms, tuple((key.lower(), value) for key, value in pairs), lossy)


@dataclass(frozen=True, slots=True)
class Reset:
    """Why a call ends before its time.

    `untouched` says that no handler has seen the call, so that it can be made elsewhere.
    `retry_after_s` is when to come back: seconds, negative for never.
    """

    status: StatusCode
    message: str = ""
    retry_after_s: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    untouched: bool = False

    def encode(self) -> bytes:
        """Return the JSON; a message that would make it too large is cut."""
        form: dict[str, Any] = {"status": self.status.value}
        if self.message:
            form["message"] = self.message[: LARGEST_CONTROL // 16]
        if self.retry_after_s is not None:
            form["retry_after_s"] = self.retry_after_s
        if self.metadata:
            form["metadata"] = dict(self.metadata)
        if self.untouched:
            form["untouched"] = True
        payload = _ENCODER.encode(form).encode()
        if len(payload) > LARGEST_CONTROL:
            del form["metadata"]
            payload = _ENCODER.encode(form).encode()
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Reset:
        """Read the JSON. Raises FramingError where it is none, or not of this shape."""
        form = _read(payload, "RESET")
        status = form.get("status")
        message, after_s = form.get("message", ""), form.get("retry_after_s")
        if not isinstance(status, str) or not isinstance(message, str):
            raise FramingError("a RESET needs a status and, if any, a message of text")
        if after_s is not None and type(after_s) not in (int, float):
            raise FramingError("the retry_after_s of a RESET is no number")
        metadata = form.get("metadata", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise FramingError("the metadata of a RESET is no object of text")
        known = _STATUSES.get(status)
        if known is None:
            known, message = StatusCode.UNKNOWN, f"{status[:64]}: {message}"
        return cls(known, message, after_s, metadata, form.get("untouched") is True)


def refused(refusal: Refusal) -> Reset:
    """Return the RESET of a handler's refusal."""
    return Reset(refusal.status, refusal.message, refusal.retry_after_s, refusal.metadata)


def cancelled() -> Reset:
    """Return what a caller sends that does not want the answer any more."""
    return Reset(StatusCode.CANCELLED)


def going_away() -> Reset:
    """Return what an end sends, with call number 0, that takes no more calls."""
    return Reset(StatusCode.UNAVAILABLE, "the server is stopping", untouched=True)


def _read(payload: bytes, name: str) -> dict[str, Any]:
    if len(payload) > LARGEST_CONTROL:
        raise FramingError(f"a {name} of {len(payload)} bytes, but at most {LARGEST_CONTROL} are taken")
    try:
        form = _DECODER.decode(payload.decode())
    except (ValueError, RecursionError) as error:
        raise FramingError(f"a {name} is not JSON") from error
    if not isinstance(form, dict):
        raise FramingError(f"a {name} is no JSON object")
    return form


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


# Kept, since json.dumps and json.loads would make new ones for each call.
_ENCODER = json.JSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _is_pair(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(isinstance(item, str) for item in pair)
