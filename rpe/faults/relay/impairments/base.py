"""What an impairment is: frozen settings with units in their names, and a stage that decides by them.

A stage takes one copy of a datagram and returns the copies that go on: none where it is
dropped, two where it is duplicated. It does no I/O, tells no time and draws chance only by
the function that it is handed. How many times it draws depends on nothing: the n-th
datagram meets the n-th draws, whatever the settings are, so that a higher rate only adds
to what a lower one picks.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from rpe.errors import ConfigurationError
from rpe.faults.relay.decision import Delivery

__all__ = ["Draw", "Settings", "Stage", "at_least", "probability", "seconds", "setting"]

Draw = Callable[[], float]
"""Draws a number from 0 up to, and without, 1."""

SettingsT = TypeVar("SettingsT", bound="Settings")


class Stage(ABC, Generic[SettingsT]):
    """One impairment at work: its settings, which may change, and what it remembers of the past."""

    __slots__ = ("settings",)

    def __init__(self, settings: SettingsT) -> None:
        self.settings = settings

    @abstractmethod
    def pass_on(self, copy: Delivery, size: int, draw: Draw) -> Sequence[Delivery]:
        """Decide about a copy of `size` bytes that comes to this stage at `copy.at_s`."""


class Settings(ABC):
    """The settings of one impairment: a frozen dataclass of numbers and flags.

    `kind` is the name in the control API. `rank` is where its stage stands: datagrams meet
    lower ranks first, in whatever order impairments were added.
    """

    kind: ClassVar[str]
    rank: ClassVar[int]

    @abstractmethod
    def stage(self) -> Stage[Any]:
        """Make a stage that works by these settings."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            check = field.metadata.get("check")
            if check is not None:
                check(f"{self.kind}: {field.name}", getattr(self, field.name))

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Self:
        """Make settings from plain data. Raises ConfigurationError for what is unknown, missing or wrong."""
        known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = [name for name in attributes if name not in known]
        if unknown:
            raise ConfigurationError(
                f"{cls.kind} has no setting {unknown[0]!r}", hint=f"it has {', '.join(known) or 'none'}"
            )
        missing = [
            name
            for name, field in known.items()
            if field.default is dataclasses.MISSING and name not in attributes
        ]
        if missing:
            raise ConfigurationError(f"{cls.kind} needs the setting {missing[0]!r}")
        return cls(**attributes)

    def changed(self, attributes: Mapping[str, Any]) -> Self:
        """Return these settings with some of them changed; all or nothing (see `of`)."""
        return self.of({**self.as_attributes(), **attributes})

    def as_attributes(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]


Check = Callable[[str, Any], None]


def setting(check: Check, default: Any = dataclasses.MISSING) -> Any:
    """Declare a settings field that `check` looks at whenever settings are made."""
    return dataclasses.field(default=default, metadata={"check": check})


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ConfigurationError(f"{name} must be a number, and is {value!r}")
    return value


def probability(name: str, value: Any) -> None:
    """Check for a number from 0 to 1."""
    if not 0 <= _number(name, value) <= 1:
        raise ConfigurationError(f"{name} must lie between 0 and 1, and is {value!r}")


def seconds(name: str, value: Any) -> None:
    """Check for a time of 0 or more."""
    if _number(name, value) < 0:
        raise ConfigurationError(f"{name} must not be negative, and is {value!r}")


def at_least(least: int) -> Check:
    """Check for a whole number of `least` or more."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ConfigurationError(f"{name} must be a whole number of {least} or more, and is {value!r}")

    return check
