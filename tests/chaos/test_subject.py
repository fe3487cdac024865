"""Subjects are found by name, or as module:factory; what does not lead to one is told."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint

import pytest
from pydantic import ValidationError

from rpe.chaos import subject
from rpe.chaos.subject import ClientRequest, load_subject, subject_names
from rpe.errors import ConfigurationError


def same(found: object, expected: object) -> bool:
    return found is expected


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [
        EntryPoint("mine", "json:loads", "rpe.subjects"),
        EntryPoint("twice", "json:loads", "rpe.subjects"),
        EntryPoint("twice", "json:dumps", "rpe.subjects"),
        EntryPoint("broken", "no_such_module_at_all:create", "rpe.subjects"),
    ]
    monkeypatch.setattr(subject, "entry_points", lambda group: points)


def test_a_name_leads_to_its_factory(installed: None) -> None:
    assert same(load_subject("mine"), json.loads)
    assert subject_names() == ("broken", "mine", "twice")


def test_a_module_and_a_factory_need_no_entry_point() -> None:
    assert same(load_subject("json:loads"), json.loads)
    assert same(load_subject("json:decoder.JSONDecoder"), json.decoder.JSONDecoder)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("yours", "no client is named 'yours'"),
        ("twice", "several packages claim the client 'twice': json:dumps, json:loads"),
        ("broken", "the client 'broken' cannot be loaded: No module named 'no_such_module_at_all'"),
        ("json:no_such_name", "json has no no_such_name"),
        ("json:__doc__", "json:__doc__ is not callable"),
        (":create", "':create' does not name a client"),
        ("json:", "'json:' does not name a client"),
    ],
)
def test_a_name_that_leads_nowhere_is_told(installed: None, name: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_subject(name)

    assert told in caught.value.message
    assert caught.value.hint


def test_an_unknown_name_is_told_with_the_known_ones(installed: None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_subject("yours")

    assert "broken, mine, twice" in caught.value.hint


def test_the_clients_in_the_box_are_offered() -> None:
    assert {"rpe", "grpc-native", "bare"} <= set(subject_names())


def test_what_is_not_asked_for_is_left_to_the_client() -> None:
    request = ClientRequest()

    assert (request.retry, request.breaker, request.health, request.budget) == (None, None, None, None)


@pytest.mark.parametrize(
    "wrong", [{"timeout_s": "2"}, {"timeout_s": 0}, {"timeout": 2}, {"retry": {"max_retries": -1}}]
)
def test_a_request_is_strict(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ClientRequest.model_validate(wrong)


def test_a_token_is_never_shown() -> None:
    request = ClientRequest(token="very-secret")

    assert "very-secret" not in repr(request)
    assert "very-secret" not in str(request)
