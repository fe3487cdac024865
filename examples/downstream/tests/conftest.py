"""What the tests share: the fakes of the glossary, and a recording."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import rpe
from rpe.fakes.definition import Definitions, ProtoFake, load_definitions

from captions import Glossary

FAKES = Path(__file__).parents[1] / "fakes"


@pytest.fixture(scope="session")
def glossary_definitions() -> Definitions:
    """The rules of the fake glossary, read once."""
    return load_definitions(FAKES)


@pytest.fixture
async def glossary_fake(glossary_definitions: Definitions) -> AsyncIterator[ProtoFake]:
    """A glossary server of this test's own."""
    async with ProtoFake(glossary_definitions) as fake:
        yield fake


@pytest.fixture
async def glossary(glossary_fake: ProtoFake) -> AsyncIterator[Glossary]:
    """A client of that server."""
    async with Glossary(glossary_fake.endpoint) as client:
        yield client


@pytest.fixture
def recording() -> rpe.Audio:
    """A tenth of a second of silence: the fakes do not listen."""
    return rpe.Audio(samples=np.zeros(1600, np.float32), sample_rate=16_000)
