"""Clients that try again when they must not, not when they should, or at the wrong place."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rpe.chaos.subject import SubjectContext, SubjectOperation
from rpe.data import RuntimeData
from rpe.errors import AuthenticationFailed, RemoteOverloaded, RpeError
from tests.known_bad.base import BaseClient
from tests.known_bad.pool import Endpoint
from tests.known_bad.wire import Wire

__all__ = [
    "DeniesWhatWasDone",
    "GivesUpAtOnce",
    "IgnoresPushback",
    "LayersMultiply",
    "NoRetryBudget",
    "PushbackStopsThePool",
    "RepeatsWhatMustNotBe",
    "RetriesAuthentication",
    "RetriesTheSame",
]


class RetriesTheSame(BaseClient):
    """It goes back to the endpoint that has just failed, while its neighbours are idle.

    The choice does not know what was tried, and picks the one that has just failed: envoyproxy/envoy#2259,
    uber/tchannel-go#182.
    """

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint:
        return tried[-1] if tried else super().pick(tried)


class GivesUpAtOnce(BaseClient):
    """It never tries a second time, although a neighbour could have answered.

    Users write loops and balancing of their own around clients that pass every passing error on:
    grpc/grpc-node#1020.
    """

    def again(
        self,
        operation: SubjectOperation,
        error: RpeError,
        tried: Sequence[Endpoint],
        pause_s: float,
        started_s: float,
    ) -> bool:
        return False


class NoRetryBudget(BaseClient):
    """Each call retries on its own account, so a total outage multiplies the load by the number of tries.

    Each caller's own tries add up to a storm on a service that is down already: apache/opendal#7376,
    open-telemetry/opentelemetry-collector#12699, resilience4j/resilience4j#172.
    """

    def spend(self) -> bool:
        return True


class LayersMultiply(BaseClient):
    """The transport below it retries as well, so four tries times four are sixteen.

    Nobody counts what a lower layer does; twelve requests for four were found on the wire, and forty-five
    for one: HKUDS/nanobot#2760, mpfaffenberger/code_puppy#317, livekit/agents#5335.
    """

    def __init__(self, context: SubjectContext) -> None:
        super().__init__(context)
        policy = {
            "maxAttempts": 4,
            "initialBackoff": "0.005s",
            "maxBackoff": "0.01s",
            "backoffMultiplier": 1,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
        for endpoint in self.endpoints:
            endpoint.wire = Wire(endpoint.address, ("grpc.service_config", config))


class RepeatsWhatMustNotBe(BaseClient):
    """It takes a broken connection for proof that nothing was done, and does it again.

    Work was done twice because an answer was lost and not the request: apify/apify-client-python#990,
    softonic/axios-retry#66, keycloak/keycloak#52978.
    """

    def repeatable(self, operation: SubjectOperation) -> bool:
        return True


class DeniesWhatWasDone(BaseClient):
    """It reports a call whose answer was lost as one that never happened.

    A commit whose answer was lost was taken for a failed one, and what it had written was cleaned away:
    apache/polaris#5263.
    """

    async def execute(self, operation: SubjectOperation) -> Mapping[str, RuntimeData]:
        try:
            return await super().execute(operation)
        except RpeError as error:
            error.maybe_executed = False
            raise


class RetriesAuthentication(BaseClient):
    """It sends a refused token again, to every server.

    Each wrong password was counted three times, which locks accounts: DataZooDE/erpl-web#84,
    dotnet/arcade-services#1012.
    """

    def retryable(self, error: RpeError) -> bool:
        return isinstance(error, AuthenticationFailed) or super().retryable(error)


class IgnoresPushback(BaseClient):
    """A server that asks for a pause gets the next call at once.

    A server asked for thirty seconds and got three more tries within four: DouglasdeMoura/chroncal#105.
    """

    def rest(self, endpoint: Endpoint, pause_s: float) -> None:
        pass


class PushbackStopsThePool(BaseClient):
    """It obeys one server's request for a pause by waiting, although the others are free.

    A hint of an hour was slept through, with the caller blocked: safe-global/safe-eth-py#1171,
    hashicorp/go-retryablehttp#283.
    """

    def pause_s(self, tried: Sequence[Endpoint], error: RpeError) -> float:
        if isinstance(error, RemoteOverloaded) and error.retry_after_s is not None:
            return error.retry_after_s
        return super().pause_s(tried, error)
