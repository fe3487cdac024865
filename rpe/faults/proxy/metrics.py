"""The Prometheus text of `/metrics`, with Toxiproxy's metric names.

Unlike Toxiproxy's, the counters move while a connection is open, not only when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable

from rpe.faults.proxy.proxy import Proxy

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(proxies: Iterable[Proxy]) -> str:
    """Return the byte counters of all proxies."""
    received, sent = [], []
    for proxy in proxies:
        for stream, totals in proxy.bytes_so_far().items():
            labels = ",".join(
                f'{name}="{_escaped(value)}"'
                for name, value in (
                    ("direction", stream),
                    ("listener", proxy.listen),
                    ("proxy", proxy.name),
                    ("upstream", proxy.upstream),
                )
            )
            received.append(f"toxiproxy_proxy_received_bytes_total{{{labels}}} {totals.received_bytes}")
            sent.append(f"toxiproxy_proxy_sent_bytes_total{{{labels}}} {totals.sent_bytes}")
    lines = []
    for name, samples in (("received", received), ("sent", sent)):
        metric = f"toxiproxy_proxy_{name}_bytes_total"
        lines += [f"# HELP {metric} Bytes {name}, by proxy and direction.", f"# TYPE {metric} counter"]
        lines += samples
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
