"""A real browser for tests: Debian's Chromium without a window, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from playwright.async_api import Page, async_playwright

__all__ = ["chromium_page"]

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    # Without these, a page without a microphone hides its addresses behind names that only
    # multicast DNS knows, and has none at all on a machine whose only network is loopback.
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
)


@asynccontextmanager
async def chromium_page(html: Path) -> AsyncIterator[Page]:
    """Serve a page on loopback, and open it in a browser of its own. Skips where there is no Chromium."""
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        pytest.skip("there is no Chromium: install Chromium: make browser")

    async def serve(request: web.Request) -> web.FileResponse:
        return web.FileResponse(html)

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=binary, args=list(_FLAGS))
            try:
                page = await browser.new_page()
                page.set_default_timeout(20_000)
                await page.goto(f"http://127.0.0.1:{runner.addresses[0][1]}/")
                yield page
            finally:
                await browser.close()
    finally:
        await runner.cleanup()
