from __future__ import annotations

from rpe.chaos.workload.inputs import pieces_of
from rpe.chaos.workload.plan import WorkloadPlan
from rpe.chaos.workload.recordings import Recordings
from rpe.chaos.workload.speech import recordings
from rpe.data import Audio, content_hash


def test_whole_recordings_come_in_turn_and_come_round_again_unchanged() -> None:
    pieces = Recordings()
    assert len(pieces) == 2 < len(recordings())
    hashes = [content_hash(pieces.piece(number)) for number in range(4)]
    assert hashes[:2] == hashes[2:] and len(set(hashes)) == 2
    assert pieces.piece(0).duration_s == Audio.from_wav(recordings()[1]).duration_s


def test_a_workload_can_ask_for_them() -> None:
    plan = WorkloadPlan("load", "unary", (0.0,), 1.0, input="recordings")
    assert isinstance(pieces_of(plan), Recordings)
