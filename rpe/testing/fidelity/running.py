"""Running the checks against a server, one after the other, each within its time."""

from __future__ import annotations

from collections.abc import Collection

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError, ConnectFailed, RpeError
from rpe.testing.fidelity.model import Check, NotApplicable, Report, Result, Verdict, Violation
from rpe.testing.fidelity.node_types import find_node_type
from rpe.testing.fidelity.suite import checks_of
from rpe.testing.fidelity.target import Target, read_address

__all__ = ["LIMIT_S", "check_server"]

LIMIT_S = 2.0
"""How long a check may take where nobody says, in seconds."""


async def check_server(
    endpoint: str,
    transport: str = "grpc",
    node_type: str | None = None,
    token: str | None = None,
    only: Collection[str] = (),
    *,
    limit_s: float = LIMIT_S,
    silence_s: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> Report:
    """Make the checks of a wire against a live server, and tell what it came to.

    Arguments:
        endpoint: `host:port`, or for HTTP also a URL; in clear text.
        transport: `grpc`, `http` or `webrtc` (the address is then that of the signalling).
        node_type: a node type that gives back what it gets, unchanged and one for one. Where it is
            None, the server is asked: `Echo` if it has that, else `PassThrough`.
        token: the bearer token, where the server wants one.
        only: the names of the checks to make; all of them by default.
        limit_s: how long each check may take, in seconds; one that takes longer has failed.
        silence_s: how long an open output of HTTP may be silent; the check for keep-alive comments
            is made only where this is given, and takes as long.
        clock: the time that limits are kept by.

    Raises ConfigurationError for an address, a name or a node type that cannot be used, and
    ConnectFailed where nothing listens at the address. Connections are closed when it returns,
    also when it is cancelled.
    """
    checks = checks_of(transport, only)
    if not limit_s > 0:
        raise ConfigurationError(f"limit_s must be above 0, not {limit_s!r}")
    address = read_address(endpoint, transport, token)
    target = Target(endpoint, address, node_type or "", limit_s, clock, token, silence_s)
    await _knock(target)
    if node_type is None:
        target.node_type = await find_node_type(target, transport)
    results = [await _run(check, target) for check in checks]
    return Report(endpoint, transport, target.node_type, tuple(results))


async def _knock(target: Target) -> None:
    """Find out whether anything listens, so that a wrong address does not read as a bad server."""
    try:
        async with target.clock.deadline(target.clock.now() + target.limit_s), target.connection():
            pass
    except (Violation, TimeoutError) as error:
        why = str(error) or "no connection in time"
        raise ConnectFailed(
            f"nothing can be checked: {why}",
            endpoint=target.endpoint,
            hint="start the server, or name its address",
        ) from error


async def _run(check: Check, target: Target) -> Result:
    clock = target.clock
    began_s = clock.now()
    limit_s = target.limit_s + ((target.silence_s or 0.0) if check.in_silence else 0.0)
    verdict, seen = Verdict.PASS, ""
    target.waiting_for = ""
    try:
        async with clock.deadline(began_s + limit_s):
            await check.run(target)
    except NotApplicable as reason:
        verdict, seen = Verdict.UNKNOWN, str(reason)
    except (Violation, RpeError) as broken:
        verdict, seen = Verdict.FAIL, str(broken)
    except TimeoutError:
        verdict = Verdict.FAIL
        seen = f"{limit_s:g} s were over while it waited for {target.waiting_for or 'an answer'}"
    except OSError as error:
        verdict, seen = Verdict.FAIL, f"the connection broke: {error.strerror or type(error).__name__}"
    except Exception as error:  # whatever a server sends, the other checks are still made
        verdict, seen = Verdict.FAIL, f"what came cannot be read: {type(error).__name__}: {error}"
    return Result(check, verdict, seen, clock.now() - began_s)
