"""Runs the pipeline: recordings in, what was heard and what is answered out."""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template

import numpy as np

from examples.voice.organisations import Organisation, open_organisations
from rpe.data import Audio, Text
from rpe.manifest.model import Manifest
from rpe.node import NodeMetrics, PipelineRunner
from rpe.node.remote import RemoteOptions
from rpe.node.stream import PipelineStream
from rpe.voice import to_mono_16k

__all__ = ["Answers", "Segment", "run"]

PIPELINE = Path(__file__).with_name("pipeline.yaml")
_PIECE_S = 0.1  # what a microphone would give at once
_BETWEEN_S = 1.0  # silence between two recordings
_PAUSE_S = 0.4  # silence between two answers


@dataclass(frozen=True, slots=True)
class Segment:
    """What became of one run of speech: where it was, what was heard, what is answered."""

    start_s: float
    end_s: float
    words: str
    reply: str
    speech: Audio


@dataclass(frozen=True, slots=True)
class Answers:
    """All segments in order, the figures of the nodes by their ids, and which servers were killed."""

    segments: tuple[Segment, ...]
    metrics: Mapping[str, NodeMetrics]
    killed: tuple[str, ...]

    def audio(self) -> Audio:
        """The spoken answers, one after the other, with pauses between."""
        spoken = [segment.speech for segment in self.segments]
        if not spoken:
            return Audio(np.zeros(0, np.int16), sample_rate=22_050)
        pause = np.zeros(round(_PAUSE_S * spoken[0].sample_rate), np.int16)
        parts = [part for audio in spoken for part in (audio.samples, pause)][:-1]
        return Audio(np.concatenate(parts), sample_rate=spoken[0].sample_rate)


async def run(
    files: Sequence[Path], *, kill: bool = False, told: Callable[[Segment], None] = lambda segment: None
) -> Answers:
    """Send recordings through the pipeline, and return what comes out.

    Arguments:
        files: WAV files, heard one after the other.
        kill: kill one server of each organisation once the first answer is there.
        told: is given each segment when its answer is there.

    Raises NodeFailed where the pipeline fails, ConfigurationError where it cannot be started, OSError
    where a file cannot be read.
    """
    recordings = [to_mono_16k(Audio.from_wav(file)) for file in files]
    with tempfile.TemporaryDirectory(prefix="rpe-voice-") as folder:
        async with open_organisations() as organisations:
            runner = _runner(organisations, Path(folder))
            segments: list[Segment] = []
            killed: list[str] = []
            async with runner, runner.stream() as stream, aclosing(_answers(stream, recordings)) as answers:
                async for segment in answers:
                    segments.append(segment)
                    told(segment)
                    if kill and not killed:
                        killed = await _kill_one_each(organisations)
            return Answers(tuple(segments), runner.metrics(), tuple(killed))


def _runner(organisations: Sequence[Organisation], folder: Path) -> PipelineRunner:
    places: dict[str, str] = {}
    tokens: dict[str, str] = {}
    for organisation in organisations:
        places |= organisation.places(folder)
        tokens |= organisation.environment
    written = Template(PIPELINE.read_text("utf-8")).safe_substitute(places)
    return PipelineRunner(Manifest.from_yaml(written), remote=RemoteOptions(environment=tokens))


async def _answers(stream: PipelineStream, recordings: Sequence[Audio]) -> AsyncGenerator[Segment, None]:
    """Feed the pipeline, and give each segment once its answer is there."""
    feeding = asyncio.create_task(_feed(stream, recordings), name="microphone")
    outputs: dict[str, list[Audio | Text]] = defaultdict(list)
    try:
        async for output in stream:
            assert isinstance(output.data, Audio | Text)
            outputs[output.node].append(output.data)
            if output.node == "speech":
                yield _segment(outputs, len(outputs["speech"]) - 1)
        await feeding
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


def _segment(outputs: Mapping[str, Sequence[Audio | Text]], place: int) -> Segment:
    """The outputs of that place in each node, which keep their order."""
    found = [outputs[node_id][place] for node_id in ("segments", "words", "reply", "speech")]
    heard, words, reply, speech = found
    assert isinstance(words, Text)
    assert isinstance(reply, Text)
    assert isinstance(speech, Audio)
    start_s, end_s = (float(heard.metadata[name]) for name in ("start_s", "end_s"))
    return Segment(start_s, end_s, words.text, reply.text, speech)


async def _kill_one_each(organisations: Sequence[Organisation]) -> list[str]:
    dying = [organisation.replicas[0] for organisation in organisations]
    await asyncio.gather(*(replica.kill() for replica in dying))
    return [replica.name for replica in dying]


async def _feed(stream: PipelineStream, recordings: Sequence[Audio]) -> None:
    for piece in _pieces(recordings):
        await stream.send(piece)
    await stream.finish()


def _pieces(recordings: Sequence[Audio]) -> Iterator[Audio]:
    """The recordings as one stream, cut up as a microphone would, with silence between."""
    for audio in recordings:
        between = np.zeros(round(_BETWEEN_S * audio.sample_rate), np.int16)
        samples = np.concatenate([audio.samples, between])
        size = round(_PIECE_S * audio.sample_rate)
        for place in range(0, len(samples), size):
            yield replace(audio, samples=samples[place : place + size])
