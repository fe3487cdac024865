"""The subject port: what a client under test has to be, and how one is found by name.

A run knows its client only by this port. A subject is made by a factory, which is given
the endpoints by their names in the scenario and the settings that the scenario asks for
(`ClientRequest`); it then executes operations and opens streams until it is closed.

A subject puts the id of each operation into the metadata of each of its attempts
(`rpe-operation-id`, and `rpe-attempt` where it counts them), so that the journals of the
servers can tell whose attempt it was. It may report what it does through
`SubjectContext.report`; what it does not report is judged from the servers' side alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, cast

from pydantic import Field

from rpe.chaos.strict import PositiveSeconds, Seconds, StrictModel
from rpe.errors import ConfigurationError

if TYPE_CHECKING:
    from rpe.data import RuntimeData
    from rpe.manifest.model import Manifest

__all__ = [
    "SUBJECT_GROUP",
    "BreakerRequest",
    "BudgetRequest",
    "ClientRequest",
    "HealthRequest",
    "RetryRequest",
    "Subject",
    "SubjectContext",
    "SubjectFactory",
    "SubjectOperation",
    "SubjectStream",
    "load_subject",
    "subject_names",
]

SUBJECT_GROUP = "rpe.subjects"
"""The entry point group in which a package names the subjects that it offers."""


class RetryRequest(StrictModel):
    """How often, and how patiently, a failed attempt is to be followed by another."""

    max_retries: Annotated[int, Field(ge=0, le=100)] = 3
    """Attempts after the first one; 0 means no retry."""
    initial_backoff_s: Seconds = 0.1
    """The wait before the first retry, in seconds."""
    max_backoff_s: Seconds = 1.0
    """The longest wait between two attempts, in seconds."""
    multiplier: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    """By how much the wait grows from retry to retry."""


class BreakerRequest(StrictModel):
    """When an endpoint is left alone, and for how long."""

    failure_threshold: Annotated[int, Field(ge=1)] = 5
    """Failures in a row that open the breaker of an endpoint."""
    success_threshold: Annotated[int, Field(ge=1)] = 2
    """Probes that must succeed before it closes again."""
    reset_timeout_s: PositiveSeconds = 1.0
    """How long it stays open before a probe is let through, in seconds."""


class HealthRequest(StrictModel):
    """How the endpoints are asked whether they are well."""

    enabled: bool = True
    """Whether the client checks the health of its endpoints at all."""
    interval_s: PositiveSeconds = 0.5
    """The time between two checks of one endpoint, in seconds."""
    timeout_s: PositiveSeconds = 0.2
    """How long one check may take, in seconds."""


class BudgetRequest(StrictModel):
    """How many attempts beyond the first ones the client may spend, over all operations."""

    ratio: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.2
    """Retries allowed per operation: 0.2 is one in five."""
    min_per_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0
    """Retries allowed in each second, however few operations there are."""


class ClientRequest(StrictModel):
    """What a scenario asks of the client under test; what is left out is left to the client."""

    timeout_s: PositiveSeconds = 2.0
    """The deadline of each operation, in seconds from its start."""
    attempt_timeout_s: PositiveSeconds | None = None
    """The longest that a single attempt may take, in seconds."""
    load_balance: Literal["round_robin", "least_connections", "random"] = "round_robin"
    """How the client chooses among its endpoints."""
    retry: RetryRequest | None = None
    """Retries of failed attempts."""
    breaker: BreakerRequest | None = None
    """The circuit breaker of each endpoint."""
    health: HealthRequest | None = None
    """Active health checks."""
    budget: BudgetRequest | None = None
    """The retry budget of the whole client."""
    move_sessions: bool = False
    """Whether a session whose endpoint fails is to be taken to another one, with nothing lost or doubled."""
    token: Annotated[str | None, Field(repr=False)] = None
    """A credential that is sent with each request: a test value, never a real one."""


@dataclass(frozen=True)
class SubjectContext:
    """What a factory is given to make a subject from.

    `endpoints` maps the servers' names in the scenario to `host:port`. `report` takes an
    event of the history (`attempt.start`, `attempt.end`, `breaker`, `health`) with its
    fields, in which endpoints go by their names; reporting is optional.

    `pipeline` says that `manifest` is a pipeline which runs in the client, with the addresses of
    the servers in its remote nodes; otherwise it is sent to the endpoints as it is.
    """

    endpoints: Mapping[str, str]
    transport: str
    request: ClientRequest
    manifest: Manifest
    seed: int
    report: Callable[[str, Mapping[str, Any]], None]
    pipeline: bool = False


@dataclass(frozen=True)
class SubjectOperation:
    """One thing to do: its id, its inputs by name, its deadline in seconds from now.

    `repeatable` says that doing it twice is harmless.
    """

    op: str
    inputs: Mapping[str, RuntimeData]
    timeout_s: float
    repeatable: bool


class SubjectStream(Protocol):
    """One open session. What is sent is numbered by the caller; answers carry the number they answer."""

    async def send(self, sequence: int, data: RuntimeData) -> None:
        """Send one chunk; waits where the way is jammed. Raises where the session is broken."""
        ...

    async def receive(self) -> tuple[int, Mapping[str, RuntimeData]] | None:
        """Return the next answer, or None where the session has ended as it should. Raises where it broke."""
        ...

    async def finish(self) -> None:
        """Say that no more chunks follow; answers still due can be received."""
        ...

    def cancel(self) -> None:
        """Give the session up at once; may be called at any time, and more than once."""
        ...


class Subject(Protocol):
    """A client under test."""

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        """Do one operation and return its outputs by name; raises where it failed."""
        ...

    async def open_stream(self, operation: SubjectOperation) -> SubjectStream:
        """Open a session. Raises NotImplementedError where the client has no streams."""
        ...

    def in_flight(self) -> int | None:
        """Return how many attempts are under way now, or None where the client cannot tell."""
        ...

    async def close(self) -> None:
        """Give back everything: tasks, sockets, threads. Nothing is left behind, also after errors."""
        ...


SubjectFactory = Callable[[SubjectContext], Awaitable[Subject]]


def subject_names() -> tuple[str, ...]:
    """Return the names of all subjects that installed packages offer, sorted."""
    return tuple(sorted({point.name for point in entry_points(group=SUBJECT_GROUP)}))


def load_subject(name: str) -> SubjectFactory:
    """Return the factory of a subject, by its name or as `module:factory`.

    Raises ConfigurationError where the name is not known (with a list of the known ones),
    where two packages claim it, or where what it leads to cannot be imported or called.
    """
    if ":" in name:
        points = [EntryPoint(name, name, SUBJECT_GROUP)]
    else:
        points = [point for point in entry_points(group=SUBJECT_GROUP) if point.name == name]
    if not points:
        known = ", ".join(subject_names()) or "none"
        raise ConfigurationError(
            f"no client is named {name!r}", hint=f"known clients: {known}; or name your own as module:factory"
        )
    if len({point.value for point in points}) > 1:
        claims = ", ".join(sorted(point.value for point in points))
        raise ConfigurationError(
            f"several packages claim the client {name!r}: {claims}", hint="remove one of them"
        )
    return _load(name, points[0].value)


def _load(name: str, target: str) -> SubjectFactory:
    module_name, _, factory_name = target.partition(":")
    if not module_name or not factory_name:
        raise ConfigurationError(f"{name!r} does not name a client", hint="write it as module:factory")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(
            f"the client {name!r} cannot be loaded: {error}",
            hint=f"is the package of {module_name} installed, with the extras that it needs?",
        ) from error
    for part in factory_name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            raise ConfigurationError(
                f"the client {name!r} cannot be loaded: {module_name} has no {factory_name}",
                hint="give the name of a function that takes a SubjectContext and returns a Subject",
            ) from error
    if not callable(found):
        raise ConfigurationError(
            f"the client {name!r} cannot be used: {target} is not callable",
            hint="give the name of a function that takes a SubjectContext and returns a Subject",
        )
    return cast(SubjectFactory, found)
