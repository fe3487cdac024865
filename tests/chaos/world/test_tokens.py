"""The tokens of pools: handed out before servers insist on them, and taken back after."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpe.chaos.world.tokens import TokenFiles


@pytest.fixture
def files(tmp_path: Path) -> TokenFiles:
    pools = {"first": ("a", "b"), "open": ("c",)}
    return TokenFiles(tmp_path, pools, {"a": "old", "b": "old", "c": None})


def read(files: TokenFiles, pool: str = "first") -> str:
    path = files.path(pool)
    assert path is not None
    return path.read_text(encoding="ascii").strip()


def test_a_pool_that_demands_a_token_has_a_file_that_only_its_user_reads(files: TokenFiles) -> None:
    assert read(files) == "old"
    path = files.path("first")
    assert path is not None and path.stat().st_mode & 0o777 == 0o600
    assert files.path("open") is None


def test_the_latest_demand_counts_until_no_server_has_it(files: TokenFiles) -> None:
    files.demanded("rotated", "a", "new")
    files.demanded("rotated", "b", "new")
    assert read(files) == "new"
    files.no_longer_demanded("rotated", "a")
    assert read(files) == "new", "b still insists on it"
    files.no_longer_demanded("rotated", "b")
    assert read(files) == "old"
    files.no_longer_demanded("rotated", "b")
    assert read(files) == "old"


def test_scripts_without_a_token_and_servers_of_open_pools_change_nothing(files: TokenFiles) -> None:
    files.demanded("slow", "a", None)
    files.demanded("odd", "c", "new")
    files.demanded("odd", "nobody", "new")
    assert read(files) == "old" and files.path("open") is None


def test_each_demand_is_a_new_file_so_that_readers_notice(files: TokenFiles) -> None:
    path = files.path("first")
    assert path is not None
    before = path.stat().st_ino
    files.demanded("rotated", "a", "new")
    assert path.stat().st_ino != before
    assert [item.name for item in path.parent.iterdir()] == ["first.token"]
