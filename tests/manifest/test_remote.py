from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from rpe.errors import ManifestInvalid
from rpe.manifest.nodes import Node
from rpe.manifest.remote import is_remote, read_endpoints


def test_which_nodes_are_remote() -> None:
    types = ["RemotePipelineNode", "RemotePipeline", "Remote"]
    assert [is_remote(Node("n", kind)) for kind in types] == [True, True, False]


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


def test_reading_imports_nothing_heavy() -> None:
    check = "import sys, rpe.manifest.cycles, rpe.manifest.sources; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
