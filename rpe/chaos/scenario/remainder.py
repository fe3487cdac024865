"""What is left of a scenario when the entries with mistakes of their own are taken out.

So the rest can still be judged, and a file tells all of its mistakes at once: without
this, one wrong number would hide that three faults name servers that do not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rpe.lined_yaml import Path

__all__ = ["Remainder", "without"]

_PLACEHOLDERS: dict[str, Any] = {
    "name": "unnamed",
    "proves": "Nothing, as this stands for a part with a mistake.",
    "duration_s": 3600.0,
    "workload": {"kind": "unary", "rate_per_s": 1.0},
    "faults": {"at_s": 0.0, "for_s": 1.0, "nothing": {}},
}
"""What stands for a part that no scenario can do without; nothing is wrong with any of it."""


@dataclass
class Remainder:
    """The data that is left, the names that went with the rest, and where each entry stood before."""

    data: dict[str, Any]
    names: set[str] = field(default_factory=set)
    kept: dict[str, list[int]] = field(default_factory=dict)

    def original(self, path: Path) -> Path:
        """Return where the part at `path` of the remainder stood in the whole."""
        if len(path) > 1 and isinstance(path[0], str) and isinstance(path[1], int) and path[0] in self.kept:
            positions = self.kept[path[0]]
            return (path[0], positions[path[1]], *path[2:]) if path[1] < len(positions) else path[:1]
        return path


def without(data: dict[str, Any], paths: Iterable[Path]) -> Remainder:
    """Return `data` without the entries, servers or keys that the paths lead into."""
    rest = Remainder(dict(data))
    bad: dict[str, set[str | int]] = {}
    for path in paths:
        bad.setdefault(str(path[0]), set()).update(path[1:2])
    for key, parts in bad.items():
        part = data.get(key)
        if isinstance(part, list):
            rest.names |= _names(entry for position, entry in enumerate(part) if position in parts)
            rest.kept[key] = [position for position in range(len(part)) if position not in parts]
            rest.data[key] = [part[position] for position in rest.kept[key]]
        elif key == "servers" and isinstance(part, dict):
            rest.names |= {str(name) for name in parts}
            rest.data[key] = {name: script for name, script in part.items() if name not in parts}
        else:
            rest.names |= _names([part])
            rest.data.pop(key, None)
    for key, value in _PLACEHOLDERS.items():
        if not rest.data.get(key):
            rest.data[key] = _standing_in(key, value, data.get(key))
            rest.kept[key] = []
    return rest


def _standing_in(key: str, value: Any, missing: Any) -> Any:
    """Return what stands for a part: where that had a name, under the same, so that none is invented."""
    if not isinstance(value, dict):
        return value
    names = sorted(_names(missing if isinstance(missing, list) else [missing])) or ["unnamed"]
    return [{"name": names[0], **value}]


def _names(entries: Iterable[Any]) -> set[str]:
    return {
        entry["name"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    }
