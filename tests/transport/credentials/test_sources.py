"""Tokens that are given, in the environment, or in a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from rpe.errors import ConfigurationError
from rpe.transport.credentials import EnvironmentToken, FileToken, FixedToken, TokenSource, as_token_source
from tests.support.planted import SECRET, told

# --- what a token may be ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["", " ", f"{SECRET} x", f"Bearer {SECRET}", f"{SECRET}\n", f"{SECRET}\0", f"{SECRET}ü", f"\t{SECRET}"],
)
def test_what_cannot_be_sent_is_refused_and_not_told(value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        FixedToken(value)
    assert SECRET not in told(caught.value)


async def test_a_fixed_token_is_the_only_one() -> None:
    source = FixedToken(SECRET)
    assert await source.token() == SECRET
    assert not source.refused(SECRET)
    assert SECRET not in repr(source)


def test_a_setting_is_a_token_a_source_or_nothing() -> None:
    assert as_token_source(None) is None
    assert isinstance(as_token_source(SECRET), FixedToken)
    source: TokenSource = EnvironmentToken("X")
    assert as_token_source(source) is source
    wrong: Any
    for wrong in (7, SECRET.encode(), [SECRET], lambda: SECRET):
        with pytest.raises(ConfigurationError, match=type(wrong).__name__) as caught:
            as_token_source(wrong)
        assert SECRET not in told(caught.value)


# --- the environment -------------------------------------------------------------------------------------


async def test_a_variable_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    source = EnvironmentToken("RPE_TEST_TOKEN")
    with pytest.raises(ConfigurationError, match="RPE_TEST_TOKEN is not set"):
        await source.token()
    monkeypatch.setenv("RPE_TEST_TOKEN", "one")
    assert await source.token() == "one"
    assert not source.refused("one")
    monkeypatch.setenv("RPE_TEST_TOKEN", "two")
    assert source.refused("one")
    assert await source.token() == "two"
    monkeypatch.delenv("RPE_TEST_TOKEN")
    assert not source.refused("two")
    assert repr(source) == "EnvironmentToken('RPE_TEST_TOKEN')"


async def test_a_variable_of_no_use_is_named_and_its_value_is_not() -> None:
    with pytest.raises(ConfigurationError, match="RPE_TEST_TOKEN") as caught:
        await EnvironmentToken("RPE_TEST_TOKEN", {"RPE_TEST_TOKEN": f"{SECRET} "}).token()
    assert SECRET not in told(caught.value)
    for name in ("", "a=b", "a\0"):
        with pytest.raises(ConfigurationError):
            EnvironmentToken(name)


# --- a file ----------------------------------------------------------------------------------------------


async def test_line_ends_at_the_end_of_a_file_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "token"
    for content in (b"one", b"one\n", b"one\r\n", b"one\n\n"):
        path.write_bytes(content)
        assert await FileToken(path).token() == "one"
        assert await FileToken(str(path)).token() == "one"


async def test_a_file_is_read_again_once_it_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "token"
    path.write_text("one\n")
    source = FileToken(path)
    opened: list[object] = []
    really = os.open

    def watched(*given: Any) -> int:
        opened.append(given)
        return really(*given)

    monkeypatch.setattr(os, "open", watched)
    assert [await source.token() for _ in range(3)] == ["one"] * 3
    assert len(opened) == 1
    path.write_text("twoo\n")
    assert [await source.token() for _ in range(3)] == ["twoo"] * 3
    assert len(opened) == 2


async def test_a_file_of_the_same_size_and_time_in_its_place_is_another_one(tmp_path: Path) -> None:
    path, new = tmp_path / "token", tmp_path / "new"
    path.write_text("one")
    source = FileToken(path)
    assert await source.token() == "one"
    new.write_text("two")
    stamp = path.stat()
    os.utime(new, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    new.replace(path)
    assert await source.token() == "two"


async def test_a_link_that_is_turned_to_another_file_counts(tmp_path: Path) -> None:
    """This is how a cluster renews the secrets that it mounts."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "token").write_text(name)
    link, new = tmp_path / "data", tmp_path / "data.new"
    link.symlink_to("one")
    source = FileToken(link / "token")
    assert await source.token() == "one"
    new.symlink_to("two")
    new.replace(link)
    assert await source.token() == "two"


async def test_a_refusal_reads_the_file_even_where_its_stamp_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("one")
    source = FileToken(path)
    assert await source.token() == "one"
    assert not source.refused("one")
    stamp = path.stat()
    path.write_text("two")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert await source.token() == "one"
    assert source.refused("one")
    assert await source.token() == "two"


async def test_a_file_of_no_use_is_named_and_its_content_is_not(tmp_path: Path) -> None:
    path = tmp_path / "token"
    source = FileToken(path)

    async def refused(*words: str) -> None:
        assert not source.refused("any")
        with pytest.raises(ConfigurationError) as caught:
            await source.token()
        assert SECRET not in told(caught.value)
        for word in (str(path), *words):
            assert word in caught.value.message

    await refused("No such file")
    path.write_text("")
    await refused("empty")
    path.write_text("\n")
    await refused("empty")
    path.write_text(f"{SECRET} {SECRET}")
    await refused("whitespace")
    path.write_bytes(b"\xff\xfe" + SECRET.encode())
    await refused("printable")
    path.write_text(SECRET * 10_000)
    await refused("larger")
    path.unlink()
    path.mkdir()
    await refused("regular")
    path.rmdir()
    os.mkfifo(path)
    await refused("regular")
    path.unlink()
    path.write_text("good")
    assert await source.token() == "good"
    path.unlink()
    await refused("No such file")
    assert repr(source) == f"FileToken({str(path)!r})"


async def test_what_cannot_be_read_is_told_with_its_path(tmp_path: Path) -> None:
    # A link to itself: what the permissions forbid, the superuser may read, as whom tests often run.
    path = tmp_path / "token"
    path.symlink_to(path)
    with pytest.raises(ConfigurationError, match="cannot be read: Too many levels") as caught:
        await FileToken(path).token()
    assert str(path) in str(caught.value)
