from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from rpe.data import Text
from rpe.errors import ConfigurationError
from rpe.node import DuplicateNodeType, NodeCall, NodeRegistry, UnknownNodeType, default_registry, node
from rpe.node import registry as module


@node("Mine")
def mine(data: Text, call: NodeCall) -> Text:
    return data


def installed(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, "rpe.nodes") for name, value in points]
    monkeypatch.setattr(module, "entry_points", lambda group: [p for p in found if p.group == group])


def test_the_box_is_known_from_the_start() -> None:
    names = NodeRegistry(entry_point_group=None).names()
    assert {"PassThrough", "Echo", "Gain", "Resample", "VadGate", "UpperCase", "LowerCase"} <= set(names)
    assert {"Strip", "Replace", "Collect", "ErrorPort"} <= set(names)
    assert list(names) == sorted(names)
    assert set(names) <= set(default_registry().names())


def test_what_is_registered_is_found_and_its_name_is_taken() -> None:
    registry = NodeRegistry([], entry_point_group=None)
    assert registry.register(mine) is mine
    assert registry.get("Mine") is mine
    with pytest.raises(DuplicateNodeType, match="'Mine'"):
        registry.register(mine)


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UnknownNodeType, match="'Mien'") as caught:
        NodeRegistry([mine], entry_point_group=None).get("Mien")
    assert caught.value.hint == "known node types: Mine"


def test_other_packages_add_node_types(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("Speech", "rpe.node.builtin.flow:ECHO"), ("Broken", "no.such.package:X"))
    registry = NodeRegistry([mine])
    assert registry.names() == ("Broken", "Mine", "Speech")
    assert registry.get("Speech") is registry.get("Speech")
    with pytest.raises(ConfigurationError, match="'Broken' cannot be loaded"):
        registry.get("Broken")


def test_two_packages_may_not_claim_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("A", "rpe.node.builtin.flow:ECHO"), ("A", "rpe.node.builtin.flow:PASS_THROUGH"))
    with pytest.raises(DuplicateNodeType, match=r"ECHO, .*PASS_THROUGH"):
        NodeRegistry([]).get("A")


def test_an_entry_point_must_be_a_node_type(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, ("A", "rpe.node.kinds:ALL_KINDS"))
    with pytest.raises(ConfigurationError, match="is none"):
        NodeRegistry([]).get("A")


def test_a_node_type_names_kinds_that_exist() -> None:
    with pytest.raises(ValueError, match="sound"):
        node("X", takes=["sound"])(lambda data, call: data)
