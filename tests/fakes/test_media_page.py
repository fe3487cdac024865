"""The table of audio faults in the documentation says what happens: each row is tried on each wire."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import rpe
from rpe.data import Audio
from rpe.errors import RpeError
from rpe.fakes import FakeServer
from rpe.fakes.media_script import EndFault, FrameFault
from rpe.manifest.model import Manifest
from rpe.policy.backoff import BackoffSettings
from rpe.policy.retry import RetrySettings
from rpe.transport.ports import ChunkResult
from tests.support.moving import QUIET

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fakes-media.md"
ECHO = Manifest.single("echo", node_type="Echo")
RATE, STEPS = 16_000, 320


def audio(number: int) -> Audio:
    """Return one of the frames of 20 ms: no two are the same, and none is at full scale."""
    return Audio((np.arange(STEPS, dtype=np.float32) % 17 + 1 + number) / np.float32(40), RATE)


IMPATIENT = replace(
    QUIET, retry=RetrySettings(max_retries=1, backoff=BackoffSettings(initial_s=0.01, max_s=0.01))
)
SENT = [audio(number) for number in range(6)]


class Row(NamedTuple):
    fault: dict[str, Any]
    session: str
    repeatable: str


def rows() -> list[Row]:
    found = re.findall(r"^\| `(\{.+?\})` \| (.+?) \| (.+?) \|$", PAGE.read_text(), re.M)
    return [
        Row(json.loads(fault), session, session if again == "the same" else again)
        for fault, session, again in found
    ]


def told(results: Sequence[ChunkResult], end: str) -> str:
    """Say what came: the numbers in their order, what is not as it was sent, and how it ended."""
    said = [" ".join(str(result.sequence) for result in results)]
    for result in results:
        data = result.output
        assert isinstance(data, Audio)
        changes = []
        origin = [n for n, sent in enumerate(SENT) if sent.samples.tobytes() == data.samples.tobytes()]
        if origin and origin[0] != result.sequence:
            changes.append(f"the audio of {origin[0]}")
        if data.num_samples != STEPS:
            changes.append(f"{data.num_samples} samples")
        elif not data.samples.any():
            changes.append("silence")
        elif not origin:
            changes.append(f"peak {data.samples.max():g}")
        if data.sample_rate != RATE:
            changes.append(f"{data.sample_rate} Hz")
        if data.channels != 1:
            changes.append(f"{data.channels} channels")
        if data.timestamp_us is not None:
            changes.append(f"{data.timestamp_us} us")
        if changes:
            said.append(f"{result.sequence}: {', '.join(changes)}")
    return "; ".join([*said, end])


async def hear(client: rpe.ReliableClient, row: Row, *, repeatable: bool) -> str:
    results: list[ChunkResult] = []
    # A session that never ends is cut short; no other may come near its end.
    timeout_s = 0.4 if row.fault.get("hang") else 10.0
    try:
        session = await client.open_stream(ECHO, timeout_s=timeout_s, repeatable=repeatable)
        async with session:
            for data in SENT:
                await session.send(data)
            await session.finish()
            async for result in session:
                results.append(result)
    except RpeError as error:
        again = "retryable" if error.retryable else "final"
        return told(results, f"`{type(error).__name__}`, {again}")
    return told(results, "closed")


@pytest.mark.parametrize("wire", ["grpc", "http", "webrtc"])
async def test_each_row(wire: str) -> None:
    heard: dict[str, tuple[str, str]] = {}
    async with (
        FakeServer(transport=wire) as fake,
        rpe.connect([fake.endpoint], transport=wire, settings=IMPATIENT) as client,
    ):
        for row in rows():
            await fake.set_behaviour({"media": [row.fault]})
            session = await hear(client, row, repeatable=False)
            fired = f"media_{row.fault['kind']}"
            assert fake.journal.entries(fault=fired), row.fault
            heard[json.dumps(row.fault)] = (session, await hear(client, row, repeatable=True))
    assert heard == {json.dumps(row.fault): (row.session, row.repeatable) for row in rows()}


def test_no_kind_of_fault_is_missing() -> None:
    kinds = [kind.model_fields["kind"].default for kind in (FrameFault | EndFault).__args__]
    assert {row.fault["kind"] for row in rows()} == set(kinds)
    assert all(f"`{kind}`" in PAGE.read_text() for kind in kinds)
