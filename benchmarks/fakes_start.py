"""From the start of a process to an answered call: `rpe fake serve` beside a bare server."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc

from benchmarks.fakes_contract import SERVICE, request, write_definition
from benchmarks.fakes_process import BARE, FAKE_SERVE, served
from benchmarks.harness import Row, median

__all__ = ["run"]

REPEATS = 7
AIM_S = 0.5
UNASKED = ("aiortc", "aioice", "av", "aiohttp", "locust")
"""What a fake on gRPC has no use for."""

_VERSION = "/remotemedia.v1.PipelineExecutionService/GetVersion"
_GET = f"/{SERVICE}/Get"


def _answered_s(command: tuple[str, ...], path: str, payload: bytes) -> float:
    """Return how long it took from the start of a process until a call was answered, in seconds."""
    with served(*command) as server, grpc.insecure_channel(server.address) as channel:
        call: Any = channel.unary_unary(path)
        call(payload, timeout=10)
        return time.perf_counter() - server.began_s


def _imported(command: tuple[str, ...]) -> set[str]:
    """Return the names of the packages that a command imports until it serves."""
    listing = (command[0], "-X", "importtime", *command[1:])
    process = subprocess.Popen(listing, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    told = process.communicate(timeout=10)[1]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in told.splitlines() if "|" in line}


def run() -> list[Row]:
    with TemporaryDirectory() as folder:
        file = str(write_definition(Path(folder), listed=2))
        ours = {
            "FILE": (*FAKE_SERVE, file, "--grpc-port", "0"),
            "echo": (*FAKE_SERVE, "echo", "--grpc-port", "0"),
        }
        payload = request().SerializeToString()
        arms: dict[str, Callable[[], float]] = {
            "bare": lambda: _answered_s(BARE, _GET, payload),
            "FILE": lambda: _answered_s(ours["FILE"], _GET, payload),
            "echo": lambda: _answered_s(ours["echo"], _VERSION, b""),
            "bare again": lambda: _answered_s(BARE, _GET, payload),
        }
        taken_s: dict[str, list[float]] = {name: [] for name in arms}
        for _ in range(REPEATS):
            for name, arm in arms.items():
                taken_s[name].append(arm())
        imported = {name: _imported(command) for name, command in ours.items()}
    bare_s = median(taken_s["bare"])
    rows = [
        Row("a bare server's process, start to first answer", f"{bare_s:.2f} s"),
        Row("null arm: the same again, ratio", f"{median(taken_s['bare again']) / bare_s:.2f}"),
    ]
    for name in ours:
        took_s = median(taken_s[name])
        told = f"{took_s:.2f} s ({took_s / bare_s:.1f} times bare)"
        rows.append(Row(f"`rpe fake serve {name}`, the same", told, f"<= {AIM_S} s", took_s <= AIM_S))
        unasked = sorted(imported[name] & set(UNASKED))
        rows.append(
            Row(
                f"`rpe fake serve {name}` on gRPC: imported of {', '.join(UNASKED)}",
                ", ".join(unasked) or "none",
                "none",
                not unasked,
            )
        )
    return rows


if __name__ == "__main__":
    from benchmarks.harness import table

    print(table(run()))
