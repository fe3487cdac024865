"""What the journal writes of the data of a call."""

from __future__ import annotations

import pytest

from rpe.clock import SYSTEM_CLOCK
from rpe.data import RuntimeData, Text, content_hash
from rpe.fakes import record as module
from rpe.fakes.journal import Journal
from rpe.fakes.record import CallRecord
from rpe.transport.serving import ServerCall


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[RuntimeData]:
    """What content was hashed, in order."""
    seen: list[RuntimeData] = []

    def counting(data: RuntimeData) -> str:
        seen.append(data)
        return content_hash(data)

    monkeypatch.setattr(module, "content_hash", counting)
    return seen


def _record() -> CallRecord:
    return CallRecord(Journal(), SYSTEM_CLOCK, "a", 1, ServerCall("execute", "peer", {}, None))


def test_what_is_given_back_as_it_came_is_hashed_once(hashed: list[RuntimeData]) -> None:
    record, data = _record(), Text("hello")
    assert record.hashes({"in": data}) == {"in": content_hash(data)}
    assert record.hashes({"output": data}) == {"output": content_hash(data)}
    assert hashed == [data]


def test_other_data_have_hashes_of_their_own(hashed: list[RuntimeData]) -> None:
    record, one, other = _record(), Text("hello"), Text("bye")
    assert record.hashes({"a": one, "b": other, "c": one}) == {
        "a": content_hash(one),
        "b": content_hash(other),
        "c": content_hash(one),
    }
    assert record.hashes({"a": Text("hello!")}) == {"a": content_hash(Text("hello!"))}
