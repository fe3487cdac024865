"""A client that nobody here wrote: Chromium talks to our servers, by data and by sound."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.async_api import Error, Page

from rpe.data import Audio
from rpe.fakes.journal import Kind
from rpe.fakes.server import FakeServer
from rpe.transport.serving import ServerSession
from rpe.transport.webrtc.server import WebrtcPipelineServer
from rpe.transport.webrtc.settings import WebrtcServerSettings
from tests.support.browser import chromium_page
from tests.support.handlers import Handler
from tests.support.sound import level, pitch

pytestmark = pytest.mark.browser

PAGE = Path(__file__).with_name("browser_page.html")


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium_page(PAGE) as page:
        yield page


def url(endpoint: str) -> str:
    return f"ws://{endpoint}/ws"


async def run(page: Page, call: str, argument: Any = None) -> Any:
    async with asyncio.timeout(30):
        return await page.evaluate(call, argument)


async def test_data_buffers_over_a_data_channel(page: Page) -> None:
    async with FakeServer(transport="webrtc") as fake:
        await run(page, "connect", {"url": url(fake.endpoint), "label": "data"})
        assert await run(page, "sendText", "grüß dich") == "grüß dich"
        long = "all work and no play " * 2_000  # more than one packet
        assert await run(page, "sendText", long) == long
        await run(page, "disconnect")
        kinds = [entry.kind for entry in await fake.journal_entries()]
    assert kinds.count(Kind.CHUNK) == 2
    assert kinds.count(Kind.RESULT) == 2


async def test_a_pipeline_of_the_pages_own(page: Page) -> None:
    async with FakeServer(transport="webrtc") as fake:
        await run(page, "connect", {"url": url(fake.endpoint), "label": "remotemedia-pipeline"})
        assert await run(page, "() => execute(1, 'Echo', 'hello')") == "hello"
        assert await run(page, "() => execute(2, 'Echo', 'again')") == "again"
        assert (await run(page, "() => execute(3, 'NoSuchNode', 'x')")).startswith("error: ")
        with pytest.raises(Error, match="frame of type 4"):  # a number that was used before
            await run(page, "() => execute(2, 'Echo', 'x')")


async def test_a_token_in_the_announcement(page: Page) -> None:
    async with FakeServer(transport="webrtc", behaviour={"token": "right"}) as fake:
        for wrong in ("wrong", ""):
            with pytest.raises(Error, match="-32040"):
                await run(page, "([url, token]) => announce(url, token)", [url(fake.endpoint), wrong])
        await run(page, "connect", {"url": url(fake.endpoint), "token": "right", "label": "data"})
        assert await run(page, "sendText", "hello") == "hello"


async def test_a_tone_goes_there_and_comes_back(page: Page) -> None:
    handler = Handler()
    async with WebrtcPipelineServer(handler, WebrtcServerSettings()) as server:
        await run(page, "connect", {"url": url(server.endpoint), "label": "data", "hz": 440})
        heard = await run(page, "listen", 0.1)
        assert await run(page, "sendText", "and words beside it") == "and words beside it"
        await run(page, "disconnect")
    # At the server: chunks of audio, with the energy at the right pitch.
    chunks = [chunk.data for chunk in handler.seen if isinstance(chunk.data, Audio)]
    assert len(chunks) > 20
    assert {(chunk.sample_rate, chunk.channels) for chunk in chunks} == {(48_000, 1)}
    sound = np.concatenate([chunk.samples for chunk in chunks if level(chunk.samples) > 0.1])
    assert pitch(sound[-24_000:]) == pytest.approx(440.0, abs=5.0)
    assert [chunk.sequence for chunk in handler.seen] == list(range(len(handler.seen)))
    # In the page: the remote track sounds, and sounds the same.
    assert heard["rms"] > 0.1
    assert heard["hz"] == pytest.approx(440.0, abs=10.0)


async def test_sound_alone_without_a_data_channel(page: Page) -> None:
    async with FakeServer(transport="webrtc") as fake:
        await run(page, "connect", {"url": url(fake.endpoint), "hz": 700})
        heard = await run(page, "listen", 0.1)
    assert heard["hz"] == pytest.approx(700.0, abs=10.0)


async def test_the_browsers_own_device_reaches_a_fake(page: Page) -> None:
    async with FakeServer(transport="webrtc") as fake:
        await run(page, "connect", {"url": url(fake.endpoint), "label": "data", "microphone": True})
        heard = await run(page, "listen", 0.01)  # the fake device beeps once a second
        entries = await fake.journal_entries()
    assert heard["peak"] > 0.01
    assert sum(entry.kind is Kind.CHUNK for entry in entries) > 20


async def test_a_connection_that_the_page_closes_is_noticed(page: Page) -> None:
    handler = Leaving()
    async with WebrtcPipelineServer(handler, WebrtcServerSettings()) as server:
        await run(page, "connect", {"url": url(server.endpoint), "label": "data"})
        assert await run(page, "sendText", "hello") == "hello"
        assert not handler.left.is_set()
        await run(page, "() => pc.close()")
        async with asyncio.timeout(10):
            await handler.left.wait()


class Leaving(Handler):
    """A handler that tells when a session has ended, in whatever way."""

    def __init__(self) -> None:
        super().__init__()
        self.left = asyncio.Event()

    async def talk(self, session: ServerSession) -> None:
        try:
            await super().talk(session)
        finally:
            self.left.set()
