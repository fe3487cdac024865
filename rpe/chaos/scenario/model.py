"""The scenario file as a model: what a file may say, and in which terms. What its parts must
agree on with each other is told by `rpe.chaos.scenario.rules`."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from rpe.chaos.scenario.faults import After, Fault, Timed
from rpe.chaos.scenario.pools import Pool
from rpe.chaos.strict import Items, Name, PositiveSeconds, Rate, Seconds, StrictModel
from rpe.chaos.subject import ClientRequest
from rpe.fakes.behaviour import Behaviour

__all__ = [
    "After",
    "Allowance",
    "Behaviour",
    "Expectation",
    "Fault",
    "Floor",
    "Pool",
    "Scenario",
    "Window",
    "Workload",
    "model_schema",
]


class Workload(StrictModel):
    """The load: what is asked of the client, how often, and whether it may be done twice."""

    name: Name = "load"
    """The name of this load; the ids of its operations begin with it."""
    kind: Literal["unary", "stream"]
    """`unary`: one request, one answer. `stream`: sessions of many chunks."""
    rate_per_s: Rate | None = None
    """Operations (or sessions) started per second, however slow the answers are: an open loop."""
    sessions: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """For streams: so many sessions, all started at once. Takes the place of `rate_per_s`."""
    arrivals: Literal["constant", "poisson"] = "constant"
    """`constant`: evenly spaced. `poisson`: independent users, drawn from the seed of the run."""
    input: Literal["speech", "recordings", "text"] = "speech"
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

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.kind == "unary":
            if self.sessions is not None:
                raise ValueError("sessions is for streams; give a unary load its rate_per_s")
            if self.rate_per_s is None:
                raise ValueError("rate_per_s is missing: how many operations start per second?")
            if "chunks" in self.model_fields_set:
                raise ValueError("chunks is for streams; a unary operation sends one piece")
        elif (self.rate_per_s is None) == (self.sessions is None):
            raise ValueError("give one of rate_per_s and sessions, to say when the sessions start")
        if self.stop_s is not None and self.stop_s <= self.start_s:
            raise ValueError(f"stop_s ({self.stop_s:g}) must be later than start_s ({self.start_s:g})")
        return self


class Window(Timed):
    """A part of the run with a name, for expectations to refer to."""

    name: Name
    """The name of the window."""
    for_s: PositiveSeconds | None = None
    """How long it is open, in seconds; without it, to the end of the run."""


class Expectation(StrictModel):
    """One measured value and the bounds that it has to keep."""

    measure: str
    """What is measured."""
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
    workload: Name | None = None
    """Only operations of this load."""
    endpoint: Name | None = None
    """Only this server."""
    code: str | None = None
    """For `errors`: only errors with this code."""
    kind: str | None = None
    """For `errors`: only errors of this kind, such as `network` or `timeout`."""
    node: str | None = None
    """For `errors`: only errors in this node of the pipeline."""
    on_time_s: PositiveSeconds | None = None
    """For `chunks_on_time_ratio`: how soon after it was due a chunk must be answered, in seconds."""

    @property
    def title(self) -> str:
        """What is measured, where and when, in one line."""
        of = [
            str(value)
            for value in (self.endpoint, self.workload, self.code, self.kind, self.node)
            if value is not None
        ]
        part = [f"from {self.from_s:g} s"] if self.from_s is not None else []
        part += [f"within {self.within_s:g} s"] if self.within_s is not None else []
        return f"{self.measure}{' of ' + ', '.join(of) if of else ''} during {' '.join([self.during, *part])}"

    @property
    def wanted(self) -> str:
        """The bounds as text, such as `>= 0.99`."""
        bounds = (("=", self.equals), (">=", self.at_least), ("<=", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)

    def holds(self, value: float) -> bool:
        """Say whether a measured value keeps every bound."""
        return (
            (self.equals is None or value == self.equals)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
        )


class Floor(StrictModel):
    """The load below which a run says nothing, whatever it measured."""

    operations: Annotated[int, Field(ge=1)]
    """How many operations must have been started."""


class Allowance(StrictModel):
    """An always-on check that makes no sense for this scenario, and why."""

    check: str
    """The name of the check."""
    because: Annotated[str, Field(min_length=10)]
    """Why it is not applicable here, in a sentence that the report shows."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, dict | Workload) else value


class Scenario(StrictModel):
    """A scripted scenario: servers, a load, faults with their times, and what has to hold."""

    name: Name
    """The name of the scenario: lower case, hyphens, unique among all files."""
    proves: Annotated[str, Field(min_length=10)]
    """The promise that this scenario proves, in one sentence."""
    matrix: dict[str, Annotated[Items[Any], Field(min_length=1)]] = Field(default={})
    """The values to run it with, each combination a cell: `transport`, or a dotted path of this file."""
    servers: Annotated[dict[Name, Behaviour], Field(min_length=1)]
    """The servers by name, each with the script it follows; `{}` is an honest one."""
    pools: dict[Name, Pool] = Field(default={})
    """Who serves the remote nodes of a pipeline that runs in the client; each names its `pool`."""
    manifest: Annotated[str | dict[str, Any], Field(repr=False)] = "echo"
    """The pipeline: a node type for a pipeline of that one node, or a whole manifest."""
    client: ClientRequest = ClientRequest()
    """What is asked of the client under test."""
    workload: Annotated[Items[Workload], BeforeValidator(_as_list), Field(min_length=1)]
    """The load, or a list of loads that run at the same time."""
    duration_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
    """How long operations are started, in seconds."""
    faults: Annotated[Items[Fault], Field(min_length=1)]
    """The faults, each with its time. A scenario without any proves nothing."""
    windows: Items[Window] = ()
    """Further windows that expectations can refer to."""
    expect: Items[Expectation] = ()
    """What has to hold, beside what always has to."""
    floor: Floor | None = None
    """The load to be met; without it, 80% of what the rates promise."""
    allow: Items[Allowance] = ()
    """Always-on checks that are not applicable here, each with its reason."""
    deadline_slack_s: PositiveSeconds | None = None
    """How late an operation may end after its deadline; without it, the larger of 0.25 s and 10%."""


@cache
def model_schema() -> dict[str, Any]:
    """Return the JSON Schema of the model alone, made once; whoever changes it takes a copy."""
    return Scenario.model_json_schema()
