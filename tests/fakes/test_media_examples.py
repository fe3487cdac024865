"""The examples of the page about audio faults are run, and its lists are those of the models."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from rpe.fakes.behaviour import parse_behaviour
from rpe.fakes.media_plan import WHERE
from rpe.fakes.media_script import EndFault, FrameFault

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "fakes-media.md").read_text()


def examples() -> dict[str, Any]:
    """Return the tests in the page, each with the names that stand above it."""
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        # Written by us, in our own documentation.
        exec(block, names)
    return {name: value for name, value in names.items() if inspect.iscoroutinefunction(value)}


@pytest.mark.parametrize("name", re.findall(r"async def (test_\w+)", PAGE))
async def test_an_example(name: str) -> None:
    await examples()[name]()


def test_the_yaml_is_a_script() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    script = parse_behaviour(yaml.safe_load(block))
    assert script.service is not None and script.service.warm_up is not None


def test_the_kinds_and_their_keys_are_those_of_the_models() -> None:
    told = {
        kind: set(re.findall(r"`(\w+)`", keys))
        for kind, keys in re.findall(r"^\| `(\w+)` \| ([^|]*?) ?\| [A-Z]", PAGE, re.M)
    }
    known = {
        kind.model_fields["kind"].default: set(kind.model_fields) - WHERE - {"kind"}
        for kind in (FrameFault | EndFault).__args__
    }
    assert told == known
