"""The page about ready-made pipelines shows what works, and tells of every key and setting."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rpe.data import Audio
from rpe.fakes.pipelines import BUILT_IN_PIPELINES, PipelineFake, built_in, load_pipeline, read_pipeline
from rpe.fakes.pipelines.model import PipelineDocument
from rpe.fakes.pipelines.ready import READY

PAGE = Path(__file__).resolve().parents[3] / "docs" / "fakes-pipelines.md"
TEXT = PAGE.read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def speech() -> Audio:
    return Audio(np.full(32_000, 4000, np.int16), 16_000)


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: re.search(r"def (test_\w+)", block)[1])  # type: ignore[index]
async def test_what_is_shown_in_python_passes(block: str, speech: Audio) -> None:
    names: dict[str, Any] = {}
    exec(compile(block, str(PAGE), "exec"), names)
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert tests
    for test in tests:
        await test(*[speech for _ in inspect.signature(test).parameters])


async def test_the_file_that_is_shown_is_served() -> None:
    [shown] = YAML
    definition = read_pipeline(shown)
    assert definition.name == "interpreter" and len(definition.nodes) == 6
    async with PipelineFake(definition) as fake:
        assert fake.endpoints["grpc"]


@pytest.mark.parametrize("name", BUILT_IN_PIPELINES)
def test_every_pipeline_is_told_of_with_its_node_types(name: str) -> None:
    [row] = re.findall(rf"^\| `{name}` \| (.*?) \|", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == set(load_pipeline(built_in(name)).nodes)


@pytest.mark.parametrize("name", sorted(READY))
def test_every_setting_is_told_of_with_its_default(name: str) -> None:
    table = TEXT.partition(f"**`is: {name}`**")[2].partition("\n\n|")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    told: dict[str, str] = {}
    for names, defaults in rows:
        keys = re.findall(r"`(\w+)`", names)
        values = (
            [value.strip(" `") for value in defaults.split(",")] if len(keys) > 1 else [defaults.strip(" `")]
        )
        told |= dict(zip(keys, values, strict=True))
    model, _ = READY[name]
    assert list(told) == list(model.model_fields)
    for key, value in model().model_dump().items():
        shown = f"{len(value)} words" if key == "words" and value else value
        expected = "" if shown in ("", (), {}) else f"{shown:g}" if isinstance(shown, float) else str(shown)
        assert told[key].lower() == expected.lower(), key


def test_every_key_of_a_file_is_told_of() -> None:
    for key in PipelineDocument.model_fields:
        assert re.search(rf"^{key}:", YAML[0], re.MULTILINE), key
