"""Whatever is done to toxics that only delay and cut, bytes arrive whole and in order."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rpe.faults.proxy.gojson import Fields
from rpe.faults.proxy.proxy import Proxy
from rpe.faults.proxy.stats import ProxyStats
from rpe.faults.proxy.toxic import new_toxic, updated
from rpe.faults.proxy.toxics import KINDS
from tests.support.wires import Upstream, connect

Steps = list[tuple[tuple[str, dict[str, Any]], int]]

PATTERN = bytes(range(251))
NAMES = st.sampled_from(["a", "b", "c"])
TOXICITY = st.sampled_from([1.0, 1.0, 0.5, 0.0])
ATTRIBUTES = {
    "noop": st.just({}),
    "latency": st.fixed_dictionaries({"latency": st.integers(0, 4), "jitter": st.integers(0, 4)}),
    "bandwidth": st.fixed_dictionaries({"rate": st.integers(500, 100_000)}),
    "slicer": st.fixed_dictionaries(
        {
            "average_size": st.integers(200, 5_000),
            "size_variation": st.integers(0, 200),
            "delay": st.integers(0, 50),
        }
    ),
}


@st.composite
def additions(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    kind = draw(st.sampled_from(sorted(ATTRIBUTES)))
    fields = {"type": kind, "name": draw(NAMES), "toxicity": draw(TOXICITY), "stream": "upstream"}
    return "add", {**fields, "attributes": draw(ATTRIBUTES[kind])}


@st.composite
def updates(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    fields: dict[str, Any] = {"name": draw(NAMES), "toxicity": draw(TOXICITY)}
    return "update", {**fields, "attributes": {"latency": draw(st.integers(0, 4))}}


REMOVALS = st.tuples(st.just("remove"), st.fixed_dictionaries({"name": NAMES}))
PAUSES = st.tuples(st.just("pause"), st.fixed_dictionaries({"time_ms": st.integers(0, 3)}))
CHANGES = st.one_of(additions(), additions(), updates(), REMOVALS, PAUSES)
STEPS = st.lists(st.tuples(CHANGES, st.integers(1, 60_000)), min_size=1, max_size=12)
"""Each step is a change, and the size of what is sent after it."""


def change(proxy: Proxy, what: str, fields: dict[str, Any]) -> None:
    known = proxy.toxics.get(fields["name"])
    if what == "add" and known is None:
        proxy.add_toxic(new_toxic(Fields(fields, "Toxic"), kinds=KINDS, taken=proxy.toxics.__contains__))
    elif what == "update" and known is not None:
        proxy.update_toxic(updated(known, Fields(fields, "Toxic")))
    elif what == "remove" and known is not None:
        proxy.remove_toxic(fields["name"])


async def transmit(steps: Steps, seed: int) -> tuple[bytes, bytes]:
    """Do the steps while data flows; return what was sent and what arrived."""
    upstream = Upstream()
    proxy = Proxy("p", "127.0.0.1:0", upstream.address, seed=seed, stats=ProxyStats())
    await proxy.start()
    host, _, port = proxy.listen.rpartition(":")
    client = await connect(host, int(port))
    server = await upstream.accept()
    receiving = asyncio.create_task(server.rest())
    sent = bytearray()
    for (what, fields), size in steps:
        if what == "pause":
            await asyncio.sleep(fields["time_ms"] / 1000)
        else:
            change(proxy, what, fields)
        data = (PATTERN * (size // len(PATTERN) + 2))[len(sent) % len(PATTERN) :][:size]
        sent += data
        await client.send(data)
    client.half_close()
    received = await receiving
    client.close()
    upstream.close()
    await proxy.stop()
    return bytes(sent), received


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 3))
def test_bytes_arrive_whole_and_in_order(steps: Steps, seed: int) -> None:
    sent, received = asyncio.run(transmit(steps, seed))
    assert received == sent
