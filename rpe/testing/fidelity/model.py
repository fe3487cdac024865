"""What a check is, and what a server came to."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpe.testing.fidelity.target import Target

__all__ = ["Check", "CheckFunction", "NotApplicable", "Report", "Result", "Verdict", "Violation"]

CheckFunction = Callable[["Target"], Awaitable[None]]
"""Returns where the server kept its word; raises Violation or NotApplicable otherwise."""


class Violation(Exception):
    """Raised by a check, or by its client, for what breaks the contract; its text is what was seen."""


class NotApplicable(Exception):
    """Raised by a check that cannot be made here; its text is the reason."""


class Verdict(enum.StrEnum):
    """What one check came to. UNKNOWN: it does not apply here, and its result says why."""

    PASS = "pass"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        transport: the wire that it is made on.
        name: what `only` picks it by; unique on its wire.
        proves: what holds where it passes, in a sentence.
        contract: the part of the contract that demands it.
        run: the check itself.
        in_silence: whether it has to wait until a server that is silent gives a sign of life.
    """

    transport: str
    name: str
    proves: str
    contract: str
    run: CheckFunction
    in_silence: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """What one check came to: `seen` is what broke it, or why it does not apply; empty for a pass."""

    check: Check
    verdict: Verdict
    seen: str = ""
    elapsed_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """What a server came to, check by check, in the order in which they were made.

    `node_type` is the node type that the pipelines of the checks were made of.
    """

    endpoint: str
    transport: str
    node_type: str
    results: tuple[Result, ...]

    @property
    def passed(self) -> bool:
        """Whether at least one check passed and none failed."""
        return bool(self.of(Verdict.PASS)) and not self.failed

    @property
    def failed(self) -> tuple[Result, ...]:
        """The checks that failed."""
        return self.of(Verdict.FAIL)

    def of(self, verdict: Verdict) -> tuple[Result, ...]:
        """Return the results with a verdict."""
        return tuple(result for result in self.results if result.verdict is verdict)

    def text(self) -> str:
        """Return the report as lines for people: the failed checks first, and a closing line."""
        from rpe.testing.fidelity.reporting import as_text

        return as_text(self)

    def junit(self) -> str:
        """Return the report as a JUnit document (see `rpe.testing.fidelity.reporting`)."""
        from rpe.testing.fidelity.reporting import as_junit

        return as_junit(self)

    def markdown(self) -> str:
        """Return the report as a page in Markdown."""
        from rpe.testing.fidelity.reporting import as_markdown

        return as_markdown(self)
