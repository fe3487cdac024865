"""Clients that are careless with the time of their callers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from rpe.chaos.subject import SubjectContext, SubjectOperation
from rpe.data import RuntimeData
from tests.known_bad.base import BaseClient
from tests.known_bad.pool import Endpoint

__all__ = ["DeadlineRestarts", "Impatient", "NeverEnds", "OneCallBlocksAll", "OneSlowAttemptEatsAll"]


class DeadlineRestarts(BaseClient):
    """Its deadline belongs to the attempt: each retry gets the whole of it again.

    Callers who asked for one deadline waited for several: googleapis/gax-java#561,
    googleapis/java-bigtable-hbase#1858, googleapis/google-cloud-rust#2307.
    """

    def left_s(self, operation: SubjectOperation, started_s: float) -> float:
        return operation.timeout_s


class OneSlowAttemptEatsAll(BaseClient):
    """Its first attempt may take the whole deadline, so the retry that would have saved the call never
    starts.

    Retries were configured, and could not help against a server that just does not answer:
    bcgov/bcdata_py#243, yandex-cloud/yandex-ai-studio-sdk#235.
    """

    def limit_s(self, operation: SubjectOperation, left_s: float, tried: int) -> float | None:
        return left_s


class NeverEnds(BaseClient):
    """It sends its requests without a deadline, and waits for as long as it takes.

    Calls to a server that had dropped off the network hung for a quarter of an hour without an error:
    Alluxio/alluxio#14110, grpc/grpc#15889.
    """

    def limit_s(self, operation: SubjectOperation, left_s: float, tried: int) -> float | None:
        return None


class OneCallBlocksAll(BaseClient):
    """It shares one connection under one lock: while a call waits for its answer, all others wait for the
    call.

    A lock held across the network call made each call wait for all the others: actions/scaleset#104,
    uw-ictd/dAuth#47.
    """

    def __init__(self, context: SubjectContext) -> None:
        super().__init__(context)
        self._lock = asyncio.Lock()

    async def attempt(
        self, endpoint: Endpoint, operation: SubjectOperation, number: int, limit_s: float | None
    ) -> Mapping[str, RuntimeData]:
        async with self._lock:
            return await super().attempt(endpoint, operation, number, limit_s)


class Impatient(BaseClient):
    """It gives every attempt a few milliseconds of its own choosing, whatever the caller's deadline is.

    Timeouts written into the code were too short for slow links, on which nothing worked any more:
    observeinc/entity-explorer#44, zjs81/meshcore-open#4.
    """

    def limit_s(self, operation: SubjectOperation, left_s: float, tried: int) -> float | None:
        return min(0.015, left_s)
