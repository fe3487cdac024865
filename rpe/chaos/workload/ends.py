"""How an operation ended, read from what the client under test returned or raised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rpe.chaos.hashes import data_hash
from rpe.data import RuntimeData
from rpe.errors import RpeError, redact
from rpe.policy.outcome import OperationOutcome

__all__ = ["CANCELLED", "End", "answered", "ended_early", "overran", "raised"]

MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True)
class End:
    """The end of one operation, as its line in the history tells it."""

    outcome: OperationOutcome
    code: str = "ok"
    error_kind: str = ""
    message: str = ""
    endpoint: str | None = None
    node: str | None = None
    response_hash: str | None = None

    def as_fields(self) -> dict[str, Any]:
        """Return the fields of the event `operation.end`."""
        return {
            "outcome": str(self.outcome),
            "code": self.code,
            "error_kind": self.error_kind,
            "message": self.message,
            "endpoint": self.endpoint,
            "node": self.node,
            "response_hash": self.response_hash,
        }


CANCELLED = End(OperationOutcome.MAYBE, code="cancelled", message="the run ended first")


def answered(outputs: Mapping[str, RuntimeData]) -> End:
    """The end of an operation that returned outputs."""
    return End(OperationOutcome.OK, response_hash=data_hash(outputs))


def overran(limit_s: float) -> End:
    """The end of an operation that the client did not end in time, so that it was cancelled."""
    return End(
        OperationOutcome.FAILED,
        code="overran",
        error_kind="timeout",
        message=f"not ended by the client within {limit_s:.3f} s of its start",
    )


def ended_early(sent: int, planned: int) -> End:
    """The end of a session that was reported as complete before it had been finished."""
    return End(
        OperationOutcome.FAILED,
        code="ended_early",
        error_kind="network",
        message=f"the session ended as if complete after {sent} of {planned} chunks",
    )


def raised(error: Exception, names: Mapping[str, str]) -> End:
    """The end of an operation that raised. `names` maps addresses to the names of servers.

    An error of rpe says itself whether the work may have been done. Any other error says
    nothing of it, so it may have been. Its code is its gRPC status, or its class.
    """
    message = _named(redact(str(error))[:MESSAGE_LENGTH], names)
    if isinstance(error, RpeError):
        outcome = OperationOutcome.MAYBE if error.maybe_executed else OperationOutcome.FAILED
        end = End(outcome, code=error.code, error_kind=str(error.kind), message=message)
        endpoint = None if error.endpoint is None else _named(error.endpoint, names)
        return replace(end, endpoint=endpoint, node=error.node)
    return End(OperationOutcome.MAYBE, code=_foreign_code(error), message=message)


def _named(text: str, names: Mapping[str, str]) -> str:
    """A text with the servers' names in the places of their addresses."""
    for address, name in names.items():
        text = text.replace(address, name)
    return text


def _foreign_code(error: Exception) -> str:
    code = getattr(error, "code", None)
    status = code() if callable(code) else None
    return str(getattr(status, "name", None) or type(error).__name__)
