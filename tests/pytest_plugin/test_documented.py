"""Every test that docs/fakes-in-tests.md shows runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fakes-in-tests.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_page_pass(pytester: pytest.Pytester) -> None:
    assert len(BLOCKS) == 6
    for number, block in enumerate(BLOCKS):
        (pytester.path / f"test_block_{number}.py").write_text(block, encoding="utf-8")
    pytester.makepyprojecttoml(
        """
        [tool.pytest.ini_options]
        addopts = ["--strict-markers", "--strict-config", "-p", "no:cacheprovider", "-p", "no:xdist"]
        filterwarnings = ["error"]
        asyncio_mode = "auto"
        asyncio_default_fixture_loop_scope = "function"
        """
    )
    result = pytester.runpytest_subprocess(timeout=60)
    result.assert_outcomes(passed=sum(len(re.findall(r"def test_", block)) for block in BLOCKS))
