from __future__ import annotations

from typing import Any

import pytest

from rpe.manifest.sources.source import InlineSource, NamedSource, UrlSource
from rpe.node import NodeRegistry, PipelineRunner
from rpe.node.remote.params import read_params
from rpe.node.remote.settings import CachedSpec, LocalSpec, PoolSpec, RemoteSettings, TlsFiles
from tests.node.remote.pipelines import inline

BASE: dict[str, Any] = {"endpoint": "a:1", "manifest": inline()}


def read(*, streaming: bool = False, **params: Any) -> RemoteSettings:
    settings, problems = read_params({**BASE, **params}, "p", streaming=streaming)
    assert problems == []
    assert settings is not None
    return settings


def problems_of(*, streaming: bool = False, **params: Any) -> list[str]:
    settings, problems = read_params({**BASE, **params}, "p", streaming=streaming)
    assert (settings is None) == bool(problems)
    return problems


def test_the_defaults_are_those_of_the_format() -> None:
    settings = read()
    client = settings.primary.client
    assert (settings.timeout_s, settings.repeatable, settings.check_node_types) == (30.0, True, True)
    assert (client.retry.max_retries, client.retry.backoff.initial_s) == (3, 1.0)
    assert (client.retry.backoff.max_s, client.retry.backoff.multiplier) == (30.0, 2.0)
    breaker = client.breaker
    assert (breaker.failure_threshold, breaker.success_threshold, breaker.reset_timeout_s) == (5, 2, 30.0)
    assert (client.load_balance, client.health.interval_s, client.health.timeout_s) == (
        "round_robin",
        5.0,
        2.0,
    )
    assert settings.primary.transport == "grpc"
    assert isinstance(settings.primary.source, InlineSource)


@pytest.mark.parametrize(
    ("params", "path", "value"),
    [
        ({"timeout_ms": 1}, "timeout_s", 0.001),
        ({"timeout_ms": 300_000}, "timeout_s", 300.0),
        ({"retry": {"max_retries": 7}}, "primary.client.retry.max_retries", 7),
        ({"retry": {"max_attempts": 7}}, "primary.client.retry.max_retries", 6),
        ({"retry": {"backoff_ms": 250}}, "primary.client.retry.backoff.initial_s", 0.25),
        ({"retry": {"initial_backoff_ms": 250}}, "primary.client.retry.backoff.initial_s", 0.25),
        ({"retry": {"backoff_ms": 60_000}}, "primary.client.retry.backoff.max_s", 60.0),
        ({"retry": {"max_backoff_ms": 5000}}, "primary.client.retry.backoff.max_s", 5.0),
        ({"retry": {"multiplier": 1.5}}, "primary.client.retry.backoff.multiplier", 1.5),
        ({"circuit_breaker": {"failure_threshold": 2}}, "primary.client.breaker.failure_threshold", 2),
        ({"circuit_breaker": {"success_threshold": 1}}, "primary.client.breaker.success_threshold", 1),
        ({"circuit_breaker": {"reset_timeout_ms": 900_000}}, "primary.client.breaker.reset_timeout_s", 900.0),
        ({"timeout_ms": 120_000}, "primary.client.breaker.probe_expiry_s", 121.0),
        ({"load_balance": "random"}, "primary.client.load_balance", "random"),
        ({"load_balance_strategy": "Least_Connections"}, "primary.client.load_balance", "least_connections"),
        ({"health_check": {"interval_ms": 900}}, "primary.client.health.interval_s", 0.9),
        ({"health_check": {"interval_ms": 900}}, "primary.client.health.timeout_s", 0.9),
        ({"health_check": {"timeout_ms": 300}}, "primary.client.health.timeout_s", 0.3),
        ({"health_check": {"enabled": False}}, "primary.client.health.enabled", False),
        ({"health_check_interval_secs": 7}, "primary.client.health.interval_s", 7.0),
        ({"stream_timeout_ms": 60_000}, "primary.client.stream_timeout_s", 60.0),
        ({"stream_stall_timeout_ms": 700}, "primary.client.stream_stall_timeout_s", 0.7),
        ({"metadata": {"Tenant": "x"}}, "metadata", (("tenant", "x"),)),
        ({"auth_token": "${T}"}, "primary.auth_token", "${T}"),
        ({"auth_token_file": "/t"}, "primary.auth_token_file", "/t"),
        ({"tls": {"ca_file": "ca"}}, "primary.tls", TlsFiles("ca")),
        ({"extra_config": {"keepalive_s": 3}}, "primary.extra_config", {"keepalive_s": 3}),
        ({"repeatable": False}, "repeatable", False),
        ({"transport": "http", "extra_config": {"reconnects": 0}}, "primary.transport", "http"),
        ({"failback": {"min_stay_ms": 100_000}}, "chain.max_stay_s", 100.0),
        ({"timeout_ms": None, "retry": None}, "timeout_s", 30.0),
    ],
)
def test_each_param_reaches_its_setting(params: dict[str, Any], path: str, value: Any) -> None:
    found: Any = read(**params)
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ({"manifest": inline()}, InlineSource),
        ({"manifest_source": {"type": "inline", "manifest": inline()}}, InlineSource),
        ({"manifest_url": "https://h/m", "auth_header": "Bearer ${T}"}, UrlSource),
        ({"manifest_source": {"type": "url", "url": "https://h/m"}}, UrlSource),
        ({"pipeline_name": "stt"}, NamedSource),
        ({"pipeline_name": "stt", "manifest_endpoint": "https://h"}, UrlSource),
        ({"manifest_source": {"type": "name", "name": "stt"}}, NamedSource),
    ],
)
def test_a_manifest_has_one_source_in_either_spelling(source: dict[str, Any], kind: type) -> None:
    settings, problems = read_params({"endpoint": "a:1", **source}, "p", streaming=False)
    assert problems == []
    assert settings is not None
    assert isinstance(settings.primary.source, kind)


def test_several_endpoints() -> None:
    settings, problems = read_params(
        {"endpoints": ["a:1", "b:2"], "manifest": inline()}, "p", streaming=False
    )
    assert problems == []
    assert settings is not None
    assert settings.primary.endpoints == ("a:1", "b:2")


def test_every_problem_is_told_at_once_with_its_path() -> None:
    raw = {
        "transport": "pigeon",
        "endpoint": "a:1",
        "endpoints": ["b:2"],
        "timeout_ms": 300_001,
        "retry": {"max_retries": -1, "backoff": 3},
        "circuit_breaker": [],
        "load_balance": "best",
        "auth_token": "x",
        "auth_token_file": "y",
        "colour": "red",
    }
    _, problems = read_params(raw, "nodes[2].params", streaming=False)
    expected = [
        "nodes[2].params.timeout_ms must be at most 300000, not 300001",
        "nodes[2].params needs endpoint or endpoints, not both",
        "nodes[2].params needs one of manifest, manifest_url, pipeline_name or manifest_source, but has none",
        "nodes[2].params.retry.max_retries must be at least 0, not -1",
        "nodes[2].params.circuit_breaker must be an object, not list",
        "nodes[2].params.load_balance must be one of round_robin, least_connections, random",
        "nodes[2].params.auth_token and auth_token_file say the same thing: give one of them",
    ]
    assert [problem for problem in expected if problem not in problems] == []
    (unknown,) = [problem for problem in problems if "params.colour" in problem]
    assert unknown.startswith("nodes[2].params.colour is unknown (known: ")
    assert "load_balance_strategy" in unknown
    assert any(p.startswith("nodes[2].params.retry.backoff is unknown (known: backoff_ms") for p in problems)
    assert any(p.startswith("nodes[2].params.transport cannot be used") for p in problems)
    assert len(problems) == 10


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({"timeout_ms": 0}, "p.timeout_ms must be at least 1, not 0"),
        ({"timeout_ms": 1.5}, "p.timeout_ms must be a whole number, not float"),
        ({"timeout_ms": True}, "p.timeout_ms must be a whole number, not bool"),
        (
            {"retry": {"max_retries": 1, "max_attempts": 2}},
            "p.retry.max_retries and max_attempts say the same",
        ),
        ({"retry": {"max_attempts": 0}}, "p.retry.max_attempts must be at least 1, not 0"),
        (
            {"retry": {"backoff_ms": 1, "initial_backoff_ms": 1}},
            "p.retry.backoff_ms and initial_backoff_ms say",
        ),
        ({"retry": {"backoff_ms": 9, "max_backoff_ms": 8}}, "p.retry.max_backoff_ms must not be below"),
        ({"retry": {"multiplier": float("inf")}}, "p.retry.multiplier must be a finite number, not float"),
        ({"retry": {"multiplier": 0.5}}, "p.retry.multiplier must be at least 1, not 0.5"),
        (
            {"load_balance": "random", "load_balance_strategy": "random"},
            "p.load_balance_strategy and load_bal",
        ),
        (
            {"health_check": {"interval_ms": 5}, "health_check_interval_secs": 5},
            "p.health_check.interval_ms and health_check_interval_secs say the same thing",
        ),
        ({"health_check": {"timeout_ms": 6000}}, "p.health_check.timeout_ms must not be above the interval"),
        ({"health_check_interval_secs": 0}, "p.health_check_interval_secs must be above 0, not 0"),
        (
            {"circuit_breaker": {"failure_threshold": 0}},
            "p.circuit_breaker.failure_threshold must be at least",
        ),
        (
            {"metadata": {"authorization": "x"}},
            "p.metadata.authorization is a key with a meaning of its own: use",
        ),
        ({"metadata": {"rpe-hops": "1"}}, "p.metadata.rpe-hops is a key with a meaning of its own"),
        ({"metadata": {"a b": "1"}}, "p.metadata has a key that cannot travel: 'a b'"),
        ({"metadata": {"a": "ü"}}, "p.metadata.a must be a text of printable ASCII characters"),
        ({"metadata": {"a": 1}}, "p.metadata.a must be a text of printable ASCII characters"),
        ({"tls": {"cert_file": "c"}}, "p.tls.cert_file needs the other of cert_file and key_file"),
        ({"extra_config": {"token": "s3cret"}}, "p.extra_config cannot set token: use auth_token"),
        (
            {"extra_config": {"speed": 1}},
            "p.extra_config does not suit: the grpc transport has no setting speed",
        ),
        ({"extra_config": {"keepalive_s": "s3cret"}}, "p.extra_config cannot be read by the transport grpc"),
        ({"auth_token": " "}, "p.auth_token must be a text that is not blank"),
        ({"auth_token": 5}, "p.auth_token must be a text"),
        ({"repeatable": "yes"}, "p.repeatable must be true or false, not str"),
        ({"pipeline_name": "x"}, "p needs one of manifest"),
        ({"endpoint": None, "endpoints": []}, "p.endpoints must be a list of at least one address"),
        ({"endpoint": None, "endpoints": ["a:1", "a:1"]}, "p.endpoints holds an address twice: a:1"),
        ({"fallback": {}}, "p.fallback must be a list, not dict"),
        ({"fallback": [5]}, "p.fallback[0] must be an object, not int"),
        (
            {"fallback": [{"name": "x"}]},
            "p.fallback[0] must have endpoint or endpoints (a pool), manifest or",
        ),
        ({"fallback": [{"endpoint": "b:1", "retry": {"x": 1}}]}, "p.fallback[0].retry.x is unknown"),
        ({"fallback": [{"cached": {}}]}, "p.fallback[0].cached.max_age_ms is missing"),
        (
            {"fallback": [{"node_type": "Echo", "manifest": inline()}]},
            "p.fallback[0].node_type stands beside",
        ),
        ({"fallback": [{"manifest": {"version": "v2"}}]}, "p.fallback[0].manifest: version must be 'v1'"),
        (
            {"fallback": [{"endpoint": "b:1", "name": "x"}, {"node_type": "Echo", "name": "x"}]},
            "p.fallback: 2 steps are called 'x'",
        ),
    ],
)
def test_what_is_wrong_is_told(params: dict[str, Any], problem: str) -> None:
    problems = problems_of(**params)
    assert any(told.startswith(problem) for told in problems), problems
    assert "s3cret" not in "".join(problems)


def test_a_fallback_pool_takes_over_what_it_leaves_out_but_no_credentials() -> None:
    settings = read(
        transport="http",
        timeout_ms=900,
        auth_token="${MINE}",
        tls={"ca_file": "ca"},
        extra_config={"reconnects": 1},
        load_balance="random",
        retry={"max_retries": 5, "backoff_ms": 20},
        fallback=[
            {"endpoint": "b:1", "retry": {"max_retries": 1}},
            {"endpoint": "c:1", "manifest": inline("X")},
        ],
    )
    first, second = settings.fallback
    assert isinstance(first, PoolSpec)
    assert isinstance(second, PoolSpec)
    assert (first.name, first.transport, first.timeout_s) == ("fallback 1", "http", 0.9)
    assert first.source is settings.primary.source
    assert second.source is not settings.primary.source
    assert (first.client.load_balance, first.client.retry.max_retries) == ("random", 1)
    assert first.client.retry.backoff.initial_s == 0.02
    assert (first.auth_token, first.extra_config, first.tls) == (None, {}, TlsFiles("ca"))


def test_the_other_steps() -> None:
    local, whole, cached = read(
        fallback=[
            {"node_type": "Replace", "params": {"find": "a"}, "timeout_ms": 50},
            {"manifest": inline("Strip"), "name": "whole"},
            {"cached": {"max_age_ms": 1500}},
        ]
    ).fallback
    assert isinstance(local, LocalSpec)
    assert (local.name, local.timeout_s, local.manifest.nodes[0].params) == ("Replace", 0.05, {"find": "a"})
    assert isinstance(whole, LocalSpec)
    assert (whole.name, whole.manifest.nodes[0].node_type) == ("whole", "Strip")
    assert cached == CachedSpec(name="cached", max_age_s=1.5)


def test_a_session_has_no_cached_answers() -> None:
    assert problems_of(streaming=True, fallback=[{"cached": {"max_age_ms": 5}}]) == [
        "p.fallback[0].cached keeps answers to executions, and this node is_streaming"
    ]


def test_no_secret_is_shown() -> None:
    settings = read(
        auth_token="s3cret", metadata={"a": "s3cret"}, extra_config={"channel_options": {"x": "s3cret"}}
    )
    assert "s3cret" not in repr(settings)


def test_both_names_are_known_to_the_registry() -> None:
    from rpe.manifest.model import Manifest
    from tests.node.remote.pipelines import remote

    for alias in (False, True):
        for streaming in (False, True):
            PipelineRunner(
                Manifest(nodes=(remote("a:1", alias=alias, streaming=streaming),)),
                NodeRegistry(entry_point_group=None),
            )
