"""The filter expression reads like the -k of pytest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpe.chaos.filtering import FilterError, compile_filter

WORDS = ("slow-primary", "failover", "transport=grpc", "client.retry.max_retries=3")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("", True),
        ("  ", True),
        ("slow", True),
        ("SLOW", True),
        ("primary", True),
        ("http", False),
        ("grpc", True),
        ("transport=grpc", True),
        ("max_retries=3", True),
        ("max_retries=0", False),
        ("not http", True),
        ("not not slow", True),
        ("slow and http", False),
        ("slow or http", True),
        ("NOT http AND slow", True),
        ("http or slow and grpc", True),
        ("slow or http and nothing", True),
        ("(slow or http) and nothing", False),
        ("not (slow and http)", True),
        ("not slow and http", False),
        ("((slow))", True),
        ("(slow)and(grpc)", True),
        ("android", False),
        ("notable", False),
    ],
)
def test_an_expression_says_whether_a_cell_is_meant(expression: str, expected: bool) -> None:
    assert compile_filter(expression)(WORDS) is expected


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("and", "expected a word, found 'and' at character 1"),
        ("slow and", "expected a word, found the end"),
        ("slow or or grpc", "expected a word, found 'or' at character 9"),
        ("not", "expected a word, found the end"),
        ("(slow", "expected ')', found the end"),
        ("slow)", "expected 'and' or 'or' before ')' at character 5"),
        ("slow grpc", "expected 'and' or 'or' before 'grpc' at character 6"),
        ("()", "expected a word, found ')' at character 2"),
        ("(" * 5000, "it is nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_place(expression: str, told: str) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(expression)

    assert told in caught.value.message
    assert "and, or, not" in caught.value.hint


words = st.sampled_from(["slow", "grpc", "http", "fail", "x=3"])
expressions = st.recursive(
    words,
    lambda inner: st.one_of(
        inner.map(lambda text: f"not {text}"),
        inner.map(lambda text: f"({text})"),
        st.tuples(inner, inner).map(" and ".join),
        st.tuples(inner, inner).map(" or ".join),
    ),
    max_leaves=8,
)


@given(expressions, st.lists(st.sampled_from(["slow-primary", "failover", "transport=grpc", "http", "x=3"])))
def test_it_agrees_with_python(expression: str, given_words: list[str]) -> None:
    parts = {
        word: str(any(word in known for known in given_words))
        for word in ["slow", "grpc", "http", "fail", "x=3"]
    }
    python = expression
    for word, truth in parts.items():
        python = python.replace(word, truth)

    assert compile_filter(expression)(given_words) is eval(python)  # noqa: S307 - made of True, False and operators


@given(st.text(alphabet="()andornt x=", max_size=30))
def test_whatever_is_typed_is_read_or_refused(expression: str) -> None:
    try:
        matches = compile_filter(expression)
    except FilterError:
        return
    assert matches(WORDS) in (True, False)
