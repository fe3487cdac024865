"""One pipeline on several wires: started and stopped together, exchanged while it is served."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rpe.data import RuntimeData, Text
from rpe.errors import ConfigurationError, InvalidRequest, RemoteExecutionFailed, RpeError, UnknownTransport
from rpe.fakes import Kind
from rpe.fakes.certificates import Authority
from rpe.fakes.pipelines import PipelineDefinition, PipelineFake, built_in, load_pipeline, read_pipeline
from rpe.manifest.model import Manifest
from rpe.testing import caller_script
from rpe.transport.ports import NO_METADATA, Metadata, PipelineClient, ServingStatus, TlsSettings
from rpe.transport.registry import get_transport

ECHO = load_pipeline(built_in("echo"))
BOTH = {"grpc": 0, "http": 0}


def pipeline(node_type: str, text: str = "", **parts: Any) -> PipelineDefinition:
    """A pipeline of one node type that always says the same."""
    return read_pipeline(
        {"pipeline": "p", "about": "a", "nodes": {node_type: {"text": text or node_type}}, **parts}
    )


@asynccontextmanager
async def client_of(fake: PipelineFake, wire: str, **config: Any) -> AsyncIterator[PipelineClient]:
    client = get_transport(wire).create_client(fake.endpoints[wire], config)
    try:
        yield client
    finally:
        await client.close()


async def ask(
    fake: PipelineFake, wire: str, node_type: str, metadata: Metadata = NO_METADATA, **config: Any
) -> RuntimeData:
    async with client_of(fake, wire, **config) as client:
        manifest = Manifest.single("node", node_type=node_type)
        result = await client.execute(manifest, {"node": Text("x")}, timeout_s=10, metadata=metadata)
    return result.output


async def test_one_brain_and_one_journal_stand_behind_all_wires(tmp_path: Path) -> None:
    async with PipelineFake(ECHO, BOTH, journal_path=tmp_path / "j.jsonl") as fake:
        assert sorted(fake.endpoints) == ["grpc", "http"]
        for wire in BOTH:
            assert await ask(fake, wire, "Echo") == Text("x")
        entries = await fake.journal_entries()
        assert [entry.call for entry in entries if entry.kind is Kind.RECEIVED] == [1, 2]
        assert {entry.server for entry in entries} == {"echo"}
        async with client_of(fake, "grpc") as client:
            assert (await client.get_version(timeout_s=10)).node_types == ("Echo", "PassThrough")
    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == len(fake.journal.entries())


async def test_node_types_that_are_not_named_are_refused() -> None:
    async with PipelineFake(ECHO) as fake:
        with pytest.raises(InvalidRequest, match="'Reverse' is unknown"):
            await ask(fake, "grpc", "Reverse")


async def test_all_ports_are_bound_or_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fake = PipelineFake(ECHO, {"grpc": 0, "http": port})
        with pytest.raises(ConfigurationError):
            await fake.start()
        assert fake.endpoints == {}
        await fake.stop()
    await fake.start()
    assert fake.endpoints["http"] == f"127.0.0.1:{port}"
    await fake.stop()


async def test_what_had_been_started_before_a_failure_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    from rpe.transport.grpc.server import GrpcPipelineServer

    stopped: list[str] = []
    stop = GrpcPipelineServer.stop

    async def noted(self: GrpcPipelineServer, grace_s: float = 0.0) -> None:
        await stop(self, grace_s)
        stopped.append(self.endpoint)

    monkeypatch.setattr(GrpcPipelineServer, "stop", noted)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fake = PipelineFake(ECHO, {"grpc": 0, "http": taken.getsockname()[1]})
        with pytest.raises(ConfigurationError):
            await fake.start()
    [endpoint] = stopped
    with pytest.raises(OSError):  # nobody listens there
        await asyncio.open_connection("127.0.0.1", int(endpoint.rpartition(":")[2]))


async def test_a_restart_is_at_the_same_ports() -> None:
    async with PipelineFake(ECHO, BOTH) as fake:
        before = dict(fake.endpoints)
        await fake.restart(graceful=False)
        assert fake.endpoints == before
        for wire in BOTH:
            assert await ask(fake, wire, "Echo") == Text("x")
        assert len([entry for entry in fake.journal if entry.kind is Kind.RECEIVED]) == 2


async def test_another_pipeline_takes_over_from_the_next_call_on() -> None:
    slow = {"latency": {"fixed_s": 0.2}}
    async with PipelineFake(pipeline("Old", behaviour=slow), BOTH) as fake:
        before = dict(fake.endpoints)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(ask(fake, "grpc", "Old"))
            await fake.journal.wait_for(lambda entry: entry.fault == "latency")
            fake.replace(pipeline("New", behaviour={"application_error": {"first": 1, "message": "new"}}))
            with pytest.raises(RemoteExecutionFailed, match="new"):
                await ask(fake, "http", "New")
            assert await ask(fake, "http", "New") == Text("New")
            with pytest.raises(InvalidRequest, match="'Old' is unknown"):
                await ask(fake, "http", "Old")
        assert running.result() == Text("Old"), "a call that runs goes on with the nodes it had"
        assert fake.endpoints == before and fake.definition.nodes.keys() == {"New"}
        async with client_of(fake, "grpc") as client:
            assert (await client.get_version(timeout_s=10)).node_types == ("New",)


async def test_a_session_goes_on_with_the_nodes_that_it_began_with() -> None:
    async with PipelineFake(pipeline("Said", "old")) as fake, client_of(fake, "grpc") as client:
        manifest = Manifest.single("node", node_type="Said")
        session = await client.open_stream(manifest, timeout_s=10, open_timeout_s=10)
        for sequence in range(2):
            await session.send(Text("x"), node_id="node", sequence=sequence)
            result = await session.receive()
            assert result is not None and result.output == Text("old")
            fake.replace(pipeline("Said", "new"))
        session.cancel()
        assert await ask(fake, "grpc", "Said") == Text("new")


@pytest.mark.parametrize("given", [True, False])
async def test_plain_peers_are_served_by_the_manifest_of_now(given: bool) -> None:
    def of(node_type: str) -> PipelineDefinition:
        nodes = [{"id": f"the-{node_type}", "node_type": node_type}]
        manifest: dict[str, Any] = {"manifest": {"version": "v1", "nodes": nodes}} if given else {}
        return pipeline(node_type, **manifest)

    async with PipelineFake(of("Old"), {"webrtc": 0}) as fake:
        assert await ask(fake, "webrtc", "Any", mode="plain") == Text("Old")
        fake.replace(of("New"))
        assert await ask(fake, "webrtc", "Any", mode="plain") == Text("New")


async def test_the_script_is_that_of_all_wires_and_of_http_only_where_it_is_spoken() -> None:
    status = {"http": {"status": {"code": 502, "first": 1}}}
    with pytest.raises(ConfigurationError, match=r"http\.status: the grpc transport cannot"):
        PipelineFake(pipeline("A", behaviour=status))
    async with PipelineFake(pipeline("A", behaviour=status), BOTH) as fake:
        with pytest.raises(RpeError):
            await ask(fake, "http", "A")
        assert await ask(fake, "http", "A") == Text("A")
        await fake.set_behaviour({"application_error": {"message": "by script"}})
        for wire in BOTH:
            with pytest.raises(RemoteExecutionFailed, match="by script"):
                await ask(fake, wire, "A")
    async with PipelineFake(pipeline("A")) as fake:
        with pytest.raises(ConfigurationError, match=r"http\.status"):
            await fake.set_behaviour(status)
        with pytest.raises(ConfigurationError, match=r"http\.status"):
            fake.replace(pipeline("B", behaviour=status))
        assert await ask(fake, "grpc", "A") == Text("A"), "what was refused has changed nothing"


async def test_health_is_told_on_every_wire() -> None:
    async with PipelineFake(pipeline("A", behaviour={"latency": {"fixed_s": 0.0}}), BOTH) as fake:
        await fake.set_health("not_serving")
        assert fake.brain.behaviour.latency is not None, "the rest of the script stays"
        for wire in BOTH:
            async with client_of(fake, wire) as client:
                report = await client.check_health(timeout_s=10)
                assert report.status is ServingStatus.NOT_SERVING
        with pytest.raises(ConfigurationError, match="health"):
            await fake.set_health("poorly")


async def test_scripts_of_callers_are_followed_where_that_is_allowed() -> None:
    script = caller_script({"application_error": {"message": "mine"}})
    async with PipelineFake(ECHO, BOTH, allow_scripts=True) as fake:
        for wire in BOTH:
            with pytest.raises(RemoteExecutionFailed, match="mine"):
                await ask(fake, wire, "Echo", script)
            assert await ask(fake, wire, "Echo") == Text("x")
    async with PipelineFake(ECHO) as fake:
        assert await ask(fake, "grpc", "Echo", script) == Text("x")


async def test_every_wire_is_served_under_the_certificate() -> None:
    authority = Authority()
    server, client = authority.issue("server"), authority.issue("client")
    tls = TlsSettings(root_certificates=authority.certificate)
    mutual = replace(tls, certificate_chain=client.chain, private_key=client.key)
    async with PipelineFake(ECHO, {**BOTH, "webrtc": 0}, tls=(server.chain, server.key)) as fake:
        for wire in fake.endpoints:
            assert await ask(fake, wire, "Echo", tls=tls) == Text("x")
        with pytest.raises(RpeError):
            await ask(fake, "grpc", "Echo")
    async with PipelineFake(
        ECHO, BOTH, tls=(server.chain, server.key), client_root_certificates=authority.certificate
    ) as fake:
        for wire in BOTH:
            assert await ask(fake, wire, "Echo", tls=mutual) == Text("x")
            with pytest.raises(RpeError):
                await ask(fake, wire, "Echo", tls=tls)


def test_wires_that_are_not_there_are_told() -> None:
    with pytest.raises(UnknownTransport, match="carrier-pigeon"):
        PipelineFake(ECHO, {"carrier-pigeon": 0})
    with pytest.raises(ConfigurationError, match="needs a wire"):
        PipelineFake(ECHO, {})


def test_a_wire_that_is_not_asked_for_is_not_imported() -> None:
    code = """
import asyncio, sys
from rpe.fakes.pipelines import PipelineFake, built_in, load_pipeline

async def main():
    async with PipelineFake(load_pipeline(built_in("stt")), {"grpc": 0}):
        print(*[name for name in ("aiortc", "av", "aiohttp", "grpc", "rpe.client") if name in sys.modules])

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["grpc"]
