from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.judging import judge
from rpe.loadtest.reporting import report_of, write_reports
from tests.loadtest.saved import SavedRun, plan_of, row


def report(run: SavedRun, path: Path) -> str:
    """Write a run and its reports, and return the page."""
    folder = LoadFolder(run.write(path))
    told = report_of(run.plan, judge(path), folder, seed=7, proxy="http://proxy:8474", path=Path("plan.yaml"))
    assert told.repeat == "rpe load plan.yaml --seed 7 --proxy http://proxy:8474"
    write_reports(folder, told)
    return folder.report_path.read_text()


def section(page: str, title: str) -> list[str]:
    """Return the lines below a heading of a window, up to the next blank line that follows a table."""
    _, _, rest = page.partition(f"**{title}**")
    assert rest, page
    return rest.split("\n\n")[1].splitlines()


def test_each_window_has_a_table(tmp_path: Path) -> None:
    run = SavedRun()
    run.rows[2] = row(2, 10, failed=5, missed=3)
    run.more = [
        row(2, 10, kind="attempt", name="calls @ 127.0.0.1:1002"),
        row(2, 0, failed=2, kind="attempt", name="calls @ 127.0.0.1:1001"),
    ]
    page = report(run, tmp_path)
    assert section(page, "cut")[2:] == [
        "| execute calls | 12.5 | 5 | 3 | 5.0 ms | 5.0 ms | 5.0 ms |",
        "| attempt calls @ a | 1.0 | 2 | 0 | – | – | – |",
        "| attempt calls @ b | 5.0 | 0 | 0 | 5.0 ms | 5.0 ms | 5.0 ms |",
    ]
    assert section(page, "after")[2:] == ["| execute calls | 10.0 | 0 | 0 | 5.0 ms | 5.0 ms | 5.0 ms |"]
    assert "**cut**, open from 1.520 s to 4.530 s; figures from 2 s to 4 s" in page
    order = [page.index(f"**{name}**") for name in ("run", "before", "cut", "after", "calm")]
    assert order == sorted(order)


def test_each_second_has_a_bar_and_the_faults_that_were_in_force(tmp_path: Path) -> None:
    run = SavedRun()
    run.rows |= {3: row(3, 10, failed=10), 6: row(6, 20, ms=1500)}
    del run.rows[7]
    block = report(run, tmp_path).partition("```text\n")[2].partition("\n```")[0].splitlines()[1:]
    assert len(block) == 8
    fault = [line.endswith("  cut") for line in block]
    assert fault == [False, True, True, True, True, False, False, False]
    assert block[3].split() == ["3", "█" * 15 + "▒" * 15, "20", "10", "5.0", "ms", "5.0", "ms", "cut"]
    assert block[6].split() == ["6", "█" * 30, "20", "0", "1.50", "s", "1.50", "s"]
    assert block[7].split() == ["7", "0", "0", "–", "–"]


def test_all_checks_are_listed_and_failures_first(tmp_path: Path) -> None:
    page = report(SavedRun(plan_of([{"measure": "p99_s", "at_most": 0.001}])), tmp_path)
    assert page.startswith("## ❌ fail: 1 cell (1 fail)")
    assert "| gate p99\\_s of execute during run | ❌ fail | 0.005" in page
    assert "| fault\\_fired | ✅ pass |" in page
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("6", "1", "0")


def test_a_run_without_figures_has_a_report_all_the_same(tmp_path: Path) -> None:
    run = SavedRun()
    folder = LoadFolder(run.write(tmp_path))
    folder.result_path.unlink()
    write_reports(folder, report_of(run.plan, judge(tmp_path), folder, seed=7, proxy="embedded"))
    page = folder.report_path.read_text()
    assert page.startswith("## ❔ unknown")
    assert "There are no figures of this run." in page
