"""The load plan as a model: what a file may say (`rpe.loadtest.rules` tells what its parts must agree on).

Faults, windows and the scripts of servers are those of scenarios, in the same words.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from rpe.chaos.scenario.faults import Fault
from rpe.chaos.scenario.model import Expectation, Floor, Window
from rpe.chaos.strict import Items, Name, PositiveSeconds, Rate, Seconds, StrictModel
from rpe.chaos.subject import ClientRequest
from rpe.fakes.behaviour import Behaviour

__all__ = ["Gate", "Load", "LoadPlan", "Ramp", "UserFile", "model_schema"]

Address = Annotated[str, Field(pattern=r"^[^\s,]+$", max_length=500)]

FLOOR_SHARE = 0.8
"""Which part of the promised operations must have been started, where a plan sets no floor."""


class Ramp(StrictModel):
    """A rate that rises (or falls) in a straight line to the `rate_per_s` of its load."""

    from_per_s: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]
    """The rate at the beginning."""
    over_s: PositiveSeconds
    """How long it takes to reach `rate_per_s`, in seconds from the beginning of the load."""


class Load(StrictModel):
    """One load: operations that start at their own times, however slow the answers are (an open loop)."""

    name: Name = "load"
    """The name of this load: what reports and gates call its operations."""
    kind: Literal["unary", "stream"]
    """`unary`: one request, one answer. `stream`: sessions of many chunks."""
    rate_per_s: Rate
    """Operations (or sessions) started per second, over all workers."""
    ramp: Ramp | None = None
    """How the rate is reached; without it, it is there at once."""
    arrivals: Literal["constant", "poisson"] = "constant"
    """`constant`: evenly spaced. `poisson`: independent users, drawn from the seed of the run."""
    input: Literal["speech", "recordings", "text"] = "text"
    """What is sent: recorded speech cut into pieces, whole recordings in turn, or lines of text."""
    chunk_ms: Annotated[float, Field(gt=0, le=60_000)] = 20
    """The length of one piece of speech, in milliseconds; for streams also the time between two chunks."""
    chunks: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """For streams: how many chunks a session sends."""
    repeatable: bool = True
    """Whether doing an operation twice is harmless; if not, the client must not."""
    start_s: Seconds = 0.0
    """When the load begins, in seconds from the start of the run."""
    stop_s: PositiveSeconds | None = None
    """When no more operations start; without it, the end of the run."""
    max_in_flight: Annotated[int, Field(ge=1, le=1_000_000)] = 1000
    """How many operations may run at a time, over all workers; what is due beyond that is missed."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.kind == "unary" and "chunks" in self.model_fields_set:
            raise ValueError("chunks is for streams; a unary operation sends one piece")
        if self.stop_s is not None and self.stop_s <= self.start_s:
            raise ValueError(f"stop_s ({self.stop_s:g}) must be later than start_s ({self.start_s:g})")
        return self

    @property
    def operation(self) -> Literal["execute", "stream"]:
        """What reports call an operation of this load."""
        return "execute" if self.kind == "unary" else "stream"

    def promised(self, duration_s: float) -> float:
        """Return how many operations this load starts in a run of that length, as far as rates tell."""
        lasts_s = min(self.stop_s or duration_s, duration_s) - self.start_s
        if self.ramp is None:
            return self.rate_per_s * max(lasts_s, 0.0)
        rising_s = min(self.ramp.over_s, lasts_s)
        reached = (
            self.ramp.from_per_s + (self.rate_per_s - self.ramp.from_per_s) * rising_s / self.ramp.over_s
        )
        return (self.ramp.from_per_s + reached) / 2 * rising_s + self.rate_per_s * max(
            lasts_s - rising_s, 0.0
        )


class UserFile(StrictModel):
    """Locust users of your own, in the place of `load`."""

    file: Annotated[str, Field(min_length=1)]
    """The locustfile, relative to the plan."""
    count: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many users there are, over all workers."""
    spawn_rate: Rate = 100.0
    """How many of them come each second."""
    classes: Items[str] = ()
    """Which classes of the file; without it, all."""


class Gate(StrictModel):
    """One measured value and the bounds that it has to keep for the run to pass."""

    measure: str
    """What is measured."""
    kind: Literal["execute", "stream", "open", "chunk", "attempt"] = "execute"
    """Of what: calls, sessions, their opening, their chunks, or attempts at single endpoints."""
    name: str | None = None
    """Only of this name: that of a load, or what your users call it."""
    during: Name = "run"
    """The window it is measured in: a fault, a window, or `run`, `before` and `after` (all faults)."""
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The lowest value that is good."""
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The highest value that is good."""
    equals: Annotated[float, Field(allow_inf_nan=False)] | None = None
    """The only value that is good."""
    from_s: Seconds | None = None
    """Leave out so much of the window's beginning, in seconds."""
    within_s: PositiveSeconds | None = None
    """Look no further than so long after the window's beginning, in seconds."""

    @property
    def bounds(self) -> Expectation:
        """The same, as a scenario would say it: it knows its wording, and whether a value is good."""
        return Expectation(
            measure=self.measure,
            during=self.during,
            at_least=self.at_least,
            at_most=self.at_most,
            equals=self.equals,
            from_s=self.from_s,
            within_s=self.within_s,
        )

    @property
    def title(self) -> str:
        """What is measured, of what and when, in one line."""
        measure, _, when = self.bounds.title.partition(" during ")
        return f"{measure} of {' '.join(filter(None, (self.kind, self.name)))} during {when}"


class LoadPlan(StrictModel):
    """A load test: servers, a load, faults with their times, and gates."""

    name: Name
    """The name of the test: lower case, hyphens."""
    proves: Annotated[str, Field(min_length=10)]
    """The promise that this test proves, in one sentence."""
    transport: str = "grpc"
    """The wire that servers and client speak."""
    servers: dict[Name, Behaviour] = Field(default={})
    """Fakes that are started for the run, by name, each with the script it follows; `{}` is an honest one."""
    endpoints: dict[Name, Address] = Field(default={})
    """Servers that run already, by name, in the place of `servers`."""
    manifest: Annotated[str | dict[str, Any], Field(repr=False)] = "echo"
    """The pipeline of `load`: a node type for a pipeline of that one node, or a whole manifest."""
    client: ClientRequest = ClientRequest()
    """How the client of `load` is set."""
    load: Items[Load] = ()
    """The loads, which run at the same time."""
    users: UserFile | None = None
    """Locust users of your own, in the place of `load`."""
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Locust processes that make the load, beside a master; 0: one process that is both."""
    duration_s: Annotated[int, Field(ge=1, le=86_400)]
    """How long operations are started, in whole seconds."""
    faults: Items[Fault] = ()
    """The faults, each with its time, counted from the beginning of the load."""
    windows: Items[Window] = ()
    """Further windows that gates can refer to."""
    gates: Items[Gate] = ()
    """What has to hold for the run to pass."""
    floor: Floor | None = None
    """The load to be met; without it, 80% of what the rates promise, or an operation a second of `users`."""

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if bool(self.servers) == bool(self.endpoints):
            raise ValueError("give one of servers and endpoints, to say what is loaded")
        if bool(self.load) == (self.users is not None):
            raise ValueError("give one of load and users, to say what is done")
        return self

    @property
    def pool(self) -> tuple[str, ...]:
        """The names of all servers, of either kind."""
        return tuple(self.servers or self.endpoints)

    @property
    def sources(self) -> int:
        """How many Locust processes make load."""
        return self.workers or 1

    @property
    def least(self) -> int:
        """How many operations must have been started for the run to say anything."""
        if self.floor is not None:
            return self.floor.operations
        promised = sum(load.promised(self.duration_s) for load in self.load)
        return max(1, int(promised * FLOOR_SHARE)) if self.load else self.duration_s

    @property
    def patience_s(self) -> int:
        """How long what runs at the end may take to end, in whole seconds."""
        return max(1, round(self.client.timeout_s + 0.5))


@cache
def model_schema() -> dict[str, Any]:
    """Return the JSON Schema of the model alone, made once; whoever changes it takes a copy."""
    return LoadPlan.model_json_schema()
