"""Credentials of a scenario, which nothing that is written down may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["HIDDEN", "SECRET_KEYS", "without_secrets"]

HIDDEN = "[redacted]"

SECRET_KEYS = frozenset({"token", "other_token", "auth_token", "auth_header"})
"""The keys of scenarios, scripts and manifests whose text is a credential."""


def without_secrets(data: Any) -> Any:
    """Return a copy of plain data in which the text under each of these keys is hidden."""
    if isinstance(data, Mapping):
        return {
            key: HIDDEN if key in SECRET_KEYS and isinstance(value, str) else without_secrets(value)
            for key, value in data.items()
        }
    if isinstance(data, list | tuple):
        return [without_secrets(item) for item in data]
    return data
