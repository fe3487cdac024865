"""Callers of Locust runs, which come and go. Locust runs as a process of its own (see `runs.py`)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rpe.fakes import FakeProcess, Kind
from tests.load.runs import HEADLESS, LIMIT_S, LOADTESTS, at_once, finished, locust, run_locust

CALLERS = LOADTESTS / "callers.py"

SHAPE = """
from locust import LoadTestShape

class Fewer(LoadTestShape):
    def tick(self):
        users = int(open(os.environ["USERS"]).read())
        return (users, 10) if users else None
"""


async def test_so_many_users_are_so_many_callers_and_those_who_leave_have_their_answers(
    tmp_path: Path,
) -> None:
    file, users = tmp_path / "callers.py", tmp_path / "users"
    file.write_text(CALLERS.read_text() + SHAPE)
    # Longer than a pause: so all three are soon under way together.
    async with FakeProcess(behaviour={"latency": {"fixed_s": 0.05}}) as fake:

        async def together(number: int) -> None:
            """Wait until the server has so many calls at once."""
            async with asyncio.timeout(LIMIT_S):
                while at_once(await fake.journal_entries(), last=10) != number:  # noqa: ASYNC110 - a file
                    await asyncio.sleep(0.05)

        def have(number: int) -> None:
            """Have so many users from now on; the file is never seen half written."""
            part = tmp_path / "part"
            part.write_text(str(number))
            part.replace(users)

        have(3)
        env = {"RPE_ENDPOINTS": fake.endpoint, "USERS": str(users), "RPE_WAIT_S": "0.01,0.03"}
        async with locust(file, *HEADLESS, "--stop-timeout", "10", env=env) as process:
            await together(3)
            have(1)
            await together(1)
            have(0)
            run = await finished(process)
        entries = [each for each in await fake.journal_entries() if each.method == "execute"]
    assert run.code == 0, run.output
    assert at_once(entries) == 3
    received = sum(each.kind is Kind.RECEIVED for each in entries)
    assert sum(each.kind is Kind.SENT for each in entries) == received
    assert run.requests("execute", "echo") == run.requests("attempt", f"echo @ {fake.endpoint}") == received
    assert run.stats["execute", "echo"]["min_response_time"] >= 50


@pytest.mark.slow
async def test_pauses_that_cannot_be_end_the_run_and_say_why() -> None:
    run = await run_locust(CALLERS, "127.0.0.1:1", "-u", "2", "-t", "60s", RPE_WAIT_S="-1,0")
    assert run.code == 3
    assert run.output.count("Caller: a pause takes a number of seconds from 0 on") == 1
    assert "Traceback" not in run.output
