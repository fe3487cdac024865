"""The known-bad clients, each by the name of its defect: `rpe run --client tests.known_bad.clients:NAME`.

`base` is the client that all of them are made from, without a defect.
"""

from __future__ import annotations

from rpe.chaos.subject import Subject, SubjectContext, SubjectFactory
from tests.known_bad import (
    bad_answers,
    bad_breakers,
    bad_choice,
    bad_deadlines,
    bad_leaks,
    bad_pipelines,
    bad_retries,
    bad_streams,
)
from tests.known_bad.base import BaseClient

__all__ = [
    "base",
    "blames_the_first_node",
    "breaker_never_opens",
    "close_fails",
    "cut_sessions_count_as_success",
    "deadline_restarts",
    "denies_what_was_done",
    "does_not_validate",
    "everything_ejected",
    "first_endpoint_only",
    "gives_up_at_once",
    "health_checks_close_breakers",
    "ignores_health_checks",
    "ignores_pushback",
    "impatient",
    "in_flight_never_returns",
    "keeps_its_first_token",
    "layers_multiply",
    "leaks_sockets",
    "leaks_tasks",
    "mixes_up_answers",
    "moves_without_replay",
    "never_ends",
    "never_falls_back",
    "never_tried_again",
    "no_retry_budget",
    "one_call_blocks_all",
    "one_slow_attempt_eats_all",
    "opens_for_caller_errors",
    "pipeline_tries_once",
    "prefers_the_idle",
    "probe_stampede",
    "pushback_stops_the_pool",
    "reorders_answers",
    "repeats_what_must_not_be",
    "replays_sessions",
    "retries_authentication",
    "retries_the_same",
    "skips_to_the_neighbour",
    "stuck_half_open",
    "swallows_cuts",
    "timeouts_never_count",
]


def _subject(kind: type[BaseClient]) -> SubjectFactory:
    async def create(context: SubjectContext) -> BaseClient:
        return kind(context)

    create.__doc__ = kind.__doc__
    return create


async def base(context: SubjectContext) -> Subject:
    """Make the client without a defect.

    A pipeline that runs in the client is run by this project's own runner: a second one would have to
    speak every wire.
    """
    return await bad_pipelines.run_pipeline(context) if context.pipeline else BaseClient(context)


first_endpoint_only = _subject(bad_choice.FirstEndpointOnly)
skips_to_the_neighbour = _subject(bad_choice.SkipsToTheNeighbour)
ignores_health_checks = _subject(bad_choice.IgnoresHealthChecks)
everything_ejected = _subject(bad_choice.EverythingEjected)
prefers_the_idle = _subject(bad_choice.PrefersTheIdle)

breaker_never_opens = _subject(bad_breakers.BreakerNeverOpens)
stuck_half_open = _subject(bad_breakers.StuckHalfOpen)
never_tried_again = _subject(bad_breakers.NeverTriedAgain)
timeouts_never_count = _subject(bad_breakers.TimeoutsNeverCount)
opens_for_caller_errors = _subject(bad_breakers.OpensForCallerErrors)
probe_stampede = _subject(bad_breakers.ProbeStampede)
health_checks_close_breakers = _subject(bad_breakers.HealthChecksCloseBreakers)
cut_sessions_count_as_success = _subject(bad_breakers.CutSessionsCountAsSuccess)

retries_the_same = _subject(bad_retries.RetriesTheSame)
gives_up_at_once = _subject(bad_retries.GivesUpAtOnce)
no_retry_budget = _subject(bad_retries.NoRetryBudget)
layers_multiply = _subject(bad_retries.LayersMultiply)
repeats_what_must_not_be = _subject(bad_retries.RepeatsWhatMustNotBe)
denies_what_was_done = _subject(bad_retries.DeniesWhatWasDone)
retries_authentication = _subject(bad_retries.RetriesAuthentication)
ignores_pushback = _subject(bad_retries.IgnoresPushback)
pushback_stops_the_pool = _subject(bad_retries.PushbackStopsThePool)

deadline_restarts = _subject(bad_deadlines.DeadlineRestarts)
one_slow_attempt_eats_all = _subject(bad_deadlines.OneSlowAttemptEatsAll)
impatient = _subject(bad_deadlines.Impatient)
never_ends = _subject(bad_deadlines.NeverEnds)
one_call_blocks_all = _subject(bad_deadlines.OneCallBlocksAll)

does_not_validate = _subject(bad_answers.DoesNotValidate)
mixes_up_answers = _subject(bad_answers.MixesUpAnswers)
swallows_cuts = _subject(bad_streams.SwallowsCuts)
replays_sessions = _subject(bad_streams.ReplaysSessions)
moves_without_replay = _subject(bad_streams.MovesWithoutReplay)
reorders_answers = _subject(bad_streams.ReordersAnswers)

keeps_its_first_token = bad_pipelines.keeps_its_first_token
blames_the_first_node = bad_pipelines.blames_the_first_node
never_falls_back = bad_pipelines.never_falls_back
pipeline_tries_once = bad_pipelines.pipeline_tries_once

leaks_tasks = _subject(bad_leaks.LeaksTasks)
leaks_sockets = _subject(bad_leaks.LeaksSockets)
in_flight_never_returns = _subject(bad_leaks.InFlightNeverReturns)
close_fails = _subject(bad_leaks.CloseFails)
