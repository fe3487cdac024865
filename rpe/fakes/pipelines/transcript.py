"""Speech to text that recognises nothing, and says the same words for the same sound each time."""

from __future__ import annotations

from itertools import accumulate
from typing import Annotated

from pydantic import Field

from rpe.data import Audio, RuntimeData, Text, content_hash
from rpe.fakes.nodes import NodeCall, NodeOutput
from rpe.fakes.pipelines.ready import IN_SESSION, Settings, ready
from rpe.fakes.pipelines.sound import levels_db, taken_audio

__all__ = ["PARTIAL", "TranscriptSettings", "is_partial"]

PARTIAL = "partial"
"""The label of a transcript that says whether more of the utterance follows: `true` or `false`."""

_WORDS = ("good", "morning", "we", "have", "a", "table", "by", "the", "window", "for", "two", "people",
          "at", "seven", "this", "evening")  # fmt: skip

Word = Annotated[str, Field(strict=True, min_length=1)]


class TranscriptSettings(Settings):
    """What is said to have been heard."""

    lines: tuple[Word, ...] = ()
    """Whole transcripts, one of which is chosen by the content of the sound."""
    words: Annotated[tuple[Word, ...], Field(min_length=1)] = _WORDS
    """Where there are no lines: the words that a transcript is made of."""
    words_per_s: Annotated[float, Field(gt=0, le=20)] = 2.5
    """Where there are no lines: how many words a second of sound has. Which ones, its loudness decides."""
    floor_db: Annotated[float, Field(ge=-120, le=0)] = -60.0
    """Sound that is nowhere louder than this has no words."""
    partials: Annotated[bool, Field(strict=True)] = True
    """In sessions: give the transcript word by word before it is given whole."""
    language: str = ""
    """The language that the text is labelled with."""


@ready("transcript", TranscriptSettings)
def _transcript(data: RuntimeData, call: NodeCall, settings: TranscriptSettings) -> NodeOutput:
    """Give the transcript of a piece of sound; nothing of a quiet one, or, to a unary call, an empty one."""
    audio = taken_audio(data, call)
    words = _words(audio, settings)
    whole = Text(" ".join(words), language=settings.language, metadata={**audio.metadata, PARTIAL: "false"})
    if not IN_SESSION.get():
        return whole
    if not words:
        return []
    if not settings.partials:
        return [whole]
    said = list(accumulate(words[:-1], lambda before, word: f"{before} {word}"))
    labels = {**audio.metadata, PARTIAL: "true"}
    return [*(Text(text, language=settings.language, metadata=labels) for text in said), whole]


def is_partial(text: Text) -> bool:
    """Return whether more of the same utterance follows."""
    return text.metadata.get(PARTIAL) == "true"


def _words(audio: Audio, settings: TranscriptSettings) -> list[str]:
    """Return the words of a piece of float32 audio."""
    count = max(1, round(audio.duration_s * settings.words_per_s))
    levels = levels_db(audio, max(1, -(-len(audio.frames) // count)))
    if not len(levels) or levels.max() <= settings.floor_db:
        return []
    if settings.lines:
        # By content and not in turn, so that a call made twice is answered alike.
        return settings.lines[int(content_hash(audio), 16) % len(settings.lines)].split()
    return [settings.words[round(-level) % len(settings.words)] for level in levels.tolist()]
