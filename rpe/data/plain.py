"""Text, JSON, bytes, and references to files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rpe.data.base import (
    EMPTY,
    Payload,
    as_bytes,
    as_labels,
    as_stream_id,
    assign,
    canonical_encoding,
    check_str,
    check_uint,
    encode_text,
    invalid,
)
from rpe.data.json_value import check_json, dump_json, parse_json

__all__ = ["Binary", "File", "Json", "Text"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Text(Payload):
    """A piece of text.

    encoding: how its bytes are written on a wire that carries bytes.
    language: such as "en"; empty when it is not said.
    channel: where the text is to go.

    Raises DataValidationError where a part is not what it should be, such as a text
    that its encoding cannot carry.
    """

    kind: ClassVar[str] = "text"

    text: str
    encoding: str = "utf-8"
    language: str = ""
    channel: str = "tts"
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        if self.encoding != "utf-8":
            assign(self, "encoding", canonical_encoding(self.encoding, "text.encoding"))
        text = self.text
        if not isinstance(text, str):
            raise invalid("text.text_data", f"must be text, not {type(text).__name__}")
        if not text.isascii():
            encode_text(text, self.encoding, "text.text_data")
        if self.language:
            check_str(self.language, "text.language")
        if self.channel != "tts":
            check_str(self.channel, "text.channel")
            assign(self, "channel", self.channel or "tts")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "text.metadata"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Json(Payload):
    """A JSON value.

    value: None, bool, int, finite float, str, list, or dict with text keys. It is kept as
        it is, without a copy: whoever hands it over must not change it afterwards.
    schema_type: what the value is, in the words of the pipeline; empty when it is not said.

    Raises DataValidationError for anything that JSON would change on its way.
    """

    kind: ClassVar[str] = "json"

    value: Any
    schema_type: str = ""
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        check_json(self.value, "json.value")
        if self.schema_type:
            check_str(self.schema_type, "json.schema_type")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "json.metadata"))

    @classmethod
    def from_text(cls, text: str, schema_type: str = "", metadata: Mapping[str, str] = EMPTY) -> Json:
        """The value of a JSON text. Raises DataValidationError where it is not one."""
        value = parse_json(text, "json.json_payload")
        data = cls(None, schema_type, metadata)
        assign(data, "value", value)  # what the parser gives needs no second look
        return data

    def to_text(self) -> str:
        """The shortest JSON text of the value, in ASCII."""
        return dump_json(self.value, "json.value")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Binary(Payload):
    """Bytes of any kind; `mime_type` is empty when it is not said."""

    kind: ClassVar[str] = "binary"

    data: bytes
    mime_type: str = ""
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        if type(self.data) is not bytes:
            assign(self, "data", as_bytes(self.data, "binary.data"))
        if self.mime_type:
            check_str(self.mime_type, "binary.mime_type")
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "binary.metadata"))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class File(Payload):
    """A reference to a file, or to a part of it; the bytes themselves do not travel.

    size: of the whole file, in bytes; 0 when it is not said.
    offset, length: the part that is meant, in bytes; a length of 0 means up to the end.
    """

    kind: ClassVar[str] = "file"

    path: str
    filename: str = ""
    mime_type: str = ""
    size: int = 0
    offset: int = 0
    length: int = 0
    stream_id: str | None = None
    metadata: Mapping[str, str] = EMPTY

    def __post_init__(self) -> None:
        for name in ("path", "filename", "mime_type"):
            check_str(getattr(self, name), f"file.{name}")
        for name in ("size", "offset", "length"):
            check_uint(getattr(self, name), 64, f"file.{name}")
        if self.stream_id is not None:
            assign(self, "stream_id", as_stream_id(self.stream_id, "file.stream_id"))
        if self.metadata is not EMPTY:
            assign(self, "metadata", as_labels(self.metadata, "file.metadata"))
