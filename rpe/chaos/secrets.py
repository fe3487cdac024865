"""Credentials of a scenario, which nothing that is written down may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["HIDDEN", "SECRET_KEYS", "without_secrets"]

HIDDEN = "[redacted]"

SECRET_KEYS = frozenset({"token", "other_token", "auth_token", "auth_header", "credential"})
"""The keys of scenarios, scripts and manifests whose text is a credential."""

_KEYS_OF_MANY = frozenset({"headers"})
"""Those that hold any number of texts, each of which may be one."""


def without_secrets(data: Any) -> Any:
    """Return a copy of plain data in which the text under each of these keys is hidden."""
    if isinstance(data, Mapping):
        return {
            key: _hidden(value) if key in SECRET_KEYS | _KEYS_OF_MANY else without_secrets(value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [without_secrets(item) for item in data]
    return data


def _hidden(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _hidden(part) for key, part in value.items()}
    return HIDDEN if isinstance(value, str) else without_secrets(value)
