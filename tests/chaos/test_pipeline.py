"""The pipeline of a scenario, by a short name or as a whole manifest."""

from __future__ import annotations

import pytest

from rpe.chaos.pipeline import pipeline_of
from rpe.errors import ManifestInvalid
from rpe.manifest.model import Manifest


@pytest.mark.parametrize(
    ("name", "node_type"),
    [
        ("echo", "Echo"),
        ("upper-case", "UpperCase"),
        ("PassThrough", "PassThrough"),
        ("pass_through", "PassThrough"),
    ],
)
def test_short_names_are_node_types_of_the_fakes(name: str, node_type: str) -> None:
    assert pipeline_of(name).nodes[0].node_type == node_type


def test_a_name_that_nobody_knows_is_taken_as_it_is() -> None:
    assert pipeline_of("NobodyHasThis").nodes[0].node_type == "NobodyHasThis"


def test_a_whole_manifest_is_taken_as_it_is() -> None:
    manifest = Manifest.single("gain", node_type="Gain", gain=2.0)
    assert pipeline_of(manifest.to_dict()) == manifest
    with pytest.raises(ManifestInvalid):
        pipeline_of({"nodes": []})
