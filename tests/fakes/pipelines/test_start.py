"""A pipeline starts without what it has no use for."""

from __future__ import annotations

import subprocess
import sys

UNUSED = ("google.protobuf.json_format", "rpe.fakes.definition.functions", "aiohttp", "aiortc")


def test_a_pipeline_without_functions_in_python_is_read_without_what_finds_them() -> None:
    code = (
        "import sys\n"
        "import rpe.fakes.control.pipeline_process\n"
        "from rpe.fakes.pipelines.files import built_in\n"
        "from rpe.fakes.pipelines.reading import load_pipeline\n"
        "load_pipeline(built_in('echo'))\n"
        f"print(*[name for name in {UNUSED!r} if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (told.stdout.strip(), told.returncode) == ("", 0), told.stderr
