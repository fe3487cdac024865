"""The entry of one fault in a scenario: when it is in force, and exactly one fault kind with its settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, create_model, model_validator

from rpe.chaos.strict import Name, PositiveSeconds, Seconds, StrictModel
from rpe.faults.kinds import KINDS, FaultKind

__all__ = ["After", "Fault", "Timed"]


class After(StrictModel):
    """A moment told by another window: when it opens, or when it closes."""

    window: Name
    """The window (or fault) that this one follows; `run` is the whole run."""
    edge: Literal["start", "end"] = "end"
    """Which edge of that window counts."""
    delay_s: Seconds = 0.0
    """How long after that edge, in seconds."""


class Timed(StrictModel):
    """What begins at a moment of the run: an absolute one, or one told by another window."""

    at_s: Seconds | None = None
    """When it begins, in seconds from the start of the run."""
    after: After | None = None
    """When it begins, told by another window. Takes the place of `at_s`."""

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if (self.at_s is None) == (self.after is None):
            raise ValueError("give one of at_s and after, to say when it begins")
        return self


class _Fault(Timed):
    """A fault by name. It is also a window, open while the fault is in force."""

    name: Name
    """The name of the fault, and of the window that is open while it is in force."""
    for_s: PositiveSeconds
    """How long it is in force, in seconds."""

    @model_validator(mode="before")
    @classmethod
    def _empty_settings(cls, data: Any) -> Any:
        """Read `nothing:` as `nothing: {}`."""
        if not isinstance(data, dict):
            return data
        return {key: {} if key in KINDS and value is None else value for key, value in data.items()}

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        named = [kind for kind in KINDS if kind in self.model_fields_set]
        if not named:
            raise ValueError(f"name one fault kind: {', '.join(sorted(KINDS))}")
        if len(named) > 1:
            raise ValueError(
                f"two fault kinds in one entry: {' and '.join(named)}; give each an entry of its own"
            )
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the kind that is named, not those that are not."""
        return ((name, value) for name, value in super().__repr_args__() if value is not None)

    @property
    def kind(self) -> str:
        """The name of the fault kind."""
        return next(kind for kind in KINDS if kind in self.model_fields_set)

    @property
    def settings(self) -> FaultKind:
        """The settings of the fault kind."""
        settings: FaultKind = getattr(self, self.kind)
        return settings


if TYPE_CHECKING:
    Fault = _Fault
else:
    # A field per kind, so that a wrong setting is reported at its own place, and editors know every kind.
    Fault = create_model(
        "Fault",
        __base__=_Fault,
        __module__=__name__,
        __doc__=_Fault.__doc__,
        **{
            name: (kind | None, Field(None, description=(kind.__doc__ or name).strip().splitlines()[0]))
            for name, kind in KINDS.items()
        },
    )
