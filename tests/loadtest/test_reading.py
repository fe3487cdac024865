from __future__ import annotations

from pathlib import Path

import jsonschema
import pytest
import yaml

from rpe.errors import ConfigurationError
from rpe.loadtest.measures import MEASURES
from rpe.loadtest.model import Gate, Load, LoadPlan, UserFile
from rpe.loadtest.overriding import overridden
from rpe.loadtest.reading import LoadPlanError, parse_plan, plan_text, read_plan
from rpe.loadtest.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]
PLANS = sorted((ROOT / "loadtests").glob("*.yaml"))

GOOD = """\
name: good
proves: This plan has nothing wrong with it.
servers:
  a: {}
  b: {}
load:
  - {name: calls, kind: unary, rate_per_s: 10}
duration_s: 10
faults:
  - {name: cut, at_s: 2, for_s: 3, down: {on: [a]}}
windows:
  - {name: late, after: {window: cut}}
gates:
  - {measure: p99_s, during: late, at_most: 1}
"""


def mistakes(text: str, folder: Path | None = None) -> list[str]:
    with pytest.raises(LoadPlanError) as found:
        parse_plan(text, "p.yaml", folder=folder)
    return [str(problem) for problem in found.value.problems]


def instead(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.name)
def test_our_own_plans_are_good_and_keep_to_the_schema(path: Path) -> None:
    plan = read_plan(path)
    assert plan.gates
    jsonschema.validate(yaml.safe_load(path.read_text().replace("on:", '"on":')), json_schema())


def test_a_plan_is_read_and_written_as_the_same() -> None:
    plan = parse_plan(GOOD)
    assert parse_plan(plan_text(plan)) == plan


def test_credentials_are_not_written() -> None:
    text = instead("load:", "client: {token: very-secret}\nload:").replace("a: {}", "a: {token: very-secret}")
    plan = parse_plan(text)
    assert plan.client.token == "very-secret"
    assert "very-secret" not in plan_text(plan)
    assert "very-secret" not in repr(plan)
    parse_plan(plan_text(plan))


WRONG = [
    ("name: good", "name: Good One", 1, "name"),
    ("duration_s: 10", "duration_s: 10.5", 8, "duration_s"),
    ("duration_s: 10", "duration: 10", 8, "write duration_s"),
    ("rate_per_s: 10", "rate: 10", 7, "load[0].rate"),
    ("rate_per_s: 10", "rate_per_s: 10, chunks: 3", 7, "chunks is for streams"),
    ("rate_per_s: 10", "rate_per_s: 10, start_s: 10", 7, "the run is over at 10 s"),
    ("rate_per_s: 10", "rate_per_s: 10, start_s: 3, stop_s: 2", 7, "stop_s (2) must be later"),
    ("rate_per_s: 10}", "rate_per_s: 10}\n  - {name: calls, kind: unary, rate_per_s: 1}", 8, "taken"),
    ("on: [a]", "on: [z]", 10, "there is no server 'z'"),
    ("at_s: 2", "at_s: 6.8", 10, "leaves no time to recover"),
    ("at_s: 2", "at_s: 5.95", 10, "leaves no whole second to recover in"),
    ("down: {on: [a]}", "packet_loss: {on: [a], rate: 0.1}", 10, "packet_loss cannot act on grpc"),
    ("down: {on: [a]}", "dwn: {on: [a]}", 10, "did you mean down"),
    ("window: cut", "window: gone", 12, "there is no window 'gone'"),
    ("p99_s", "p99", 14, "did you mean p99_s"),
    ("during: late", "during: lat", 14, "did you mean late"),
    (", at_most: 1", "", 14, "it has no bound"),
    ("at_most: 1", "at_most: 1, at_least: 2", 14, "nothing is at least 2 and at most 1"),
    ("at_most: 1", "at_most: 1, from_s: 4", 14, "1 s are left of the window late"),
    ("at_most: 1", "at_most: 1, name: cals", 14, "did you mean calls"),
    ("at_most: 1", "at_most: 1, kind: chunk", 14, "there is no chunk"),
    ("name: good", "name: good\ntransport: pigeon", 2, "pigeon"),
    ("load:\n  - {name: calls, kind: unary, rate_per_s: 10}\n", "", 1, "give one of load and users"),
    ("servers:\n  a: {}\n  b: {}\n", "", 1, "give one of servers and endpoints"),
    ("servers:", "endpoints: {a: here:1}\nservers:", 1, "give one of servers and endpoints"),
    ("faults:", "faults: cut\nwhat:", 9, "must be a list"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "words"), WRONG, ids=[new[:30] for _, new, _, _ in WRONG])
def test_a_mistake_is_told_with_its_line(old: str, new: str, line: int, words: str) -> None:
    found = mistakes(instead(old, new))
    assert any(problem.startswith(f"p.yaml:{line}:") and words in problem for problem in found), found
    assert len(found) <= 2, found


def test_all_mistakes_are_told_at_once() -> None:
    text = GOOD
    for old, new in (
        ("b: {}", "b: {latency_s: 1}"),
        ("rate_per_s: 10", "rate_per_s: 10, bogus: 1"),
        ("on: [a]", "on: [z]"),
        ("p99_s", "p99"),
        ("during: late", "during: lat"),
    ):
        text = text.replace(old, new)
    lines = [problem.split(":")[1] for problem in mistakes(text)]
    assert lines == ["5", "7", "10", "14", "14"]


def test_what_has_a_mistake_of_its_own_is_not_missed_elsewhere() -> None:
    text = instead("rate_per_s: 10", "rate_per_s: no").replace("at_s: 2", "at_s: no")
    text = text.replace("at_most: 1", "at_most: 1, name: calls, during: cut")
    assert [problem.split(":")[1] for problem in mistakes(text.replace("during: late, ", ""))] == ["7", "10"]


USERS = instead("load:\n  - {name: calls, kind: unary, rate_per_s: 10}", "users: {file: own.py, count: 3}")


def test_users_of_a_file(tmp_path: Path) -> None:
    assert "there is no file" in mistakes(USERS, tmp_path)[0]
    (tmp_path / "own.py").touch()
    plan = parse_plan(USERS, folder=tmp_path)
    assert plan.least == 10
    (found,) = mistakes(USERS + "client: {timeout_s: 1}\n", tmp_path)
    assert "users of a file say it themselves" in found


def test_endpoints_can_be_cut_off_but_not_killed() -> None:
    servers = "servers:\n  a: {}\n  b: {}"
    parse_plan(instead(servers, "endpoints: {a: 'here:1', b: 'there:2'}"))
    killed = instead(servers, "endpoints: {a: 'here:1', b: 'there:2'}").replace("down:", "kill:")
    assert "kill can only be done to servers that are started here" in mistakes(killed)[0]
    url = instead(servers, "endpoints: {a: 'https://here', b: 'there:2'}")
    assert "write host:port" in mistakes(url)[0]
    datagrams = instead(servers, "endpoints: {a: 'here:1', b: 'there:2'}").replace(
        "duration_s", "transport: webrtc\nduration_s"
    )
    assert "need servers that are started here" in mistakes(datagrams)[0]


@pytest.mark.parametrize("text", ["", "- a list", "name: [", "name: a\nname: b"])
def test_what_is_no_plan_at_all_is_told(text: str) -> None:
    assert mistakes(text)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadPlanError, match="there is no such file"):
        read_plan(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(LoadPlanError, match="not UTF-8"):
        read_plan(tmp_path / "bytes.yaml")


# --- what follows from a plan -----------------------------------------------------------------------------


def test_the_floor_follows_the_rates() -> None:
    ramped = Load.model_validate(
        {"kind": "unary", "rate_per_s": 30, "ramp": {"from_per_s": 10, "over_s": 4}, "start_s": 2}
    )
    assert ramped.promised(10) == 4 * 20 + 4 * 30
    assert ramped.promised(4) == 10 * 2 + 2 * 10 / 2  # it ends half way up
    assert parse_plan(GOOD).least == 80
    assert parse_plan(GOOD + "floor: {operations: 7}\n").least == 7


def test_a_command_line_takes_the_place_of_the_servers() -> None:
    plan = parse_plan(GOOD)
    assert overridden(plan) is plan
    changed = overridden(plan, endpoints=["one:1", "two:2"], transport="http", workers=3)
    assert changed.endpoints == {"a": "one:1", "b": "two:2"}
    assert (changed.pool, changed.transport, changed.workers) == (("a", "b"), "http", 3)
    parse_plan(plan_text(changed))
    with pytest.raises(ConfigurationError, match="faults for its servers a, b"):
        overridden(plan, endpoints=["one:1"])
    with pytest.raises(LoadPlanError, match="need servers that are started here"):
        overridden(plan, endpoints=["one:1", "two:2"], transport="webrtc")
    calm = overridden(parse_plan(GOOD.partition("faults:")[0]), endpoints=["one:1", "two:2", "three:3"])
    assert list(calm.endpoints) == ["e1", "e2", "e3"]


def test_the_page_shows_a_plan_of_ours_and_names_every_key_and_measure() -> None:
    page = (ROOT / "docs" / "load-plans.md").read_text()
    shown = parse_plan(page.partition("```yaml\n")[2].partition("```")[0])
    assert shown == read_plan(ROOT / "loadtests" / "pool-under-faults.yaml")
    names = {
        *Load.model_fields,
        *Gate.model_fields,
        *LoadPlan.model_fields,
        *UserFile.model_fields,
        *MEASURES,
    }
    assert sorted(name for name in names if f"`{name}" not in page and f"{name}:" not in page) == []
