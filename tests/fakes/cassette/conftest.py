from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpe.fakes.cassette import Recorder, Replay
from rpe.fakes.definition import ProtoFake, parse_definition
from tests.fakes.cassette.calling import channel_to

HALL = """
syntax = "proto3";
package hall.v1;
service Hall {
  rpc Greet(Name) returns (Name);
  rpc List(Name) returns (stream Name);
  rpc Add(stream Name) returns (Name);
  rpc Chat(stream Name) returns (stream Name);
}
message Name { string text = 1; }
"""

RULES: dict[str, Any] = {
    "Greet": [
        {
            "when": {"fields": {"text": "nobody"}},
            "answer": {"error": {"code": "NOT_FOUND", "message": "no such guest: ${request.text}"}},
        },
        {"answer": {"message": {"text": "hello ${request.text}"}}},
    ],
    "List": [{"answer": {"messages": [{"message": {"text": f"${{request.text}} {n}"}} for n in range(3)]}}],
    "Add": [{"answer": {"message": {"text": "last ${request.text}"}}}],
    "Chat": [{"answer": {"each": [{"message": {"text": "${request.text}?"}}, {"message": {"text": "!"}}]}}],
}


@pytest.fixture(scope="session")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The definition of a service with all four kinds of method."""
    folder = tmp_path_factory.mktemp("hall")
    (folder / "hall.proto").write_text(HALL, encoding="utf-8")
    data = {"descriptors": {"protos": ["hall.proto"]}, "service": "hall.v1.Hall", "methods": RULES}
    return parse_definition(data, folder)


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    return tmp_path / "calls.jsonl"


Recording = Callable[..., Any]


@pytest.fixture
def recording_hall(hall: Any, cassette: Path) -> Recording:
    """A recorder before the real service, and a channel to it: an async context."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[tuple[Recorder, grpc.aio.Channel]]:
        async with (
            ProtoFake(hall) as fake,
            Recorder(f"grpc://{fake.endpoint}", path=cassette, **options) as recorder,
            channel_to(recorder.endpoint) as channel,
        ):
            yield recorder, channel

    return opened


@pytest.fixture
def replaying(cassette: Path) -> Recording:
    """A replay of the cassette, at speed 0 where none is given, and a channel to it: an async context."""

    @asynccontextmanager
    async def opened(**options: Any) -> AsyncIterator[tuple[Replay, grpc.aio.Channel]]:
        options.setdefault("speed", 0)
        async with Replay(cassette, **options) as replay, channel_to(replay.endpoint) as channel:
            yield replay, channel

    return opened
