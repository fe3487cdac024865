"""Toxic settings: frozen records whose fields know their name, and their limits, on the wire."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, runtime_checkable

from rpe.faults.proxy.failures import ApiError
from rpe.faults.proxy.gojson import unmarshal_type_error

__all__ = ["Checked", "as_attributes", "attribute", "with_attributes"]

S = TypeVar("S")

INT64_MAX = 2**63 - 1


@runtime_checkable
class Checked(Protocol):
    """An optional power of settings: rules that go beyond one field."""

    def check(self) -> None:
        """Raise ValueError, in words for the API's caller, if the fields make no sense together."""
        ...


def attribute(wire_name: str) -> Any:
    """Declare a settings field: a whole number of 0 or more, called `wire_name` in the API."""
    return dataclasses.field(default=0, metadata={"wire": wire_name})


def as_attributes(settings: Any) -> dict[str, int]:
    """Return the settings as the API shows them."""
    return {field.metadata["wire"]: getattr(settings, field.name) for field in dataclasses.fields(settings)}


def with_attributes(settings: S, attributes: Mapping[str, Any], *, go_type: str) -> S:
    """Return `settings` with the attributes of a request merged in; unknown ones are ignored.

    `attributes` has lower-case keys and no nulls. All or nothing: a wrong one raises ApiError
    400 and no setting is changed. `go_type` names the toxic in the message, as clients expect.
    """
    changes = {}
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        wire_name = field.metadata["wire"]
        if (value := attributes.get(wire_name.lower())) is not None:
            changes[field.name] = _whole_number(value, wire_name, go_type)
    changed = dataclasses.replace(settings, **changes)  # type: ignore[type-var]
    if isinstance(changed, Checked):
        try:
            changed.check()
        except ValueError as error:
            raise ApiError(400, str(error)) from error
    return changed


def _whole_number(value: Any, wire_name: str, go_type: str) -> int:
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    if isinstance(whole, bool) or not isinstance(whole, int) or abs(whole) > INT64_MAX:
        raise unmarshal_type_error(value, f"{go_type}.attributes.{wire_name}", "int64")
    if whole < 0:
        raise ApiError(400, f"{wire_name} must not be negative, and is {whole}")
    return whole
