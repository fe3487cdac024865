"""Answering the calls of one method, on whatever wire they come: each is noted, whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message

from rpe.clock import Clock
from rpe.fakes.definition.calls import Call, CallJournal
from rpe.fakes.definition.conversation import Conversation
from rpe.fakes.definition.details import Status
from rpe.fakes.definition.ending import Begin, CallEnded, Metadata, Send, Take
from rpe.fakes.definition.functions import CallInfo, FunctionFailed
from rpe.fakes.definition.parts import AnswerPlan, MethodPlan, Thens
from rpe.fakes.definition.scenarios import Scenarios

if TYPE_CHECKING:
    import grpc

__all__ = ["MethodServer"]


class MethodServer:
    """Serves one method by its rules. Which answer of a sequence is next is kept here.

    Arguments:
        service, plan: the full name of the service, and the method.
        journal: where its calls are noted; shared by all methods of a fake.
        clock: what delays are waited by.
        seed: what drawn delays come from; the draws of a call depend on its number alone.
        scenarios: the states of the fake's scenarios; those of its journal where they are left out.
    """

    def __init__(
        self,
        service: str,
        plan: MethodPlan,
        journal: CallJournal,
        clock: Clock,
        *,
        seed: int = 0,
        scenarios: Scenarios | None = None,
    ) -> None:
        self.clock = clock
        self.seed = seed
        self.keeps = journal.keeps
        self.scenarios = journal.scenarios if scenarios is None else scenarios
        self.scenarios.know(plan.scenarios)
        self._service = service
        self._plan = plan
        self._journal = journal
        self._given = [0] * len(plan.rules)

    @property
    def plan(self) -> MethodPlan:
        """The method that is served."""
        return self._plan

    def reset(self) -> None:
        """Begin every sequence anew."""
        self._given = [0] * len(self._plan.rules)

    def handler(self) -> grpc.RpcMethodHandler[Any, Any]:
        """Return the handler that gRPC serves the method with."""
        from rpe.fakes.definition.grpc_handlers import grpc_handler

        return grpc_handler(self)

    async def serve(
        self,
        metadata: Iterable[tuple[str, str | bytes]],
        take: Take,
        send: Send,
        begin: Begin | None = None,
    ) -> Metadata:
        """Answer one call, on whatever wire it came, and note it in the journal.

        Arguments:
            metadata: what the caller sent with the call; keys in lower case.
            take: takes the bytes of the next request, None at the end of the caller's stream.
            send: sends one answer. A unary answer and that of a client stream are sent once.
            begin: sends the metadata of the answer, before its first message, where there is any.

        Returns the trailing metadata of a call that ends with OK. Raises CallEnded where it ends
        with another status. Whatever this raises, cancellation too, is in the journal then.
        """
        call = self._journal.begin(self._service, self._plan.name, metadata)
        conversation = Conversation(self, call, CallInfo(call, self.scenarios, self.seed), take, send, begin)
        try:
            await conversation.run()
        except CallEnded as ended:
            raise self._noted(call, ended, conversation.trailing) from ended.__cause__
        except Status as status:
            raise self._noted(call, self._ended(call, status), conversation.trailing) from status
        except FunctionFailed as failed:
            call.error = failed.error
            internal = CallEnded("INTERNAL", f"rpe fake: {failed}")
            raise self._noted(call, internal, conversation.trailing) from failed.error
        except asyncio.CancelledError:
            self._journal.end(call, "CANCELLED", "the caller gave up, or the fake was stopped")
            raise
        except Exception as error:
            self._journal.end(call, "UNKNOWN", str(error))
            raise
        self._journal.end(call, "OK")
        return conversation.trailing

    def choose(self, call: Call, requests: list[Message], info: CallInfo) -> AnswerPlan:
        """Return the answer of the first rule that fits. Raises CallEnded with what each rule misses."""
        misses = []
        for at, rule in enumerate(self._plan.rules):
            missed = rule.matcher.miss(requests, call.metadata, call.number, info)
            if missed is None:
                call.rule = at
                given = self._given[at]
                self._given[at] += 1
                self.follow(rule.then)
                return rule.answers[min(given, len(rule.answers) - 1)]
            misses.append(f"rule {at}: {missed}")
        name = f"{self._service}/{self._plan.name}"
        if not misses:
            raise CallEnded("UNIMPLEMENTED", f"rpe fake: {name} has no rules")
        raise CallEnded("UNIMPLEMENTED", f"rpe fake: no rule of {name} fits this call; {'; '.join(misses)}")

    def follow(self, then: Thens) -> None:
        """Put scenarios into the states that a rule leads to."""
        for name, state in then:
            self.scenarios.set(name, state)

    def _ended(self, call: Call, status: Status) -> CallEnded:
        try:
            return status.ended(self._plan.contract)
        except ValueError as error:
            call.error = error
            return CallEnded("INTERNAL", f"rpe fake: a function raised a Status that cannot be sent: {error}")

    def _noted(self, call: Call, ended: CallEnded, trailing: Metadata) -> CallEnded:
        """Note the end of a call. Returns it, with the trailing metadata of the answer."""
        if trailing:
            ended.metadata = (*trailing, *ended.metadata)
        self._journal.end(call, ended.code, ended.text)
        return ended
