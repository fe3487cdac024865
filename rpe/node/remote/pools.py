"""Reads one pool of endpoints out of params: where it is, what it runs, by which policies it is called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rpe.client.settings import ClientSettings
from rpe.errors import ConfigurationError, ManifestInvalid
from rpe.manifest.remote import read_endpoints
from rpe.manifest.sources.source import ManifestSource, read_source
from rpe.node.remote.fields import Fields
from rpe.node.remote.settings import PoolSpec, TlsFiles
from rpe.policy.balancer import BALANCERS
from rpe.policy.breaker import BreakerSettings
from rpe.policy.health import HealthSettings
from rpe.policy.retry import RetrySettings
from rpe.transport.registry import get_transport

__all__ = ["read_pool"]

_SOURCE = (
    "manifest",
    "manifest_url",
    "auth_header",
    "pipeline_name",
    "manifest_endpoint",
    "manifest_source",
)
_OWN_PARAMS = {"token": "auth_token", "tls": "tls"}
_LONGEST_SESSION_MS = 7 * 24 * 3600 * 1000


def read_pool(
    fields: Fields, timeout_s: float, *, name: str = "primary", base: PoolSpec | None = None
) -> PoolSpec | None:
    """Read the pool that an object of params describes; None where a problem left nothing to make it of.

    timeout_s: how long an operation may take.
    base: the pool whose settings stand where this one says nothing. Credentials and
        `extra_config` are not taken over: they were made for other servers.
    """
    usual = ClientSettings() if base is None else base.client
    transport = fields.text("transport") or ("grpc" if base is None else base.transport)
    endpoints = _endpoints(fields)
    source = _source(fields, base)
    token, token_file = fields.text("auth_token"), fields.text("auth_token_file")
    if token is not None and token_file is not None:
        fields.tell("auth_token", "and auth_token_file say the same thing: give one of them")
    tls = _tls(fields)
    extra = _extra_config(fields, transport)
    client = replace(
        usual,
        timeout_s=timeout_s,
        stream_timeout_s=fields.ms(
            "stream_timeout_ms", default_s=usual.stream_timeout_s, most=_LONGEST_SESSION_MS
        ),
        # Half of the time at one endpoint at most: a silent one leaves some for the next.
        open_timeout_s=min(10.0, timeout_s / 2),
        stream_stall_timeout_s=_stall_s(fields, usual),
        retry=_retry(fields, usual.retry),
        breaker=_breaker(fields, usual.breaker, timeout_s),
        health=_health(fields, usual.health),
        load_balance=fields.choice(
            "load_balance_strategy",
            "load_balance",
            among=tuple(BALANCERS),
            default=usual.load_balance,
        ),
    )
    if endpoints is None or source is None:
        return None
    return PoolSpec(
        name=name,
        transport=transport,
        endpoints=endpoints,
        source=source,
        client=client,
        timeout_s=None if base is None else timeout_s,
        auth_token=token,
        auth_token_file=token_file,
        tls=tls if base is None or tls is not None or "tls" in fields.raw else base.tls,
        extra_config=extra,
        where=fields.where,
    )


def _stall_s(fields: Fields, usual: ClientSettings) -> float | None:
    stall_s = fields.ms("stream_stall_timeout_ms", default_s=0, most=_LONGEST_SESSION_MS)
    return stall_s or usual.stream_stall_timeout_s


def _endpoints(fields: Fields) -> tuple[str, ...] | None:
    fields.know("endpoint", "endpoints")
    try:
        endpoints = read_endpoints(fields.raw, fields.where)
    except ManifestInvalid as error:
        fields.problems.extend(error.problems)
        return None
    twice = sorted({endpoint for endpoint in endpoints if endpoints.count(endpoint) > 1})
    if twice:
        fields.tell("endpoints", f"holds an address twice: {', '.join(twice)}")
    return endpoints


def _source(fields: Fields, base: PoolSpec | None) -> ManifestSource | None:
    fields.know(*_SOURCE)
    if base is not None and not any(key in fields for key in _SOURCE):
        return base.source
    try:
        return read_source(fields.raw, fields.where)
    except ManifestInvalid as error:
        fields.problems.extend(error.problems)
        return None


def _tls(fields: Fields) -> TlsFiles | None:
    inner = fields.object("tls")
    if inner is None:
        return None
    files = TlsFiles(*(inner.text(name) for name in ("ca_file", "cert_file", "key_file", "server_name")))
    if (files.cert_file is None) != (files.key_file is None):
        inner.tell(
            "cert_file" if files.cert_file else "key_file", "needs the other of cert_file and key_file"
        )
    inner.end()
    return files


def _extra_config(fields: Fields, transport: str) -> Mapping[str, Any]:
    """The transport's own settings, as it finds them good."""
    inner = fields.object("extra_config")
    extra = {} if inner is None else dict(inner.raw)
    for name, instead in _OWN_PARAMS.items():
        if extra.pop(name, None) is not None:
            fields.tell("extra_config", f"cannot set {name}: use {instead}")
    try:
        plugin = get_transport(transport)
    except ConfigurationError as error:
        fields.tell("transport", f"cannot be used: {error.message} ({error.hint})")
        return extra
    try:
        plugin.validate_config(extra)
    except ConfigurationError as error:
        hint = f" ({error.hint})" if error.hint else ""
        fields.tell("extra_config", f"does not suit: {error.message}{hint}")
    except Exception as error:
        # A plugin compares and converts what it is given: its words may hold the value.
        fields.tell("extra_config", f"cannot be read by the transport {transport}: {type(error).__name__}")
    return extra


def _retry(fields: Fields, usual: RetrySettings) -> RetrySettings:
    inner = fields.object("retry")
    if inner is None:
        return usual
    retries = inner.integer("max_retries", default=usual.max_retries, least=0, most=1000)
    # The first attempt is one of them.
    attempts = inner.integer("max_attempts", default=retries + 1, least=1, most=1001)
    if "max_retries" in inner and "max_attempts" in inner:
        inner.tell("max_retries", "and max_attempts say the same thing: give one of them")
    backoff = usual.backoff
    initial_s = inner.ms("backoff_ms", "initial_backoff_ms", default_s=backoff.initial_s)
    max_s = inner.ms("max_backoff_ms", default_s=max(backoff.max_s, initial_s))
    if max_s < initial_s:
        inner.tell("max_backoff_ms", "must not be below the first backoff")
        max_s = initial_s
    multiplier = inner.number("multiplier", default=backoff.multiplier, least=1, most=1000, whole=False)
    inner.end()
    waits = replace(backoff, initial_s=initial_s, max_s=max_s, multiplier=multiplier)
    return replace(usual, max_retries=attempts - 1, backoff=waits)


def _breaker(fields: Fields, usual: BreakerSettings, timeout_s: float) -> BreakerSettings:
    inner = fields.object("circuit_breaker")
    # A probe keeps its lease for longer than an attempt may take.
    usual = replace(usual, probe_expiry_s=max(usual.probe_expiry_s, timeout_s + 1))
    if inner is None:
        return usual
    reset_s = inner.ms("reset_timeout_ms", default_s=usual.reset_timeout_s)
    settings = replace(
        usual,
        failure_threshold=inner.integer("failure_threshold", default=usual.failure_threshold, least=1),
        success_threshold=inner.integer("success_threshold", default=usual.success_threshold, least=1),
        reset_timeout_s=reset_s,
        max_reset_timeout_s=max(usual.max_reset_timeout_s, reset_s),
        enabled=inner.flag("enabled", default=usual.enabled),
    )
    inner.end()
    return settings


def _health(fields: Fields, usual: HealthSettings) -> HealthSettings:
    inner = fields.object("health_check")
    interval_s = fields.number(
        "health_check_interval_secs", default=usual.interval_s, above=0, most=86_400, whole=False
    )
    enabled, timeout_s, told = usual.enabled, min(usual.timeout_s, interval_s), False
    if inner is not None:
        if "interval_ms" in inner and "health_check_interval_secs" in fields:
            inner.tell("interval_ms", "and health_check_interval_secs say the same thing: give one of them")
        interval_s = inner.ms("interval_ms", default_s=interval_s)
        told = "timeout_ms" in inner
        timeout_s = inner.ms("timeout_ms", default_s=min(usual.timeout_s, interval_s))
        enabled = inner.flag("enabled", default=usual.enabled)
        inner.end()
    if timeout_s > interval_s:
        assert inner is not None and told  # the default is never above
        inner.tell("timeout_ms", "must not be above the interval")
        timeout_s = interval_s
    return replace(usual, interval_s=interval_s, timeout_s=timeout_s, enabled=enabled)
