"""Transports by name: ours, another package's, unknown ones, and ones that clash."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import rpe
from rpe.errors import ConfigurationError, DuplicateTransport, UnknownTransport
from rpe.transport import registry as module
from rpe.transport.ports import PipelineClient, PipelineServer
from rpe.transport.registry import TransportRegistry, get_transport, transport_names
from rpe.transport.serving import PipelineHandler
from tests.support.scripted import MANIFEST, Endpoint, VirtualClock, ok


class ScriptedTransport:
    """A transport of another package."""

    name = "scripted"
    datagrams = False

    def create_client(self, endpoint: str, config: Mapping[str, Any]) -> PipelineClient:
        return Endpoint(endpoint, VirtualClock(), ok)

    def create_server(self, handler: PipelineHandler, config: Mapping[str, Any]) -> PipelineServer:
        raise NotImplementedError

    def validate_config(self, config: Mapping[str, Any]) -> None:
        if config:
            raise ConfigurationError(f"unknown: {', '.join(config)}")


plugin = ScriptedTransport()


def test_grpc_is_known_by_its_entry_point() -> None:
    assert "grpc" in transport_names()
    assert get_transport("grpc").name == "grpc"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UnknownTransport) as caught:
        rpe.connect(["127.0.0.1:1"], transport="carrier-pigeon")
    assert "carrier-pigeon" in str(caught.value)
    assert "grpc" in caught.value.hint


def test_a_name_that_is_taken_is_refused() -> None:
    fresh = TransportRegistry()
    fresh.register(plugin)
    with pytest.raises(DuplicateTransport):
        fresh.register(plugin)

    class Imposter(ScriptedTransport):
        name = "grpc"
        datagrams = False

    with pytest.raises(DuplicateTransport):
        fresh.register(Imposter())


def points(*values: str) -> Any:
    found = [EntryPoint("scripted", value, module.ENTRY_POINT_GROUP) for value in values]
    return lambda group: found


async def test_another_package_adds_a_transport_that_the_client_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "entry_points", points(f"{__name__}:plugin"))
    monkeypatch.setattr(module, "_REGISTRY", TransportRegistry())
    monkeypatch.setitem(__import__("sys").modules, __name__, __import__("sys").modules.get(__name__, _this()))
    async with rpe.connect(["a", "b"], transport="scripted") as client:
        assert (await client.execute(MANIFEST, rpe.Text("x"))).output == rpe.Text("x")
    with pytest.raises(ConfigurationError, match="unknown: token"):
        rpe.connect(["a"], transport="scripted", token="x")


def _this() -> Any:
    import types

    made = types.ModuleType(__name__)
    made.plugin = plugin  # type: ignore[attr-defined]
    return made


def test_two_packages_that_claim_one_name_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "entry_points", points("one:plugin", "two:plugin"))
    with pytest.raises(DuplicateTransport, match="one:plugin, two:plugin"):
        TransportRegistry().get("scripted")


def test_a_transport_whose_packages_are_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "entry_points", points("no_such_package_here:plugin"))
    with pytest.raises(ConfigurationError) as caught:
        TransportRegistry().get("scripted")
    assert "rpe[scripted]" in caught.value.hint
