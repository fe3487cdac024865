"""A pipeline on A whose node is a pipeline on B whose node is a pipeline on C: whose fault was it?"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest

import rpe
from rpe.data import Text
from rpe.errors import ErrorKind, HopLimitExceeded, RemoteExecutionFailed, RpeError
from rpe.manifest.model import Manifest, Node
from rpe.node import NodeFailed, PipelineRunner
from rpe.node.remote.options import RemoteOptions
from rpe.node.serving import ServedPipelines, serve_pipelines
from rpe.transport.registry import get_transport
from tests.support.served import chain, registry

MIXES = [("grpc", "http", "webrtc"), ("http", "webrtc", "grpc"), ("webrtc", "grpc", "http")]
UPPER = chain("UpperCase")
WITH_TOKEN = {"auth_token": "of-c"}


def calling(
    server: ServedPipelines, manifest: Manifest, node: str, *, streaming: bool = False, **params: Any
) -> Manifest:
    """A pipeline of one node, which stands for `manifest` on that server."""
    once = {"max_retries": 0}
    params = {"transport": server.transport, "endpoint": server.endpoint, "retry": once, **params}
    params |= {"manifest": manifest.to_dict(), "check_node_types": False}
    return Manifest(nodes=(Node(node, "RemotePipelineNode", params, is_streaming=streaming),))


@dataclass
class Three:
    """Three servers, on three wires."""

    a: ServedPipelines
    b: ServedPipelines
    c: ServedPipelines
    stops: dict[str, AsyncExitStack]

    def manifest(self, at_c: Manifest = UPPER, *, to_b: Any = None, to_c: Any = None) -> Manifest:
        """What A runs: it has B run what has C run `at_c`."""
        at_b = calling(self.c, at_c, "call_c", **(to_c or {}))
        return calling(self.b, at_b, "call_b", **(to_b or {}))

    def sessions(self, at_c: Manifest) -> Manifest:
        """The same, where each calls the next by a session."""
        at_b = calling(self.c, at_c, "call_c", streaming=True, **WITH_TOKEN)
        return calling(self.b, at_b, "call_b", streaming=True)

    async def stop(self, name: str) -> None:
        await self.stops[name].aclose()

    async def fails(self, manifest: Manifest, *, times: int = 7, **options: Any) -> tuple[RpeError, Any]:
        """The first error at a client of A, and what that client thinks of A after more of them."""
        options = {"timeout_s": 10, "repeatable": True, **options}
        async with rpe.connect([self.a.endpoint], transport=self.a.transport) as client:
            errors = []
            for _ in range(times):  # more than a breaker lets pass
                with pytest.raises(RpeError) as failed:
                    await client.execute(manifest, Text("hi"), **options)
                errors.append(failed.value)
            return errors[0], client.statistics().endpoints[self.a.endpoint]


@pytest.fixture(params=MIXES, ids="-".join)
async def three(request: pytest.FixtureRequest) -> AsyncIterator[Three]:
    async with AsyncExitStack() as stack:
        servers, stops = [], {}
        for name, wire in zip("abc", request.param, strict=True):
            stops[name] = await stack.enter_async_context(AsyncExitStack())
            token = "of-c" if name == "c" else None
            served = serve_pipelines(wire, registry=registry(), token=token)
            servers.append(await stops[name].enter_async_context(served))
        a, b, c = servers
        yield Three(a, b, c, stops)


def not_blamed(endpoint: Any) -> None:
    assert (endpoint.failures, endpoint.breaker) == (0, "closed")


async def test_three_servers_are_one_pipeline(three: Three) -> None:
    async with rpe.connect([three.a.endpoint], transport=three.a.transport) as client:
        for word in ("one", "two"):
            result = await client.execute(three.manifest(to_c=WITH_TOKEN), Text(word), timeout_s=10)
            assert result.output == Text(word.upper())


async def test_a_b_that_is_down_is_told_and_a_is_not_blamed(three: Three) -> None:
    endpoint = three.b.endpoint
    await three.stop("b")
    error, seen = await three.fails(three.manifest())
    assert isinstance(error, RemoteExecutionFailed)
    far = error.downstream
    assert far is not None
    assert (far.kind, far.hop, far.node, far.endpoint) == (ErrorKind.NETWORK, 1, "call_b", endpoint)
    for part in ("hop 1", "node call_b", f"endpoint {endpoint}", f"[{far.code}]"):
        assert part in error.message
    assert error.endpoint == three.a.endpoint
    not_blamed(seen)


async def test_a_c_that_fails_is_told_through_b_and_neither_is_blamed(three: Three) -> None:
    manifest = three.manifest(chain("Fail", fail={"message": "no luck"}), to_c=WITH_TOKEN)
    error, seen = await three.fails(manifest)
    assert isinstance(error, RemoteExecutionFailed) and error.downstream is not None
    far = error.downstream
    assert (far.code, far.hop, far.node, far.endpoint) == (
        "remote_execution_failed",
        2,
        "call_c",
        three.c.endpoint,
    )
    for part in ("hop 2", "node call_c", three.c.endpoint, "no luck", "[remote_execution_failed]"):
        assert part in error.message
    assert error.node == "call_b"
    not_blamed(seen)


async def test_a_slow_c_times_out_and_a_is_not_blamed(three: Three) -> None:
    manifest = three.manifest(chain("Slow", slow={"seconds": 30}), to_c=WITH_TOKEN)
    error, seen = await three.fails(manifest, times=2, timeout_s=0.6, repeatable=False)
    assert isinstance(error, RemoteExecutionFailed) and error.downstream is not None
    far = error.downstream
    assert (far.kind, far.code) == (ErrorKind.TIMEOUT, "remote_timeout")
    assert (far.hop, far.node, far.endpoint) == (2, "call_c", three.c.endpoint)
    assert (far.retryable, far.maybe_executed) == (False, True)
    not_blamed(seen)


async def test_credentials_that_c_refuses_are_not_those_of_the_caller(three: Three) -> None:
    error, seen = await three.fails(three.manifest(to_c={"auth_token": "stale-secret"}))
    assert isinstance(error, RemoteExecutionFailed) and error.downstream is not None
    assert error.downstream.code == "authentication_failed"
    assert not error.retryable and "stale-secret" not in str(error)
    not_blamed(seen)


async def test_chunks_keep_their_numbers_through_three_servers(three: Three) -> None:
    """Each server takes further chunks while the next one is busy, and still knows what belongs to what."""
    manifest = three.sessions(chain("Slow", "Letters", "UpperCase", slow={"seconds": 0.01}))
    given = []
    async with (
        rpe.connect([three.a.endpoint], transport=three.a.transport) as client,
        await client.open_stream(manifest, timeout_s=20) as session,
    ):
        for sequence, content in ((2, "ab"), (3, ""), (5, "c"), (6, ""), (7, "de"), (8, "f")):
            await session.send(Text(content), sequence=sequence)
        await session.finish()
        async for result in session:
            given.append((result.sequence, result.output))
    letters = [(2, "A"), (2, "B"), (5, "C"), (7, "D"), (7, "E"), (8, "F")]
    assert given == [(sequence, Text(letter)) for sequence, letter in letters]


async def test_a_session_whose_c_fails_says_so_and_a_is_not_blamed(three: Three) -> None:
    manifest = three.sessions(chain("Letters", "Fail", fail={"message": "no luck"}))
    async with rpe.connect([three.a.endpoint], transport=three.a.transport) as client:
        async with await client.open_stream(manifest, timeout_s=20) as session:
            await session.send(Text(""))
            await session.send(Text("x"))
            with pytest.raises(RemoteExecutionFailed) as failed:
                await session.receive()
        far = failed.value.downstream
        assert far is not None and (far.hop, far.node, far.endpoint) == (2, "call_c", three.c.endpoint)
        assert "no luck" in failed.value.message
        not_blamed(client.statistics().endpoints[three.a.endpoint])


async def test_a_local_pipeline_counts_its_own_hop(three: Three) -> None:
    manifest = calling(three.a, three.manifest(chain("Fail"), to_c=WITH_TOKEN), "call_a")
    with pytest.raises(NodeFailed) as failed:
        await PipelineRunner(manifest).run(Text("hi"))
    cause = failed.value.__cause__
    assert isinstance(cause, RemoteExecutionFailed) and cause.downstream is not None
    assert (cause.downstream.hop, cause.downstream.node) == (3, "call_c")
    assert failed.value.node == "call_a" and "hop 3, node call_c" in str(failed.value)


async def test_variables_of_a_server_are_not_for_the_manifests_of_its_callers(
    three: Three, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("C_TOKEN", "of-c")
    error, seen = await three.fails(three.manifest(to_c={"auth_token": "${C_TOKEN}"}))
    assert "C_TOKEN" in error.message and "of-c" not in str(error)
    not_blamed(seen)


@pytest.mark.parametrize("wires", [("grpc", "http"), ("http", "webrtc")], ids="-".join)
async def test_a_loop_that_nobody_could_see_ends_after_ten_hops(wires: tuple[str, str]) -> None:
    """A knows only what B calls, and B only what A calls."""
    calls: list[str] = []

    def let_in(token: str) -> bool:
        calls.append(token)
        return True

    def named(server: ServedPipelines, name: str) -> Manifest:
        return Manifest.single(
            f"to_{name}",
            node_type="RemotePipelineNode",
            transport=server.transport,
            endpoint=server.endpoint,
            pipeline_name=name,
            check_node_types=False,
        )

    known: list[dict[str, Manifest]] = [{}, {}]
    async with AsyncExitStack() as stack:
        a, b = [
            await stack.enter_async_context(
                serve_pipelines(wire, token=let_in, remote=RemoteOptions(environment={}, pipelines=pipelines))
            )
            for wire, pipelines in zip(wires, known, strict=True)
        ]
        known[0]["at_b"] = named(a, "at_a")
        known[1]["at_a"] = named(b, "at_b")
        client = get_transport(a.transport).create_client(a.endpoint, {})
        stack.push_async_callback(client.close)
        calls.clear()
        manifest = named(b, "at_b")
        with pytest.raises(HopLimitExceeded) as refused:
            await client.execute(manifest, {manifest.entry: Text("hi")}, timeout_s=60)
    assert refused.value.hops == 11
    assert not refused.value.retryable
    assert "11" in refused.value.message
    handshakes = wires.count("webrtc")
    assert 11 <= len(calls) <= 11 + handshakes
