"""Plain mode on a server: bare DataBuffers in and out, run by the server's own manifest."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from aiortc import RTCDataChannel
from aiortc.exceptions import InvalidStateError

from rpe.manifest.model import Manifest
from rpe.transport.serving import ConnectionCut, PipelineHandler, Refusal, SessionBroken
from rpe.transport.webrtc.media.serving import ServingMedia
from rpe.transport.webrtc.serving_calls import server_call
from rpe.transport.webrtc.serving_plain_session import PlainServerSession
from rpe.transport.webrtc.settings import WebrtcServerSettings
from rpe.transport.webrtc.signalling.hosting import SignalledPeer

__all__ = ["ECHO", "PlainServing"]

ECHO = Manifest.single("echo", node_type="Echo")
"""What a server runs that was given no manifest."""

_LOG = logging.getLogger(__name__)


class PlainServing:
    """Runs one session of the handler for one channel.

    Where the session ends, for whatever reason, the channel is closed: plain mode has no
    other way to tell.
    """

    def __init__(
        self,
        channel: RTCDataChannel,
        handler: PipelineHandler,
        settings: WebrtcServerSettings,
        signalled: SignalledPeer,
        media: ServingMedia,
        cut: Callable[[], None],
    ) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self._channel = channel
        self._handler = handler
        self._signalled = signalled
        self._media = media
        self._cut = cut
        self._session = PlainServerSession(channel, settings.manifest or ECHO, 2 * settings.max_message_bytes)
        task = asyncio.get_running_loop().create_task(self._run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        channel.on("message", self._take)
        channel.on("close", self._session.end)

    def drain(self) -> None:
        """Take no more messages; the session ends in good order."""
        self._session.end()

    def cancel(self) -> None:
        """Cancel the session."""
        for task in self.tasks:
            task.cancel()

    def _take(self, message: bytes | str) -> None:
        if not self._session.arrive(message):
            self.cancel()

    async def _run(self) -> None:
        call = server_call("stream", self._signalled.address, self._signalled.metadata)
        goodbye = True
        try:
            async with self._media.attached(self._session) as session:
                await self._handler.stream(call, session)
        except (Refusal, SessionBroken) as error:
            _LOG.debug("a plain session ended: %s", error)
        except ConnectionCut:
            goodbye = False
            self._cut()
        except InvalidStateError:
            _LOG.debug("an output found nobody there", exc_info=True)
        except Exception:
            _LOG.exception("the handler of a session failed")
        finally:
            self._session.end()
            if goodbye:
                # A channel whose connection is gone has been forgotten by it.
                with contextlib.suppress(KeyError, InvalidStateError):
                    self._channel.close()
