"""Recording a real server, and replaying it: timed, scrubbed, broken where it broke.

async with Recorder("grpc://127.0.0.1:50051", path="calls.jsonl") as recorder:
    await use_my_client(recorder.endpoint)

async with Replay("calls.jsonl", speed=0, splice=Splice(kind="cut", at_message=3)) as replay:
    await use_my_client(replay.endpoint)
"""

from __future__ import annotations

from rpe.fakes.cassette.catalogue import Match
from rpe.fakes.cassette.model import Cassette, RecordedCall
from rpe.fakes.cassette.played import PlayedCall
from rpe.fakes.cassette.reading import parse_cassette, read_cassette
from rpe.fakes.cassette.recorder import Recorder
from rpe.fakes.cassette.replay import Replay
from rpe.fakes.cassette.splice import Splice, parse_splice

__all__ = [
    "Cassette",
    "Match",
    "PlayedCall",
    "RecordedCall",
    "Recorder",
    "Replay",
    "Splice",
    "parse_cassette",
    "parse_splice",
    "read_cassette",
]
