from __future__ import annotations

import json

import numpy as np
import pytest

from rpe import Audio, Binary, ClientSettings, FixedToken, Json, RuntimeData, Text
from rpe.errors import ConfigurationError, RemoteTimeout
from rpe.load.messages import (
    brief,
    config_from_json,
    config_to_json,
    pack_outputs,
    settings_from_json,
    settings_to_json,
    unpack_outputs,
)
from rpe.load.sizes import size_of
from rpe.policy.backoff import BackoffSettings
from rpe.policy.breaker import BreakerSettings
from rpe.policy.budget import BudgetSettings
from rpe.policy.health import HealthSettings
from rpe.policy.retry import RetrySettings
from rpe.transport.ports import TlsSettings


def test_settings_survive_the_way_to_the_engine() -> None:
    settings = ClientSettings(
        timeout_s=1.5,
        repeatable=True,
        load_balance="random",
        stream_stall_timeout_s=2.0,
        retry=RetrySettings(max_retries=7, backoff=BackoffSettings(initial_s=0.25)),
        budget=BudgetSettings(ratio=0.5),
        breaker=BreakerSettings(enabled=False),
        health=HealthSettings(enabled=False),
    )
    assert settings_from_json(json.loads(json.dumps(settings_to_json(settings)))) == settings


def test_certificates_survive_the_way_to_the_engine() -> None:
    config = {
        "token": "secret",
        "connect_timeout_s": 0.5,
        "tls": TlsSettings(root_certificates=b"-----A-----", private_key=b"-----B-----", server_name="here"),
    }
    assert config_from_json(json.loads(json.dumps(config_to_json(config)))) == config


def test_what_cannot_leave_the_process_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError, match="token is of the type FixedToken") as told:
        config_to_json({"token": FixedToken("hush")})
    assert "hush" not in str(told.value)


def test_outputs_survive_the_way_back() -> None:
    sound = Audio(np.arange(4, dtype=np.int16), sample_rate=8000)
    outputs: dict[str, RuntimeData] = {"a": Text("hé"), "b": sound, "c": Text("")}
    assert unpack_outputs(pack_outputs(outputs)) == outputs


def test_the_size_of_an_answer_is_that_of_its_content() -> None:
    assert size_of({"a": Text("hé")}) == 3
    assert size_of({"a": Audio(np.zeros(160, dtype=np.int16), sample_rate=8000)}) == 320
    assert size_of({"a": Binary(b"12345"), "b": Json({"k": [1]})}) == 5 + len('{"k":[1]}')
    assert size_of({}) == 0


def test_errors_that_differ_in_their_numbers_only_are_one_line() -> None:
    lines = {brief(RemoteTimeout(f"no answer from 127.0.0.1:{port} within {port / 7} s")) for port in (5, 81)}
    assert len(lines) == 1
    assert next(iter(lines)).startswith(f"{RemoteTimeout.code}: no answer from")
