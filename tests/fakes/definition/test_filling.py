"""Messages that text alone fills: by the short way they are what they are by the long one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rpe.fakes.definition.messages import MessageTemplate, read_message
from rpe.wire.generated.remotemedia.v1.execution_pb2 import NodeManifest, PipelineManifest

KIND: Any = PipelineManifest.DESCRIPTOR
REQUEST = PipelineManifest(
    version="v", nodes=[NodeManifest(id="n0", is_streaming=True), NodeManifest(id="n1")]
)


def _read(form: dict[str, Any]) -> MessageTemplate:
    template, problems = read_message(form, KIND, KIND, ())
    assert template is not None, problems
    return template


@pytest.mark.parametrize(
    "form",
    [
        {"version": "${request.version}"},
        {"version": "<${request.version}/${request.nodes.1.id}/${request.nodes.0.is_streaming}>"},
        {"version": "${request.version}", "nodes": [{"id": "fixed"}]},
        {"version": "${request.version}", "metadata": {}},
        {"metadata": {"name": "${request.nodes.0.id}", "description": "fixed"}, "nodes": []},
    ],
)
def test_the_short_way_gives_the_same_message_as_the_long_one(form: dict[str, Any]) -> None:
    template = _read(form)
    assert template.filling is not None
    short, long = template.message(REQUEST), replace(template, filling=None).message(REQUEST)
    assert short == long
    assert short.SerializeToString(deterministic=True) == long.SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    "form",
    [
        {"nodes": "${request.nodes}"},
        {"nodes": [{"id": "${request.version}"}]},
        {"version": "${request.version}", "nodes": [{"id": "${request.version}"}]},
        {"version": "${request.version}", "nodes": [{"is_streaming": "${request.nodes.0.is_streaming}"}]},
    ],
)
def test_what_takes_more_than_text_in_fields_goes_the_long_way(form: dict[str, Any]) -> None:
    template = _read(form)
    assert template.filling is None
    assert template.message(REQUEST).ByteSize() > 0


def test_each_request_gets_a_message_of_its_own() -> None:
    template = _read({"version": "${request.version}", "nodes": [{"id": "kept"}]})
    first, second = template.message(REQUEST), template.message(PipelineManifest(version="w"))
    kept = [NodeManifest(id="kept")]
    assert first == PipelineManifest(version="v", nodes=kept)
    assert second == PipelineManifest(version="w", nodes=kept)
