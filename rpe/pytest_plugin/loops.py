"""The event loops of pytest-asyncio as fixtures. Registered where that plugin is, in either of its modes."""

from __future__ import annotations

import asyncio
from typing import Literal

import pytest_asyncio

from rpe.pytest_plugin.fixtures import loop_fixture

__all__: list[str] = []

_Scope = Literal["function", "class", "module", "package", "session"]
_SCOPES: tuple[_Scope, ...] = ("function", "class", "module", "package", "session")


def _make(scope: _Scope) -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    globals()[loop_fixture(scope)] = pytest_asyncio.fixture(loop_scope=scope, name=loop_fixture(scope))(loop)


for _scope in _SCOPES:
    _make(_scope)
