from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.report.text import clean, counted, one_line, shortened

NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@given(st.text(st.characters(codec=None, categories=None)))
def test_clean_text_has_nothing_that_xml_refuses(text: str) -> None:
    assert not NOT_IN_XML.search(clean(text))


@given(st.text())
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean(clean(text)) == clean(text)


def test_readable_text_of_any_script_is_kept() -> None:
    text = "Größe 42\tµs, 测试, 🎉\nsecond line"
    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("a\x00b\x07c", "abc"),
        ("a\r\nb", "a\nb"),
        ("\x9b31mcsi", "31mcsi"),
    ],
)
def test_what_steers_a_terminal_is_taken_out(raw: str, cleaned: str) -> None:
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    "raw", ["token=hunter2", "Authorization: Bearer hunter2", "to\x00ken=hunter2", "tok\x1b[0men=hunter2"]
)
def test_credentials_are_taken_out_even_where_control_characters_hide_them(raw: str) -> None:
    assert "hunter2" not in clean(raw)
    assert "[redacted]" in clean(raw)


def test_one_line_has_no_breaks_and_no_runs_of_blanks() -> None:
    assert one_line("a\n  b\t\tc ") == "a b c"


def test_what_is_cut_is_seen_to_be_cut() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"


def test_counts_read_well() -> None:
    assert (counted(1, "cell"), counted(2, "cell"), counted(0, "cell")) == ("1 cell", "2 cells", "0 cells")
