"""The HTTP side of a fake: what the Connect protocol says, by a plain HTTP client."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import socket
import ssl
import struct
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions

from rpe.errors import ConfigurationError
from rpe.fakes.certificates import Authority
from rpe.fakes.definition.answering import MethodServer
from rpe.fakes.definition.connect import ConnectServer
from rpe.fakes.definition.connect_wire import error_form, unzipped
from rpe.fakes.definition.ending import CallEnded, Detail, Metadata
from rpe.fakes.definition.fake import ProtoFake
from rpe.fakes.definition.loading import parse_definition
from rpe.fakes.definition.messages import parsed

ITEM = {"id": "7", "price_cents": 250}
JSON = {"content-type": "application/json"}
ECHO = [{"answer": {"message": {"id": "${request.id}", "price_cents": 250}}}]


class Served:
    """A running server with the fake behind it, and its client. `instead` stands for methods of the fake."""

    def __init__(self, server: ConnectServer, fake: ProtoFake, instead: dict[str, Any]) -> None:
        self.server = server
        self.fake = fake
        self.instead = instead
        self.url = f"http://{server.endpoint}/shop.v1.Shop/"

    async def __call__(
        self, method: str, body: Any = None, *, verb: str = "POST", headers: Any = None, query: Any = None
    ) -> Reply:
        """Send one request, and return the reply; what is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                verb,
                self.url + method,
                data=None if verb == "GET" else data,
                headers=JSON | (headers or {}),
                params=query,
            ) as response,
        ):
            return Reply(response.status, response.headers.copy(), await response.read())

    def real(self, method: str) -> MethodServer:
        found = self.fake.method("shop.v1.Shop", method)
        assert found is not None
        return found

    def message(self, method: str, form: Any) -> bytes:
        return parsed(self.real(method).plan.request, form).SerializeToString()

    def answer(self, method: str, data: bytes) -> Any:
        return self.real(method).plan.response.FromString(data)

    async def stream(self, method: str, requests: Iterable[Any], **headers: str) -> tuple[list[Any], Any]:
        """Call a stream in JSON. Returns the answers, and what the last envelope holds."""
        body = b"".join(enveloped(request) for request in requests)
        kind = {"content-type": "application/connect+json"}
        reply = await self(method, body, headers=kind | headers)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/connect+json")
        *answers, (flags, end) = [*envelopes(reply.body)]
        assert flags == 2 and all(not flags for flags, _ in answers)
        return [json.loads(data) for _, data in answers], json.loads(end)


class Reply:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        assert self.headers["content-type"].startswith("application/json")
        return json.loads(self.body)


def enveloped(message: Any, flags: int = 0) -> bytes:
    data = message if isinstance(message, bytes) else json.dumps(message).encode()
    return struct.pack(">BI", flags, len(data)) + data


def envelopes(body: bytes) -> Iterable[tuple[int, bytes]]:
    while body:
        flags, length = struct.unpack_from(">BI", body)
        yield flags, body[5 : 5 + length]
        body = body[5 + length :]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def opened(
    call: Served, method: str, kind: str, framing: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Send the head of a request on a connection of its own."""
    reader, writer = await asyncio.open_connection(*call.server.endpoint.split(":"))
    head = f"POST /shop.v1.Shop/{method} HTTP/1.1\r\nhost: a\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n"
    writer.write(head.encode())
    return reader, writer


async def begun(call: Served, method: str) -> None:
    """Wait until a call is in the journal."""
    while not call.fake.calls(method):  # noqa: ASYNC110
        await asyncio.sleep(0.002)


@pytest.fixture(scope="session")
def safe_shop(shop: Path) -> Path:
    """The contract of the shop, with a GetItem that has no side effects."""
    files = FileDescriptorSet.FromString((shop / "shop.binpb").read_bytes())
    [service] = [service for file in files.file for service in file.service]
    service.method[0].options.idempotency_level = MethodOptions.NO_SIDE_EFFECTS
    (shop / "safe.binpb").write_bytes(files.SerializeToString())
    return shop


@pytest.fixture
def serve(safe_shop: Path) -> Callable[..., Any]:
    @asynccontextmanager
    async def start(
        options: Any = None, contract: str = "safe.binpb", **methods: Any
    ) -> AsyncIterator[Served]:
        data = {"descriptors": {"set": contract}, "service": "shop.v1.Shop", "methods": methods}
        fake = ProtoFake(parse_definition(data, safe_shop))  # which is not started: it serves no gRPC
        instead: dict[str, Any] = {}

        def find(service: str, name: str) -> Any:
            return instead.get(name) or fake.method(service, name)

        async with ConnectServer(find, **(options or {})) as server:
            yield Served(server, fake, instead)

    return start


Serve = Callable[..., Any]


async def test_a_unary_call_in_json_needs_nothing_but_its_content_type(serve: Serve) -> None:
    async with serve(GetItem=ECHO) as call:
        reply = await call("GetItem", {"id": "7", "unknown": 1}, headers={"x-tenant": "acme", "k-bin": "AAE"})
        # The canonical JSON: names in camel case, and numbers of 64 bits as text.
        assert (reply.status, reply.json) == (200, {"id": "7", "priceCents": "250"})
        [noted] = call.fake.calls()
        assert (noted.requests, noted.answers) == ([{"id": "7"}], [{"id": "7", "price_cents": "250"}])
        assert (noted.code, noted.rule) == ("OK", 0)
        metadata = dict(noted.metadata)
        assert metadata["x-tenant"] == "acme" and metadata["k-bin"] == b"\x00\x01"
        assert not {"content-type", "content-length", "host", "accept"} & metadata.keys()


async def test_a_unary_call_in_protobuf(serve: Serve) -> None:
    async with serve(GetItem=ECHO) as call:
        kind = {"content-type": "application/proto", "connect-protocol-version": "1"}
        reply = await call("GetItem", call.message("GetItem", {"id": "7"}), headers=kind)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/proto")
        assert call.answer("GetItem", reply.body).price_cents == 250


@pytest.mark.parametrize(
    ("code", "told", "status"),
    [
        ("NOT_FOUND", "not_found", 404),
        ("CANCELLED", "canceled", 499),
        ("INVALID_ARGUMENT", "invalid_argument", 400),
        ("DEADLINE_EXCEEDED", "deadline_exceeded", 504),
        ("RESOURCE_EXHAUSTED", "resource_exhausted", 429),
        ("UNAVAILABLE", "unavailable", 503),
        ("UNAUTHENTICATED", "unauthenticated", 401),
        ("DATA_LOSS", "data_loss", 500),
    ],
)
async def test_an_error_has_its_code_and_the_status_of_http(
    serve: Serve, code: str, told: str, status: int
) -> None:
    async with serve(GetItem=[{"answer": {"error": {"code": code, "message": "no ${request.id}"}}}]) as call:
        reply = await call("GetItem", {"id": "7"})
        assert (reply.status, reply.json) == (status, {"code": told, "message": "no 7"})
        assert call.fake.calls()[0].code == code


def test_the_details_of_an_error_are_base64_without_padding() -> None:
    ended = CallEnded(
        "UNAVAILABLE", "later", (Detail("type.googleapis.com/google.rpc.RetryInfo", b"\n\x02\x08<"),)
    )
    details = [{"type": "google.rpc.RetryInfo", "value": "CgIIPA"}]
    assert error_form(ended) == {"code": "unavailable", "message": "later", "details": details}


class Scripted:
    """Stands for the server of a method, to give what rules may give at most."""

    def __init__(self, real: MethodServer, ended: CallEnded | None) -> None:
        self.plan = real.plan
        self._ended = ended

    async def serve(self, metadata: Any, take: Any, send: Any, begin: Any) -> Metadata:
        while await take() is not None:
            pass
        await begin((("x-lead", "1"), ("content-type", "text/plain"), ("k-bin", b"\x00\x01")))
        if self._ended is not None:
            raise self._ended
        await send(parsed(self.plan.response, {"id": "7"}))
        return (("x-cost", "1"), ("x-cost", "2"))


async def test_metadata_goes_before_and_after_the_answer(serve: Serve) -> None:
    async with serve() as call:
        for name in ("GetItem", "ListItems"):
            call.instead[name] = Scripted(call.real(name), None)
        reply = await call("GetItem", {})
        assert (reply.headers["x-lead"], reply.headers["k-bin"]) == ("1", "AAE")
        assert reply.headers.getall("trailer-x-cost") == ["1", "2"]
        assert reply.headers.getall("content-type") == ["application/json"]
        assert reply.json == {"id": "7"}
        answers, end = await call.stream("ListItems", [{}])
        assert (answers, end) == ([{"id": "7"}], {"metadata": {"x-cost": ["1", "2"]}})


async def test_metadata_trails_an_error_too(serve: Serve) -> None:
    async with serve() as call:
        ended = CallEnded("ABORTED", "enough", (), (("x-cost", "3"),))
        for name in ("GetItem", "ListItems"):
            call.instead[name] = Scripted(call.real(name), ended)
        reply = await call("GetItem", {})
        assert (reply.status, reply.headers["trailer-x-cost"], reply.headers["x-lead"]) == (409, "3", "1")
        told = {"error": {"code": "aborted", "message": "enough"}, "metadata": {"x-cost": ["3"]}}
        assert await call.stream("ListItems", [{}]) == ([], told)


async def test_a_method_without_side_effects_can_be_asked_by_get(serve: Serve) -> None:
    async with serve(GetItem=ECHO) as call:

        async def ask(**query: str) -> Any:
            return await call("GetItem", verb="GET", query=query)

        packed = base64.urlsafe_b64encode(gzip.compress(b'{"id":"\xc3\xbf?>"}')).decode().rstrip("=")
        for query, item in (
            ({"encoding": "json", "message": '{"id":"a b"}', "connect": "v1", "other": "x"}, "a b"),
            ({"encoding": "json", "message": packed, "base64": "1", "compression": "gzip"}, "\xff?>"),
        ):
            reply = await ask(**query)
            assert (reply.status, reply.json["id"]) == (200, item)
        binary = base64.urlsafe_b64encode(call.message("GetItem", {"id": "7"})).decode()
        reply = await ask(encoding="proto", message=binary, base64="1")
        assert call.answer("GetItem", reply.body).id == "7"
        for query, status in (
            ({"encoding": "json"}, 400),
            ({"encoding": "json", "message": "{"}, 400),
            ({"encoding": "json", "message": "{}", "connect": "v2"}, 400),
            ({"encoding": "proto", "message": "!", "base64": "1"}, 400),
            ({"encoding": "json", "message": "{}", "compression": "br"}, 501),
            ({"encoding": "xml", "message": "{}"}, 415),
            ({"message": "{}"}, 415),
        ):
            assert (await ask(**query)).status == status, query


async def test_a_method_that_may_have_side_effects_is_not_asked_by_get(serve: Serve) -> None:
    async with serve(contract="shop.binpb", GetItem=ECHO) as call:
        reply = await call("GetItem", verb="GET", query={"encoding": "json", "message": "{}"})
        assert (reply.status, reply.headers["allow"]) == (405, "POST")
        assert call.fake.calls() == []


async def test_what_is_no_call_is_told_so(serve: Serve) -> None:
    async with serve(GetItem=ECHO) as call:
        for method in ("Gone", "GetItem/more", ""):
            reply = await call(method, {})
            assert (reply.status, reply.json["code"]) == (404, "unimplemented")
        form = {"content-type": "application/x-www-form-urlencoded"}
        reply = await call("GetItem", b"{}", headers=form)
        assert (reply.status, reply.headers["accept-post"]) == (415, "application/json, application/proto")
        assert "content-type is application/json" in reply.json["message"]
        assert (await call("ListItems", {})).status == 415
        assert (await call("GetItem", {}, headers={"content-type": "application/connect+json"})).status == 415
        for method, allowed in (("GetItem", "GET, POST"), ("ListItems", "POST")):
            reply = await call(method, {}, verb="PUT")
            assert (reply.status, reply.headers["allow"]) == (405, allowed)
        assert (await call("ListItems", verb="GET")).status == 405
        assert call.fake.calls() == []


async def test_bodies_that_cannot_be_read(serve: Serve) -> None:
    async with serve({"max_message_bytes": 1000}, GetItem=ECHO) as call:
        large = json.dumps({"id": "x" * 2000}).encode()
        fits = json.dumps({"id": "x" * 980}).encode()
        zipped = {"content-encoding": "gzip"}
        for body, headers, code in (
            (b"", {}, "invalid_argument"),
            (b"[1]", {}, "invalid_argument"),
            (b'{"id": 7}', {}, "invalid_argument"),
            (b'{"id": "\xff"}', {}, "invalid_argument"),
            (b"[" * 900, {}, "invalid_argument"),
            (large, {}, "resource_exhausted"),
            (gzip.compress(large), zipped, "resource_exhausted"),
            (b"{}", zipped, "invalid_argument"),
            (gzip.compress(fits)[:-9], zipped, "invalid_argument"),
            (b"{}", {"content-encoding": "br"}, "unimplemented"),
            (b"{}", {"connect-timeout-ms": "soon"}, "invalid_argument"),
            (b"{}", {"connect-timeout-ms": "12345678901"}, "invalid_argument"),
            (b"{}", {"connect-protocol-version": "2"}, "invalid_argument"),
            (b"{}", {"x-bin": "!"}, "invalid_argument"),
        ):
            reply = await call("GetItem", body, headers=headers)
            assert reply.json["code"] == code, (body[:20], headers)
        assert (await call("GetItem", gzip.compress(fits), headers=zipped)).json["id"] == "x" * 980
        # Of what could not be parsed the journal tells, too.
        assert "INVALID_ARGUMENT" in [noted.code for noted in call.fake.calls()]


def test_what_unpacks_to_too_much_is_not_unpacked_whole() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    tracemalloc.start()
    with pytest.raises(CallEnded, match="larger than 1000 bytes"):
        unzipped(bomb, 1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


async def test_the_time_limit_of_a_caller_ends_its_call(serve: Serve) -> None:
    slow = {"answer": {"message": ITEM, "delay_s": 30}}
    each = {"answer": {"messages": [{"message": ITEM}, {"message": ITEM, "delay_s": 30}]}}
    async with serve(GetItem=[slow], ListItems=[each]) as call:
        reply = await call("GetItem", {}, headers={"connect-timeout-ms": "50"})
        assert (reply.status, reply.json["code"]) == (504, "deadline_exceeded")
        answers, end = await call.stream("ListItems", [{}], **{"connect-timeout-ms": "100"})
        assert (len(answers), end["error"]["code"]) == (1, "deadline_exceeded")
        assert [noted.code for noted in call.fake.calls()] == ["CANCELLED", "CANCELLED"]


async def test_a_caller_that_goes_away_cancels_its_call(serve: Serve) -> None:
    slow = {"answer": {"message": ITEM, "delay_s": 30}}
    endless = {"answer": {"messages": [{"message": ITEM}, {"message": ITEM, "delay_s": 30}]}}
    async with serve(GetItem=[slow], ListItems=[endless]) as call:
        for method, body, kind in (
            ("GetItem", b"{}", "application/json"),
            ("ListItems", enveloped({}), "application/connect+json"),
        ):
            _, writer = await opened(call, method, kind, f"content-length: {len(body)}")
            writer.write(body)
            await begun(call, method)
            writer.close()
            [noted] = await call.fake.wait_for_calls(1, method)
            assert noted.code == "CANCELLED"


async def test_streams_of_each_kind_in_json(serve: Serve) -> None:
    listed = {"answer": {"messages": [{"message": ITEM}, {"message": {"id": "${request.id}"}}]}}
    summed = {"answer": {"message": {"last_id": "${request.id}"}}}
    each = {"answer": {"each": [{"message": {"id": "${request.id}"}}]}}
    async with serve(ListItems=[listed], AddItems=[summed], Chat=[each]) as call:
        item = {"id": "7", "priceCents": "250"}
        assert await call.stream("ListItems", [{"id": "8"}]) == ([item, {"id": "8"}], {})
        assert await call.stream("AddItems", [{"id": "1"}, {"id": "2"}]) == ([{"lastId": "2"}], {})
        assert await call.stream("Chat", [{"id": "1"}, {"id": "2"}]) == ([{"id": "1"}, {"id": "2"}], {})
        assert await call.stream("Chat", []) == ([], {})
        assert [len(noted.requests) for noted in call.fake.calls()] == [1, 2, 2, 0]


async def test_a_stream_in_protobuf_with_compressed_requests(serve: Serve) -> None:
    each = {"answer": {"each": [{"message": {"id": "${request.id}"}}]}}
    async with serve(Chat=[each]) as call:
        one, two = (call.message("Chat", {"id": item}) for item in ("1", "2"))
        body = enveloped(gzip.compress(one), 1) + enveloped(two) + enveloped(b"", 1)
        kind = {"content-type": "application/connect+proto", "connect-content-encoding": "gzip"}
        reply = await call("Chat", body, headers=kind)
        *answers, end = envelopes(reply.body)
        assert [call.answer("Chat", data).id for _, data in answers] == ["1", "2", ""]
        assert end == (2, b"{}")


async def test_a_stream_that_fails_has_its_error_at_its_end(serve: Serve) -> None:
    broken = {
        "answer": {"messages": [{"message": ITEM}], "error": {"code": "UNAVAILABLE", "message": "gone"}}
    }
    async with serve({"max_message_bytes": 1000}, ListItems=[broken], Chat=[]) as call:
        answers, end = await call.stream("ListItems", [{}])
        assert (len(answers), end) == (1, {"error": {"code": "unavailable", "message": "gone"}})
        for method, body, code in (
            ("ListItems", b"", "unimplemented"),
            ("ListItems", enveloped({}) * 2, "unimplemented"),
            ("ListItems", enveloped({}, 2), "invalid_argument"),
            ("ListItems", enveloped({}, 1), "internal"),
            ("ListItems", enveloped({})[:-1], "invalid_argument"),
            ("ListItems", b"\x00\x00", "invalid_argument"),
            ("ListItems", b"\x00\xff\xff\xff\xff", "resource_exhausted"),
            ("ListItems", enveloped(b"{"), "invalid_argument"),
        ):
            reply = await call(method, body, headers={"content-type": "application/connect+json"})
            [(flags, told)] = envelopes(reply.body)
            assert (flags, json.loads(told)["error"]["code"]) == (2, code), body
        _, end = await call.stream("Chat", [{}], **{"connect-protocol-version": "3"})
        assert end["error"]["code"] == "invalid_argument"


async def test_both_directions_of_a_stream_run_at_once(serve: Serve) -> None:
    script = [
        {"send": {"id": "welcome"}},
        {"expect": {"id": "1"}},
        {"send": {"id": "got ${request.id}"}},
        {"expect": {"id": "2"}},
        {"abort": {"code": "ABORTED", "message": "enough"}},
    ]
    # A connection of our own: the client of aiohttp holds its headers back until it has a body.
    async with serve(Chat=[{"answer": {"script": script}}]) as call, asyncio.timeout(5):
        reader, writer = await opened(call, "Chat", "application/connect+json", "transfer-encoding: chunked")
        await reader.readuntil(b"welcome")
        # One request in two pieces, as a network may deliver it.
        first = enveloped({"id": "1"})
        writer.write(chunk(first[:7]))
        writer.write(chunk(first[7:]))
        await reader.readuntil(b"got 1")
        writer.write(chunk(enveloped({"id": "2"})))
        await reader.readuntil(b'"code":"aborted"')
        await reader.readuntil(b"\r\n0\r\n\r\n")  # the end of the response, though the request has none yet
        writer.close()


async def test_a_stream_that_breaks_is_none_that_ended(serve: Serve) -> None:
    async with serve(Chat=[{"answer": {"each": [{"message": ITEM}]}}]) as call:
        _, writer = await opened(call, "Chat", "application/connect+json", "transfer-encoding: chunked")
        writer.write(chunk(enveloped({"id": "1"})))
        await begun(call, "Chat")
        writer.close()
        [noted] = await call.fake.wait_for_calls(1, "Chat")
        assert noted.code == "CANCELLED"


async def test_a_server_stream_comes_as_events_for_those_who_ask(serve: Serve) -> None:
    listed = {"messages": [{"message": {"id": "${request.id}"}}, {"message": ITEM}]}
    broken = {**listed, "error": {"code": "UNAVAILABLE", "message": "gone"}}
    rules = [{"when": {"fields": {"id": "bad"}}, "answer": broken}, {"answer": listed}]
    async with serve(ListItems=rules) as call:
        accept = {"accept": "text/event-stream"}

        async def events(*args: Any, **options: Any) -> list[str]:
            reply = await call("ListItems", *args, headers=accept, **options)
            assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream")
            return str(reply.body.decode()).split("\n\n")

        item = 'data: {"id":"7","priceCents":"250"}'
        ok = 'event: end\ndata: {"code":"ok"}'
        assert await events({"id": "8"}) == ['data: {"id":"8"}', item, ok, ""]
        assert await events(verb="GET") == ["data: {}", item, ok, ""]
        assert (await events(verb="GET", query={"message": '{"id":"9"}'}))[0] == 'data: {"id":"9"}'
        gone = 'event: end\ndata: {"code":"unavailable","message":"gone"}'
        assert (await events({"id": "bad"}))[2:] == [gone, ""]
        assert '"code":"invalid_argument"' in (await events(b"{"))[0]


async def test_a_stopped_server_cancels_its_calls_and_leaves_nothing(serve: Serve) -> None:
    before = len(asyncio.all_tasks())
    async with serve(GetItem=[{"answer": {"message": ITEM, "delay_s": 30}}]) as call:
        running = asyncio.create_task(call("GetItem", {}))
        await begun(call, "GetItem")
        await call.server.stop()
        await call.server.stop()
        with pytest.raises(aiohttp.ClientError):
            await running
        assert call.fake.calls()[0].code == "CANCELLED"
        assert len(asyncio.all_tasks()) == before
        await call.server.start()
        assert call.server.endpoint not in call.url
    assert len(asyncio.all_tasks()) == before


async def test_a_stop_with_grace_lets_calls_end(serve: Serve) -> None:
    async with serve(GetItem=[{"answer": {"message": ITEM, "delay_s": 0.05}}]) as call:
        running = asyncio.create_task(call("GetItem", {}))
        await begun(call, "GetItem")
        await call.server.stop(5)
        assert (await running).status == 200


async def test_a_fake_serves_both_and_https_by_its_certificate(safe_shop: Path) -> None:
    authority = Authority()
    made = authority.issue("server")
    trusting = ssl.create_default_context(cadata=authority.certificate.decode())
    data = {
        "descriptors": {"set": "safe.binpb"},
        "service": "shop.v1.Shop",
        "methods": {"GetItem": ECHO},
    }
    fake = ProtoFake(
        parse_definition(data, safe_shop),
        http_port=0,
        certificate_chain=made.chain,
        private_key=made.key,
    )
    async with (
        fake,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting)) as session,
        session.post(f"https://{fake.http_endpoint}/shop.v1.Shop/GetItem", json={"id": "7"}) as response,
    ):
        assert (await response.json())["id"] == "7"
        assert fake.endpoint not in ("", fake.http_endpoint)


async def test_a_port_that_is_taken_is_told(serve: Serve) -> None:
    async with serve() as call:
        port = int(call.server.endpoint.rpartition(":")[2])
        with pytest.raises(ConfigurationError, match="cannot be started"):
            await ConnectServer(call.fake.method, port=port).start()
    with socket.create_server(("127.0.0.1", port)):
        pass  # it is free again


async def test_the_fault_of_a_rule_of_our_own_is_told_and_not_shown(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve() as call:

        class Failing(Scripted):
            async def serve(self, *args: Any) -> Metadata:
                raise RuntimeError("secret")

        call.instead["GetItem"] = Failing(call.real("GetItem"), None)
        reply = await call("GetItem", {})
        assert (reply.status, reply.json) == (500, {"code": "unknown", "message": "the fake failed"})
        assert "GetItem" in caplog.text
