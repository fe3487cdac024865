"""Answers that are wrong on purpose: well-formed gRPC around a message that breaks its contract."""

from __future__ import annotations

from rpe.transport.serving import Damage
from rpe.wire.generated.remotemedia.v1 import common_pb2, execution_pb2, streaming_pb2

__all__ = ["damaged"]


def damaged(response: execution_pb2.ExecuteResponse | streaming_pb2.StreamResponse, damage: Damage) -> bytes:
    """Return the bytes of an answer, broken in one way. The response itself is changed.

    BAD_UTF8 and SHORT_AUDIO break the first output, and put a broken one of their own
    kind in its place where it is of another kind: the damage is there whatever the
    pipeline gave.
    """
    if damage is Damage.EMPTY:
        return b""
    if damage is Damage.TRUNCATED:
        # The whole message is one field, so that no half of it is a message.
        whole = response.SerializeToString()
        return whole[: max(1, len(whole) // 2)]
    outputs = response.result.data_outputs
    buffer = outputs[min(outputs, default="output")]
    if damage is Damage.BAD_UTF8:
        _break_text(buffer)
    else:
        _break_audio(buffer)
    return response.SerializeToString()


def _break_text(buffer: common_pb2.DataBuffer) -> None:
    buffer.text.text_data += b"\xff\xfe\xfd"
    buffer.text.encoding = "utf-8"


def _break_audio(buffer: common_pb2.DataBuffer) -> None:
    audio = buffer.audio
    if not audio.samples:
        audio.sample_rate, audio.channels, audio.format = 16_000, 1, common_pb2.AUDIO_FORMAT_F32
    audio.num_samples += 160
