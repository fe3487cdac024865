"""How much of an operation's deadline one attempt may use."""

from __future__ import annotations

__all__ = ["attempt_timeout_s"]


def attempt_timeout_s(
    remaining_s: float, *, per_attempt_s: float | None, retries_left: int, splittable: bool
) -> float:
    """Return the timeout of the next attempt, in seconds; never more than what remains.

    An attempt that may be followed by another gets half of what remains, so that one
    endpoint which hangs never eats the whole deadline; the last one gets all of it.

    Arguments:
        remaining_s: what is left of the operation's deadline, in seconds.
        per_attempt_s: the configured bound of each attempt; None: by halving as above.
        retries_left: retries that may still follow this attempt.
        splittable: a timeout of this attempt could be followed by a retry (the work may
            be repeated). If not, stopping early could only lose an answer.
    """
    remaining_s = max(remaining_s, 0.0)
    if per_attempt_s is not None:
        return min(per_attempt_s, remaining_s)
    if retries_left > 0 and splittable:
        return remaining_s / 2.0
    return remaining_s
