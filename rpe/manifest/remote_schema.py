"""The part of the manifest's JSON Schema that describes the params of remote nodes."""

from __future__ import annotations

from typing import Any

__all__ = ["remote_params"]

_TEXT = {"type": "string", "pattern": r"\S"}
_MANIFEST = {"$ref": "#"}


def remote_params() -> dict[str, Any]:
    """Return the definitions: `RemoteParams`, and what it is made of."""
    return {
        "RemoteParams": {
            **_object(
                "How a pipeline on other machines is called, in either spelling of each param.",
                {
                    **_pool(),
                    "timeout_ms": _ms("The deadline of it all, fallbacks included.", most=300_000),
                    "repeatable": _flag("Whether doing an item twice is harmless.", default=True),
                    "metadata": {
                        "type": "object",
                        "description": "Pairs that travel with each call; no place for credentials.",
                        "additionalProperties": {"type": "string"},
                    },
                    "check_node_types": _flag(
                        "Whether servers are asked for their node types first.", default=True
                    ),
                    "fallback": {
                        "type": "array",
                        "description": "What is tried after the endpoints above, in this order.",
                        "items": {"$ref": "#/$defs/FallbackStep"},
                    },
                    "failback": {"$ref": "#/$defs/Failback"},
                },
            ),
            "allOf": [_one_of("endpoint", "endpoints"), _source_rule()],
        },
        "FallbackStep": {
            "description": "Another pool, a pipeline that runs here, or the last good answer to the input.",
            "anyOf": [
                {
                    **_object(
                        "Another pool; what it leaves out is as in the first one, credentials excepted.",
                        {"name": _TEXT, **_pool(), "timeout_ms": _ms("Its share of the time.", most=300_000)},
                    ),
                    "allOf": [_one_of("endpoint", "endpoints")],
                },
                {
                    **_object(
                        "A pipeline, or a single node, that runs here.",
                        {
                            "name": _TEXT,
                            "timeout_ms": _ms("Its share of the time.", most=300_000),
                            "manifest": _MANIFEST,
                            "node_type": _TEXT,
                            "params": {"type": "object"},
                        },
                    ),
                    "allOf": [_one_of("manifest", "node_type")],
                },
                {
                    **_object(
                        "The last good answer to the same input.",
                        {
                            "name": _TEXT,
                            "cached": _object(
                                "How old it may be.", {"max_age_ms": _ms("Its greatest age.")}, "max_age_ms"
                            ),
                        },
                    ),
                    "required": ["cached"],
                },
            ],
        },
        "Failback": _object(
            "When a step of the chain is left, and when it is returned to.",
            {
                "failure_threshold": _count("Failures in a row after which a step is left."),
                "success_threshold": _count("Good probes after which it is returned to."),
                "min_stay_ms": _ms("How long it stays left at least."),
                "max_stay_ms": _ms("How long it stays left at most, when it fails again and again."),
                "calm_ms": _ms("After so long without a failure, stays are short again.", least=0),
                "max_attempts": _count("Attempts of an operation over all pools together."),
            },
        ),
        "Tls": _object(
            "PEM files: whom to trust, and a client's own certificate for mutual TLS.",
            dict.fromkeys(("ca_file", "cert_file", "key_file", "server_name"), _TEXT),
        ),
        "ManifestSource": {
            "description": "Where the manifest of the remote pipeline is, in the tagged spelling.",
            "type": "object",
            "required": ["type"],
            "properties": {
                "type": {"enum": ["inline", "url", "name"]},
                "manifest": _MANIFEST,
                "url": _TEXT,
                "manifest_url": _TEXT,
                "name": _TEXT,
                "pipeline_name": _TEXT,
                "manifest_endpoint": _TEXT,
                "auth_header": _TEXT,
            },
        },
    }


def _pool() -> dict[str, Any]:
    """The params that a pool has, the first one as well as one that is fallen back on."""
    strategy = {"enum": ["round_robin", "least_connections", "random"]}
    return {
        "transport": {**_TEXT, "description": "grpc, http, webrtc, or any registered transport."},
        "endpoint": _TEXT,
        "endpoints": {"type": "array", "minItems": 1, "uniqueItems": True, "items": _TEXT},
        "manifest": _MANIFEST,
        "manifest_url": _TEXT,
        "auth_header": {
            **_TEXT,
            "description": "For fetching the manifest; ${VAR} is taken from the environment.",
        },
        "pipeline_name": _TEXT,
        "manifest_endpoint": _TEXT,
        "manifest_source": {"$ref": "#/$defs/ManifestSource"},
        "stream_timeout_ms": _ms("The deadline of a whole session."),
        "retry": _object(
            "How often and how patiently it is tried again.",
            {
                "max_retries": _count("Attempts after the first one.", least=0),
                "max_attempts": _count("Attempts, the first one included."),
                "backoff_ms": _ms("The first wait."),
                "initial_backoff_ms": _ms("The first wait."),
                "max_backoff_ms": _ms("The longest wait."),
                "multiplier": {"type": "number", "minimum": 1, "maximum": 1000},
            },
        ),
        "circuit_breaker": _object(
            "When an endpoint is left alone, and for how long.",
            {
                "failure_threshold": _count("Failures in a row that open it."),
                "success_threshold": _count("Good probes that close it."),
                "reset_timeout_ms": _ms("How long it stays open before a probe."),
                "enabled": _flag("Whether there is one.", default=True),
            },
        ),
        "load_balance_strategy": strategy,
        "load_balance": strategy,
        "health_check": _object(
            "How endpoints are asked whether they are well.",
            {
                "interval_ms": _ms("The time between two checks of one endpoint."),
                "timeout_ms": _ms("How long one check may take."),
                "enabled": _flag("Whether they are asked at all.", default=True),
            },
        ),
        "health_check_interval_secs": {"type": "number", "exclusiveMinimum": 0, "maximum": 86_400},
        "auth_token": {**_TEXT, "description": "A bearer token; ${VAR} is taken from the environment."},
        "auth_token_file": {
            **_TEXT,
            "description": "A file with the bearer token, read again when it changes.",
        },
        "tls": {"$ref": "#/$defs/Tls"},
        "extra_config": {"type": "object", "description": "Further settings of the transport."},
    }


def _one_of(*names: str) -> dict[str, Any]:
    return {"oneOf": [{"required": [name]} for name in names]}


def _source_rule() -> dict[str, Any]:
    return _one_of("manifest", "manifest_url", "pipeline_name", "manifest_source")


def _object(description: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "object",
        "description": description,
        "properties": properties,
        "additionalProperties": False,
    }
    return made | ({"required": list(required)} if required else {})


def _ms(description: str, *, least: int = 1, most: int | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "integer",
        "minimum": least,
        "description": f"{description} Milliseconds.",
    }
    return made if most is None else made | {"maximum": most}


def _count(description: str, *, least: int = 1) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "description": description}


def _flag(description: str, *, default: bool) -> dict[str, Any]:
    return {"type": "boolean", "description": description, "default": default}
