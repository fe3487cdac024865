"""Clients that hand something over which is not the answer."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Mapping

from rpe.chaos.subject import SubjectContext, SubjectOperation
from rpe.data import RuntimeData
from rpe.errors import RemoteTimeout
from rpe.wire.generated.remotemedia.v1.common_pb2 import (
    AUDIO_FORMAT_F32,
    AUDIO_FORMAT_I16,
    AUDIO_FORMAT_I32,
    DataBuffer,
)
from tests.known_bad.base import BaseClient
from tests.known_bad.pool import Endpoint

__all__ = ["DoesNotValidate", "MixesUpAnswers"]

BYTES_PER_SAMPLE = {AUDIO_FORMAT_I16: 2, AUDIO_FORMAT_I32: 4, AUDIO_FORMAT_F32: 4}


class DoesNotValidate(BaseClient):
    """It believes what an answer says of itself, and fills up what is missing with silence.

    Bodies shorter than they said they were came out as complete, and were saved: psf/requests#4956,
    owncloud/client#2528.
    """

    def read(self, buffer: DataBuffer) -> RuntimeData:
        audio = buffer.audio
        missing = audio.num_samples * BYTES_PER_SAMPLE.get(audio.format, 0) - len(audio.samples)
        if missing > 0:
            audio.samples += bytes(missing)
        return super().read(buffer)


class MixesUpAnswers(BaseClient):
    """It matches answers to requests by their order, and forgets that a call it gave up on is still to be
    answered.

    A cancelled command left its answer in the connection for the next caller to read, which once showed
    users the data of others: redis/redis-py#2624, redis/redis-py#2665.
    """

    def __init__(self, context: SubjectContext) -> None:
        super().__init__(context)
        self._unread: dict[str, deque[asyncio.Task[Mapping[str, RuntimeData]]]] = defaultdict(deque)

    async def call(
        self, endpoint: Endpoint, operation: SubjectOperation, number: int, limit_s: float | None
    ) -> Mapping[str, RuntimeData]:
        pipe = self._unread[endpoint.name]
        pipe.append(asyncio.create_task(super().call(endpoint, operation, number, operation.timeout_s)))
        next_answer = pipe.popleft()
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.shield(next_answer)
        except TimeoutError:
            pipe.appendleft(next_answer)
            raise RemoteTimeout("no answer within the deadline") from None

    async def close(self) -> None:
        left = [task for pipe in self._unread.values() for task in pipe]
        self._unread.clear()
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await super().close()
