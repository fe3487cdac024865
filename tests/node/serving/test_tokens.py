from __future__ import annotations

import os
from pathlib import Path

import pytest

from rpe.errors import ConfigurationError
from rpe.node.serving import PipelineService, TokenFile


def write(path: Path, content: str, age_ns: int) -> None:
    path.write_text(content, encoding="utf-8")
    os.utime(path, ns=(age_ns, age_ns))


def test_each_line_is_a_token_and_changes_count_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    write(path, "one\n\n  two  \n", 1)
    good = TokenFile(path)
    assert [good(token) for token in ("one", "two", "three", "", "on")] == [True, True, False, False, False]
    write(path, "three\n", 2)
    assert [good(token) for token in ("one", "three")] == [False, True]


def test_the_last_tokens_stay_good_while_the_file_cannot_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    write(path, "one-secret\n", 1)
    good = TokenFile(path)
    for spoil in (path.unlink, lambda: write(path, "\n", 2), lambda: path.write_bytes(b"\xff\xfe")):
        spoil()
        assert good("one-secret") and not good("two")
    assert "stay good" in caplog.text and "secret" not in caplog.text + repr(good)


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_file_without_tokens_is_refused_at_once(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokens"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        TokenFile(path)


def test_an_empty_token_would_let_in_who_has_none() -> None:
    for rule in ("", ["good", ""]):
        with pytest.raises(ConfigurationError, match="empty"):
            PipelineService(token=rule)
