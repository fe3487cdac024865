"""docker-compose.yml against the Compose specification's own schema, and against what it refers to."""

from __future__ import annotations

import json
import subprocess
import sys
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


def test_all_that_is_promised_is_there(compose: dict[str, Any]) -> None:
    fakes = {"fake-a", "fake-b", "fake-c"}
    assert set(compose["services"]) == fakes | {
        "toxiproxy",
        "suite",
        "load-master",
        "load-worker",
        "prometheus",
    }
    assert compose["services"]["load-worker"]["deploy"]["replicas"] == 2


def test_the_load_goes_to_every_endpoint_at_the_proxy(compose: dict[str, Any]) -> None:
    proxies = json.loads(compose["configs"]["proxies"]["content"])
    ports = [proxy["listen"].rpartition(":")[2] for proxy in proxies]
    for name in ("load-master", "load-worker"):
        service = compose["services"][name]
        assert service["environment"]["RPE_ENDPOINTS"] == ",".join(f"toxiproxy:{port}" for port in ports)
        assert (ROOT / service["command"][1].removeprefix("/")).is_file()
        assert "./loadtests:/loadtests:ro" in service["volumes"]


def test_prometheus_scrapes_the_metrics_of_every_fake(compose: dict[str, Any]) -> None:
    scrapes = yaml.safe_load(compose["configs"]["scrapes"]["content"])
    (job,) = scrapes["scrape_configs"]
    fakes = {name: service for name, service in compose["services"].items() if name.startswith("fake-")}
    assert job["static_configs"][0]["targets"] == [f"{name}:9900" for name in fakes]
    for service in fakes.values():
        command = service["command"]
        assert command[command.index("--control-port") + 1] == "9900"
        assert "127.0.0.1:9900/healthz" in service["healthcheck"]["test"][-1]


def test_every_fake_is_behind_a_proxy_that_is_published(compose: dict[str, Any]) -> None:
    proxies = json.loads(compose["configs"]["proxies"]["content"])
    fakes = [name for name in compose["services"] if name.startswith("fake-")]
    assert [proxy["name"] for proxy in proxies] == fakes
    assert [proxy["upstream"] for proxy in proxies] == [f"{name}:50051" for name in fakes]
    assert "127.0.0.1:50051-50053:50051-50053" in compose["services"]["toxiproxy"]["ports"]


def test_the_build_files_that_it_names_exist(compose: dict[str, Any]) -> None:
    for service in (one for one in compose["services"].values() if "build" in one):
        if "dockerfile" in service["build"]:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_every_command_is_one_that_rpe_understands(compose: dict[str, Any]) -> None:
    from typer.testing import CliRunner

    from rpe.cli.app import app

    for name in ("fake-a", "suite"):
        command = compose["services"][name]["command"]
        result = CliRunner().invoke(app, [command[0], "--help"], env={"COLUMNS": "200"})
        assert result.exit_code == 0, result.output
        for option in (word for word in command[1:] if word.startswith("--")):
            assert option in result.output


def test_every_option_of_the_load_is_one_of_locust(compose: dict[str, Any]) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "locust", "--help"], capture_output=True, text=True, check=True
    )
    for name in ("load-master", "load-worker"):
        for option in (word for word in compose["services"][name]["command"] if word.startswith("--")):
            assert option in told.stdout
