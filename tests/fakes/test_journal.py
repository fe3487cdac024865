"""The journal: in memory, on file, and for whoever waits."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from pathlib import Path

import pytest

from rpe.fakes.journal import Entry, Journal, Kind, read_entries

FULL = Entry(
    kind=Kind.RESULT,
    at_s=1.5,
    server="a",
    call=3,
    method="stream",
    operation_id="op-1",
    attempt=2,
    remaining_s=-0.25,
    sequence=0,
    content={"output": "abc"},
    fault="drip",
    detail="é",
)


def entry(call: int, kind: Kind = Kind.RECEIVED) -> Entry:
    return Entry(kind, float(call), "a", call)


def test_an_entry_survives_its_line() -> None:
    assert all(getattr(FULL, item.name) not in (None, "") for item in fields(Entry))
    assert Entry.from_json(FULL.to_json()) == FULL
    assert Entry.from_json(entry(1).to_json()) == entry(1)
    assert entry(1).to_json() == '{"kind": "received", "at_s": 1.0, "server": "a", "call": 1}'


def test_entries_can_be_picked() -> None:
    journal = Journal()
    for item in (entry(1), FULL, entry(2, Kind.SENT)):
        journal.append(item)
    assert journal.entries() == [entry(1), FULL, entry(2, Kind.SENT)] == list(journal)
    assert journal.entries(Kind.RECEIVED, Kind.SENT) == [entry(1), entry(2, Kind.SENT)]
    assert journal.entries(method="stream") == [FULL]
    assert journal.entries(fault="drip") == [FULL]
    assert journal.entries(operation_id="op-1") == [FULL]
    assert journal.entries(Kind.SENT, fault="drip") == []


def test_the_memory_is_bounded_and_the_counters_are_not() -> None:
    journal = Journal(limit=3)
    for call in range(10):
        journal.append(entry(call))
    assert [item.call for item in journal] == [7, 8, 9]
    assert len(journal) == 3
    assert journal.counts[Kind.RECEIVED] == 10
    assert repr(journal) == "<Journal: 10 received, 0 in flight>"


def test_each_line_is_on_file_at_once_and_a_torn_last_one_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path=path, limit=1)
    journal.append(entry(1))
    journal.append(FULL)
    assert read_entries(path) == [entry(1), FULL]
    journal.close()
    journal.append(entry(2))  # the memory goes on
    again = Journal(path=path)
    again.append(entry(3))
    again.close()
    with path.open("a") as file:
        file.write('{"kind": "rec')
    assert read_entries(path) == [entry(1), FULL, entry(3)]


def test_a_broken_line_in_the_middle_is_not_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("nonsense\n" + entry(1).to_json() + "\n")
    with pytest.raises(ValueError, match="Expecting value"):
        read_entries(path)


async def test_waiting_for_what_is_there_and_for_what_comes() -> None:
    journal = Journal()
    journal.append(entry(1))
    assert await journal.wait_for(lambda item: item.call == 1) == entry(1)
    waiting = asyncio.create_task(journal.wait_for(lambda item: item.call == 3))
    await asyncio.sleep(0)
    journal.append(entry(2))
    journal.append(entry(3))
    journal.append(entry(3, Kind.SENT))
    assert await waiting == entry(3)


async def test_waiting_in_vain_tells_what_came_instead() -> None:
    journal = Journal()
    journal.append(FULL)
    with pytest.raises(TimeoutError, match=r"(?s)within 0.01 s.*op-1"):
        await journal.wait_for(lambda item: item.call == 99, timeout_s=0.01)
    journal.append(entry(99))  # nobody waits any more
