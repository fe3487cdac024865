"""One session of StreamPipeline, as the checks hold it."""

from __future__ import annotations

from rpe.data import RuntimeData, Text
from rpe.testing.fidelity.grpc.calls import OK, GrpcCall, parse
from rpe.testing.fidelity.grpc.http2 import Http2
from rpe.testing.fidelity.grpc.messages import STREAM, chunk, control, init, read_outputs
from rpe.testing.fidelity.model import Violation
from rpe.testing.fidelity.samples import check_same, only_output
from rpe.wire.generated.remotemedia.v1 import streaming_pb2

__all__ = ["Session", "told"]


class Session:
    """A session that the server has said `ready` to."""

    def __init__(self, call: GrpcCall) -> None:
        self.call = call

    @classmethod
    async def open(cls, connection: Http2, *, timeout: str = "") -> Session:
        """Open a session. Raises Violation where it is not answered by `ready` and an id."""
        session = cls(await GrpcCall.start(connection, STREAM, timeout=timeout))
        await session.call.send(init(connection.target.node_type))
        response = await session.read()
        if response is None:
            await session.fail_by_status("ready")
        elif response.WhichOneof("response") != "ready":
            raise Violation(f"init was answered by {told(response)}")
        elif not response.ready.session_id:
            raise Violation("ready has no session_id")
        return session

    async def read(self) -> streaming_pb2.StreamResponse | None:
        """Return the next response that is no metrics, None behind the last one."""
        while True:
            payload = await self.call.read()
            if payload is None:
                return None
            response = parse(streaming_pb2.StreamResponse, payload)
            if response.WhichOneof("response") != "metrics":  # which come unasked
                return response

    async def result(self) -> tuple[int, RuntimeData]:
        """Return the sequence and the one output of the next response. Raises Violation for anything else."""
        response = await self.read()
        if response is None:
            await self.fail_by_status("a result")
        if response is None or response.WhichOneof("response") != "result":
            raise Violation(f"a chunk was answered by {told(response)}")
        return response.result.sequence, only_output(read_outputs(response.result.data_outputs))

    async def exchange(self, sequence: int) -> None:
        """Send one chunk, and check that it comes back under its number."""
        await self.call.send(chunk(sequence))
        came, data = await self.result()
        if came != sequence:
            raise Violation(f"chunk {sequence} was answered under the number {came}")
        check_same(Text(f"chunk {sequence}"), data, f"chunk {sequence}")

    async def close(self) -> None:
        """Send COMMAND_CLOSE, and check that it ends well."""
        await self.call.send(control("COMMAND_CLOSE"), end=True)
        await self.check_closed()

    async def check_closed(self) -> None:
        """Check that `closed` comes next, and then the status OK and nothing else."""
        response = await self.read()
        if response is None:
            await self.fail_by_status("closed")
        if response is None or response.WhichOneof("response") != "closed":
            raise Violation(f"{told(response)} came where closed was due")
        answer = await self.call.finish()
        if answer.messages:
            raise Violation(f"{len(answer.messages)} messages came after closed")
        if answer.status != OK:
            raise Violation(f"after closed, the session ended with {answer.told}")

    async def fail_by_status(self, due: str) -> None:
        """Raises Violation for a stream that ended where something else was due."""
        answer = await self.call.finish()
        raise Violation(f"the session ended with {answer.told} where {due} was due")


def told(response: streaming_pb2.StreamResponse | None) -> str:
    """Return what a response is, for what was seen."""
    kind = None if response is None else response.WhichOneof("response")
    if response is not None and kind == "error":
        return f"the error {response.error.message!r}"
    return kind or "an empty response"
