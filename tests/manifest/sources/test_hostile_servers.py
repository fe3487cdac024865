from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence

import pytest

from rpe.errors import ManifestFetchFailed
from rpe.manifest.sources import FetchSettings, ManifestFetcher, UrlSource
from rpe.manifest.sources.resolver import Lookup
from rpe.manifest.sources.urls import parse_url
from tests.manifest.sources.hostile import (
    GOOD,
    MANIFEST,
    Script,
    Servers,
    bomb,
    endless,
    redirects,
    response,
    says,
    slow,
)

HERE = FetchSettings(allowed_networks=("127.0.0.1/32",), max_bytes=10_000, total_timeout_s=5)
SECRET = "Bearer planted-secret"


def scripted(**answers: Sequence[Sequence[str]]) -> Lookup:
    """A name server: `a_test` stands for a.test; each question gets the next of its answers."""
    left = {name.replace("_", "."): list(given) for name, given in answers.items()}

    async def lookup(host: str) -> Sequence[str]:
        return left[host].pop(0) if len(left[host]) > 1 else left[host][0]

    return lookup


async def refusal(
    url: str, settings: FetchSettings = HERE, *, auth: str | None = None, lookup: Lookup | None = None
) -> ManifestFetchFailed:
    async with ManifestFetcher(settings, lookup=lookup) as fetcher:
        with pytest.raises(ManifestFetchFailed) as caught:
            await fetcher.fetch(UrlSource(parse_url(url), auth))
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert "planted-secret" not in told
    return caught.value


HOSTILE: list[tuple[str, Script, str]] = [
    ("redirect to a metadata address", redirects("http://169.254.169.254/latest"), "link-local"),
    ("redirect to Azure's metadata", redirects("http://168.63.129.16/metadata"), "metadata"),
    ("redirect to a private address", redirects("http://10.0.0.1/p"), "private"),
    ("redirect to another loopback", redirects("http://127.0.0.2/p"), "loopback"),
    ("redirect to IPv6 loopback", redirects("http://[::1]/p"), "loopback"),
    ("redirect to wrapped IPv4", redirects("http://[::ffff:169.254.169.254]/p"), "link-local"),
    ("redirect to an old spelling", redirects("http://2852039166/latest"), "usual form"),
    ("redirect to a file", redirects("file:///etc/passwd"), "only http and https"),
    ("redirect with a password", redirects("http://me:planted-secret@x.test/"), "user name or a password"),
    ("redirect with a backslash", redirects("http://x.test\\@127.0.0.1/"), "backslash"),
    ("redirect to itself", redirects("/again"), "more than 5 redirects"),
    ("redirect to nowhere", says(response(b"", status="302 Found")), "to nowhere"),
    ("endless body", endless, "larger than the limit"),
    ("declared too large", says(response(b" " * 99999)[:500]), "99999 bytes"),
    ("compressed bomb", bomb, "compressed"),
    ("wrong type", says(response(type="text/html")), "'text/html'"),
    ("no type", says(response(type="")), "content type is ''"),
    ("cut body", says(response()[:-5]), "ClientPayloadError"),
    ("no HTTP", says(b"SSH-2.0-OpenSSH_9.7\r\n\r\n"), "cannot fetch"),
    ("not found", says(response(status="404 Not Found")), "answered 404"),
    ("not modified, unasked", says(b"HTTP/1.1 304 Not Modified\r\n\r\n"), "answered 304"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("script", "told"), [case[1:] for case in HOSTILE], ids=[case[0] for case in HOSTILE]
)
async def test_a_hostile_server_gets_nowhere(serve: Servers, script: Script, told: str) -> None:
    server = await serve(script)
    error = await refusal(server.url("/p.json?token=planted-secret"), auth=SECRET)
    assert told in error.message
    async with asyncio.timeout(5):
        await server.ended.wait()


async def test_a_slow_body_ends_with_the_time_of_the_fetch(serve: Servers) -> None:
    server = await serve(slow)
    error = await refusal(server.url(), FetchSettings(allowed_networks=("127.0.0.0/8",), total_timeout_s=0.1))
    assert "longer than 0.1 s" in error.message
    assert error.retryable
    async with asyncio.timeout(5):
        await server.ended.wait()


async def test_a_name_server_that_never_answers_leaves_nothing_behind(serve: Servers) -> None:
    asked: list[str] = []

    async def lookup(host: str) -> Sequence[str]:
        asked.append(host)
        return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]

    error = await refusal("http://slow.test/", FetchSettings(total_timeout_s=0.05), lookup=lookup)
    assert "longer than 0.05 s" in error.message
    assert asked == ["slow.test"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_is_refused_unless_it_is_allowed(serve: Servers, host: str) -> None:
    server = await serve(says(response()))
    error = await refusal(server.url(host=host), FetchSettings())
    assert "loopback" in error.message
    assert not error.retryable
    assert server.requests == []


async def test_a_name_that_changes_its_address_does_not_slip_through(serve: Servers) -> None:
    """DNS rebinding: the address is checked in the answer that the connection uses."""
    good, inner = await serve(says(response())), await serve(says(response()), "127.0.0.2")
    inner_port = inner.port
    lookup = scripted(rebind_test=[["127.0.0.1"], ["127.0.0.2"]])
    async with ManifestFetcher(HERE, lookup=lookup) as fetcher:
        assert await fetcher.fetch(UrlSource(parse_url(good.url(host="rebind.test")))) == MANIFEST
        with pytest.raises(ManifestFetchFailed, match=r"rebind\.test stands for 127\.0\.0\.2"):
            await fetcher.fetch(UrlSource(parse_url(f"http://rebind.test:{inner_port}/")))
    assert inner.requests == []


async def test_a_redirect_to_the_same_name_asks_for_its_address_again(serve: Servers) -> None:
    server = await serve(redirects("/next"))
    lookup = scripted(rebind_test=[["127.0.0.1"], ["169.254.169.254"]])
    error = await refusal(server.url(host="rebind.test"), lookup=lookup)
    assert "rebind.test stands for 169.254.169.254" in error.message
    assert len(server.requests) == 1


async def test_one_private_address_among_public_ones_refuses_all(serve: Servers) -> None:
    server = await serve(says(response()))
    lookup = scripted(mixed_test=[["127.0.0.1", "10.0.0.1"]])
    assert (
        "10.0.0.1 is a private address"
        in (await refusal(server.url(host="mixed.test"), lookup=lookup)).message
    )
    assert server.requests == []


async def test_a_name_without_an_address(serve: Servers) -> None:
    async def lookup(host: str) -> Sequence[str]:
        raise OSError(None, "no such name")

    error = await refusal("http://gone.test/?k=planted-secret", lookup=lookup)
    assert "no such name" in error.message
    assert error.retryable


async def test_credentials_stay_with_their_origin(serve: Servers) -> None:
    other = await serve(says(response()))
    first = await serve(redirects(other.url("/moved")))
    async with ManifestFetcher(HERE) as fetcher:
        assert await fetcher.fetch(UrlSource(parse_url(first.url()), SECRET)) == MANIFEST
    assert first.requests[0].headers["authorization"] == SECRET
    assert "authorization" not in other.requests[0].headers


async def test_credentials_do_not_come_back_with_a_redirect_back(serve: Servers) -> None:
    first = await serve(says(b""))
    other = await serve(redirects(first.url("/back")))
    first.script = says(response(b"", status="307 Temporary Redirect", Location=other.url()), response())
    async with ManifestFetcher(HERE) as fetcher:
        assert await fetcher.fetch(UrlSource(parse_url(first.url()), SECRET)) == MANIFEST
    assert ["authorization" in request.headers for request in first.requests] == [True, False]


async def test_credentials_follow_a_redirect_within_their_origin(serve: Servers) -> None:
    server = await serve(says(response(b"", status="301 Moved Permanently", Location="/new"), response()))
    async with ManifestFetcher(HERE) as fetcher:
        await fetcher.fetch(UrlSource(parse_url(server.url()), SECRET))
    assert [(r.path, r.headers["authorization"]) for r in server.requests] == [
        ("/p.json", SECRET),
        ("/new", SECRET),
    ]


async def test_credentials_do_not_travel_in_clear_text(serve: Servers) -> None:
    server = await serve(says(response()))
    lookup = scripted(far_test=[["127.0.0.1"]])
    url = server.url(host="far.test")
    assert "clear text" in (await refusal(url, lookup=lookup, auth=SECRET)).message
    assert server.requests == []
    allowed = FetchSettings(allowed_networks=("127.0.0.1",), allow_clear_credentials=True)
    async with ManifestFetcher(allowed, lookup=lookup) as fetcher:
        assert await fetcher.fetch(UrlSource(parse_url(url), SECRET)) == MANIFEST


async def test_only_hosts_of_the_list_are_talked_to_on_every_hop(serve: Servers) -> None:
    other = await serve(says(response()))
    lookup = scripted(a_good_test=[["127.0.0.1"]], bad_test=[["127.0.0.1"]])
    first = await serve(redirects(other.url(host="bad.test")))
    settings = FetchSettings(allowed_networks=("127.0.0.1",), allowed_hosts=("*.good.test",))
    error = await refusal(first.url(host="a.good.test"), settings, lookup=lookup)
    assert "bad.test" in error.message
    assert "allowed hosts" in error.message
    assert (len(first.requests), other.requests) == (1, [])


async def test_cookies_are_not_kept_from_hop_to_hop(serve: Servers) -> None:
    moved = response(b"", status="302 Found", Location="/next", Set_Cookie="id=1")
    server = await serve(says(moved, response()))
    async with ManifestFetcher(HERE) as fetcher:
        await fetcher.fetch(UrlSource(parse_url(server.url())))
    assert "cookie" not in server.requests[1].headers


async def test_a_body_of_exactly_the_limit_is_read(serve: Servers) -> None:
    server = await serve(says(response(), response(GOOD + b" ")))
    settings = FetchSettings(allowed_networks=("127.0.0.1",), max_bytes=len(GOOD), ttl_s=0)
    async with ManifestFetcher(settings) as fetcher:
        source = UrlSource(parse_url(server.url()))
        assert await fetcher.fetch(source) == MANIFEST
        with pytest.raises(ManifestFetchFailed, match="the limit is"):
            await fetcher.fetch(source)
