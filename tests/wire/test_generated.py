from __future__ import annotations

import importlib.util
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pool

from rpe.wire.generated import POOL
from rpe.wire.generated.remotemedia.v1 import common_pb2, streaming_pb2

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_contracts", ROOT / "protos" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stubs_are_fresh_and_staleness_is_seen(generate: ModuleType, tmp_path: Path) -> None:
    # One run of the compiler for both: all files but the three that were spoiled are as they should be.
    copy = tmp_path / "generated"
    shutil.copytree(generate.GENERATED, copy)
    with (copy / "remotemedia/v1/common_pb2.pyi").open("a") as file:
        file.write("# changed\n")
    (copy / "remotemedia/v1/execution_pb2_grpc.py").unlink()
    (copy / "remotemedia/v1/left_over_pb2.py").touch()
    assert generate.stale_files(copy) == [
        "remotemedia/v1/common_pb2.pyi",
        "remotemedia/v1/execution_pb2_grpc.py",
        "remotemedia/v1/left_over_pb2.py",
    ]


def test_stubs_leave_the_shared_pool_to_others() -> None:
    assert common_pb2.DESCRIPTOR.pool is POOL
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("remotemedia.v1.DataBuffer")


def test_messages_know_their_module() -> None:
    request = streaming_pb2.StreamRequest(
        control=streaming_pb2.StreamControl(command=streaming_pb2.StreamControl.COMMAND_CLOSE)
    )
    assert pickle.loads(pickle.dumps(request)) == request


def test_imports_stay_light() -> None:
    program = """
import sys
def heavy(*names):
    return sorted(name for name in sys.modules if name.split(".")[0] in names)
import rpe.wire, rpe.data, rpe.manifest.model
assert not heavy("google", "grpc", "pydantic"), heavy("google", "grpc", "pydantic")
import rpe.wire.protobuf, rpe.wire.manifest
assert not heavy("grpc", "pydantic"), heavy("grpc", "pydantic")
assert not heavy("remotemedia"), "the contracts' own name landed at the top"
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
