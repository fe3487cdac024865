"""Settings that make no sense are refused when they are made, and the text names them."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.policy import (
    BackoffSettings,
    BreakerSettings,
    BudgetSettings,
    CooldownSettings,
    HealthSettings,
    RetrySettings,
)

ALL: list[type[Any]] = [
    BackoffSettings,
    BreakerSettings,
    BudgetSettings,
    CooldownSettings,
    HealthSettings,
    RetrySettings,
]
NESTED = {"backoff", "throttle"}  # settings of their own, which check themselves
FIELDS = [
    (kind, field.name) for kind in ALL for field in dataclasses.fields(kind) if field.name not in NESTED
]


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_frozen_and_taken_by_keyword_only(kind: type[Any]) -> None:
    settings = kind()
    with pytest.raises(TypeError):
        kind(1.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, dataclasses.fields(kind)[0].name, 1)
    assert not hasattr(settings, "__dict__")
    assert settings == kind()


@pytest.mark.parametrize(("kind", "name"), FIELDS)
@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "1", None])
def test_each_setting_refuses_nonsense_by_name(kind: type[Any], name: str, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind.__name__}.{name} must be"):
        kind(**{name: wrong})


@pytest.mark.parametrize(
    ("kind", "values", "named"),
    [
        (BackoffSettings, {"initial_s": 0.0}, "initial_s"),
        (BackoffSettings, {"multiplier": 0.9}, "multiplier"),
        (BackoffSettings, {"initial_s": 5.0, "max_s": 4.0}, "max_s"),
        (BackoffSettings, {"jitter": 1.01}, "jitter"),
        (BreakerSettings, {"failure_threshold": 0}, "failure_threshold"),
        (BreakerSettings, {"failure_threshold": 2.5}, "failure_threshold"),
        (BreakerSettings, {"failure_threshold": True}, "failure_threshold"),
        (BreakerSettings, {"success_threshold": 0}, "success_threshold"),
        (BreakerSettings, {"reset_timeout_s": 0}, "reset_timeout_s"),
        (BreakerSettings, {"reset_timeout_s": 400.0}, "max_reset_timeout_s"),
        (BreakerSettings, {"probe_expiry_s": 0.0}, "probe_expiry_s"),
        (BreakerSettings, {"enabled": 1}, "enabled"),
        (BudgetSettings, {"reserve_s": 0.0}, "reserve_s"),
        (HealthSettings, {"timeout_s": 6.0}, "timeout_s"),
        (HealthSettings, {"max_concurrent": 0}, "max_concurrent"),
        (HealthSettings, {"unhealthy_after": 0}, "unhealthy_after"),
        (RetrySettings, {"max_retries": 1.0}, "max_retries"),
    ],
)
def test_each_limit_holds(kind: type[Any], values: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{kind.__name__}.{named} must be"):
        kind(**values)


def test_the_limits_themselves_are_allowed() -> None:
    BackoffSettings(initial_s=2, multiplier=1, max_s=2, jitter=0)
    BackoffSettings(jitter=1.0)
    BreakerSettings(failure_threshold=1, success_threshold=1, jitter=0.0, enabled=False)
    BudgetSettings(ratio=0.0, min_per_s=0.0)
    HealthSettings(interval_s=2.0, timeout_s=2.0, jitter=0.0)
    RetrySettings(max_retries=0, max_pushback_s=0.0)
