"""One tab: its page, what it is loading, and what it waits for a person to answer. Knows no other tab."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from playwright.async_api import CDPSession, Dialog, Error, FileChooser, Frame, Page, Request

UNENDING = frozenset({"websocket", "eventsource", "media", "ping", "prefetch", "manifest"})
"""Kinds of request that say nothing about whether a page is still being built."""
REQUESTED = 0.5
"""Seconds in which a navigation that the page asked for must have become a request; else it was called off."""


class Tab:
    """A page and its state. Everything here runs on the browser's event loop."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.address, self.title = page.url, ""
        self.dialog: Dialog | None = None
        self.chooser: FileChooser | None = None
        self.crashed = self.hung = self.leaving = self.measured = self.never_loads = False
        self.png: bytes | None = None
        self.changed = asyncio.Event()
        self._requests: dict[Request, float] = {}
        self._asked = self._opened = 0.0
        self._devtools: CDPSession | None = None
        self._frame_id = ""
        self._world: int | None = None
        page.on("request", self._begun)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)
        page.on("framenavigated", self._navigated)

    async def devtools(self) -> CDPSession:
        """The tab's DevTools session, opened when first used."""
        if self._devtools is None:
            session = await self.page.context.new_cdp_session(self.page)
            self._frame_id = (await session.send("Target.getTargetInfo"))["targetInfo"]["targetId"]
            session.on("Page.frameRequestedNavigation", self._navigation_asked)
            session.on("Page.windowOpen", self._window_asked)
            self._devtools = session
            await session.send("Page.enable")
        return self._devtools

    async def evaluate_apart(self, expression: str) -> Any:
        """The value of a JavaScript expression (a promise is awaited), in a world the page's own scripts cannot see or alter."""
        session = await self.devtools()
        if self._world is None:
            made = await session.send("Page.createIsolatedWorld", {"frameId": self._frame_id})
            self._world = made["executionContextId"]
        asked = {"expression": expression, "contextId": self._world, "awaitPromise": True, "returnByValue": True}
        try:
            return (await session.send("Runtime.evaluate", asked))["result"].get("value")
        except Error:
            self._world = None
            raise

    async def responds(self, seconds: float) -> bool:
        """Whether the page's script thread answers within the bound."""
        try:
            await asyncio.wait_for(self.evaluate_apart("1"), seconds)
        except TimeoutError:
            self.hung = True
            return False
        except Error:
            pass
        self.hung = False
        return True

    def _begun(self, request: Request) -> None:
        if request.resource_type in UNENDING:
            return
        self._requests[request] = time.monotonic()
        if _opens_page(request):
            self._asked = 0.0
        self.changed.set()

    def _ended(self, request: Request) -> None:
        self._requests.pop(request, None)
        self.changed.set()

    def _navigated(self, frame: Frame) -> None:
        if frame.parent_frame is not None:
            return
        self.address, self.chooser, self.never_loads, self._world, self._asked = frame.url, None, False, None, 0.0
        self._requests = {request: begun for request, begun in self._requests.items() if not _opens_page(request)}
        self.changed.set()

    def _navigation_asked(self, event: dict[str, Any]) -> None:
        if event["frameId"] == self._frame_id and event["disposition"] == "currentTab":
            self._asked = time.monotonic()

    def _window_asked(self, event: dict[str, Any]) -> None:
        self._opened = time.monotonic()

    @property
    def navigating(self) -> bool:
        """Whether an address has been asked for and nothing of it has come yet."""
        return time.monotonic() - self._asked < REQUESTED or any(_opens_page(request) for request in self._requests)

    @property
    def opening(self) -> bool:
        """Whether the page has just asked for a new window."""
        return time.monotonic() - self._opened < REQUESTED

    def window_opened(self) -> None:
        self._opened = 0.0

    def loading(self, since: float) -> bool:
        """Whether something asked for since that moment (of time.monotonic) has not arrived."""
        return any(begun >= since for begun in self._requests.values())


def _opens_page(request: Request) -> bool:
    return request.is_navigation_request() and request.frame.parent_frame is None
