"""What a load run can end of before its time."""

from __future__ import annotations

from rpe.errors import ErrorKind, RpeError

__all__ = ["LoadRunBroken"]


class LoadRunBroken(RpeError):
    """Locust did not do what the plan asked for, so the run says nothing about the servers."""

    code = "load_run_broken"
    kind = ErrorKind.NETWORK
    default_hint = "the logs in the run folder say more"
