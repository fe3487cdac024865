"""A toxic as the API knows it, and what each kind of toxic has to bring."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rpe.faults.actions import Stream
from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.gojson import Fields
from rpe.faults.proxy.settings import as_attributes, with_attributes
from rpe.faults.proxy.stage import Port, Stage

__all__ = ["Kind", "Toxic", "new_toxic", "updated"]

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Kind(Generic[S]):
    """One kind of toxic: its name in the API, its settings at their defaults, its stage."""

    name: str
    defaults: S
    stage: Callable[[S, Port], Stage[S]]

    @property
    def go_type(self) -> str:
        """The name that messages about this kind use, such as LatencyToxic."""
        return self.name.title().replace("_", "") + "Toxic"


@dataclass(frozen=True, slots=True)
class Toxic:
    """One toxic of one proxy: it acts on the share `toxicity` (0 to 1) of connections."""

    name: str
    kind: Kind[Any]
    stream: Stream
    toxicity: float
    settings: Any

    def as_json(self) -> dict[str, Any]:
        """Return the toxic as the API shows it."""
        return {
            "attributes": as_attributes(self.settings),
            "name": self.name,
            "type": self.kind.name,
            "stream": self.stream,
            "toxicity": _shortest_float32(self.toxicity),
        }


def new_toxic(fields: Fields, *, kinds: dict[str, Kind[Any]], taken: Callable[[str], bool]) -> Toxic:
    """Return the toxic that a request asks for, or raise ApiError; `taken` says if a name is in use.

    The order of the checks is Toxiproxy's.
    """
    stream_text = fields.text("stream")
    kind_name = fields.text("type")
    name = fields.text("name")
    toxicity = fields.number("toxicity")
    attributes = fields.mapping("attributes")
    stream = _stream("downstream" if stream_text is None else stream_text)
    kind = kinds.get(kind_name or "")
    if kind is None:
        raise ApiError(400, "invalid toxic type")
    name = name or f"{kind.name}_{stream}"
    if taken(name):
        raise ApiError(409, "toxic already exists")
    settings = with_attributes(kind.defaults, attributes, go_type=kind.go_type)
    return Toxic(name, kind, stream, _toxicity(1.0 if toxicity is None else toxicity), settings)


def updated(toxic: Toxic, fields: Fields) -> Toxic:
    """Return the toxic with a request's attributes and toxicity, all or nothing; ApiError if wrong."""
    toxicity = fields.number("toxicity")
    attributes = fields.mapping("attributes")
    return dataclasses.replace(
        toxic,
        settings=with_attributes(toxic.settings, attributes, go_type=toxic.kind.go_type),
        toxicity=toxic.toxicity if toxicity is None else _toxicity(toxicity),
    )


def _stream(text: str) -> Stream:
    match text.lower():
        case "upstream":
            return "upstream"
        case "downstream":
            return "downstream"
        case _:
            raise ApiError(400, "stream was invalid, can be either upstream or downstream")


def _toxicity(value: float) -> float:
    if not 0.0 <= value <= 1.0:
        raise ApiError(400, f"toxicity must be between 0 and 1, and is {value}")
    return value


def _shortest_float32(value: float) -> float:
    """Return the number of fewest digits that is `value` in single precision: 0.123456789 is 0.12345679."""
    packed = struct.pack("f", value)
    for digits in range(1, 9):
        shorter = float(f"{value:.{digits}g}")
        if struct.pack("f", shorter) == packed:
            return int(shorter) if shorter.is_integer() else shorter
    return float(f"{value:.9g}")
