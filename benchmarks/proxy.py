"""The embedded proxy beside a real Toxiproxy and a direct connection.

The client is this process, with blocking sockets. Round trips are 1 KB, the arms shuffled
anew for every call, so that all see the same machine; bulk is 64 MiB up, the arms
interleaved. Both are the best of several rounds, because neighbours only ever slow things
down. The latency toxic is 5 ms each way; what a round trip misses 10 ms by is halved.

A round trip through any proxy is mostly four wake-ups by the kernel: a bare relay (epoll,
recv, send; in C) took two thirds of Toxiproxy's time here, so there is little below that.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from benchmarks.harness import Row, median, server_process, table
from benchmarks.proxy_servers import MESSAGE_BYTES
from rpe.faults.driver import ToxiproxyDriver

__all__ = ["run"]

ROUND_TRIPS = 600
ROUNDS = 6
BULK_BYTES = 64 * 1024 * 1024
BULK_REPETITIONS = 12
TOXIC_MS = 5
TOXIC_ROUND_TRIPS = 150

DIRECT, NULL, TOXIPROXY = "direct", "direct again", "Toxiproxy"
ROUND_TRIP_BARS = {"rpe, asyncio": 1.1, "rpe, uvloop": 0.75}
BULK_BAR = 1.7
TOXIC_BAR_MS = 0.6

SERVERS = "benchmarks.proxy_servers"
STREAMS: tuple[Literal["upstream", "downstream"], ...] = ("upstream", "downstream")
BINARY = Path(__file__).resolve().parent.parent / ".tools/bin/toxiproxy-server"


def run() -> list[Row]:
    """Measure all arms; takes about a quarter of a minute."""
    with contextlib.ExitStack() as stack:
        (upstream,) = stack.enter_context(server_process(SERVERS, "echo"))
        urls = dict(_proxies(stack))
        addresses = {DIRECT: upstream, NULL: upstream}
        addresses |= {arm: asyncio.run(_create(url, upstream)) for arm, url in urls.items()}
        rows = [*_round_trip_rows(addresses), *_bulk_rows(addresses)]
        for url in urls.values():
            asyncio.run(_add_latency(url))
        return [*rows, *_toxic_rows({arm: addresses[arm] for arm in urls})]


# --- the proxies --------------------------------------------------------------------------------------------


def _proxies(stack: contextlib.ExitStack) -> Iterator[tuple[str, str]]:
    for loop in ("asyncio", "uvloop"):
        if loop == "asyncio" or importlib.util.find_spec(loop):
            (url,) = stack.enter_context(server_process(SERVERS, loop))
            yield f"rpe, {loop}", url
    if binary := shutil.which(BINARY) or shutil.which("toxiproxy-server"):
        yield TOXIPROXY, stack.enter_context(_toxiproxy(binary))


@contextlib.contextmanager
def _toxiproxy(binary: str) -> Iterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    command = [binary, "-host", "127.0.0.1", "-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, "LOG_LEVEL": "fatal"})
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.025)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=40)


async def _create(url: str, upstream: str) -> str:
    async with ToxiproxyDriver(url) as driver:
        return (await driver.create_proxy("bench", upstream=upstream)).listen


async def _add_latency(url: str) -> None:
    async with ToxiproxyDriver(url) as driver:
        for stream in STREAMS:
            await driver.add_toxic("bench", "latency", stream=stream, attributes={"latency": TOXIC_MS})


# --- what is measured ---------------------------------------------------------------------------------------


def _round_trip_rows(addresses: dict[str, str]) -> list[Row]:
    rounds = [_round_trips(addresses, ROUND_TRIPS) for _ in range(ROUNDS)]
    p50_us = {arm: min(median(times[arm]) for times in rounds) * 1e6 for arm in addresses}
    rows = [
        Row(f"1 KB round trip, p50, best of {ROUNDS}, {arm}", f"{value:.1f} us")
        for arm, value in p50_us.items()
    ]
    for arm, bar in ROUND_TRIP_BARS.items():
        if arm in p50_us and TOXIPROXY in p50_us:
            ratio = p50_us[arm] / p50_us[TOXIPROXY]
            rows.append(Row(f"{arm}, round trip over Toxiproxy's", f"{ratio:.2f}", f"<= {bar}", ratio <= bar))
    return rows


def _bulk_rows(addresses: dict[str, str]) -> list[Row]:
    rates: dict[str, list[float]] = {arm: [] for arm in addresses}
    for _ in range(BULK_REPETITIONS):
        for arm, address in addresses.items():
            rates[arm].append(BULK_BYTES / 1e6 / _upload_s(address))
    best = {arm: max(values) for arm, values in rates.items()}
    rows = [
        Row(f"64 MiB up, best of {BULK_REPETITIONS}, {arm}", f"{rate:.0f} MB/s") for arm, rate in best.items()
    ]
    for arm, rate in best.items():
        if arm in ROUND_TRIP_BARS and TOXIPROXY in best:
            ratio = rate / best[TOXIPROXY]
            rows.append(
                Row(f"{arm}, bulk over Toxiproxy's", f"{ratio:.2f}", f">= {BULK_BAR}", ratio >= BULK_BAR)
            )
    return rows


def _toxic_rows(addresses: dict[str, str]) -> list[Row]:
    rows = []
    for arm, times in _round_trips(addresses, TOXIC_ROUND_TRIPS).items():
        off_ms = (median(times) * 1000 - 2 * TOXIC_MS) / 2
        name = f"{TOXIC_MS} ms latency toxic off by, p50 per hop, {arm}"
        if arm in ROUND_TRIP_BARS:
            rows.append(Row(name, f"{off_ms:.2f} ms", f"<= {TOXIC_BAR_MS} ms", off_ms <= TOXIC_BAR_MS))
        else:
            rows.append(Row(name, f"{off_ms:.2f} ms"))
    return rows


def _round_trips(addresses: dict[str, str], count: int) -> dict[str, list[float]]:
    """Return the seconds of `count` round trips for each arm, after some that do not count."""
    sockets = {arm: _connect(address) for arm, address in addresses.items()}
    times: dict[str, list[float]] = {arm: [] for arm in addresses}
    order = list(addresses)
    shuffler = random.Random(7)
    for turn in range(-count // 10, count):
        shuffler.shuffle(order)
        for arm in order:
            took_s = _round_trip_s(sockets[arm])
            if turn >= 0:
                times[arm].append(took_s)
    for sock in sockets.values():
        sock.close()
    return times


def _round_trip_s(sock: socket.socket) -> float:
    began_s = time.perf_counter()
    sock.sendall(bytes(MESSAGE_BYTES))
    missing = MESSAGE_BYTES
    while missing:
        missing -= len(sock.recv(missing))
    return time.perf_counter() - began_s


def _upload_s(address: str) -> float:
    block = bytes(1024 * 1024)
    with _connect(address) as sock:
        began_s = time.perf_counter()
        for _ in range(BULK_BYTES // len(block)):
            sock.sendall(block)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):  # the end comes when the server has got the last byte
            pass
        return time.perf_counter() - began_s


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    sock = socket.create_connection((host, int(port)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


if __name__ == "__main__":
    print(table(run()))
