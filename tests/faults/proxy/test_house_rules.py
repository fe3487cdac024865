"""One toxic per file, each in the registry, and none known to the engine by its type."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import rpe.faults.proxy
from rpe.faults.proxy.stage import Stage
from rpe.faults.proxy.toxics import KINDS

PACKAGE = Path(rpe.faults.proxy.__file__).parent
ENGINE = sorted(path for path in PACKAGE.glob("*.py"))
TOXICS = sorted(path for path in (PACKAGE / "toxics").glob("*.py") if path.stem != "__init__")


def test_the_folder_and_the_registry_agree() -> None:
    assert sorted(KINDS) == [path.stem for path in TOXICS]
    assert all(kind.name == name for name, kind in KINDS.items())


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.stem)
def test_the_engine_names_no_toxic(path: Path) -> None:
    imported = [
        name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in [getattr(node, "module", ""), *(alias.name for alias in node.names)]
    ]
    assert not any(str(name).startswith("rpe.faults.proxy.toxics.") for name in imported)
    assert "KINDS" not in imported or path.stem == "api"


@pytest.mark.parametrize("path", TOXICS, ids=lambda path: path.stem)
def test_a_toxic_imports_no_other_and_looks_at_no_type(path: Path) -> None:
    source = path.read_text()
    assert "rpe.faults.proxy.toxics" not in source
    assert "isinstance" not in source
    assert "import asyncio" not in source, "a stage waits by its port, never by itself"


@pytest.mark.parametrize("name", sorted(KINDS))
def test_settings_are_frozen_and_carry_their_units(name: str) -> None:
    settings = KINDS[name].defaults
    fields = type(settings).__dataclass_fields__
    assert type(settings).__dataclass_params__.frozen
    assert all(field.endswith(("_ms", "_us", "_bytes", "_kb_per_s")) for field in fields)
    assert issubclass(KINDS[name].stage, Stage)  # type: ignore[arg-type]
