"""What the two sides say to each other, beyond the frames: settings, outputs, samples and errors."""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from typing import Any, TypeVar

from rpe.client.settings import ClientSettings
from rpe.data import RuntimeData
from rpe.errors import ConfigurationError, RpeError, redact
from rpe.transport.ports import TlsSettings
from rpe.wire.generated.remotemedia.v1.common_pb2 import DataBuffer
from rpe.wire.protobuf import decode, encode

__all__ = [
    "KINDS",
    "Samples",
    "brief",
    "config_from_json",
    "config_to_json",
    "pack_data",
    "pack_outputs",
    "settings_from_json",
    "settings_to_json",
    "unpack_data",
    "unpack_outputs",
]

T = TypeVar("T")

KINDS = ("execute", "stream", "attempt", "open", "chunk")
"""What samples are made of: operations of two kinds, their attempts, a session's opening and its chunks."""

_LENGTHS = struct.Struct("!II")
_NUMBERS = re.compile(r"\d[\d.:]*")


@dataclass(slots=True)
class Samples:
    """What was measured of one kind and name since the last time, for Locust's own statistics.

    It travels as a JSON list in this order (`as_json`). `good_us` has the latencies of what went well, in
    microseconds, `size` its bytes; `bad` has the latency and the error of each that failed;
    `missed` counts the arrivals that did not start.
    """

    kind: str
    name: str
    good_us: list[int] = field(default_factory=list)
    size: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)
    missed: int = 0

    def as_json(self) -> list[Any]:
        """Return what `Samples(*...)` takes."""
        return [self.kind, self.name, self.good_us, self.size, self.bad, self.missed]


def brief(error: BaseException) -> str:
    """Return an error as one line, its numbers left out: a table of errors counts equal lines."""
    if isinstance(error, RpeError):
        return f"{error.code}: {_NUMBERS.sub('#', redact(error.message))[:200]}"
    return f"{type(error).__name__}: {_NUMBERS.sub('#', redact(str(error)))[:200]}"


def settings_to_json(settings: ClientSettings) -> dict[str, Any]:
    """Return a client's settings as a JSON object."""
    return asdict(settings)


def settings_from_json(raw: Mapping[str, Any]) -> ClientSettings:
    """Read what `settings_to_json` has written. Raises ConfigurationError where a value is wrong."""
    return _read(ClientSettings, raw)


def _read(kind: type[T], raw: Mapping[str, Any]) -> T:
    """Make a dataclass whose parts may be dataclasses too, each named by its default factory."""
    parts: dict[str, Any] = {item.name: item.default_factory for item in fields(kind)}  # type: ignore[arg-type]
    values = {
        name: _read(parts[name], value) if is_dataclass(parts.get(name)) else value
        for name, value in raw.items()
    }
    return kind(**values)


def config_to_json(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a transport's settings as a JSON object; certificates become text.

    Raises ConfigurationError for a value that cannot leave this process, such as a token source.
    """
    told: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, TlsSettings):
            told[name] = {
                key: part.decode("ascii") if isinstance(part, bytes) else part
                for key, part in asdict(value).items()
            }
        elif isinstance(value, str | int | float | bool | list | tuple | dict) or value is None:
            told[name] = value
        else:
            raise ConfigurationError(
                f"the transport setting {name} is of the type {type(value).__name__}, "
                "which cannot be handed to the load engine",
                hint="the engine is a process of its own: use text, numbers and TlsSettings",
            )
    return told


def config_from_json(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Read what `config_to_json` has written."""
    config = dict(raw)
    if isinstance(tls := config.get("tls"), dict):
        certificates: dict[str, Any] = {
            key: value.encode("ascii") if isinstance(value, str) and key != "server_name" else value
            for key, value in tls.items()
        }
        config["tls"] = TlsSettings(**certificates)
    return config


def pack_data(data: RuntimeData) -> bytes:
    """Return a piece of data as bytes. Raises DataValidationError where it is none."""
    return encode(data).SerializeToString()


def unpack_data(body: bytes) -> RuntimeData:
    """Read what `pack_data` has written."""
    return decode(DataBuffer.FromString(body))


def pack_outputs(outputs: Mapping[str, RuntimeData]) -> bytes:
    """Return outputs as bytes: each with its name, and the lengths of both before them."""
    parts: list[bytes] = []
    for name, data in outputs.items():
        key, body = name.encode(), pack_data(data)
        parts += (_LENGTHS.pack(len(key), len(body)), key, body)
    return b"".join(parts)


def unpack_outputs(packed: bytes) -> dict[str, RuntimeData]:
    """Read what `pack_outputs` has written."""
    outputs, start = {}, 0
    while start < len(packed):
        key, body = _LENGTHS.unpack_from(packed, start)
        middle = start + _LENGTHS.size + key
        outputs[packed[middle - key : middle].decode()] = unpack_data(packed[middle : middle + body])
        start = middle + body
    return outputs
