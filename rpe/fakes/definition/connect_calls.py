"""One call by the Connect protocol: which method it is for, in which form it comes, and its course."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from google.protobuf.descriptor_pb2 import MethodOptions

from rpe.clock import Clock
from rpe.fakes.definition.connect_answers import (
    Answers,
    EnvelopeAnswers,
    EventAnswers,
    UnaryAnswer,
    error_response,
)
from rpe.fakes.definition.connect_requests import (
    BodyRequest,
    Envelopes,
    QueryRequest,
    Requests,
    caller_metadata,
    check_version,
    timeout_s,
)
from rpe.fakes.definition.connect_wire import Codec
from rpe.fakes.definition.ending import CallEnded, Metadata
from rpe.fakes.definition.plan import MethodPlan

if TYPE_CHECKING:
    from aiohttp import web

    from rpe.fakes.definition.answering import MethodServer

__all__ = ["ConnectCalls"]

_LOG = logging.getLogger(__name__)
_CODECS = ("json", "proto")
_UNARY = "application/"
_STREAM = "application/connect+"
_EVENTS = "text/event-stream"


class _Refused(Exception):
    """A request that is no call, with the response that says so."""

    def __init__(self, response: web.Response) -> None:
        super().__init__()
        self.response = response


class ConnectCalls:
    """Answers requests by the methods that `find` knows at that moment."""

    def __init__(
        self, find: Callable[[str, str], MethodServer | None], max_message_bytes: int, clock: Clock
    ) -> None:
        self._find = find
        self._limit = max_message_bytes
        self._clock = clock

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer one request, whatever it is."""
        service, _, name = request.path.removeprefix("/").partition("/")
        method = self._find(service, name)
        if method is None:
            # The code that clients of the protocol read from this status where nothing else is said.
            return error_response(
                CallEnded("UNIMPLEMENTED", f"there is no method {service}/{name} here"), 404
            )
        try:
            requests, answers = self._form(request, service, method.plan)
        except _Refused as refused:
            return refused.response
        trailing: Metadata = ()
        ended: CallEnded | None = None
        try:
            trailing = await self._course(request, method, requests, answers)
        except CallEnded as error:
            ended, trailing = error, error.metadata
        except TimeoutError:
            ended = CallEnded("DEADLINE_EXCEEDED", "the time that connect-timeout-ms gives is over")
        except Exception:
            _LOG.exception("the fake failed in a call of %s/%s", service, name)
            ended = CallEnded("UNKNOWN", "the fake failed")
        return await answers.end(ended, trailing)

    async def _course(
        self, request: web.Request, method: MethodServer, requests: Requests, answers: Answers
    ) -> Metadata:
        check_version(request)
        limit_s = timeout_s(request)
        metadata = caller_metadata(request)
        async with self._clock.deadline(None if limit_s is None else self._clock.now() + limit_s):
            return await method.serve(metadata, requests.take, answers.send, answers.begin)

    def _form(self, request: web.Request, service: str, plan: MethodPlan) -> tuple[Requests, Answers]:
        """Return where the requests of a call come from and its answers go to. Raises _Refused."""
        if plan.kind == "server streaming" and _EVENTS in request.headers.get("accept", ""):
            return self._events(request, plan)
        if plan.kind != "unary":
            codec = self._posted(request, plan, _STREAM, ("POST",))
            single = plan.kind == "server streaming"
            envelopes = Envelopes(request, codec, self._limit, single=single)
            return envelopes, EnvelopeAnswers(request, codec)
        if request.method == "GET" and _has_no_side_effects(service, plan):
            codec = self._asked(request, plan)
            return QueryRequest(request, codec, self._limit), UnaryAnswer(codec)
        codec = self._posted(request, plan, _UNARY, _methods(service, plan))
        return BodyRequest(request, codec, self._limit), UnaryAnswer(codec)

    def _events(self, request: web.Request, plan: MethodPlan) -> tuple[Requests, Answers]:
        # An EventSource of a browser can do nothing but GET, so that is taken whatever the method does.
        if request.method == "GET":
            codec = self._asked(request, plan, "json")
            source: Requests = QueryRequest(request, codec, self._limit, default="{}")
        else:
            codec = self._posted(request, plan, _UNARY, ("GET", "POST"))
            source = BodyRequest(request, codec, self._limit)
        return source, EventAnswers(request, _codec("json", plan))

    @staticmethod
    def _posted(request: web.Request, plan: MethodPlan, prefix: str, methods: tuple[str, ...]) -> Codec:
        """Return the codec of a request that has a body."""
        if request.method != "POST":
            told = CallEnded("UNKNOWN", f"this method is called by {' or '.join(methods)}")
            raise _Refused(error_response(told, 405, allow=", ".join(methods)))
        accepted = [prefix + name for name in _CODECS]
        if request.content_type not in accepted:
            text = f"this method is {plan.kind}: its content-type is {' or '.join(accepted)}"
            raise _Refused(error_response(CallEnded("UNKNOWN", text), 415, accept_post=", ".join(accepted)))
        return _codec(request.content_type.removeprefix(prefix), plan)

    @staticmethod
    def _asked(request: web.Request, plan: MethodPlan, default: str = "") -> Codec:
        """Return the codec of a request that is all in its query."""
        name = request.query.get("encoding", default)
        if name not in _CODECS:
            text = f"the query needs an encoding, which is {' or '.join(_CODECS)}"
            raise _Refused(error_response(CallEnded("UNKNOWN", text), 415))
        return _codec(name, plan)


def _codec(name: str, plan: MethodPlan) -> Codec:
    return Codec(name, plan.request, plan.response)


def _methods(service: str, plan: MethodPlan) -> tuple[str, ...]:
    return ("GET", "POST") if _has_no_side_effects(service, plan) else ("POST",)


def _has_no_side_effects(service: str, plan: MethodPlan) -> bool:
    """Say whether the contract of a method has `option idempotency_level = NO_SIDE_EFFECTS`."""
    pool = plan.request.DESCRIPTOR.file.pool
    options = pool.FindServiceByName(service).methods_by_name[plan.name].GetOptions()
    return options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
