"""Calls and sessions over bare aiohttp, as one writes them by hand: dictionaries, and lines that are read."""

from __future__ import annotations

import json
from typing import Any, Self

import aiohttp
import numpy as np

from benchmarks.chunks import ECHO, SAMPLE_RATE, SAMPLES, TEXT

__all__ = ["HttpStream", "audio_form", "execute_audio", "execute_text"]

_MANIFEST = ECHO.to_dict()


def audio_form() -> dict[str, Any]:
    """The chunk as the wire has it: floats, one Python object each."""
    samples = (SAMPLES.astype(np.float32) / 32768).tolist()
    return {"Audio": {"samples": samples, "sample_rate": SAMPLE_RATE, "channels": 1}}


async def execute_text(session: aiohttp.ClientSession, address: str) -> str:
    return str((await _execute(session, address, {"Text": TEXT}))["Text"])


async def execute_audio(session: aiohttp.ClientSession, address: str) -> Any:
    output = await _execute(session, address, audio_form())
    return np.asarray(output["Audio"]["samples"], np.float32)


async def _execute(session: aiohttp.ClientSession, address: str, data: Any) -> Any:
    body = {"manifest": _MANIFEST, "input": {"data": data, "sequence": None, "metadata": {}}}
    async with session.post(f"http://{address}/execute", json=body) as response:
        response.raise_for_status()
        return (await response.json())["output"]["data"]


class HttpStream:
    """One session, whose chunks are the 20 ms of audio."""

    def __init__(self, session: aiohttp.ClientSession, url: str, output: aiohttp.ClientResponse) -> None:
        self._session = session
        self._url = url
        self._output = output

    @classmethod
    async def open(
        cls, session: aiohttp.ClientSession, address: str, manifest: dict[str, Any] | None = None
    ) -> Self:
        body = {"manifest": manifest or _MANIFEST}
        async with session.post(f"http://{address}/stream", json=body) as response:
            url = f"http://{address}/stream/{(await response.json())['session_id']}"
        # The session lives as long as it likes.
        output = await session.get(f"{url}/output", timeout=aiohttp.ClientTimeout(total=None))
        return cls(session, url, output)

    async def send(self, sequence: int) -> None:
        body = {"data": {"data": audio_form(), "sequence": sequence, "metadata": {}}}
        async with self._session.post(f"{self._url}/input", json=body) as response:
            response.raise_for_status()
            await response.read()

    async def receive(self) -> int | None:
        async for line in self._output.content:
            if line.startswith(b"data: "):
                answer = json.loads(line[6:])
                np.asarray(answer["data"]["Audio"]["samples"], np.float32)
                return int(answer["sequence"])
        return None

    async def finish(self) -> None:
        async with self._session.delete(self._url) as response:
            await response.read()

    async def lines(self, count: int, *, parsed: bool) -> int:
        """Read so many events of text, line by line; returns how many characters they had."""
        characters = 0
        async for line in self._output.content:
            if not line.startswith(b"data: "):
                continue
            characters += len(json.loads(line[6:])["data"]["Text"]) if parsed else len(line)
            count -= 1
            if not count:
                break
        return characters

    @property
    def content(self) -> aiohttp.StreamReader:
        return self._output.content

    def close(self) -> None:
        self._output.close()
