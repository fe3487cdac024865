"""Run every benchmark and print one table; `--write` keeps it in docs/benchmarks.md."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness import Row, table

PARTS = {
    "client": "The client beside a bare stub and beside well-known parts",
    "pick": "The choice of an endpoint",
    "proxy": "The embedded proxy beside a real Toxiproxy",
    "failover": "A server that dies",
    "http": "HTTP beside bare aiohttp",
    "webrtc": "WebRTC beside bare aiortc",
    "fresh": "A fresh WebRTC peer",
    "hops": "What a streaming hop adds",
    "streams": "Fifty streams of paced audio",
    "fakes": "Fakes beside a bare server of grpc.aio",
    "load": "What a call costs in a load test",
}
_PACKAGES = ("grpcio", "aiohttp", "aiortc", "uvloop", "tenacity", "purgatory", "aiobreaker", "locust")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    names = [name for name in sys.argv[1:] if not name.startswith("-")] or list(PARTS)
    sections = []
    rows: list[Row] = []
    for name in names:
        found = importlib.import_module(f"benchmarks.{name}").run()
        section = f"## {PARTS[name]}\n\n{table(found)}\n"
        print(section, flush=True)
        sections.append(section)
        rows += found
    if "--write" in sys.argv:
        PAGE.write_text("\n".join([_head(), *sections]))
    return 0 if all(row.met is not False for row in rows) else 1


def _head() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        "# Benchmarks\n\n"
        f"As `make bench` printed them on {datetime.now(UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}.\n\n"
        "Every figure is a ratio or a difference within one run, against another arm of that run; calls of\n"
        "all arms are shuffled one by one, or repeats interleaved. The null arms run the same thing twice:\n"
        "their spread is the noise. Machines differ, so read ratios, not microseconds.\n"
    )


if __name__ == "__main__":
    sys.exit(main())
