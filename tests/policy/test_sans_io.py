"""Policies decide, and do nothing else: no I/O, no clock, no chance of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import rpe.policy

FOLDER = Path(rpe.policy.__file__).parent
ALLOWED = {
    "collections",
    "dataclasses",
    "enum",
    "heapq",
    "itertools",
    "math",
    "types",
    "typing",
    "__future__",
}
ALLOWED_OF_RPE = ("rpe.errors", "rpe.policy")
FORBIDDEN_CALLS = {"open", "print", "input", "eval", "exec", "compile", "__import__", "breakpoint"}


def problems(tree: ast.Module) -> Iterator[str]:
    """Name everything in a module that a policy must not do."""
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in node.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if id(node) in for_types and ast.unparse(node) == "from random import Random":
                continue
            names = ["." * node.level + (node.module or "")]
        else:
            if isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN_CALLS:
                yield f"line {node.lineno}: calls {ast.unparse(node.func)}"
            if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.Global):
                yield f"line {node.lineno}: {type(node).__name__}"
            continue
        for name in names:
            if name.split(".")[0] not in ALLOWED and not name.startswith(ALLOWED_OF_RPE):
                yield f"line {node.lineno}: imports {name}"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.name)
def test_a_policy_decides_and_does_nothing_else(path: Path) -> None:
    assert list(problems(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio",
        "import time",
        "import random",
        "import socket, math",
        "import logging.handlers",
        "from threading import Lock",
        "from random import Random",
        "from random import random",
        "def f():\n    from time import monotonic",
        "if TYPE_CHECKING:\n    import random",
        "from rpe.transport import ports",
        "from . import io",
        "async def f(): ...",
        "x = open('file')",
    ],
)
def test_the_check_sees_what_it_is_there_to_see(source: str) -> None:
    assert list(problems(ast.parse(source)))


def test_the_type_of_random_numbers_may_be_named() -> None:
    assert not list(problems(ast.parse("if TYPE_CHECKING:\n    from random import Random")))


def test_the_folder_looked_at_is_the_right_one() -> None:
    assert {"breaker.py", "retry.py", "selection.py"} <= {path.name for path in FOLDER.rglob("*.py")}
