"""The examples of the pages about timing and backpressure run as they are shown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rpe.data import Text
from rpe.fakes.mouth import RawGrpcServer
from rpe.manifest.model import Manifest
from rpe.testing import SessionTiming
from rpe.transport.grpc.client import GrpcPipelineClient
from rpe.transport.grpc.settings import GrpcSettings

DOCS = Path(__file__).resolve().parents[2] / "docs"


def example(page: str, function: str, **given: Any) -> Any:
    """Return a function out of an example, which may use what is given."""
    [code] = [
        code
        for code in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
        if f"async def {function}" in code
    ]
    names: dict[str, Any] = dict(given)
    exec(compile(code, page, "exec"), names)  # what the page shows
    return names[function]


async def test_the_example_of_timing() -> None:
    await example("fakes-timing.md", "test_results_come_in_time")()


async def test_the_example_of_backpressure() -> None:
    async def send(server: RawGrpcServer) -> int:
        client = GrpcPipelineClient(server.endpoint, GrpcSettings())
        session = await client.open_stream(
            Manifest.single("echo", node_type="Echo"), timeout_s=10, open_timeout_s=5
        )
        handed_over, number = 0, 0
        while not server.journal.entries(fault="resumed"):
            await session.send(Text("x" * 500), node_id="echo", sequence=number)
            number += 1
            if not server.journal.entries(fault="resumed"):
                handed_over += 500
        await session.finish()
        while await session.receive() is not None:
            pass
        await client.close()
        return handed_over

    await example("fakes-wire-faults.md", "test_my_client_waits", send_as_much_as_it_takes=send)()


def test_every_name_in_the_tables_exists() -> None:
    named = re.findall(r"^\| (`.*?) \|", (DOCS / "fakes-timing.md").read_text(), re.MULTILINE)
    shown = {name for cell in named for name in re.findall(r"`(\w+)", cell)}
    fields = set(SessionTiming.__dataclass_fields__)
    public = {name for name in dir(SessionTiming) if not name.startswith("_")} | fields
    assert shown <= public
    assert public - shown <= {"attempts", "entries", "of", "received_s", "results"}
