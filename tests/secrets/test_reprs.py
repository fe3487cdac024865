"""What holds a secret does not show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import rpe
from rpe.chaos.scenario.loading import load
from rpe.chaos.subject import ClientRequest, SubjectContext
from rpe.data import Text
from rpe.errors import RpeError
from rpe.fakes import FakeServer
from rpe.fakes.behaviour import parse_behaviour
from rpe.hiding import Secrets
from rpe.manifest.model import Manifest
from rpe.manifest.sources.source import read_source
from rpe.node import NodeCall, PipelineRunner
from rpe.node.remote.options import RemoteOptions
from rpe.node.remote.params import read_params
from rpe.node.serving import PipelineService, TokenFile
from rpe.transport.credentials import (
    Bearer,
    EnvironmentToken,
    FetchedToken,
    FileToken,
    FixedToken,
    Token,
    as_token_source,
)
from rpe.transport.grpc.settings import GrpcSettings
from rpe.transport.http.settings import HttpSettings
from rpe.transport.ports import TlsSettings
from rpe.transport.registry import get_transport
from rpe.transport.serving import ServerCall, ServerSettings
from rpe.transport.webrtc.settings import IceServer, WebrtcServerSettings, WebrtcSettings
from rpe.transport.webrtc.signalling.port import SignallingSettings
from tests.support.handlers import Handler
from tests.support.secrets import Planted

pytestmark = pytest.mark.usefixtures("listening")

NOWHERE = "127.0.0.1:9"


def remote_params(secret: str) -> dict[str, Any]:
    """The params of a remote node with every kind of secret that they can hold."""
    return {
        "transport": "http",
        "endpoint": NOWHERE,
        "auth_token": secret,
        "manifest_url": f"http://127.0.0.1:9/pipelines/echo?key={secret}",
        "auth_header": f"Bearer {secret}",
        "extra_config": {"headers": {"x-api-key": secret}},
        "fallback": [
            {"transport": "grpc", "endpoint": NOWHERE, "auth_token": secret, "pipeline_name": "echo"},
        ],
    }


async def test_sources_of_tokens(secret: str, planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(secret + "\n")

    async def fetch() -> Token:
        return Token(secret, 60)

    environment = {"TOKEN": secret}
    sources = (
        FixedToken(secret),
        EnvironmentToken("TOKEN", environment),
        FileToken(file),
        FetchedToken(fetch),
        as_token_source(secret),
    )
    for source in sources:
        assert source is not None
        assert await source.token() == secret
        bearer = Bearer(source, NOWHERE)
        grant, _ = await bearer.ask(1)
        assert grant.token == secret
        planted.check_shown(source, bearer, grant, Token(secret, 5), Secrets([secret]), TokenFile(file))


async def test_settings_and_clients_of_the_wires(secret: str, planted: Planted) -> None:
    tls = TlsSettings(root_certificates=b"none", private_key=secret.encode(), certificate_chain=b"none")
    ice = IceServer(("turn:127.0.0.1",), "user", secret)
    key = secret.encode()
    planted.check_shown(
        tls,
        ice,
        GrpcSettings(token=secret, tls=tls),
        HttpSettings(token=secret, tls=tls, headers={"x-api-key": secret}),
        WebrtcSettings(token=secret, tls=tls, ice_servers=(ice,)),
        SignallingSettings(token=secret, tls=tls, metadata=(("x-api-key", secret),)),
        ServerSettings(private_key=key),
        WebrtcServerSettings(private_key=key, ice_servers=(ice,)),
        ServerCall("execute", "peer", {"authorization": f"Bearer {secret}"}, None),
    )
    for wire in ("grpc", "http", "webrtc"):
        client = get_transport(wire).create_client(NOWHERE, {"token": secret})
        planted.check_shown(client)
        await client.close()


async def test_wrong_settings_beside_a_secret(secret: str, planted: Planted) -> None:
    for wire in ("grpc", "http", "webrtc"):
        for wrong in (
            {"token": secret, "colour": 1},
            {"token": secret, "connect_timeout_s": -1},
            {"token": f"{secret} {secret}"},
            {"token": secret + "\n"},
            {"token": secret.encode()},
            {"token": [secret]},
            {"token": secret, "ice_servers": [{"urls": ["turn:x"], "credential": secret, "colour": 1}]},
            {"token": secret, "headers": {"x-api-key": secret + "\r\nx: y"}},
        ):
            with pytest.raises(RpeError) as refused:
                get_transport(wire).validate_config(wrong)
                rpe.connect([NOWHERE], transport=wire, **wrong)
            planted.check_error(refused.value)


@pytest.mark.parametrize("wire", ["grpc", "http", "webrtc"])
async def test_the_reliable_client_and_what_it_is_made_of(wire: str, secret: str, planted: Planted) -> None:
    async with FakeServer("a", wire, {"token": secret, "other_token": secret}) as fake:
        async with rpe.connect([fake.endpoint], transport=wire, token=secret) as client:
            echo = Manifest.single("echo", node_type="Echo", auth_token=secret)
            await client.execute(echo, Text("hello"))
            async with await client.open_stream(echo) as session:
                planted.check_shown(session)
            pool = client._pool  # what a debugger shows, and what a log of a task may
            planted.check_shown(client, pool, client.statistics(), fake, echo, *echo.nodes)
        for entry in await fake.journal_entries():
            planted.check_shown(entry)


def test_scripts_of_fakes(secret: str, planted: Planted) -> None:
    behaviour = parse_behaviour({"token": secret, "other_token": secret})
    planted.check_shown(behaviour)
    for wrong in (
        {"token": secret, "hang": {"rate": 7}},
        {"token": [secret]},
        {"other_token": {"x": secret}},
        {"tokens": secret},
        {"token": secret, "latency": secret},
    ):
        with pytest.raises(RpeError) as refused:
            parse_behaviour(wrong)
        if wrong.get("latency") is None:
            planted.check_error(refused.value)


def test_params_of_a_remote_node(secret: str, planted: Planted) -> None:
    params = remote_params(secret)
    settings, problems = read_params(params, "params", streaming=False)
    assert settings is not None, problems
    planted.check_shown(settings, *settings.pools, read_source(params), NodeCall("far", params=settings))
    manifest = Manifest.single("far", node_type="RemotePipelineNode", **params)
    options = RemoteOptions(environment={"TOKEN": secret}, pipelines={"echo": manifest})
    planted.check_shown(manifest, *manifest.nodes, options)


async def test_runners_and_services(secret: str, planted: Planted) -> None:
    inner = Manifest.single("echo", node_type="PassThrough")
    params = remote_params(secret) | {"check_node_types": False}
    del params["manifest_url"], params["auth_header"]
    params["pipeline_name"] = "echo"
    manifest = Manifest.single("far", node_type="RemotePipelineNode", **params)
    runner = PipelineRunner(manifest, remote=RemoteOptions(pipelines={"echo": inner}))
    service = PipelineService(token=secret)
    several = PipelineService(token=[secret, secret])
    async with runner:
        planted.check_shown(runner, service, several)
    for one in (service, several):
        await one.close()


def test_what_a_subject_is_given(secret: str, planted: Planted) -> None:
    request = ClientRequest(token=secret)
    manifest = Manifest.single("far", node_type="RemotePipelineNode", auth_token=secret)
    planted.check_shown(
        request, SubjectContext({"a": NOWHERE}, "grpc", request, manifest, 1, lambda kind, fields: None)
    )
    planted.check_shown(Handler())


def test_a_matrix_names_its_cells_by_no_secret(secret: str, planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "auth" / "planted.yaml"
    file.parent.mkdir()
    for key, value in (("client.token", f'"{secret}"'), ("servers.a", f'{{token: "{secret}"}}')):
        file.write_text(
            f"""
name: planted
proves: "That secrets stay where they are."
matrix: {{{key}: [{value}]}}
servers: {{a: {{}}}}
client: {{timeout_s: 1}}
workload: {{name: calls, kind: unary, rate_per_s: 10}}
duration_s: 1
faults:
  - {{name: none, at_s: 0.1, for_s: 0.2, nothing: {{on: [a]}}}}
expect: [{{measure: failures, during: run, equals: 0}}]
"""
        )
        with pytest.raises(RpeError) as refused:
            load(file)
        assert "credential" in str(refused.value)
        planted.check_error(refused.value)


def test_scenarios(secret: str, planted: Planted, tmp_path: Path) -> None:
    file = tmp_path / "auth" / "planted.yaml"
    file.parent.mkdir()
    file.write_text(
        f"""
name: planted
proves: "That secrets stay where they are."
servers: {{a: {{token: "{secret}", other_token: "{secret}"}}}}
client: {{token: "{secret}", timeout_s: 1}}
workload: {{name: calls, kind: unary, rate_per_s: 10}}
duration_s: 1
faults:
  - {{name: rotated, at_s: 0.1, for_s: 0.2, behaviour: {{on: [a], behaviour: {{token: "{secret}"}}}}}}
expect: [{{measure: failures, during: run, equals: 0}}]
"""
    )
    loaded = load(file)
    planted.check_shown(loaded, loaded.scenario, *loaded.cells)
