from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.certificates import Pair, make_pair


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """Make certificates that sign themselves, by the name of their owner."""
    folder = tmp_path_factory.mktemp("certificates")
    return lambda owner: make_pair(owner, folder)
