"""The nodes that a fake can run: plain functions from data to data, by the name of their type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from rpe.clock import Clock
from rpe.data import Audio, RuntimeData, Text
from rpe.transport.serving import ApplicationError, ErrorType

__all__ = ["BUILT_IN", "NodeCall", "NodeFailed", "NodeFunction", "NodeOutput", "node"]

NodeOutput = RuntimeData | Sequence[RuntimeData]


class NodeFailed(Exception):
    """Raised by a node to fail the pipeline; `error` is what the caller is told."""

    def __init__(self, error: ApplicationError) -> None:
        super().__init__(f"{error.node_id}: {error.message}")
        self.error = error


@dataclass(frozen=True, slots=True)
class NodeCall:
    """What a node knows of the place it runs in."""

    node_id: str
    params: Mapping[str, Any]
    clock: Clock

    def number(self, name: str, default: float, *, least: float | None = None) -> float:
        """Return a parameter that is a number. Raises NodeFailed where it is none, or too low."""
        value = self.params.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.failed(f"{name} must be a number, not {value!r}", ErrorType.VALIDATION)
        if least is not None and not value >= least:
            raise self.failed(f"{name} must be at least {least:g}, not {value:g}", ErrorType.VALIDATION)
        return value

    def failed(self, message: str, error_type: ErrorType = ErrorType.NODE_EXECUTION) -> NodeFailed:
        """Return the error that fails the pipeline in this node; to be raised."""
        return NodeFailed(ApplicationError(error_type, message, self.node_id))


NodeFunction = Callable[[RuntimeData, NodeCall], NodeOutput | Awaitable[NodeOutput]]

_REGISTRY: dict[str, NodeFunction] = {}

BUILT_IN: Mapping[str, NodeFunction] = MappingProxyType(_REGISTRY)
"""All node types that are registered, by name."""


def node(name: str) -> Callable[[NodeFunction], NodeFunction]:
    """Register a function, which may be a coroutine function, as the node type of that name.

    It is given one piece of data and returns one, or a list of any number of them.
    """

    def register(function: NodeFunction) -> NodeFunction:
        if name in _REGISTRY:
            raise ValueError(f"a node type named {name!r} is registered already")
        _REGISTRY[name] = function
        return function

    return register


@node("PassThrough")
@node("Echo")
def _echo(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Give back what came."""
    return data


@node("Delay")
async def _delay(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Give back what came, `delay_ms` milliseconds later."""
    await call.clock.sleep(call.number("delay_ms", 0, least=0) / 1000)
    return data


@node("Reverse")
def _reverse(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Turn text around."""
    text = _text(data, call)
    return replace(text, text=text.text[::-1])


@node("UpperCase")
def _upper_case(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Put text into capitals."""
    text = _text(data, call)
    return replace(text, text=text.text.upper())


@node("Gain")
def _gain(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Multiply audio by `gain`; the result is float32, and not clipped."""
    audio = _audio(data, call).to_float32()
    return replace(audio, samples=(audio.samples * np.float32(call.number("gain", 1.0))))


@node("Resample")
def _resample(data: RuntimeData, call: NodeCall) -> RuntimeData:
    """Bring audio to `sample_rate` frames per second; the result is float32.

    Linear interpolation between neighbouring frames, each channel by itself, and no
    filter: good enough for a stand-in, but frequencies above half the new rate fold back.
    """
    audio = _audio(data, call).to_float32()
    rate = int(call.number("sample_rate", 16_000, least=1))
    frames = audio.frames
    if rate == audio.sample_rate or not len(frames):
        return replace(audio, sample_rate=rate)
    count = max(1, round(len(frames) * rate / audio.sample_rate))
    places = np.arange(count) * (audio.sample_rate / rate)
    known = np.arange(len(frames))
    channels = [np.interp(places, known, frames[:, channel]) for channel in range(audio.channels)]
    return replace(audio, samples=np.stack(channels, axis=1).astype(np.float32).reshape(-1), sample_rate=rate)


def _text(data: RuntimeData, call: NodeCall) -> Text:
    if not isinstance(data, Text):
        raise call.failed(f"takes text, not {data.kind}", ErrorType.TYPE_VALIDATION)
    return data


def _audio(data: RuntimeData, call: NodeCall) -> Audio:
    if not isinstance(data, Audio):
        raise call.failed(f"takes audio, not {data.kind}", ErrorType.TYPE_VALIDATION)
    return data
