"""docker-compose.yml against the Compose specification's own schema, and against what it refers to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads((Path(__file__).parent / "data" / "compose" / "compose-spec.json").read_text())


@pytest.fixture
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_the_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(SCHEMA).validate(compose)


def test_the_schema_refuses_a_service_with_an_unknown_key(compose: dict[str, Any]) -> None:
    compose["services"]["fake-a"]["comand"] = "typo"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMA).validate(compose)


def test_three_fakes_toxiproxy_and_the_suite_are_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"fake-a", "fake-b", "fake-c", "toxiproxy", "suite"}


def test_every_fake_is_behind_a_proxy_that_is_published(compose: dict[str, Any]) -> None:
    proxies = json.loads(compose["configs"]["proxies"]["content"])
    fakes = [name for name in compose["services"] if name.startswith("fake-")]
    assert [proxy["name"] for proxy in proxies] == fakes
    assert [proxy["upstream"] for proxy in proxies] == [f"{name}:50051" for name in fakes]
    assert "127.0.0.1:50051-50053:50051-50053" in compose["services"]["toxiproxy"]["ports"]


def test_the_build_files_that_it_names_exist(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        if "dockerfile" in service["build"]:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_every_command_is_one_that_rpe_understands(compose: dict[str, Any]) -> None:
    from typer.testing import CliRunner

    from rpe.cli.app import app

    for name in ("fake-a", "suite"):
        command = compose["services"][name]["command"]
        result = CliRunner().invoke(app, [command[0], "--help"])
        assert result.exit_code == 0, result.output
        for option in (word for word in command[1:] if word.startswith("--")):
            assert option in result.output
