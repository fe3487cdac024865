"""The report of a load run for people: its verdict, a table for each window, and every second of the load.

It is made from the run's folder, like the verdict. Where a run is unknown because there is
nothing to read, the page says so and stops there.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from rpe.chaos.history import History, HistoryError
from rpe.chaos.options import EMBEDDED
from rpe.chaos.plan import Plan
from rpe.chaos.verdict import Verdict
from rpe.load.results import ResultError, Results, Series
from rpe.loadtest.drawing import draw
from rpe.loadtest.folder import LoadFolder
from rpe.loadtest.gates import series_in
from rpe.loadtest.judging import OPERATIONS
from rpe.loadtest.model import LoadPlan
from rpe.loadtest.windows import Slots, names_in_order, span_of, whole_seconds
from rpe.report.cell import CellReport
from rpe.report.junit import junit_xml
from rpe.report.markdown import escaped, mark, markdown

__all__ = ["report_of", "report_page", "write_reports"]

KINDS = ("execute", "stream", "open", "chunk", "attempt")
"""The order of the rows: operations, and then what they are made of."""

BAR = 30
"""How many characters the longest bar has."""


def report_of(
    plan: LoadPlan,
    verdict: Verdict,
    folder: LoadFolder,
    *,
    seed: int,
    proxy: str,
    path: Path | None = None,
    elapsed_s: float | None = None,
    part: str = "",
) -> CellReport:
    """Return a run as the reports of scenarios take it; `part` names it among several of one plan."""
    repeat = ["rpe", "load", str(path), "--seed", str(seed)] if path is not None else []
    if repeat and proxy != EMBEDDED:
        repeat += ["--proxy", proxy]
    return CellReport(
        cell=f"{plan.name}/{part}" if part else plan.name,
        scenario=plan.name,
        theme="load",
        subject="locust",
        proxy=proxy,
        seed=seed,
        verdict=verdict,
        proves=plan.proves,
        elapsed_s=elapsed_s,
        folder=str(folder.path),
        repeat=shlex.join(repeat),
    )


def write_reports(folder: LoadFolder, report: CellReport) -> None:
    """Write `report.md` and `junit.xml` into the folder of a run."""
    folder.report_path.write_text(report_page(folder, report), encoding="utf-8")
    folder.junit_path.write_text(junit_xml([report]), encoding="utf-8")


def report_page(folder: LoadFolder, report: CellReport) -> str:
    """Return the page in Markdown."""
    plan = folder.load_plan()
    page = [markdown([report], seed=report.seed), *_checks(report)]
    try:
        events, results = folder.load_events(), folder.load_results()
    except (OSError, HistoryError, ResultError):
        return "\n".join([*page, "There are no figures of this run.", ""])
    drawn = draw(plan, report.seed)
    page += _windows(events, drawn, results)
    page += _seconds(plan, events, drawn, results)
    return "\n".join([*page, ""])


def _checks(report: CellReport) -> Iterator[str]:
    yield "### What was checked\n"
    yield "| check | verdict | |\n|---|---|---|"
    for check in report.verdict.checks:
        yield f"| {escaped(check.name)} | {mark(check.status)} | {escaped(check.summary, 300)} |"
    yield ""


def _windows(events: History, drawn: Plan, results: Results) -> Iterator[str]:
    servers = _servers(events)
    told = [(kind, name, _by_server(name, servers)) for kind, name in results.kinds_names()]
    rows = sorted(told, key=lambda row: (KINDS.index(row[0]) if row[0] in KINDS else len(KINDS), row[2]))
    yield "### Windows\n"
    yield (
        "Figures are kept by whole seconds, so a window is cut to those that lie inside of it. "
        "Latencies are those of what went well, from when it was due.\n"
    )
    for window in names_in_order(events, drawn):
        span = span_of(events, drawn, window)
        if span is None:
            continue
        slots = whole_seconds(span)
        opened = f"open from {span.start_s:.3f} s to {span.end_s:.3f} s"
        yield f"**{escaped(window)}**, {opened}; figures {slots}\n"
        if not slots.any:
            yield "No whole second lies in it.\n"
            continue
        yield "| what | per second | failed | missed | p50 | p99 | max |\n|---|---:|---:|---:|---:|---:|---:|"
        for kind, name, shown in rows:
            series = series_in(results, slots, kind, name)
            if series.count or series.missed:
                what = escaped(f"{kind} {shown}")
                counts = f"{series.rate_per_s:.1f} | {series.failed} | {series.missed}"
                yield f"| {what} | {counts} | {_latencies(series)} |"
        yield ""


def _latencies(series: Series) -> str:
    if not series.ok:
        return " | ".join("–" * 3)
    return " | ".join(
        _time(value) for value in (series.quantile_s(0.5), series.quantile_s(0.99), series.max_s)
    )


def _time(value_s: float) -> str:
    return f"{value_s:.2f} s" if value_s >= 1 else f"{value_s * 1000:.1f} ms"


def _servers(events: History) -> dict[str, str]:
    """The names of the servers by their addresses."""
    told = events.named("endpoints")
    return {address: name for name, address in told[-1].fields["endpoints"].items()} if told else {}


def _by_server(name: str, servers: Mapping[str, str]) -> str:
    """Return the name of attempts with the server's own name in the place of its address."""
    operation, at, address = name.rpartition(" @ ")
    return f"{operation}{at}{servers.get(address, address)}"


def _seconds(plan: LoadPlan, events: History, drawn: Plan, results: Results) -> Iterator[str]:
    """Draw the operations of each second, and mark the faults that were in force meanwhile."""
    kind = max(OPERATIONS, key=lambda kind: results.series(kind).count)
    rows = [(slot, series_in(results, Slots(slot, slot + 1), kind)) for slot in range(plan.duration_s)]
    most = max([1, *(series.count for _, series in rows)])
    spans = {fault.name: span_of(events, drawn, fault.name) for fault in drawn.faults}
    yield f"### {kind.capitalize()}, second by second\n"
    yield "`█` went well, `▒` failed\n"
    yield "```text"
    yield f"{'second':>6}  {'':{BAR}}  {'all':>6} {'failed':>6} {'p50':>9} {'p99':>9}  faults in force"
    for slot, series in rows:
        failed = round(series.failed / most * BAR) or int(series.failed > 0)
        good = min(round(series.ok / most * BAR) or int(series.ok > 0), BAR - failed)
        bar = "█" * good + "▒" * failed
        p50, p99 = (_time(series.quantile_s(q)) if series.ok else "–" for q in (0.5, 0.99))
        active = [
            name for name, span in spans.items() if span and span.start_s < slot + 1 and span.end_s > slot
        ]
        counts = f"{series.count:>6} {series.failed:>6}"
        yield f"{slot:>6}  {bar:{BAR}}  {counts} {p50:>9} {p99:>9}  {', '.join(active)}".rstrip()
    yield "```"
