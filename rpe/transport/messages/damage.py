"""Answers that are wrong on purpose: a well-formed call around a message that breaks its contract."""

from __future__ import annotations

from rpe.transport.serving import Damage
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2

__all__ = ["damaged", "damaged_buffer"]


def damaged(response: execution_pb2.ExecuteResponse | streaming_pb2.StreamResponse, damage: Damage) -> bytes:
    """Return the bytes of an answer, broken in one way. The response itself is changed.

    BAD_UTF8 and SHORT_AUDIO break the first output, and put a broken one of their own
    kind in its place where it is of another kind: the damage is there whatever the
    pipeline gave.
    """
    if damage in (Damage.EMPTY, Damage.TRUNCATED):
        # The whole message is one field, so that no half of it is a message.
        return _shortened(response.SerializeToString(), damage)
    outputs = response.result.data_outputs
    _break(outputs[min(outputs, default="output")], damage)
    return response.SerializeToString()


def damaged_buffer(buffer: common_pb2.DataBuffer, damage: Damage) -> bytes:
    """Return the bytes of a lone buffer, broken in one way (see `damaged`). The buffer itself is changed."""
    if damage in (Damage.EMPTY, Damage.TRUNCATED):
        return _shortened(buffer.SerializeToString(), damage)
    _break(buffer, damage)
    return buffer.SerializeToString()


def _shortened(whole: bytes, damage: Damage) -> bytes:
    return b"" if damage is Damage.EMPTY else whole[: max(1, len(whole) // 2)]


def _break(buffer: common_pb2.DataBuffer, damage: Damage) -> None:
    if damage is Damage.BAD_UTF8:
        _break_text(buffer)
    else:
        _break_audio(buffer)


def _break_text(buffer: common_pb2.DataBuffer) -> None:
    buffer.text.text_data += b"\xff\xfe\xfd"
    buffer.text.encoding = "utf-8"


def _break_audio(buffer: common_pb2.DataBuffer) -> None:
    audio = buffer.audio
    if not audio.samples:
        audio.sample_rate, audio.channels, audio.format = 16_000, 1, common_pb2.AUDIO_FORMAT_F32
    audio.num_samples += 160
