"""The steps of a script that wait, answer with what came, and go round."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from rpe.fakes.definition import parse_definition
from rpe.fakes.definition.problems import DefinitionInvalid
from tests.fakes.definition.spoken import Said, Spoken

Define = Callable[..., Any]


def ids(text: str) -> list[dict[str, Any]]:
    return [{"id": id_} for id_ in text.split()]


async def play(define: Define, script: list[Any], text: str = "") -> Said:
    return await Spoken(define(Chat=[{"answer": {"script": script}}]))("Chat", *ids(text))


EXPECT: dict[str, Any] = {"expect": {}}
SEND = {"send": {"id": "${request.id}!"}}


async def test_steps_are_played_so_many_times(define: Define) -> None:
    script = [{"repeat": {"times": 2, "steps": [EXPECT, SEND]}}, {"send": {"id": "done"}}, {"drain": True}]
    said = await play(define, script, "a b c d")
    assert (said.ids, said.status[0], len(said.call.requests)) == (["a!", "b!", "done"], "OK", 4)
    said = await play(define, script, "a")
    assert said.ids == ["a!"]
    assert said.status == (
        "FAILED_PRECONDITION",
        "rpe fake: step 0.0 of the script expects more: the caller ended its stream",
    )


async def test_steps_are_played_until_the_caller_ends(define: Define) -> None:
    script = [{"repeat": {"until_end": True, "steps": [EXPECT, SEND]}}, {"send": {"id": "bye"}}]
    assert (await play(define, script, "a b c")).ids == ["a!", "b!", "c!", "bye"]
    assert (await play(define, script)).ids == ["bye"]


async def test_repeats_lie_inside_one_another_and_a_close_ends_them_all(define: Define) -> None:
    twice: Any = {"repeat": {"times": 2, "steps": [EXPECT, SEND]}}
    script = [
        {"repeat": {"until_end": True, "steps": [twice, {"send": {"id": "/"}}]}},
        {"send": {"id": "end"}},
    ]
    assert (await play(define, script, "a b c")).ids == ["a!", "b!", "/", "c!", "end"]
    closing: Any = {"repeat": {"times": 3, "steps": [twice, {"close": True}]}}
    said = await play(define, [{"repeat": {"until_end": True, "steps": [closing]}}, *script], "a b c d")
    assert (said.ids, said.status[0]) == (["a!", "b!"], "OK")


async def test_what_a_repeated_step_does_not_expect_ends_the_call(define: Define) -> None:
    script = [{"repeat": {"until_end": True, "steps": [{"expect": {"id": "a"}}, SEND]}}]
    said = await play(define, script, "a b")
    assert (said.ids, said.status[0]) == (["a!"], "FAILED_PRECONDITION")
    assert "step 0.0 of the script expects more: id is not 'a'" in said.status[1]


async def test_any_request_can_be_waited_for(define: Define) -> None:
    script = [{"expect": {"id": "go"}, "any": True}, SEND]
    said = await play(define, script, "a b go c")
    assert (said.ids, said.call.requests) == (["go!"], ids("a b go"))
    said = await play(define, script, "a b")
    assert said.status[0] == "FAILED_PRECONDITION" and "ended its stream" in said.status[1]


async def test_a_request_that_does_not_come_in_time_ends_the_call(define: Define) -> None:
    async def slow() -> AsyncIterator[dict[str, Any]]:
        yield {"id": "a"}
        await asyncio.Event().wait()

    script = [{"expect": {"id": "go"}, "any": True, "timeout_s": 0.02}, SEND]
    speak = Spoken(define(Chat=[{"answer": {"script": script}}]))
    said = await speak("Chat", coming=slow())
    assert said.status == ("ABORTED", "rpe fake: step 0 of the script waited 0.02 s for its request")
    assert (await speak("Chat", *ids("go"))).ids == ["go!"]


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Define:
    """Makes definitions of a service that answers in the type of its requests."""
    files = FileDescriptorSet()
    file = files.file.add(name="mirror.proto", package="mirror", syntax="proto3")
    file.message_type.add(name="Word").field.add(name="text", number=1, type=9, label=1)
    method = file.service.add(name="Mirror").method.add(name="Look")
    method.input_type = method.output_type = ".mirror.Word"
    method.client_streaming = method.server_streaming = True
    folder: Path = tmp_path_factory.mktemp("mirror")
    (folder / "mirror.binpb").write_bytes(files.SerializeToString())

    def make(script: Any) -> Any:
        rules = [{"answer": {"script": script}}]
        data = {
            "descriptors": {"set": "mirror.binpb"},
            "service": "mirror.Mirror",
            "methods": {"Look": rules},
        }
        return parse_definition(data, folder)

    return make


async def test_an_echo_is_the_last_request(mirror: Define) -> None:
    speak = Spoken(mirror([{"repeat": {"until_end": True, "steps": [EXPECT, {"echo": True}]}}]))
    words = [{"text": "a"}, {"text": "b"}]
    assert (await speak("Look", *words)).answers == words


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"echo": True}, "script[0].echo: requests have another type than answers here: send a shop.v1.Item"),
        ({"echo": False}, "script[0]: echo, drain and close are steps"),
        ({"send": {}, "any": True}, "script[0]: any and timeout_s go with expect"),
        ({"drain": True, "timeout_s": 1.0}, "script[0]: any and timeout_s go with expect"),
        ({"expect": {}, "timeout_s": 0.0}, "script[0].timeout_s: input should be greater than 0"),
        ({"repeat": {"steps": [EXPECT]}}, "script[0].repeat: one of times, until_end is needed"),
        ({"repeat": {"times": 0, "steps": [EXPECT]}}, "script[0].repeat.times: input should be greater"),
        ({"repeat": {"times": 1, "steps": []}}, "script[0].repeat.steps: list should have at least 1"),
        ({"repeat": {"until_end": True, "steps": [SEND]}}, "script[0].repeat: until_end needs a step"),
        ({"repeat": {"until_end": False, "steps": [EXPECT]}}, "script[0].repeat: write until_end: true"),
        (
            {"repeat": {"times": 1, "steps": [EXPECT, {"send": {"x": 1}}]}},
            "script[0].repeat.steps[1].send.x: shop.v1.Item has no such field",
        ),
        (
            {"repeat": {"times": 1, "steps": [{"expect": {"x": 1}}]}},
            "script[0].repeat.steps[0].expect.x: shop.v1.ItemRequest has no field",
        ),
    ],
)
def test_mistakes_are_told_at_once(define: Define, step: Any, place: str) -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        define(Chat=[{"answer": {"script": [step]}}])
    [problem] = caught.value.problems
    assert f"methods.Chat[0].answer.{place}" in problem
