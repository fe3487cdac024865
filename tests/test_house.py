"""The rules of the house that a linter does not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = [path for path in (ROOT / "rpe").rglob("*.py") if "generated" not in path.parts]

WAITS = {"sleep", "wait_for", "timeout", "timeout_at", "call_later", "call_at"}
"""What waits by the event loop's own clock."""

REAL_TIME = {
    "clock.py": "is the port",
    "transport/grpc": "lives on gRPC's own timers",
    "transport/http": "is a real client and server on a real loop",
    "transport/webrtc": "is a real client and server on a real loop",
    "faults/relay": "is a real relay on a real loop",
    "faults/proxy": "is a real proxy on a real loop",
    "faults/driver.py": "talks to a real server",
    "fakes/child.py": "waits for a real process",
    "fakes/process.py": "waits for a real process",
    "fakes/journal.py": "is waited for by tests in real time",
    "chaos/suite.py": "waits for real processes",
    "chaos/stalls.py": "watches the machine itself",
    "chaos/worker.py": "waits for the end of a real process",
    "chaos/shielding.py": "bounds healing in real time",
    "chaos/world": "is the world of real sockets",
    "cli": "is watched by a person",
    "report": "is watched by a person",
}
"""Where real time is used, and why; everything else takes a Clock."""


def calls(tree: ast.AST) -> list[tuple[str, str, int]]:
    """Every call of the form `module.name(...)`, with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name):
                found.append((owner.id, node.func.attr, node.lineno))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_time_chance_and_the_wall_clock(path: Path) -> None:
    inside = str(path.relative_to(ROOT / "rpe"))
    real = any(inside.startswith(room) for room in REAL_TIME)
    source = path.read_text(encoding="utf-8")
    imports_chance = "\nimport random\n" in source
    for owner, name, line in calls(ast.parse(source)):
        where = f"{inside}:{line} {owner}.{name}"
        assert not (owner == "time" and name in ("time", "time_ns", "sleep")), (
            f"{where}: the monotonic clock only"
        )
        assert not (imports_chance and owner == "random" and name[0].islower()), (
            f"{where}: draw from a Random that was handed in"
        )
        if not real:
            assert not (owner == "asyncio" and name in WAITS), f"{where}: take a Clock"


def test_no_room_is_excused_that_does_not_exist() -> None:
    assert [room for room in REAL_TIME if not (ROOT / "rpe" / room).exists()] == []


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    long = {
        str(path): n for path in MODULES if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import rpe", ["grpc", "aiohttp", "pydantic", "numpy", "typer", "rich", "asyncio"]),
        ("import rpe; rpe.Text", ["grpc", "aiohttp", "pydantic", "typer", "rich"]),
        ("import rpe; rpe.connect", ["grpc", "aiohttp", "pydantic", "typer", "rich"]),
        ("import rpe.fakes", ["grpc", "aiohttp", "pydantic", "numpy"]),
        ("import rpe.pytest_plugin", ["grpc", "aiohttp", "pydantic", "numpy"]),
    ],
)
def test_what_is_not_used_is_not_imported(code: str, heavy: list[str]) -> None:
    check = f"{code}\nimport sys\nprint(*[name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_root_names_everything_it_offers() -> None:
    import rpe

    assert sorted(rpe.__all__) == dir(rpe)
    for name in rpe.__all__:
        assert getattr(rpe, name) is not None
    with pytest.raises(AttributeError):
        rpe.no_such_name  # noqa: B018
