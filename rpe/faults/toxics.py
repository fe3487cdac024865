"""Toxics from settings in our units. The one place that knows the units of Toxiproxy.

Toxiproxy counts milliseconds, kilobytes of 1,000 bytes a second, and (for the slicer)
microseconds, all as whole numbers.
"""

from __future__ import annotations

from typing import Literal

from rpe.faults.actions import SetToxic, Stream, ToxicKind

__all__ = [
    "Direction",
    "bandwidth",
    "drop_all",
    "latency",
    "limit_data",
    "reset_peer",
    "slicer",
    "slow_close",
    "streams",
]

Direction = Literal["both", "up", "down"]
"""`up` is what the client sends, `down` is what the server sends."""


def streams(direction: Direction) -> tuple[Stream, ...]:
    """Return the streams that a direction names."""
    by_direction: dict[Direction, tuple[Stream, ...]] = {
        "up": ("upstream",),
        "down": ("downstream",),
        "both": ("upstream", "downstream"),
    }
    return by_direction[direction]


def latency(server: str, direction: Direction, *, latency_s: float, jitter_s: float) -> tuple[SetToxic, ...]:
    """Delay what passes by `latency_s`, plus or minus `jitter_s`, in each direction named."""
    return _toxics(
        server, "latency", direction, latency=_milliseconds(latency_s), jitter=_milliseconds(jitter_s)
    )


def bandwidth(server: str, direction: Direction, *, rate_bytes_per_s: int) -> tuple[SetToxic, ...]:
    """Let at most so many bytes a second pass, per connection."""
    return _toxics(server, "bandwidth", direction, rate=rate_bytes_per_s // 1000)


def slow_close(server: str, direction: Direction, *, delay_s: float) -> tuple[SetToxic, ...]:
    """Pass the end of a connection on only after `delay_s`."""
    return _toxics(server, "slow_close", direction, delay=_milliseconds(delay_s))


def drop_all(server: str, direction: Direction) -> tuple[SetToxic, ...]:
    """Discard what passes and keep connections open: a timeout toxic that never runs out."""
    return _toxics(server, "timeout", direction, timeout=0)


def reset_peer(server: str, direction: Direction, *, after_s: float) -> tuple[SetToxic, ...]:
    """Reset a connection `after_s` after its first bytes in that direction."""
    return _toxics(server, "reset_peer", direction, timeout=_milliseconds(after_s))


def slicer(
    server: str, direction: Direction, *, average_bytes: int, variation_bytes: int, delay_s: float
) -> tuple[SetToxic, ...]:
    """Cut what passes into small pieces, `delay_s` apart."""
    return _toxics(
        server,
        "slicer",
        direction,
        average_size=average_bytes,
        size_variation=variation_bytes,
        delay=round(delay_s * 1_000_000),
    )


def limit_data(server: str, direction: Direction, *, max_bytes: int) -> tuple[SetToxic, ...]:
    """Close a connection once so many bytes have passed."""
    return _toxics(server, "limit_data", direction, bytes=max_bytes)


def _toxics(server: str, kind: ToxicKind, direction: Direction, **attributes: int) -> tuple[SetToxic, ...]:
    return tuple(SetToxic(server, kind, stream, attributes) for stream in streams(direction))


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
