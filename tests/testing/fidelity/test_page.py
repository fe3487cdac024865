"""The page in the documentation lists the checks as they are, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rpe.fakes.server import FakeServer
from rpe.testing.fidelity import TRANSPORTS, checks_of
from rpe.testing.fidelity.reporting import table_of

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "conformance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("wire", TRANSPORTS)
def test_the_table_is_the_list_of_checks(wire: str) -> None:
    assert table_of(checks_of(wire)) in PAGE


async def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    given: dict[str, Any] = {}
    exec(code, given)
    async with FakeServer() as fake:
        await given["test_my_fake_speaks_the_wire"](fake.endpoint)


@pytest.mark.parametrize("wire", TRANSPORTS)
def test_each_check_tells_what_it_proves_and_by_what_right(wire: str) -> None:
    checks = checks_of(wire)
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.proves.endswith(".") and check.contract and check.transport == wire
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.name)
