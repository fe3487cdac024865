"""The final error of a session that moved, or could not: how far it came, and what it went through."""

from __future__ import annotations

from rpe.client.replay import ReplayBuffer
from rpe.errors import NetworkError, RpeError, SessionClosed, StreamBroken

__all__ = ["final_error"]

_HINT = "open a new session, and send what follows the last chunk that was answered"


def final_error(error: RpeError, endpoint: str, moves: int, buffer: ReplayBuffer) -> RpeError:
    """Return the error that a session's caller is told.

    An error of the network is told as StreamBroken, with the last chunk answered, so that it is
    found in the same place whether a session may move or not; any other one as what it is.
    Both say how often the session had moved.

    Arguments:
        error: why nothing may follow the last leg.
        endpoint: where that leg was.
        moves: how often the session had moved.
        buffer: its chunks, as they were when it ended.
    """
    if isinstance(error, SessionClosed):
        return error
    last = buffer.last_answered
    reached = "no chunk was answered" if last is None else f"chunk {last} was the last one answered"
    story = f"{reached}, {_times(moves)}"
    if isinstance(error, NetworkError):
        broken = StreamBroken(
            f"{error.message}; {story}",
            endpoint=endpoint,
            last_sequence=last,
            attempts=error.attempts,
            hint=_HINT if error.hint in ("", StreamBroken.default_hint) else error.hint,
            maybe_executed=error.maybe_executed,
        )
        broken.__cause__ = error
        return broken
    hints = [error.hint, story]
    if buffer.unanswered and not buffer.has_room(0):
        hints.append(
            f"{buffer.unanswered} chunks were unanswered, and no more could be kept: where a pipeline"
            " answers as seldom as that, raise replay_chunks and replay_bytes"
        )
    error.hint = "; ".join(filter(None, hints))
    return error


def _times(moves: int) -> str:
    if not moves:
        return "and it was never moved"
    return "after it was moved once" if moves == 1 else f"after it was moved {moves} times"
