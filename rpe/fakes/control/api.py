"""The control API: a running fake shown, changed and judged over HTTP, in JSON."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from rpe.clock import SYSTEM_CLOCK, Clock
from rpe.errors import ConfigurationError, RpeError, redact
from rpe.fakes.control.controlled import Controlled, JournalQuery, mapping
from rpe.fakes.control.faults import OpenFault
from rpe.fakes.control.http_forms import Refused, answer, body, nothing, number, refusal, seconds
from rpe.fakes.health import HealthChange, play, read_timeline
from rpe.transport.listening import bracketed, listening_socket

__all__ = ["ControlServer"]

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_ENTRIES = 1_000
_SHUTDOWN_S = 0.5
_LOG = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ControlServer:
    """Serves the control API of one fake, used as an async context.

    Whoever reaches it can make the fake do anything, which for definitions includes running functions
    that they name: it listens on loopback unless told otherwise, answers no page of a browser (requests
    with an Origin), and can ask for a bearer token.

    Arguments:
        controlled: the fake.
        host, port: where to listen; port 0 takes a free one.
        token: what callers must bring; only `/healthz` goes without.
    """

    def __init__(
        self,
        controlled: Controlled,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.endpoint = ""
        self._fake = controlled
        self._host = host
        self._port = port
        self._token = token
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self._timeline: tuple[HealthChange, ...] = ()
        self._playing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Bind and serve. Raises ConfigurationError where the address cannot be bound."""
        # A caller that goes away while its answer waits for the journal is waited for no longer.
        sock = listening_socket(self._host, self._port, "the control API")
        runner = web.AppRunner(
            self._app(), access_log=None, shutdown_timeout=_SHUTDOWN_S, handler_cancellation=True
        )
        try:
            await runner.setup()
            await web.SockSite(runner, sock).start()
        except BaseException:
            sock.close()
            await runner.cleanup()
            raise
        self._runner = runner
        host, port = sock.getsockname()[:2]
        self.endpoint = f"http://{bracketed(host)}:{port}"

    async def stop(self) -> None:
        """Stop serving, heal all faults, and end a timeline of health that is played. Harmless twice."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self._end_timeline()
        await self._fake.faults.close()

    async def __aenter__(self) -> ControlServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._guarded], client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.get("/", self._about),
                web.get("/healthz", self._alive),
                web.get("/metrics", self._metrics),
                web.get("/rules", self._rules),
                web.put("/rules", self._put_rules),
                web.patch("/rules", self._patch_rules),
                web.get("/faults", self._faults),
                web.post("/faults", self._open_fault),
                web.delete("/faults", self._heal_faults),
                web.get("/faults/{id}", self._fault),
                web.delete("/faults/{id}", self._heal_fault),
                web.get("/journal", self._journal),
                web.delete("/journal", self._forget),
                web.post("/reset", self._reset),
                web.post("/verify", self._verify),
                web.get("/scenarios", self._scenarios),
                web.put("/scenarios", self._put_scenarios),
                web.get("/health", self._health),
                web.put("/health", self._put_health),
            ]
        )
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let callers in, and put whatever goes wrong into JSON."""
        try:
            if "Origin" in request.headers:
                raise Refused(403, "no page of a browser may control a fake")
            if self._token is not None and request.path != "/healthz":
                sent = request.headers.get("Authorization", "").encode()
                if not hmac.compare_digest(sent, f"Bearer {self._token}".encode()):
                    raise Refused(401, "the token is missing or wrong", "send Authorization: Bearer ...")
            return await handler(request)
        except Refused as refused:
            return refusal(refused.status, str(refused), refused.hint)
        except RpeError as error:
            return refusal(400, redact(error.message), redact(error.hint))
        except web.HTTPNotFound:
            return refusal(404, f"there is no {request.path}", "GET / tells what there is")
        except web.HTTPMethodNotAllowed as error:
            return refusal(
                405, f"{request.path} takes no {request.method}", f"it takes {error.headers['Allow']}"
            )
        except web.HTTPRequestEntityTooLarge:
            return refusal(413, f"a body may have {MAX_BODY_BYTES} bytes")
        except web.HTTPException:
            raise
        except Exception:
            _LOG.exception("the control API failed")
            return refusal(500, "the fake failed", "its log says where")

    # --- what there is --------------------------------------------------------------------------------------

    async def _about(self, _: web.Request) -> web.Response:
        paths = ["/rules", "/faults", "/journal", "/reset", "/verify", "/scenarios", "/health", "/metrics"]
        return answer({**self._fake.about(), "paths": [*paths, "/healthz"]})

    async def _alive(self, _: web.Request) -> web.Response:
        return answer({"ok": True})

    async def _metrics(self, _: web.Request) -> web.Response:
        headers = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        return web.Response(body=self._fake.metrics.text(), headers=headers)

    # --- rules and faults -----------------------------------------------------------------------------------

    async def _rules(self, _: web.Request) -> web.Response:
        return answer(self._fake.rules())

    async def _put_rules(self, request: web.Request) -> web.Response:
        await self._fake.put_rules(await body(request))
        return answer(self._fake.rules())

    async def _patch_rules(self, request: web.Request) -> web.Response:
        await self._fake.patch_rules(await body(request))
        return answer(self._fake.rules())

    async def _faults(self, _: web.Request) -> web.Response:
        faults = self._fake.faults
        return answer([faults.form(fault) for fault in faults.open])

    async def _open_fault(self, request: web.Request) -> web.Response:
        try:
            fault = self._fake.fault(await body(request))
        except RpeError:
            self._fake.metrics.not_applied("refused")
            raise
        return answer(self._fake.faults.form(fault), 201)

    async def _fault(self, request: web.Request) -> web.Response:
        return answer(self._fake.faults.form(self._named_fault(request)))

    async def _heal_fault(self, request: web.Request) -> web.Response:
        self._fake.faults.heal(self._named_fault(request))
        return nothing()

    async def _heal_faults(self, _: web.Request) -> web.Response:
        self._fake.faults.heal(*self._fake.faults.open)
        return nothing()

    def _named_fault(self, request: web.Request) -> OpenFault:
        try:
            return self._fake.faults.find(request.match_info["id"])
        except KeyError:
            raise Refused(404, f"no fault {request.match_info['id']} is open: it may have healed") from None

    # --- what came ------------------------------------------------------------------------------------------

    async def _journal(self, request: web.Request) -> web.Response:
        asked = request.query
        if unknown := set(asked) - {"method", "kind", "since", "limit", "wait_s", "count"}:
            raise ConfigurationError(f"the journal has no filter {', '.join(sorted(unknown))}")
        query = JournalQuery(
            asked.get("method"),
            asked.get("kind"),
            number(asked.get("since"), "since", 0),
            min(number(asked.get("limit"), "limit", 100), MAX_ENTRIES),
        )
        count = number(asked.get("count"), "count", 1)
        wait_s = seconds(asked.get("wait_s"), "wait_s")
        entries = self._fake.entries(query)
        if wait_s:
            with suppress(TimeoutError):
                async with self._clock.deadline(self._clock.now() + wait_s):
                    while len(entries) < min(count, query.limit):
                        await self._fake.news.wait()
                        entries = self._fake.entries(query)
        last = entries[-1]["number"] if entries else query.since
        return answer({"entries": entries, "next": last})

    async def _forget(self, _: web.Request) -> web.Response:
        self._fake.forget()
        return nothing()

    async def _reset(self, _: web.Request) -> web.Response:
        """Begin anew, for the next test: no open faults, an empty journal, scenarios as they started."""
        await self._end_timeline()
        self._fake.faults.heal(*self._fake.faults.open)
        self._fake.reset()
        return nothing()

    async def _verify(self, request: web.Request) -> web.Response:
        verdict = self._fake.verify(await body(request))
        form: dict[str, Any] = {"passed": verdict.passed, "found": verdict.found, "wanted": verdict.wanted}
        if verdict.passed:
            return answer(form)
        error = f"{verdict.wanted} wanted, {verdict.found} found"
        return answer({**form, "error": error, "hint": verdict.nearest}, 409)

    # --- state ----------------------------------------------------------------------------------------------

    async def _scenarios(self, _: web.Request) -> web.Response:
        return answer(self._fake.scenarios())

    async def _put_scenarios(self, request: web.Request) -> web.Response:
        states = mapping(await body(request), "the states of scenarios")
        if not all(isinstance(state, str) for state in states.values()):
            raise ConfigurationError("the state of a scenario is text")
        self._fake.set_scenarios(states)
        return answer(self._fake.scenarios())

    async def _health(self, _: web.Request) -> web.Response:
        playing = self._playing is not None and not self._playing.done()
        return answer({"statuses": self._fake.health(), "playing": playing})

    async def _put_health(self, request: web.Request) -> web.Response:
        form = await body(request)
        known = self._fake.health_statuses()
        timeline = read_timeline(form if isinstance(form, list) else [form], known)
        for change in timeline:
            if change.service is not None and change.service not in self._fake.health():
                raise ConfigurationError(f"health knows no service {change.service!r}")
        await self._end_timeline()
        if timeline[-1].at_s == 0:
            for change in timeline:
                self._fake.set_health(change.service, change.status)
        else:
            self._playing = asyncio.create_task(play(timeline, self._fake.set_health, self._clock))
        return await self._health(request)

    async def _end_timeline(self) -> None:
        playing, self._playing = self._playing, None
        if playing is not None:
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait([playing])
