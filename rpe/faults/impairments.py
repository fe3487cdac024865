"""Impairments from settings in our units, beside `rpe.faults.toxics`; and what a toxic does to datagrams."""

from __future__ import annotations

from rpe.faults.actions import ImpairmentKind, SetImpairment, SetToxic
from rpe.faults.toxics import Direction, streams

__all__ = ["as_impairment", "burst_loss", "corruption", "duplicate", "loss", "reorder"]

QUEUE_S = 0.5
"""How long what is queued before a narrow link takes to pass: more is lost, as a router's queue is finite."""

LEAST_QUEUE_BYTES = 16_000
"""Room for a dozen datagrams, however narrow the link is."""


def loss(server: str, direction: Direction, *, rate: float) -> tuple[SetImpairment, ...]:
    """Lose each datagram with probability `rate`, in each direction named."""
    return _impairments(server, "loss", direction, rate=rate)


def burst_loss(
    server: str, direction: Direction, *, enter: float, leave: float, loss: float, good_loss: float
) -> tuple[SetImpairment, ...]:
    """Lose datagrams in bursts (Gilbert-Elliott)."""
    return _impairments(
        server, "burst_loss", direction, enter=enter, leave=leave, loss=loss, good_loss=good_loss
    )


def duplicate(server: str, direction: Direction, *, rate: float) -> tuple[SetImpairment, ...]:
    """Send each datagram twice with probability `rate`."""
    return _impairments(server, "duplicate", direction, rate=rate)


def corruption(server: str, direction: Direction, *, rate: float) -> tuple[SetImpairment, ...]:
    """Damage each datagram with probability `rate`."""
    return _impairments(server, "corruption", direction, rate=rate)


def reorder(server: str, direction: Direction, *, rate: float, by_s: float) -> tuple[SetImpairment, ...]:
    """Hold each datagram back for `by_s` with probability `rate`."""
    return _impairments(server, "reorder", direction, rate=rate, by_s=by_s)


def as_impairment(toxic: SetToxic) -> SetImpairment | None:
    """Return what does to datagrams what a toxic does to bytes, and None where nothing does.

    A latency toxic draws its jitter anew for each datagram and keeps their order. A
    bandwidth toxic counts per connection, its impairment for all datagrams of the link.
    """
    attributes = toxic.attributes
    match toxic.kind:
        case "latency":
            delay_s, jitter_s = attributes.get("latency", 0) / 1000, attributes.get("jitter", 0) / 1000
            settings: dict[str, float] = {"delay_s": delay_s, "jitter_s": jitter_s}
            return SetImpairment(toxic.server, "delay", toxic.stream, settings)
        case "bandwidth":
            rate_bytes_per_s = attributes.get("rate", 0) * 1000
            queue_bytes = max(LEAST_QUEUE_BYTES, int(QUEUE_S * rate_bytes_per_s))
            settings = {"rate_bytes_per_s": rate_bytes_per_s, "queue_bytes": queue_bytes}
            return SetImpairment(toxic.server, "bandwidth", toxic.stream, settings)
        case "timeout" if attributes.get("timeout") == 0:
            return SetImpairment(toxic.server, "partition", toxic.stream)
        case _:
            return None


def _impairments(
    server: str, kind: ImpairmentKind, direction: Direction, **attributes: float
) -> tuple[SetImpairment, ...]:
    return tuple(SetImpairment(server, kind, stream, attributes) for stream in streams(direction))
