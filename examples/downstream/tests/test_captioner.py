"""The captioner, with fake servers that recognise what the test wants to be heard."""

from __future__ import annotations

import pytest
import rpe
from rpe.errors import RpeError
from rpe.fakes.definition import ProtoFake
from rpe.testing import FakePipeline, FakePool, FaultyLinks, caller_script

from captions import Captioner, Glossary


@pytest.mark.fake_pipeline(nodes={"Transcribe": rpe.Text("hello grpc and webrtc")})
async def test_words_are_spelled_as_the_glossary_has_them(
    fake_pipeline: FakePipeline, glossary: Glossary, glossary_fake: ProtoFake, recording: rpe.Audio
) -> None:
    fake_pipeline.expect(node_type="Transcribe")
    async with Captioner([fake_pipeline.endpoint], glossary=glossary) as captioner:
        assert await captioner.caption(recording) == "hello gRPC and WebRTC"
    assert [call.requests[0]["word"] for call in glossary_fake.calls("Look")] == [
        "hello",
        "grpc",
        "and",
        "webrtc",
    ]


@pytest.mark.fake_pipeline(nodes={"Transcribe": rpe.Text("an outage")})
async def test_without_the_glossary_words_stay_as_they_were_heard(
    fake_pipeline: FakePipeline, glossary: Glossary, recording: rpe.Audio
) -> None:
    async with Captioner([fake_pipeline.endpoint], glossary=glossary) as captioner:
        assert await captioner.caption(recording) == "an outage"


@pytest.mark.fake_pipeline(transport="http", behaviour={"error": {"status": "unavailable", "first": 1}})
async def test_a_refused_recording_is_sent_again(fake_pipeline: FakePipeline, recording: rpe.Audio) -> None:
    @fake_pipeline.handle("Transcribe")
    def transcribe(sound: rpe.Audio) -> rpe.Text:
        assert sound.sample_rate == 16_000
        return rpe.Text("at last")

    async with Captioner([fake_pipeline.endpoint], transport="http") as captioner:
        assert await captioner.caption(recording) == "at last"
    assert (fake_pipeline.calls.count, transcribe.count) == (2, 1)


@pytest.mark.fake_pool(servers=3, nodes={"Transcribe": rpe.Text("still here")})
async def test_a_server_may_be_gone(fake_pool: FakePool, recording: rpe.Audio) -> None:
    async with Captioner(fake_pool.endpoints) as captioner, fake_pool["a"].down(), fake_pool["b"].down():
        for _ in range(4):
            assert await captioner.caption(recording) == "still here"
    assert fake_pool["c"].fake.calls.count == 4


@pytest.mark.fake_pipeline(nodes={"Transcribe": rpe.Text("slow")})
async def test_a_slow_link_is_waited_for(
    fake_pipeline: FakePipeline, fault_proxy: FaultyLinks, recording: rpe.Audio
) -> None:
    link = await fault_proxy.open(fake_pipeline.endpoint)
    async with Captioner([link.endpoint]) as captioner, link.latency(0.05):
        assert await captioner.caption(recording) == "slow"
    assert (await link.stats()).accepted == 1


@pytest.mark.fake_pipeline(allow_scripts=True, nodes={"Transcribe": rpe.Text("words")})
async def test_two_callers_of_one_server_have_troubles_of_their_own(
    fake_pipeline: FakePipeline, recording: rpe.Audio
) -> None:
    trouble = caller_script({"error": {"status": "invalid_argument", "message": "this is no recording"}})
    async with Captioner([fake_pipeline.endpoint]) as well:
        async with Captioner([fake_pipeline.endpoint], metadata=trouble) as troubled:
            with pytest.raises(RpeError, match="this is no recording"):
                await troubled.caption(recording)
        assert await well.caption(recording) == "words"
