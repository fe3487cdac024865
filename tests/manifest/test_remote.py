from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rpe.errors import ConfigurationError, ManifestInvalid
from rpe.manifest.nodes import Node
from rpe.manifest.remote import is_remote, read_endpoints, read_remote
from rpe.manifest.sources import UrlSource

PARAMS: dict[str, Any] = {
    "transport": "grpc",
    "endpoints": ["a.test:1", "b.test:2"],
    "manifest_url": "https://h.test/p",
    "auth_header": "Bearer ${HEADER}",
    "auth_token": "${TOKEN}",
}


def test_which_nodes_are_remote() -> None:
    types = ["RemotePipelineNode", "RemotePipeline", "Remote"]
    assert [is_remote(Node("n", kind)) for kind in types] == [True, True, False]


def test_a_remote_node_is_read_with_its_credentials() -> None:
    target = read_remote(PARAMS, {"HEADER": "planted-h", "TOKEN": "planted-t"})
    assert isinstance(target.source, UrlSource)
    assert target.source.auth_header == "Bearer planted-h"
    assert (target.endpoints, target.auth_token) == (("a.test:1", "b.test:2"), "planted-t")
    assert "planted" not in repr(target)


def test_a_node_needs_no_token() -> None:
    assert read_remote({"endpoint": "a:1", "pipeline_name": "p"}, {}).auth_token is None


@pytest.mark.parametrize(("missing", "field"), [("TOKEN", "auth_token"), ("HEADER", "auth_header")])
def test_a_variable_that_is_not_set(missing: str, field: str) -> None:
    environment = {"HEADER": "planted", "TOKEN": "planted"}
    del environment[missing]
    with pytest.raises(ConfigurationError, match=rf"{field} asks for .*{missing}") as caught:
        read_remote(PARAMS, environment)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("params", "endpoints"),
    [
        ({"endpoint": "a:1"}, ("a:1",)),
        ({"endpoints": ["a:1"]}, ("a:1",)),
        ({"endpoints": ("b", "a")}, ("b", "a")),
    ],
)
def test_endpoints(params: dict[str, Any], endpoints: tuple[str, ...]) -> None:
    assert read_endpoints(params) == endpoints


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "p needs endpoint or endpoints"),
        ({"endpoint": "a", "endpoints": ["b"]}, "endpoint or endpoints, not both"),
        ({"endpoints": []}, "p.endpoints must be a list of at least one address"),
        ({"endpoints": "a"}, "p.endpoints must be a list"),
        ({"endpoints": ["a", " ", 3]}, "p.endpoints[1] must be an address; p.endpoints[2] must"),
        ({"endpoint": 5}, "p.endpoint must be an address"),
    ],
)
def test_endpoints_that_cannot_be(params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        read_endpoints(params, "p")
    assert problem in str(caught.value)


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ManifestInvalid) as caught:
        read_remote({"auth_token": 7}, {}, "nodes[3].params")
    assert len(caught.value.problems) == 3
    assert all(problem.startswith("nodes[3].params") for problem in caught.value.problems)


def test_reading_imports_nothing_heavy() -> None:
    check = "import sys, rpe.manifest.cycles, rpe.manifest.sources; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
