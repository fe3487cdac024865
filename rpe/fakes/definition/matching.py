"""Which rule a call is for: conditions on fields, metadata, numbers and states, and by a function."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseError
from google.protobuf.message import Message

from rpe.fakes.definition.conditions import Condition, EachWhen, InState, When
from rpe.fakes.definition.functions import CallInfo, Function, FunctionFinder, FunctionWrong
from rpe.fakes.definition.messages import field_value
from rpe.fakes.definition.paths import MISSING, FieldPath, PathWrong, element_of, is_map
from rpe.fakes.definition.problems import Found
from rpe.lined_yaml import Path

__all__ = [
    "EachMatcher",
    "FieldTest",
    "Matcher",
    "MetadataTest",
    "read_each_matcher",
    "read_field_tests",
    "read_matcher",
]

Metadata = Sequence[tuple[str, str | bytes]]


@dataclass(frozen=True, slots=True)
class FieldTest:
    """A condition on one field, with its values in the field's own type."""

    path: FieldPath
    condition: Condition
    equal: Any
    contains: Any

    def miss(self, request: Message) -> str | None:
        """Return why a request does not fulfil it; None where it does. The request's value is not shown."""
        name, wanted = self.path.text, self.condition
        if wanted.present is not None and self.path.present(request) != wanted.present:
            return f"the field {name} is {'not set' if wanted.present else 'set'}"
        value = self.path.value(request)
        if value is MISSING:
            return None if wanted.model_fields_set == {"present"} else f"there is no {name}"
        if "equal" in wanted.model_fields_set and not _equal(value, self.equal):
            return f"{name} is not {wanted.equal!r}"
        if "contains" in wanted.model_fields_set and self.contains not in value:
            return f"{name} does not contain {wanted.contains!r}"
        if wanted.regex is not None and not re.search(wanted.regex, str(self.path.json(request))):
            return f"{name} does not match {wanted.regex!r}"
        return None


@dataclass(frozen=True, slots=True)
class MetadataTest:
    """A condition on the values of one key of the metadata; one value that fulfils it is enough."""

    key: str
    condition: Condition

    def miss(self, metadata: Metadata) -> str | None:
        """Return why a call's metadata does not fulfil it; None where it does. Values are never shown."""
        wanted = self.condition
        values = [_text(value) for key, value in metadata if key == self.key]
        if wanted.present is not None and bool(values) != wanted.present:
            return f"the metadata {self.key} is {'missing' if wanted.present else 'there'}"
        if wanted.model_fields_set != {"present"} and not any(self._fits(value) for value in values):
            return f"the metadata {self.key} is {'another' if values else 'missing'}"
        return None

    def _fits(self, value: str) -> bool:
        wanted = self.condition
        return (
            (wanted.equal is None or value == str(wanted.equal))
            and (wanted.contains is None or str(wanted.contains) in value)
            and (wanted.regex is None or re.search(wanted.regex, value) is not None)
        )


@dataclass(frozen=True, slots=True)
class EachMatcher:
    """Which requests of a stream an answer is for. `numbers` has their numbers; empty: all.

    predicate: a function that says whether it is for this one. states: what scenarios must be in.
    """

    fields: tuple[FieldTest, ...] = ()
    numbers: frozenset[int] = frozenset()
    predicate: Function | None = None
    states: tuple[InState, ...] = ()

    def miss(self, request: Message, number: int, info: CallInfo) -> str | None:
        """Return the first condition that a request does not fulfil, in words; None where it fits.

        Raises FunctionFailed.
        """
        if self.numbers and number not in self.numbers:
            return f"it is for message {_listed(self.numbers)}, and this is message {number}"
        if (missed := _state_miss(self.states, info)) is not None:
            return missed
        for test in self.fields:
            if (missed := test.miss(request)) is not None:
                return missed
        return _predicate_miss(self.predicate, request, info)


@dataclass(frozen=True, slots=True)
class Matcher:
    """All the conditions of a rule. `calls` has the numbers of the calls that it is for; empty: all.

    counts: how many messages a client stream has; empty: any. predicate: a function that says
    whether the rule is for a call, given its request, or with `many` the list of them. states: what
    scenarios must be in.
    """

    fields: tuple[FieldTest, ...] = ()
    metadata: tuple[MetadataTest, ...] = ()
    calls: frozenset[int] = frozenset()
    on: str = "last"
    counts: frozenset[int] = frozenset()
    predicate: Function | None = None
    many: bool = False
    states: tuple[InState, ...] = ()

    def miss(
        self, requests: Sequence[Message], metadata: Metadata, call: int, info: CallInfo | None = None
    ) -> str | None:
        """Return the first condition that a call does not fulfil, in words; None where the rule fits.

        Without `info`, states and functions are not asked. Raises FunctionFailed.
        """
        if self.calls and call not in self.calls:
            return f"it is for call {_listed(self.calls)}, and this is call {call}"
        for test in self.metadata:
            if (missed := test.miss(metadata)) is not None:
                return missed
        if self.counts and len(requests) not in self.counts:
            return f"it is for {_listed(self.counts)} messages, and {len(requests)} came"
        if info is not None and (missed := _state_miss(self.states, info)) is not None:
            return missed
        if (missed := self._fields_miss(requests)) is not None or info is None or self.predicate is None:
            return missed
        if self.many:
            return _predicate_miss(self.predicate, list(requests), info)
        return _predicate_miss(self.predicate, requests[0], info) if requests else "no request came"

    def _fields_miss(self, requests: Sequence[Message]) -> str | None:
        if not self.fields:
            return None
        if not requests:
            return "no request came"
        looked_at = {"last": requests[-1:], "first": requests[:1], "any": requests}[self.on]
        reason: str | None = None
        for request in looked_at:
            reason = next((missed for test in self.fields if (missed := test.miss(request))), None)
            if reason is None:
                return None
        return reason


def _state_miss(states: tuple[InState, ...], info: CallInfo) -> str | None:
    for wanted in states:
        state = info.scenarios.state(wanted.name)
        if state != wanted.state:
            return f"the scenario {wanted.name} is in {state!r}, not in {wanted.state!r}"
    return None


def _predicate_miss(predicate: Function | None, request: object, info: CallInfo) -> str | None:
    if predicate is None or predicate(request, info):
        return None
    return f"{predicate.name} says no"


def _listed(numbers: frozenset[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def read_matcher(
    when: When,
    request: Descriptor,
    path: Path,
    functions: FunctionFinder | None = None,
    *,
    many: bool = False,
) -> tuple[Matcher, list[Found]]:
    """Check the conditions of a rule against the type of its requests. Returns every mistake, too.

    `many` says whether a predicate is given the list of requests, and not one of them.
    """
    fields, problems = read_field_tests(when.fields, request, (*path, "fields"))
    for key, condition in when.metadata.items():
        here = (*path, "metadata", key)
        if key != key.lower():
            problems.append((here, "keys of metadata are in lower case"))
        for name in ("equal", "contains"):
            if name in condition.model_fields_set and not isinstance(getattr(condition, name), str):
                problems.append((here, f"{name} is compared with text: write it in quotes"))
    metadata = tuple(MetadataTest(key, condition) for key, condition in when.metadata.items())
    predicate, found = _read_predicate(when.predicate, path, functions)
    matcher = Matcher(
        fields,
        metadata,
        frozenset(when.call or ()),
        when.on or "last",
        frozenset(when.messages or ()),
        predicate,
        many,
        tuple(when.scenario),
    )
    return matcher, problems + found


def read_each_matcher(
    when: EachWhen | None, request: Descriptor, path: Path, functions: FunctionFinder
) -> tuple[EachMatcher, list[Found]]:
    """Check the conditions on one request of a stream. Returns every mistake, too."""
    if when is None:
        return EachMatcher(), []
    fields, problems = read_field_tests(when.fields, request, (*path, "fields"))
    predicate, found = _read_predicate(when.predicate, path, functions)
    matcher = EachMatcher(fields, frozenset(when.message or ()), predicate, tuple(when.scenario))
    return matcher, problems + found


def _read_predicate(
    given: Any, path: Path, functions: FunctionFinder | None
) -> tuple[Function | None, list[Found]]:
    if given is None:
        return None, []
    try:
        return (functions or FunctionFinder()).find(given, plain=True), []
    except FunctionWrong as error:
        return None, [((*path, "predicate"), str(error))]


def read_field_tests(
    conditions: Mapping[str, Condition], request: Descriptor, path: Path
) -> tuple[tuple[FieldTest, ...], list[Found]]:
    """Check conditions on fields against the type of the requests. Returns every mistake with its path."""
    tests: list[FieldTest] = []
    problems: list[Found] = []
    for name, condition in conditions.items():
        try:
            tests.append(_field_test(name, condition, request))
        except (PathWrong, ParseError, ValueError, TypeError) as error:
            problems.append(((*path, name), str(error)))
    return tuple(tests), problems


def _field_test(name: str, condition: Condition, request: Descriptor) -> FieldTest:
    path = FieldPath.parse(name, request)
    field = path.field
    if field is None:
        raise PathWrong("the name of a field is needed")
    given = condition.model_fields_set
    whole = bool(field.is_repeated) and not path.element
    leaf = path.value_field
    assert leaf is not None
    textual = leaf.cpp_type == FieldDescriptor.CPPTYPE_STRING and not whole
    is_bytes = leaf.type == FieldDescriptor.TYPE_BYTES
    equal = field_value(field, condition.equal, element=path.element) if "equal" in given else None
    contains = None
    if "contains" in given:
        if whole and is_map(field):
            contains = element_of(str(condition.contains), field)
        elif whole:
            contains = field_value(field, condition.contains, element=True)
        elif textual:
            contains = field_value(field, condition.contains, element=path.element)
        else:
            raise ValueError(f"contains is for text, lists and maps, and {name} is none of them")
    if "regex" in given and not ((textual and not is_bytes) or (leaf.enum_type is not None and not whole)):
        raise ValueError(f"regex is for text and names of enums, and {name} is neither")
    return FieldTest(path, condition, equal, contains)


def _equal(value: Any, wanted: Any) -> bool:
    return bool(value == wanted)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
