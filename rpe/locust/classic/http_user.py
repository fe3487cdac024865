"""A plain HTTP user, on Locust's FastHttpUser: one POST per call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import count
from typing import ClassVar

from locust import FastHttpUser
from locust.env import Environment

from rpe.data import RuntimeData
from rpe.errors import RpeError
from rpe.load.messages import brief
from rpe.locust.classic.reporting import endpoint_of
from rpe.manifest.model import Manifest
from rpe.wire.json import decode_output, encode_execute_request

__all__ = ["HttpUser"]

_NUMBERS = count()


class HttpUser(FastHttpUser):
    """Calls pipelines at one endpoint by `POST /execute`, with no retry and no pool.

    What is set on the class:
        host: the address. Locust's `--host`, and after it the environment variable `RPE_ENDPOINTS`,
            take its place; `http://` is put before one that has no scheme. Of several, separated
            by commas, each user has one, in turn.
        timeout_s: how long a call may take, in seconds.
        headers: sent with each call.
    """

    abstract = True

    timeout_s: ClassVar[float] = 10.0
    headers: ClassVar[Sequence[tuple[str, str]]] = ()

    def __init__(self, environment: Environment) -> None:
        given = environment.host or os.environ.get("RPE_ENDPOINTS") or self.host
        endpoint = endpoint_of(given, next(_NUMBERS))
        if endpoint is not None:
            self.host = endpoint if "://" in endpoint else f"http://{endpoint}"
        self.network_timeout = self.connection_timeout = self.timeout_s
        super().__init__(environment)

    def execute(
        self, manifest: Manifest, data: RuntimeData, *, name: str | None = None
    ) -> RuntimeData | None:
        """Call a pipeline once and return its output; None where the call failed. Locust reports it as POST.

        Arguments are those of `rpe.locust.PipelineUser.execute`.
        """
        with self.client.post(
            "/execute",
            data=encode_execute_request(manifest, data).decode(),
            headers={"content-type": "application/json", **dict(self.headers)},
            name=name or manifest.name or manifest.entry,
            catch_response=True,
        ) as response:
            if response.status_code != 200:
                response.failure(f"HTTP {response.status_code}")
                return None
            try:
                return decode_output(response.content or b"").data
            except RpeError as error:
                response.failure(brief(error))
                return None
