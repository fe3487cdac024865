"""The logging sink: what is worth a line, and at which level."""

from __future__ import annotations

import logging

import pytest

from rpe.client.settings import ClientSettings
from rpe.errors import ConnectFailed, RpeError
from rpe.policy.health import HealthSettings
from rpe.policy.outcome import OperationOutcome, Outcome
from rpe.telemetry import AttemptRecord, BreakerRecord, HealthRecord, LogObserver, OperationRecord


def test_failures_and_changes_are_logged_and_successes_are_not(caplog: pytest.LogCaptureFixture) -> None:
    sink = LogObserver()
    with caplog.at_level(logging.INFO, logger="rpe.client"):
        good = AttemptRecord("op", 1, "a", "execute", 0.0, 0.5, 1.0, False, Outcome.SUCCESS, "ok")
        sink.on_attempt(good)
        sink.on_operation(OperationRecord("op", "execute", 0.0, 0.5, OperationOutcome.OK, "ok", 1))
        assert caplog.records == []
        error = ConnectFailed("no connection")
        bad = AttemptRecord("op", 2, "a", "execute", 0.0, 0.5, 1.0, False, Outcome.FAILURE, error.code, error)
        sink.on_attempt(bad)
        sink.on_operation(
            OperationRecord("op", "execute", 0.0, 1.0, OperationOutcome.MAYBE, "all_endpoints_failed", 4)
        )
        sink.on_breaker(BreakerRecord("a", "closed", "open", "tripped", 1.0))
        sink.on_health(HealthRecord("a", False, 1.0, "grpc.health.v1 says not_serving"))
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "WARNING", "WARNING"]
    told = caplog.text
    for words in (
        "attempt 2 of op at a: failure (connect_failed)",
        "after 4 attempts",
        "closed -> open",
        "unhealthy",
    ):
        assert words in told


async def test_nothing_a_client_logs_holds_its_token(caplog: pytest.LogCaptureFixture) -> None:
    import rpe

    settings = ClientSettings(health=HealthSettings(enabled=False), timeout_s=0.3)
    with caplog.at_level(logging.DEBUG):
        async with rpe.connect(
            ["127.0.0.1:1"], token="s3cret", observers=[LogObserver()], settings=settings
        ) as client:
            with pytest.raises(RpeError) as caught:
                await client.execute(rpe.Manifest.single("echo", node_type="Echo"), rpe.Text("x"))
            assert "s3cret" not in f"{caught.value}{caught.value!r}{client!r}{client.statistics()!r}"
    assert "s3cret" not in caplog.text
