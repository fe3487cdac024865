"""What a report says, in each of its forms."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from rpe.testing.fidelity.model import Check, Report, Result, Verdict
from rpe.testing.fidelity.target import Target


async def nothing(target: Target) -> None:
    return None


def report(*verdicts: tuple[Verdict, str]) -> Report:
    results = [
        Result(Check("grpc", f"check-{number}", f"It holds {number}.", "RFC 0", nothing), verdict, seen, 0.25)
        for number, (verdict, seen) in enumerate(verdicts)
    ]
    return Report("127.0.0.1:1", "grpc", "Echo", tuple(results))


PASS, FAIL, UNKNOWN = (Verdict.PASS, ""), (Verdict.FAIL, "a | <b>\x1b[2J\x00"), (Verdict.UNKNOWN, "no token")


@pytest.mark.parametrize(
    ("verdicts", "passed"),
    [
        ([PASS], True),
        ([PASS, UNKNOWN], True),
        ([PASS, FAIL], False),
        ([UNKNOWN], False),
        ([], False),
    ],
)
def test_it_passes_where_something_passed_and_nothing_failed(
    verdicts: list[tuple[Verdict, str]], passed: bool
) -> None:
    assert report(*verdicts).passed is passed


def test_the_text_tells_the_failed_checks_first() -> None:
    assert report(PASS, UNKNOWN, FAIL).text().splitlines() == [
        "fail     check-2  It holds 2.",
        "         seen: a | <b> [2J ",
        "         contract: RFC 0",
        "unknown  check-1  It holds 1.",
        "         not applicable: no token",
        "pass     check-0  It holds 0.",
        "fidelity failed: 127.0.0.1:1 over grpc, node type Echo (1 pass, 1 fail, 1 unknown in 0.75 s)",
    ]
    assert (
        report(PASS)
        .text()
        .endswith("fidelity passed: 127.0.0.1:1 over grpc, node type Echo (1 pass in 0.25 s)")
    )
    assert "fidelity not shown" in report(UNKNOWN).text()


def test_credentials_that_a_server_sends_are_not_shown() -> None:
    told = report((Verdict.FAIL, "authorization: Bearer abcdef0123456789"))
    for text in (told.text(), told.junit(), told.markdown()):
        assert "abcdef0123456789" not in text and "redacted" in text


def test_the_junit_document_counts_each_verdict() -> None:
    suite = ElementTree.fromstring(report(PASS, UNKNOWN, FAIL, FAIL).junit())
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "4",
        "failures": "2",
        "errors": "0",
        "skipped": "1",
        "time": "1.000",
    }
    failure = suite.find("testcase[@name='check-2']/failure")
    assert failure is not None and failure.get("message") == "a | <b> [2J "
    assert failure.text == "proves: It holds 2.\ncontract: RFC 0"
    skipped = suite.find("testcase[@name='check-1']/skipped")
    assert skipped is not None and skipped.get("message") == "no token"


def test_the_page_in_markdown_shows_foreign_text_as_text() -> None:
    page = report(PASS, FAIL).markdown()
    assert "| check-1 | fail | a \\| \\<b\\> \\[2J  |" in page
    assert page.index("check-1") < page.index("check-0")
