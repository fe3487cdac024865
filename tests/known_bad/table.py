"""Which known-bad client goes red where, and by which check: the suite's own test."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

from rpe.chaos.subject import load_subject

__all__ = ["BUGS", "MODULE", "Bug", "rows"]

MODULE = "tests.known_bad.clients"


@dataclass(frozen=True)
class Bug:
    """One known-bad client, the scenario that was made for it, and the check that must fail there.

    `also` are further scenarios that it goes red in, with the check that says so.
    """

    client: str
    scenario: str
    check: str
    also: dict[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The client, as `--client` takes it."""
        return f"{MODULE}:{self.client}"

    @property
    def told(self) -> tuple[str, str]:
        """What is wrong with the client, and what the field reports of that: its docstring's paragraphs."""
        defect, _, field_report = (inspect.getdoc(load_subject(self.subject)) or "").partition("\n\n")
        return " ".join(defect.split()), " ".join(field_report.split())


BUGS: tuple[Bug, ...] = (
    # the choice of an endpoint
    Bug(
        "first_endpoint_only",
        "slow-primary",
        "expect success_ratio during run",
        also={"fair-shares": "expect share of a during run"},
    ),
    Bug(
        "skips_to_the_neighbour",
        "neighbour-of-a-dead-one",
        "expect share of c during dead from 0.6 s",
    ),
    Bug(
        "ignores_health_checks",
        "probe-routes-around",
        "expect attempts of a during unwell from 1.2 s",
    ),
    Bug("everything_ejected", "everything-open", "progress"),
    Bug("prefers_the_idle", "fast-refusals", "expect attempts of a during refusing"),
    # breakers
    Bug("breaker_never_opens", "opens-and-recovers", "expect attempts of a during failing"),
    Bug("stuck_half_open", "probe-hangs", "expect breaker_closed of a during after"),
    Bug(
        "never_tried_again",
        "opens-and-recovers",
        "expect share of a during after from 1.2 s",
        also={
            "primary-dies": "expect share of a during after from 1.5 s",
            "flapping-slow": "expect share of a during flapping",
        },
    ),
    Bug("timeouts_never_count", "hang-is-not-fatal", "expect attempts of a during hanging from 1.2 s"),
    Bug("opens_for_caller_errors", "wrong-token", "expect breaker_opened during run"),
    Bug("probe_stampede", "probe-hangs", "breaker"),
    Bug("health_checks_close_breakers", "opens-and-recovers", "expect attempts of a during failing"),
    Bug("cut_sessions_count_as_success", "cutter-is-left", "expect attempts of a during cutting"),
    # retries
    Bug("retries_the_same", "pipeline-fails", "expect success_ratio during run"),
    Bug(
        "gives_up_at_once",
        "intermittent-errors",
        "expect success_ratio during unreliable",
        also={
            "limit-data": "expect success_ratio during run",
            "rolling-restart": "expect failures during run",
            "goaway": "expect failures during run",
            "flapping-at-random": "expect success_ratio during run",
            "flapping-fast": "expect success_ratio during run",
            "connection-resets": "expect success_ratio during run",
        },
    ),
    Bug(
        "no_retry_budget",
        "total-outage-budget",
        "budget",
        also={"all-die-and-come-back": "expect attempts_per_operation during outage"},
    ),
    Bug("layers_multiply", "total-outage-budget", "expect attempts_per_operation during outage from 0.5 s"),
    Bug(
        "repeats_what_must_not_be",
        "answers-lost",
        "outcome_known",
        also={"not-done-twice": "expect executions_per_operation_max during run"},
    ),
    Bug("denies_what_was_done", "answers-lost", "outcome_known"),
    Bug("retries_authentication", "wrong-token", "expect attempts_per_operation during rotated"),
    Bug("ignores_pushback", "retry-after-pushback", "expect attempts of a during overloaded"),
    Bug("pushback_stops_the_pool", "retry-after-pushback", "expect latency_p99_s during overloaded"),
    # deadlines
    Bug("deadline_restarts", "timeouts-shrink", "expect sent_deadline_falls during hanging"),
    Bug(
        "one_slow_attempt_eats_all",
        "hang-is-not-fatal",
        "expect success_ratio during run",
        also={
            "bandwidth-squeeze": "expect latency_p99_s during squeeze",
            "paused-server": "expect latency_p99_s during frozen",
            "blackhole-open-connection": "expect latency_p99_s during hole",
            "both-ways": "expect success_ratio during run",
        },
    ),
    Bug("never_ends", "hang-is-not-fatal", "deadline", also={"one-way": "expect success_ratio during run"}),
    Bug(
        "impatient",
        "tiny-packets",
        "expect failures during run",
        also={"jitter": "expect failures during run", "latency-ramp": "expect failures during run"},
    ),
    Bug("one_call_blocks_all", "hang-is-not-fatal", "expect latency_p50_s during hanging"),
    # answers and sessions
    Bug("does_not_validate", "corrupted-answers", "answer"),
    Bug("mixes_up_answers", "slow-primary", "answer"),
    Bug("swallows_cuts", "cut-in-the-middle", "answer"),
    Bug(
        "replays_sessions",
        "cut-in-the-middle",
        "expect duplicates during run",
        also={"sessions-move": "expect duplicates during run"},
    ),
    Bug("moves_without_replay", "sessions-move", "answer"),
    Bug("reorders_answers", "on-time", "answer", also={"slow-drip": "answer"}),
    # pipelines that run in the client
    Bug("keeps_its_first_token", "token-and-version-rotate", "expect failures during run"),
    Bug(
        "blames_the_first_node",
        "second-of-three-fails",
        "expect errors of hear during run",
        also={"slow-third-of-three": "expect errors of hear during run"},
    ),
    Bug("never_falls_back", "pool-after-pool", "expect failures during run"),
    Bug(
        "pipeline_tries_once",
        "local-vad-remote-tts",
        "expect failures during run",
        also={
            "several-endpoints": "expect failures during run",
            "across-organisations": "expect failures during run",
        },
    ),
    # what is left behind
    Bug("leaks_tasks", "jitter", "leaks"),
    Bug("leaks_sockets", "intermittent-errors", "leaks"),
    Bug("in_flight_never_returns", "intermittent-errors", "in_flight"),
    Bug("close_fails", "pipeline-fails", "contract"),
)


def rows() -> list[tuple[Bug, str, str]]:
    """Return every cell that must go red: the client, the scenario, and the check that must fail."""
    return [
        (bug, scenario, check)
        for bug in BUGS
        for scenario, check in {bug.scenario: bug.check, **bug.also}.items()
    ]
