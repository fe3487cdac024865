"""Compile the wire contracts of this folder into `rpe/wire/generated/`.

    python protos/generate.py            write the stubs
    python protos/generate.py --check    exit 1 when the stubs there are not those of these contracts

protoc comes from grpcio-tools, and the type stubs from mypy-protobuf. What they
write is changed in two places:

* Imports: the stubs live in `rpe.wire.generated`, so that installing rpe puts one
  name into site-packages.
* The descriptor pool: the stubs have one of their own. A program that has other
  stubs of the same contracts (the client of a server, or a client under test)
  can then load both; in the shared pool the second one to come would fail.

The outcome depends on the contracts and on the versions of the two tools alone.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

__all__ = ["compile_contracts", "main", "stale_files"]

CONTRACTS = Path(__file__).resolve().parent
GENERATED = CONTRACTS.parent / "rpe" / "wire" / "generated"
PACKAGE = "rpe.wire.generated"

_IMPORT = re.compile(r"^(from|import) remotemedia\b", re.MULTILINE)
_CHANGES = (
    (
        "from google.protobuf import descriptor_pool as _descriptor_pool\n",
        f"from {PACKAGE} import POOL as _POOL\n",
    ),
    ("_descriptor_pool.Default()", "_POOL"),
    # The module that the message classes name as their own; pickle goes by it.
    ("(DESCRIPTOR, 'remotemedia.", f"(DESCRIPTOR, '{PACKAGE}.remotemedia."),
)
_ROOT_INIT = '''"""Stubs of the wire contracts, generated from protos/. Do not edit."""

from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["POOL"]

POOL = DescriptorPool()
'''
_PACKAGE_INIT = '"""Stubs of the wire contracts, generated from protos/. Do not edit."""\n'


def compile_contracts(target: Path) -> None:
    """Write the stubs of all contracts into the folder `target`, which need not exist.

    Raises RuntimeError with protoc's own words where a contract does not compile.
    """
    target.mkdir(parents=True, exist_ok=True)
    contracts = sorted(path.relative_to(CONTRACTS).as_posix() for path in CONTRACTS.rglob("*.proto"))
    outputs = [f"--{kind}_out={target}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    search_path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={CONTRACTS}", *outputs, *contracts],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": search_path},
    )
    if done.returncode:
        raise RuntimeError(f"protoc failed:\n{done.stderr}")
    for path in sorted(target.rglob("*_pb2*.py*")):
        _settle(path)
    for folder in sorted({path.parent for path in target.rglob("*_pb2.py")} | {target / "remotemedia"}):
        (folder / "__init__.py").write_text(_PACKAGE_INIT, encoding="utf-8")
    (target / "__init__.py").write_text(_ROOT_INIT, encoding="utf-8")


def _settle(path: Path) -> None:
    """Make one generated file at home in the package, or remove it where it says nothing."""
    text = path.read_text(encoding="utf-8")
    if "_pb2_grpc" in path.name and "Stub" not in text:
        path.unlink()  # a contract without services
        return
    text = _IMPORT.sub(rf"\1 {PACKAGE}.remotemedia", text)
    if path.name.endswith("_pb2.py"):
        for old, new in _CHANGES:
            if old not in text:
                raise RuntimeError(f"{path.name}: protoc does not write {old.strip()!r} any more")
            text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def stale_files(generated: Path = GENERATED) -> list[str]:
    """The files in `generated` that are missing, too many, or not what the contracts give."""
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        compile_contracts(fresh)
        expected, found = _contents(fresh), _contents(generated)
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def main() -> int:
    """Write the stubs, or check them; the exit code of the process."""
    parser = argparse.ArgumentParser(description="Compile the wire contracts.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the stubs are stale")
    if parser.parse_args().check:
        stale = stale_files()
        for name in stale:
            print(f"stale: {name}")
        if stale:
            print("run `python protos/generate.py`")
        return 1 if stale else 0
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch) / "generated"
        compile_contracts(fresh)
        if GENERATED.exists():
            shutil.rmtree(GENERATED)
        shutil.copytree(fresh, GENERATED)
    return 0


if __name__ == "__main__":
    sys.exit(main())
