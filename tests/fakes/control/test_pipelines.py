"""The control API of a pipeline: its script, faults for a while, its journal, its health and its metrics."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import rpe
from rpe.errors import RpeError
from rpe.fakes import FakeServer
from rpe.fakes.control.pipelines import ControlledPipeline
from rpe.fakes.journal import Entry, Kind
from rpe.fakes.pipelines import PipelineFake, read_pipeline

ECHO = rpe.Manifest.single("echo", node_type="Echo")
ERROR = {"error": {"status": "unavailable"}}


def controlled(fake: FakeServer) -> ControlledPipeline:
    return ControlledPipeline(fake, lambda: {fake.transport: fake.endpoint})


class Caller:
    """Calls a fake once, without trying again."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def __call__(self) -> str:
        try:
            await self._client.execute(ECHO, rpe.Text("x"), repeatable=False)
        except RpeError as error:
            return error.code
        return "ok"


async def test_the_script_is_shown_replaced_and_merged_and_no_token_is_told(serve: Any) -> None:
    async with FakeServer(behaviour={"token": "hush-hush"}) as fake, serve(controlled(fake)) as api:
        shown = await api("PATCH", "/rules", {"latency": {"fixed_s": 0.001}, "stream": {"drip_s": 0.1}})
        assert shown.form == {"latency": {"fixed_s": 0.001}, "stream": {"drip_s": 0.1}}
        assert fake.brain.behaviour.token == "hush-hush"
        shown = await api("PATCH", "/rules", {"latency": None, "stream": {"metrics_every": 3}})
        assert shown.form == {"stream": {"drip_s": 0.1, "metrics_every": 3}}
        opened = await api("POST", "/faults", {"behaviour": {"other_token": "also-hush"}, "calls": 1})
        assert opened.status == 201 and "hush" not in opened.text
        for path in ("/", "/rules", "/faults", "/journal", "/metrics"):
            assert "hush" not in (await api("GET", path)).text
        assert (await api("PUT", "/rules", {"latency": {"fixed_s": 0.5}})).form == {
            "latency": {"fixed_s": 0.5}
        }
        assert fake.brain.behaviour.token is None
        yaml = {"data": "error: {status: internal}", "headers": {"Content-Type": "application/yaml"}}
        assert (await api("PUT", "/rules", **yaml)).form == {"error": {"status": "internal"}}


@pytest.mark.parametrize(
    ("method", "path", "form", "told"),
    [
        ("PUT", "/rules", {"latencyy": {}}, "latencyy is unknown"),
        ("PUT", "/rules", {"token": 5}, "token: "),
        ("PATCH", "/rules", {"http": {"status": {"code": 503}}}, "the grpc transport cannot do that"),
        ("PATCH", "/rules", ["hang"], "mapping"),
        ("POST", "/faults", {"behaviour": {"hangs": {}}}, "hangs is unknown"),
        ("POST", "/faults", {"behaviour": {}}, "not empty"),
        ("POST", "/faults", {"behaviour": ERROR, "for_s": 0}, "for_s"),
        ("POST", "/faults", {"behaviour": ERROR, "calls": True}, "calls"),
        ("POST", "/faults", {"behaviour": ERROR, "for": 3}, "a fault is"),
        ("PUT", "/health", {"status": "WELL"}, "health[0].status"),
        ("PUT", "/health", [{"at_s": 1, "status": "SERVING"}, {"status": "SERVING"}], "order of at_s"),
        ("PUT", "/health", {"status": "SERVING", "service": "x"}, "no service 'x'"),
        ("PUT", "/scenarios", {"order": "paid"}, "no scenarios"),
        ("POST", "/verify", {"node_type": "Echo"}, "no node_type"),
        ("POST", "/verify", {"exactly": 1, "at_most": 2}, "give one of"),
        ("POST", "/verify", {"kind": "recieved"}, "kind"),
        ("POST", "/verify", {"fields": {"fault": {"is": 1}}}, "a condition"),
        ("GET", "/journal?kind=recieved", None, "kind"),
        ("GET", "/journal?wait_s=nan", None, "wait_s"),
        ("GET", "/journal?limit=-1", None, "limit"),
        ("GET", "/journal?methods=x", None, "no filter"),
    ],
)
async def test_what_cannot_be_used_is_told_and_changes_nothing(
    serve: Any, method: str, path: str, form: Any, told: str
) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api:
        answer = await api(method, path, form)
        assert answer.status == 400
        assert told in answer.form["error"] and "hint" in answer.form
        assert (await api("GET", "/rules")).form == {}
        assert (await api("GET", "/faults")).form == []


async def test_a_fault_for_some_calls_meets_exactly_those_however_close_they_come(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api, rpe.connect([fake.endpoint]) as client:
        call = Caller(client)
        await api("POST", "/faults", {"behaviour": ERROR, "calls": 3})
        codes = await asyncio.gather(*(call() for _ in range(12)))
        assert sorted(codes) == ["ok"] * 9 + ["remote_unavailable"] * 3
        assert (await api("GET", "/faults")).form == []
        assert (await api("GET", "/rules")).form == {}


async def test_a_call_that_comes_before_the_loop_turns_is_spared(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api:
        await api("POST", "/faults", {"behaviour": ERROR, "calls": 1})
        seen = []
        for number in (1, 2):
            fake.journal.append(Entry(Kind.RECEIVED, 0.0, "a", call=number, method="execute"))
            seen.append(fake.brain.behaviour.error is not None)  # a call looks at the script at once
        assert seen == [True, False]


async def test_a_fault_heals_after_its_time_or_when_it_is_taken_away(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api, rpe.connect([fake.endpoint]) as client:
        call = Caller(client)
        opened = (await api("POST", "/faults", {"behaviour": ERROR, "for_s": 0.15})).form
        assert 0 < opened["left_s"] <= 0.15
        assert await call() == "remote_unavailable"
        second = (await api("POST", "/faults", {"behaviour": {"hang": {}}})).form
        assert 59 < second["left_s"] <= 60  # nobody is left with a fault that was forgotten
        assert (await api("GET", "/rules")).form == {"error": {"status": "unavailable"}, "hang": {}}
        assert (await api("DELETE", f"/faults/{second['id']}")).status == 204
        assert (await api("GET", f"/faults/{second['id']}")).status == 404
        await asyncio.sleep(0.2)
        assert (await api("GET", "/faults")).form == []
        assert await call() == "ok"
        await api("POST", "/faults", {"behaviour": ERROR, "for_s": 0.01})
        await api("POST", "/faults", {"behaviour": ERROR})
        await asyncio.sleep(0.05)
        assert (await api("DELETE", "/faults")).status == 204
        assert await call() == "ok"
        metrics = (await api("GET", "/metrics")).text
        assert 'rpe_fake_faults_not_applied_total{reason="unused"} 1.0' in metrics


async def test_a_pipeline_on_http_takes_what_http_can_do_and_keeps_faults_over_its_replacement(
    serve: Any,
) -> None:
    form = {"pipeline": "one", "about": "a test", "nodes": {"Echo": {"text": "hello"}}}
    async with PipelineFake(read_pipeline(form), {"http": 0}) as fake:
        control = ControlledPipeline(fake, lambda: fake.endpoints)
        async with serve(control) as api:
            assert (await api("GET", "/")).form["endpoints"] == fake.endpoints
            http = {"http": {"status": {"code": 503}}}
            assert (await api("PATCH", "/rules", http)).form == http
            await api("POST", "/faults", {"behaviour": {"hang": {"first": 1}}})
            fake.replace(read_pipeline({**form, "behaviour": {"latency": {"fixed_s": 0.0}}}))
            control.adopt()
            shown = (await api("GET", "/rules")).form
            assert shown == {"latency": {"fixed_s": 0.0}, "hang": {"first": 1}}
            await api("DELETE", "/faults")
            assert (await api("GET", "/rules")).form == {"latency": {"fixed_s": 0.0}}


async def test_the_journal_is_read_on_from_where_one_was_and_waited_for(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api, rpe.connect([fake.endpoint]) as client:
        call = Caller(client)
        await call()
        first = (await api("GET", "/journal?method=execute&limit=1")).form
        assert [entry["kind"] for entry in first["entries"]] == ["received"]
        rest = (await api("GET", f"/journal?method=execute&since={first['next']}")).form
        assert [entry["kind"] for entry in rest["entries"]] == ["sent"]
        waiting = asyncio.create_task(
            api("GET", f"/journal?kind=sent&method=execute&since={rest['next']}&wait_s=5&count=2")
        )
        await asyncio.sleep(0.03)
        await call()
        assert not waiting.done()
        await call()
        assert len((await waiting).form["entries"]) == 2
        nothing = (await api("GET", "/journal?kind=failed&wait_s=0.02")).form
        assert nothing == {"entries": [], "next": 0}
        assert (await api("DELETE", "/journal")).status == 204
        assert (await api("GET", "/journal")).form["entries"] == []
        assert len(fake.journal.entries()) > 0  # the file and the test in Python keep theirs


async def test_expectations_are_judged_by_the_journal(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api, rpe.connect([fake.endpoint]) as client:
        call = Caller(client)
        nothing = await api("POST", "/verify", {"method": "execute"})
        assert (nothing.status, nothing.form["hint"]) == (409, "no call of execute came at all")
        await api("POST", "/faults", {"behaviour": ERROR, "calls": 1})
        assert [await call(), await call()] == ["remote_unavailable", "ok"]
        passed = await api("POST", "/verify", {"method": "execute", "exactly": 2})
        assert (passed.status, passed.form) == (200, {"passed": True, "found": 2, "wanted": "exactly 2"})
        for form in (
            {"method": "execute", "at_most": 2},
            {"kind": "fault", "fields": {"fault": "error", "detail": {"contains": "unavail"}}},
            {"kind": "failed", "method": "execute", "fields": {"detail": {"regex": "^unavailable"}}},
            {"method": "stream", "exactly": 0},
        ):
            assert (await api("POST", "/verify", form)).form["passed"], form
        many = await api("POST", "/verify", {"method": "execute", "at_most": 1})
        assert many.form["error"] == "at most 1 wanted, 2 found" and "the last of them" in many.form["hint"]
        near = await api("POST", "/verify", {"kind": "fault", "fields": {"fault": "hang"}})
        assert near.form["hint"].endswith("fault is 'error' and not 'hang'")
        await api("POST", "/reset")
        assert (await api("POST", "/verify", {"method": "execute", "exactly": 0})).form["passed"]


async def test_health_changes_at_once_and_over_time(serve: Any) -> None:
    async with (
        FakeServer() as fake,
        serve(controlled(fake)) as api,
        grpc.aio.insecure_channel(fake.endpoint) as channel,
    ):
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=5)
        told = [(await watch.read()).status]
        set_ = await api("PUT", "/health", {"status": "NOT_SERVING"})
        assert set_.form == {"statuses": {"": "NOT_SERVING"}, "playing": False}
        told.append((await watch.read()).status)
        script = [{"status": "SERVING"}, {"at_s": 0.03, "status": "not_serving"}]
        assert (await api("PUT", "/health", [*script, {"at_s": 0.06, "status": "SERVING"}])).form["playing"]
        told += [(await watch.read()).status for _ in range(3)]
        assert told == [1, 2, 1, 2, 1]
        await fake.set_health("not_serving")
        assert (await watch.read()).status == 2


async def test_metrics_count_calls_messages_and_faults(serve: Any) -> None:
    async with FakeServer() as fake, serve(controlled(fake)) as api, rpe.connect([fake.endpoint]) as client:
        call = Caller(client)
        await api("POST", "/faults", {"behaviour": ERROR, "calls": 1})
        await api("POST", "/faults", {"behaviour": {"hangs": {}}})
        await call()
        await call()
        lines = (await api("GET", "/metrics")).text.splitlines()
        for line in (
            'rpe_fake_calls_total{code="UNAVAILABLE",method="execute"} 1.0',
            'rpe_fake_calls_total{code="OK",method="execute"} 1.0',
            'rpe_fake_calls_in_flight{method="execute"} 0.0',
            'rpe_fake_call_seconds_count{method="execute"} 2.0',
            'rpe_fake_messages_total{direction="in",method="execute"} 2.0',
            'rpe_fake_messages_total{direction="out",method="execute"} 1.0',
            'rpe_fake_faults_total{kind="error"} 1.0',
            'rpe_fake_faults_not_applied_total{reason="refused"} 1.0',
            "rpe_fake_faults_open 0.0",
        ):
            assert line in lines, line
        names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
        assert all(name.startswith("rpe_fake_") for name in names)
