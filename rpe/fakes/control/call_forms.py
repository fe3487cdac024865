"""Calls of a fake of definitions as JSON, and what they miss of an expectation."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from google.protobuf.message import Message
from pydantic import TypeAdapter, ValidationError

from rpe.errors import ConfigurationError
from rpe.fakes.control.verifying import Expectation
from rpe.fakes.definition.calls import Call
from rpe.fakes.definition.conditions import Condition, Conditions
from rpe.fakes.definition.matching import FieldTest, MetadataTest, read_field_tests
from rpe.fakes.definition.problems import dotted

__all__ = ["call_form", "call_misses"]

_SECRET = re.compile(r"authorization|cookie|token|secret|password|api-?key|credential", re.IGNORECASE)
_CONDITIONS: TypeAdapter[dict[str, Condition]] = TypeAdapter(Conditions)


def call_form(call: Call) -> dict[str, Any]:
    """Return a call as plain data; values of metadata that look secret by their key are hidden."""
    form: dict[str, Any] = {
        "service": call.service,
        "method": call.method,
        "call": call.number,
        "code": call.code,
        "requests": call.requests,
        "answers": call.answers,
        "metadata": [[key, _shown(key, value)] for key, value in call.metadata],
        "started_s": call.started_s,
    }
    if call.rule is not None:
        form["rule"] = call.rule
    if call.details:
        form["details"] = call.details
    if call.delays_s:
        form["delays_s"] = list(call.delays_s)
    if call.ended_s is not None:
        form["ended_s"] = call.ended_s
    return form


def call_misses(expectation: Expectation, request: type[Message]) -> Callable[[Call], list[str]]:
    """Return what tells of a call all that it misses, in words; values are compared in their field's type.

    Raises ConfigurationError where a condition does not fit the type of the requests.
    """
    descriptor: Any = request.DESCRIPTOR
    tests, wrong = read_field_tests(_conditions(expectation.fields, "fields"), descriptor, ("fields",))
    if wrong:
        raise ConfigurationError("; ".join(f"{dotted(path)}: {text}" for path, text in wrong))
    metadata = [
        MetadataTest(key, test) for key, test in _conditions(expectation.metadata, "metadata").items()
    ]

    def misses(call: Call) -> list[str]:
        missed = [text for test in metadata if (text := test.miss(call.metadata)) is not None]
        if expectation.code is not None and call.code != expectation.code.upper():
            missed.append(f"its status is {call.code}")
        return missed + _fields_missed(tests, call.request_messages)

    return misses


def _fields_missed(tests: tuple[FieldTest, ...], requests: list[Message]) -> list[str]:
    """Return what the request misses that misses least."""
    if not tests:
        return []
    each = [[text for test in tests if (text := test.miss(request)) is not None] for request in requests]
    return min(each, key=len, default=["no request came"])


def _conditions(form: Mapping[str, Any], where: str) -> dict[str, Condition]:
    try:
        return _CONDITIONS.validate_python(dict(form))
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        told = "; ".join(f"{dotted((where, *item['loc']))}: {item['msg']}" for item in found)
        raise ConfigurationError(told) from None


def _shown(key: str, value: str | bytes) -> str:
    if _SECRET.search(key):
        return "[hidden]"
    return value if isinstance(value, str) else base64.b64encode(value).decode()
