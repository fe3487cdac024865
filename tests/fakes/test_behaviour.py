"""The script as a model: what it takes, what it refuses, and how it says so."""

from __future__ import annotations

import json
import random
import statistics
import traceback
from typing import Any

import pytest
import yaml

from rpe.errors import ConfigurationError
from rpe.fakes.behaviour import Behaviour, Error, Firing, Health, Latency, Lognormal, parse_behaviour
from rpe.transport.serving import ErrorType, StatusCode

EVERYTHING = """
latency: {lognormal: {median_s: 0.05, sigma: 0.7, max_s: 2}}
error: {status: RESOURCE_EXHAUSTED, message: full, rate: 0.25, first: 10, every: 2, retry_after_s: 0.5}
application_error: {error_type: validation, message: wrong, node_id: n0, rate: 1}
hang: {rate: 0.1}
corrupt: {mode: short_audio, first: 3}
service: {base_s: 0.01, real_time_factor: 0.2, per_concurrent: 0.1, warm_up: {calls: 3, factor: 5}}
media: [{kind: drop, at_s: 1.2, for_s: 0.1, rate: 0.5}, {kind: late, at_result: 3, delay_s: 1}]
stream: {cut_after: 5, how: status, status: unavailable, drip_s: 0.01, error_after: 7, metrics_every: 2}
overload: {above_in_flight: 4, retry_after_s: -1}
capacity: {workers: 2}
token: s3cret
other_token: next
recheck_token: true
health: not_serving
version: {node_types: [Echo], protocol_version: v9, compatible: false, message: too new}
http:
  status: {code: 503, rate: 0.5, retry_after_s: 2}
  body: {how: wrong_length, first: 2}
  events: {how: late, every: 3}
  idle_close_s: 0.5
"""


def test_every_part_reads_from_yaml_and_survives_json() -> None:
    script = parse_behaviour(yaml.safe_load(EVERYTHING))
    assert script.error is not None and script.error.status is StatusCode.RESOURCE_EXHAUSTED
    assert script.application_error is not None
    assert script.application_error.error_type is ErrorType.VALIDATION
    assert script.health is Health.NOT_SERVING
    assert all(getattr(script, name) != field.default for name, field in Behaviour.model_fields.items())
    for dumped in (script.model_dump_json(), script.model_dump_json(exclude_defaults=True)):
        assert Behaviour.model_validate_json(dumped) == script
        assert parse_behaviour(json.loads(dumped)) == script


def test_an_empty_script_is_the_default_one() -> None:
    assert parse_behaviour({}) == Behaviour()
    assert Behaviour().model_dump(exclude_defaults=True) == {}


def test_a_script_does_not_change_and_does_not_tell_its_token() -> None:
    script = Behaviour(token="s3cret")
    with pytest.raises(ValueError, match="frozen"):
        script.health = Health.HANG
    assert "s3cret" not in f"{script!r} {script}"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ({"latncy": {}}, "latncy is unknown"),
        ({"latency": {"fixed_ms": 5}}, "latency.fixed_ms is unknown"),
        ({"latency": {}}, "one of fixed_s, uniform_s and lognormal, not none"),
        ({"latency": {"fixed_s": 1, "uniform_s": [1, 2]}}, "not fixed_s and uniform_s"),
        ({"latency": {"uniform_s": [2, 1]}}, "latency: uniform_s must be [shortest, longest]"),
        ({"latency": {"fixed_s": "1"}}, "latency.fixed_s: Input should be a valid number (got '1')"),
        (
            {"latency": {"fixed_s": -1}},
            "latency.fixed_s: Input should be greater than or equal to 0 (got -1)",
        ),
        ({"error": {"rate": 1.5}}, "error.rate: Input should be less than or equal to 1 (got 1.5)"),
        ({"error": {"rate": True}}, "error.rate: Input should be a valid number (got True)"),
        ({"error": {"status": "broken"}}, "error.status: Input should be 'cancelled', "),
        ({"error": {"every": 0}}, "error.every: Input should be greater than or equal to 1 (got 0)"),
        ({"corrupt": {}}, "corrupt.mode: Field required"),
        ({"health": "ill", "hang": 1}, "hang: "),
        ({"health": "ill", "hang": 1}, "health: Input should be 'serving', 'not_serving', "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(script: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_behaviour(script)
    assert told in str(caught.value)


def test_a_wrong_token_is_not_told_either() -> None:
    secret = "s3" + "cret"
    with pytest.raises(ConfigurationError) as caught:
        parse_behaviour({"token": [secret]})
    assert "token" in str(caught.value)
    assert secret not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("firing", "fires"),
    [
        (Firing(), [True] * 6),
        (Firing(first=2), [True, True] + [False] * 4),
        (Firing(first=0), [False] * 6),
        (Firing(every=3), [False, False, True] * 2),
        (Firing(first=4, every=2), [False, True, False, True, False, False]),
        (Firing(rate=0.5), [True] * 6),
        (Firing(rate=0.49), [False] * 6),
        (Firing(rate=0), [False] * 6),
    ],
)
def test_which_calls_something_happens_to(firing: Firing, fires: list[bool]) -> None:
    assert [firing.fires(number, 0.49) for number in range(6)] == fires


def test_a_rate_of_one_always_fires() -> None:
    assert Error().fires(0, 0.999_999_999)


def test_latencies_follow_their_distributions() -> None:
    rng = random.Random(7)

    def draw(latency: Latency) -> list[float]:
        return [latency.draw_s(rng) for _ in range(2000)]

    assert set(draw(Latency(fixed_s=0.25))) == {0.25}
    uniform = draw(Latency(uniform_s=(0.1, 0.3)))
    assert min(uniform) >= 0.1 and max(uniform) <= 0.3
    assert statistics.fmean(uniform) == pytest.approx(0.2, abs=0.01)
    curve = draw(Latency(lognormal=Lognormal(median_s=0.1, sigma=0.5)))
    assert statistics.median(curve) == pytest.approx(0.1, rel=0.1)
    assert statistics.quantiles(curve, n=100)[98] == pytest.approx(0.32, rel=0.25)
    cut = draw(Latency(lognormal=Lognormal(median_s=0.1, sigma=0.5, max_s=0.12)))
    assert max(cut) == 0.12
    assert statistics.median(cut) == pytest.approx(0.1, rel=0.1)
