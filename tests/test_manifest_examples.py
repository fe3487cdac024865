"""The manifests that the documentation shows do what it says of them, against servers with their settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rpe.data import Audio, Text
from rpe.fakes.certificates import Authority
from rpe.fakes.journal import Kind
from rpe.fakes.nodes import BUILT_IN
from rpe.fakes.server import FakeServer
from rpe.fakes.voice import VOICE_NODES
from rpe.manifest.model import Manifest
from rpe.manifest.sources import FetchSettings
from rpe.node import PipelineRunner, RemoteOptions

MANIFESTS = Path(__file__).parents[1] / "docs" / "manifests"
SPEECH = Path(__file__).parents[1] / "fakes" / "media" / "speech" / "sense-and-sensibility-0880.wav"
NODES = {**BUILT_IN, **VOICE_NODES}


class Servers:
    """Fakes in the places of the addresses that a manifest names."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack
        self.fakes: dict[str, FakeServer] = {}
        self.replaced: dict[str, str] = {}

    async def serve(self, transport: str, *addresses: str, **settings: Any) -> None:
        for address in addresses:
            fake = FakeServer(address, transport, nodes=NODES, **settings)
            self.fakes[address] = await self._stack.enter_async_context(fake)
            self.replaced[address] = fake.endpoint

    def manifest(self, name: str) -> Manifest:
        text = (MANIFESTS / name).read_text(encoding="utf-8")
        for written, real in self.replaced.items():
            assert written in text, f"{name} does not name {written}"
            text = text.replace(written, real)
        assert "example.org" not in text
        return Manifest.from_yaml(text)

    def runner(self, name: str, environment: Mapping[str, str] | None = None) -> PipelineRunner:
        fetch = FetchSettings(allowed_networks=("127.0.0.0/8",))
        options = RemoteOptions(environment=environment or {}, fetch=fetch, seed=1)
        return PipelineRunner(self.manifest(name), remote=options)

    def answered(self, address: str) -> int:
        """How many executions a server has answered."""
        entries = self.fakes[address].journal.entries()
        return sum(entry.kind is Kind.SENT and bool(entry.content) for entry in entries)


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    async with AsyncExitStack() as stack:
        yield Servers(stack)


async def test_every_example_has_a_test() -> None:
    tested = {"local-vad-remote-tts", "failover", "cross-organisation", "fallback-chain"}
    assert {path.stem for path in MANIFESTS.iterdir()} == tested


async def test_speech_is_cut_here_and_answered_elsewhere(servers: Servers) -> None:
    await servers.serve("grpc", "speech.example.org:50051", behaviour={"token": "s3cret"})
    async with servers.runner("local-vad-remote-tts.yaml", {"SPEECH_TOKEN": "s3cret"}) as runner:
        outputs = await runner.run(Audio.from_wav(SPEECH))
    (spoken,) = outputs["answer"]
    assert isinstance(spoken, Audio) and spoken.duration_s > 1


async def test_a_server_that_fails_is_routed_around(servers: Servers) -> None:
    addresses = [f"text-{name}.example.org:8080" for name in "abc"]
    await servers.serve("http", *addresses)
    async with servers.runner("failover.yaml") as runner:
        for number in range(6):
            if number == 2:
                await servers.fakes[addresses[0]].stop()
            assert (await runner.run(Text(f"word {number}")))["shout"][0].text == f"WORD {number}"  # type: ignore[union-attr]
        remote = runner.metrics()["shout"].remote
        assert remote is not None and remote.successes == 6
    assert all(servers.answered(address) for address in addresses[1:])


async def test_no_organisation_sees_the_token_of_another(servers: Servers, tmp_path: Path) -> None:
    tokens = {name: f"token-of-{name}" for name in "abc"}
    hosts = {
        "a": ("grpc", [f"hear-{n}.a.example.org:50051" for n in (1, 2)]),
        "b": ("http", [f"rewrite-{n}.b.example.org:8443" for n in (1, 2)]),
        "c": ("webrtc", [f"speak-{n}.c.example.org:8080" for n in (1, 2)]),
    }
    for name, (transport, addresses) in hosts.items():
        tls: dict[str, bytes] = {}
        if transport != "webrtc":
            authority = Authority(name)
            issued = authority.issue(name)
            (tmp_path / f"org-{name}.pem").write_bytes(authority.certificate)
            servers.replaced[f"org-{name}.pem"] = str(tmp_path / f"org-{name}.pem")
            tls = {"certificate_chain": issued.chain, "private_key": issued.key}
        await servers.serve(transport, *addresses, behaviour={"token": tokens[name]}, **tls)
    (tmp_path / "org-b.token").write_text(tokens["b"] + "\n")
    servers.replaced["org-b.token"] = str(tmp_path / "org-b.token")
    fetched: list[str | None] = []

    async def polite(request: web.Request) -> web.Response:
        fetched.append(request.headers.get("Authorization"))
        node = {"id": "polite", "node_type": "Template", "params": {"template": "please, {text}"}}
        return web.json_response({"version": "v1", "nodes": [node]})

    app = web.Application()
    app.router.add_get("/manifests/polite", polite)
    running = web.AppRunner(app)
    await running.setup()
    try:
        await web.TCPSite(running, "127.0.0.1", 0).start()
        servers.replaced["https://manifests.b.example.org"] = f"http://127.0.0.1:{running.addresses[0][1]}"
        environment = {
            "ORG_A_TOKEN": tokens["a"],
            "ORG_C_TOKEN": tokens["c"],
            "ORG_B_MANIFEST_TOKEN": "for-manifests",
        }
        async with servers.runner("cross-organisation.yaml", environment) as runner:
            outputs = await runner.run(Audio.from_wav(SPEECH))
    finally:
        await running.cleanup()
    assert fetched == ["Bearer for-manifests"]
    assert "young man" in outputs["hear"][0].text  # type: ignore[union-attr]
    assert isinstance(outputs["speak"][0], Audio)
    assert not any(
        entry.fault == "token" for fake in servers.fakes.values() for entry in fake.journal.entries()
    ), "each server takes its own organisation's token only"


async def test_a_chain_goes_on_where_its_pools_end(servers: Servers) -> None:
    await servers.serve("grpc", "primary-a.example.org:50051", "primary-b.example.org:50051")
    await servers.serve("http", "secondary.example.org:8080")

    async def steps(runner: PipelineRunner, word: str) -> dict[str, int]:
        assert (await runner.run(Text(word)))["shout"][0].text == word.upper()  # type: ignore[union-attr]
        remote = runner.metrics()["shout"].remote
        assert remote is not None
        return dict(remote.answered)

    async with servers.runner("fallback-chain.yaml") as runner:
        assert await steps(runner, "one") == {"primary": 1}
        await asyncio.gather(*(servers.fakes[f"primary-{n}.example.org:50051"].stop() for n in "ab"))
        assert await steps(runner, "two") == {"primary": 1, "secondary": 1}
        await servers.fakes["secondary.example.org:8080"].stop()
        assert await steps(runner, "three") == {"primary": 1, "secondary": 1, "here": 1}
