"""The glossary client, with a fake of the service made from its contract."""

from __future__ import annotations

from rpe.fakes.definition import ProtoFake

from captions import Glossary


async def test_a_template_answers_with_the_word_that_was_asked_for(
    glossary: Glossary, glossary_fake: ProtoFake
) -> None:
    assert await glossary.spelling("web rtc") == "WebRTC"
    assert await glossary.spelling("unheard of") == "unheard of"
    [known, unknown] = glossary_fake.calls("Look")
    assert (known.rule, unknown.rule) == (1, 3)


async def test_a_service_that_is_away_costs_no_word(glossary: Glossary, glossary_fake: ProtoFake) -> None:
    assert await glossary.spelling("outage") == "outage"
    [call] = await glossary_fake.wait_for_calls(1, "Look")
    assert call.code == "UNAVAILABLE"


async def test_a_list_that_breaks_off_is_used_as_far_as_it_came(glossary: Glossary) -> None:
    assert await glossary.words() == ["grpc", "webrtc"]
