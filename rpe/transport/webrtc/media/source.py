"""The sending end of an audio track: fed with `Audio`, heard in real time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame
from numpy.typing import NDArray

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.data import Audio
from rpe.errors import DataValidationError
from rpe.transport.webrtc.media.frames import FRAME_S, FRAME_SAMPLES, Cutter, make_frame

__all__ = ["AudioSource"]

_TRAILING_FRAMES = 5
_TOO_LATE_S = 0.5
"""Where the loop has stood still for so long, the lost time stays lost, rather than come in one burst."""


class AudioSource(MediaStreamTrack):
    """A track that plays what it is given, and silence where it has nothing.

    Frame n leaves n times 20 ms after the first one, so that no delay of the loop adds up.

    Arguments:
        channels: 1 or 2.
        buffer_s: how much sound may wait before `put` waits too, in seconds.
        lead_s: how much sound must wait, in seconds, before it is heard after a silence. It comes
            in steps and with jitter, and would be torn by silences without; what is shorter is
            heard after that time.
    """

    kind = "audio"

    def __init__(
        self,
        channels: int = 1,
        *,
        buffer_s: float = 1.0,
        lead_s: float = 0.04,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        super().__init__()
        self.silent_frames = 0
        """How many frames left for which there was no sound."""
        self._clock = clock
        self._cutter = Cutter(channels)
        self._silence: NDArray[np.int16] = np.zeros((FRAME_SAMPLES, channels), np.int16)
        self._sound: deque[NDArray[np.int16]] = deque()
        self._most = max(1, round(buffer_s / FRAME_S))
        self._taken = asyncio.Event()
        self._lead = max(1, round(lead_s / FRAME_S))
        self._playing = False
        self._held = 0
        self._start_s: float | None = None
        self._frames = 0

    @property
    def waiting_s(self) -> float:
        """How many seconds of sound wait to be heard."""
        return len(self._sound) * FRAME_S

    def push(self, audio: Audio) -> None:
        """Let audio be heard after what waits already, without waiting."""
        if self.readyState == "live":
            self._sound.extend(self._cutter.cut(audio))

    async def put(self, audio: Audio) -> None:
        """Push audio, then wait until no more than `buffer_s` seconds wait. Returns at once when stopped."""
        self.push(audio)
        await self._until(self._most)

    async def feed(self, sound: AsyncIterable[Audio]) -> None:
        """Put everything that an iterator gives, and wait until the last of it was heard, or it is stopped.

        Raises DataValidationError for what is no audio, and what the iterator raises.
        """
        async for audio in sound:
            if not isinstance(audio, Audio):
                raise DataValidationError(
                    f"is {type(audio).__name__}, but a track takes Audio", field="source"
                )
            await self.put(audio)
            if self.readyState != "live":
                return
        await self.drain()

    async def drain(self) -> None:
        """Push what is left of the last frame, and wait until everything was heard.

        A little silence follows, since codecs and jitter buffers give their last frames only when
        more come. Returns at once when stopped.
        """
        self._sound.extend(self._cutter.flush())
        await self._until(0)
        last = self._frames + _TRAILING_FRAMES
        while self._frames < last and self.readyState == "live":
            self._taken.clear()
            await self._taken.wait()

    async def recv(self) -> AudioFrame:
        """Return the next frame when it is due (called by the sender of the track)."""
        if self.readyState != "live":
            raise MediaStreamError
        now_s = self._clock.now()
        if self._start_s is None:
            self._start_s = now_s
        due_s = self._start_s + self._frames * FRAME_S
        if now_s > due_s + _TOO_LATE_S:
            self._start_s += now_s - due_s
        elif now_s < due_s:
            await self._clock.sleep_until(due_s)
        timestamp = self._frames * FRAME_SAMPLES
        self._frames += 1
        self._taken.set()
        return make_frame(self._next(), timestamp)

    def stop(self) -> None:
        """End the track; who waits for it to be heard is let go."""
        super().stop()
        self._taken.set()

    def _next(self) -> NDArray[np.int16]:
        """Return the samples of the next frame: sound, or silence until enough of it waits to go on from."""
        if self._sound:
            self._held += 1
            if self._playing or len(self._sound) >= self._lead or self._held > self._lead:
                self._playing = True
                return self._sound.popleft()
        else:
            self._playing = False
            self._held = 0
        self.silent_frames += 1
        return self._silence

    async def _until(self, most: int) -> None:
        while len(self._sound) > most and self.readyState == "live":
            self._taken.clear()
            await self._taken.wait()
