"""The details of an error: messages of any type, in a google.rpc.Status beside the code and the text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from rpe.fakes.definition.ending import CallEnded, Detail, Metadata
from rpe.fakes.definition.headers import key_wrong
from rpe.fakes.definition.messages import MessageTemplate, parsed, read_message
from rpe.fakes.definition.model import STATUS_NAMES
from rpe.fakes.definition.problems import Found
from rpe.fakes.definition.rpc_types import rpc_pool
from rpe.lined_yaml import Path

__all__ = ["DetailPlan", "Status", "read_details"]

_PREFIX = "type.googleapis.com/"


class Status(Exception):
    """Raised by a function of a definition: the call ends with this status.

    Arguments:
        code: the name of one of gRPC's codes, in upper or lower case; not OK.
        text: what is said about it.
        details: messages, or their JSON forms with the type in "@type"; of the types of the contract,
            and of those of google.rpc.
        metadata: what trails the status; keys in lower case, bytes under keys that end with -bin.

    Raises ValueError where there is no such code, or a key cannot be sent.
    """

    def __init__(
        self,
        code: str,
        text: str = "",
        *,
        details: Sequence[Message | Mapping[str, Any]] = (),
        metadata: Mapping[str, str | bytes] | None = None,
    ) -> None:
        if code.upper() not in STATUS_NAMES:
            raise ValueError(f"{code!r} is none of {', '.join(STATUS_NAMES)}")
        for key in metadata or {}:
            if (wrong := key_wrong(key)) is not None:
                raise ValueError(f"{key!r}: {wrong}")
        super().__init__(code, text)
        self.code = code.upper()
        self.text = text
        self.details = tuple(details)
        self.metadata: Metadata = tuple((metadata or {}).items())

    def ended(self, contract: Descriptor) -> CallEnded:
        """Return the end of the call. Raises ValueError where a detail is none.

        `contract` is any type of the contract: details are looked for beside it, too.
        """
        parts = tuple(_detail(detail, contract) for detail in self.details)
        return CallEnded(self.code, self.text, parts, self.metadata)


@dataclass(frozen=True, slots=True)
class DetailPlan:
    """A detail to send: the URL of its type, and its message, or the bytes of it."""

    type_url: str
    message: MessageTemplate | None
    value: bytes = b""

    def detail(self, request: Message) -> Detail:
        """Return the detail for a request. Raises TemplateFailed."""
        if self.message is None:
            return Detail(self.type_url, self.value)
        return Detail(self.type_url, self.message.message(request).SerializeToString())


def read_details(
    forms: Sequence[Mapping[str, Any]], request: Descriptor, path: Path
) -> tuple[tuple[DetailPlan, ...], list[Found]]:
    """Check the details of an error, whose templates are over requests of this type.

    Returns them, and every mistake with its path.
    """
    plans: list[DetailPlan] = []
    problems: list[Found] = []
    for at, form in enumerate(forms):
        here: Path = (*path, at)
        if "@type" not in form:
            try:
                plans.append(_given_bytes(form))
            except ValueError as error:
                problems.append((here, str(error)))
            continue
        try:
            url, kind = _typed(form["@type"], request)
        except ValueError as error:
            problems.append(((*here, "@type"), str(error)))
            continue
        message, found = read_message(_content(form, kind), kind, request, here)
        problems += found
        if message is not None:
            plans.append(DetailPlan(url, message))
    return tuple(plans), problems


def _given_bytes(form: Mapping[str, Any]) -> DetailPlan:
    url, value = form.get("type_url"), form.get("value", "")
    if not isinstance(url, str) or not isinstance(value, str) or set(form) - {"type_url", "value"}:
        raise ValueError('a detail is {"@type": ..., its fields}, or {type_url, value} with bytes in base64')
    try:
        return DetailPlan(_url(url), None, base64.b64decode(value, validate=True))
    except binascii.Error:
        raise ValueError("value is not base64, which is how bytes are written") from None


def _detail(given: Message | Mapping[str, Any], contract: Descriptor) -> Detail:
    if isinstance(given, Message):
        return Detail(_url(given.DESCRIPTOR.full_name), given.SerializeToString())
    url, kind = _typed(given.get("@type"), contract)
    try:
        return Detail(url, parsed(GetMessageClass(kind), _content(given, kind)).SerializeToString())
    except ParseError as error:
        raise ValueError(str(error)) from error


def _typed(name: object, contract: Descriptor) -> tuple[str, Descriptor]:
    if not isinstance(name, str):
        raise ValueError("the name of a type is needed")
    for pool in (contract.file.pool, rpc_pool()):
        try:
            return _url(name), pool.FindMessageTypeByName(name.rpartition("/")[2])
        except KeyError:
            continue
    raise ValueError(f"{name} is no type of the contract, and none of google.rpc: give type_url and value")


def _content(form: Mapping[str, Any], kind: Descriptor) -> Any:
    """The form without its type; a well-known type, whose form need not be a mapping, has it in `value`."""
    content = {key: value for key, value in form.items() if key != "@type"}
    if kind.full_name.startswith("google.protobuf.") and set(content) == {"value"}:
        return content["value"]
    return content


def _url(name: str) -> str:
    return name if "/" in name else _PREFIX + name
