"""The two queues of a server's session: chunks that come in, events that go out."""

from __future__ import annotations

import asyncio

import pytest

from rpe.data import Text
from rpe.transport.http.inbox import Inbox
from rpe.transport.http.outbox import Outbox, Reader
from rpe.transport.serving import ApplicationError, ReceivedChunk, Refusal


def chunk(sequence: int) -> ReceivedChunk:
    return ReceivedChunk("n0", Text(str(sequence)), sequence)


async def test_chunks_come_out_as_they_came_in() -> None:
    inbox = Inbox()
    for sequence in (0, 3):
        await inbox.put(chunk(sequence))
    await inbox.put(chunk(0), numbered=False)
    inbox.close()
    assert [item.sequence for item in [await inbox.get() for _ in range(3)] if item] == [0, 3, 4]  # type: ignore[union-attr]
    assert await inbox.get() is None
    with pytest.raises(Refusal) as caught:
        await inbox.put(chunk(9))
    assert caught.value.http_status == 409


async def test_those_that_wait_for_room_come_in_in_their_order() -> None:
    inbox = Inbox()
    putting = [asyncio.create_task(inbox.put(chunk(sequence))) for sequence in range(40)]
    await asyncio.sleep(0.01)
    assert sum(task.done() for task in putting) == 16
    got = [await inbox.get() for _ in range(40)]
    assert [item.sequence for item in got if isinstance(item, ReceivedChunk)] == list(range(40))
    await asyncio.gather(*putting)


async def test_one_that_gives_up_waiting_leaves_its_place_to_the_next() -> None:
    inbox = Inbox()
    putting = [asyncio.create_task(inbox.put(chunk(sequence))) for sequence in range(18)]
    await asyncio.sleep(0)
    putting[16].cancel()
    await asyncio.sleep(0.01)
    got = [await inbox.get() for _ in range(17)]
    assert [item.sequence for item in got if isinstance(item, ReceivedChunk)] == [*range(16), 17]


async def test_a_number_that_does_not_rise_ends_the_chunks_behind_those_before_it() -> None:
    inbox = Inbox()
    await inbox.put(chunk(5))
    with pytest.raises(Refusal):
        await inbox.put(chunk(5))
    assert isinstance(await inbox.get(), ReceivedChunk)
    assert isinstance(await inbox.get(), ApplicationError)
    assert await inbox.get() is None


@pytest.mark.parametrize("how", ["end", "close"])
async def test_whoever_waits_is_let_go(how: str) -> None:
    full, empty = Inbox(), Inbox()
    for sequence in range(16):
        await full.put(chunk(sequence))
    putting = asyncio.create_task(full.put(chunk(16)))
    getting = asyncio.create_task(empty.get())
    await asyncio.sleep(0)
    for inbox in (full, empty):
        getattr(inbox, how)()
    with pytest.raises(Refusal):
        await putting
    assert await getting is None


def numbers(reader: Reader) -> list[int]:
    return [event.number for event in reader.ready()]


async def test_events_are_numbered_and_read_once() -> None:
    outbox = Outbox()
    reader = outbox.attach(None)
    await outbox.put("", b"a")
    await outbox.put("error", b"b")
    first, second = reader.ready()
    assert first.payload == b"id: 1\ndata: a\n\n"
    assert second.payload == b"event: error\nid: 2\ndata: b\n\n"
    assert numbers(reader) == []
    assert not reader.done
    outbox.end()
    assert reader.done
    await outbox.put("", b"after the end")
    assert numbers(reader) == []


async def test_a_reader_may_begin_again_where_another_one_was() -> None:
    outbox = Outbox()
    first = outbox.attach(None)
    for _ in range(4):
        await outbox.put("", b"x")
    assert numbers(first) == [1, 2, 3, 4]
    await outbox.put("", b"x")
    second = outbox.attach(2)
    assert first.done
    assert not outbox.detach(first)
    assert [*numbers(second), *numbers(second)] == [3, 4, 5]
    assert numbers(outbox.attach(5)) == []
    with pytest.raises(Refusal):
        outbox.attach(6)
    with pytest.raises(Refusal):
        outbox.attach(1)  # let go since a reader began behind it


@pytest.mark.parametrize(("count", "size"), [(2000, 10), (10, 2_000_000)], ids=["many", "large"])
async def test_so_much_is_kept_and_no_more(count: int, size: int) -> None:
    outbox = Outbox()
    reader = outbox.attach(None)
    for _ in range(count):
        await outbox.put("", b"x" * size)
        reader.ready()
    kept = numbers(outbox.attach(None))
    assert kept[-1] == count
    assert len(kept) == (512 if size == 10 else 2)
    with pytest.raises(Refusal) as caught:
        outbox.attach(1)
    assert caught.value.http_status == 410


async def test_whoever_writes_waits_for_a_reader_and_is_let_go_at_the_end() -> None:
    outbox = Outbox()
    for _ in range(16):
        await outbox.put("", b"x")
    waiting = [asyncio.create_task(outbox.put("", b"y")) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    outbox.attach(None).ready()
    await asyncio.gather(*waiting)
    for _ in range(13):
        await outbox.put("", b"x")
    stuck = asyncio.create_task(outbox.put("", b"z"))
    await asyncio.sleep(0)
    outbox.end()
    async with asyncio.timeout(5):
        await stuck


async def test_a_reader_waits_for_something_to_do() -> None:
    outbox = Outbox()
    reader = outbox.attach(None)
    assert not await reader.wait(0.01)
    for wake in (lambda: outbox.put_now("", b"x"), lambda: outbox.attach(None), outbox.end):
        waiting = asyncio.create_task(reader.wait(5.0))
        await asyncio.sleep(0)
        wake()
        assert await waiting
        reader.ready()
