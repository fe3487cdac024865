"""Each planted secret in turn, and whatever is logged or printed meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.support.secrets import SHAPES, Planted


@pytest.fixture(scope="session")
def planted() -> Planted:
    return Planted()


@pytest.fixture(params=list(SHAPES))
def secret(request: pytest.FixtureRequest) -> str:
    """Each of the planted secrets in turn."""
    return SHAPES[request.param]


@pytest.fixture
def listening(
    planted: Planted, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """Take down all that is logged or printed during a test, down to DEBUG, and search it at the end."""
    formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
    with caplog.at_level(logging.DEBUG):
        for name in list(logging.root.manager.loggerDict):
            logging.getLogger(name).propagate = True
        yield
        planted.check("the log", "\n".join(formatter.format(record) for record in caplog.records))
    written = capfd.readouterr()
    planted.check("the output", written.out + written.err)
