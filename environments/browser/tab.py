"""One tab: its page, what it is loading, and what it waits for a person to answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from playwright.async_api import CDPSession, Dialog, Error, FileChooser, Frame, Page, Request

from environments.base import Button

UNENDING = frozenset({"websocket", "eventsource", "media", "ping", "prefetch", "manifest"})
"""Kinds of request that say nothing about whether a page is still being built."""


class Tab:
    """A page and its state. Everything here runs on the browser's event loop."""

    def __init__(self, page: Page, cdp: CDPSession, frame_id: str) -> None:
        self.page, self.cdp = page, cdp
        self.dialog: Dialog | None = None
        self.chooser: FileChooser | None = None
        self.crashed = False
        self.png: bytes | None = None
        self.address = page.url
        self.buttons: set[Button] = set()
        self.keys: list[str] = []
        self.requests: dict[Request, float] = {}
        self.traffic = asyncio.Event()
        self._frame_id = frame_id
        self._world: int | None = None
        page.on("request", self._requested)
        page.on("requestfinished", self._answered)
        page.on("requestfailed", self._answered)
        page.on("framenavigated", self._navigated)

    @classmethod
    async def of(cls, page: Page) -> Tab:
        cdp = await page.context.new_cdp_session(page)
        tree = await cdp.send("Page.getFrameTree")
        return cls(page, cdp, tree["frameTree"]["frame"]["id"])

    def _requested(self, request: Request) -> None:
        if request.resource_type not in UNENDING:
            self.requests[request] = time.monotonic()
            self.traffic.set()

    def _answered(self, request: Request) -> None:
        self.requests.pop(request, None)
        self.traffic.set()

    def _navigated(self, frame: Frame) -> None:
        if frame.parent_frame is not None:
            return
        self.address, self.chooser, self._world = frame.url, None, None
        self.requests = {request: begun for request, begun in self.requests.items() if not request.is_navigation_request()}
        self.traffic.set()

    @property
    def navigating(self) -> bool:
        """Whether an address has been asked for and no answer has come yet."""
        return any(_opens_page(request) for request in self.requests)

    def loading(self, since: float) -> bool:
        """Whether something asked for since that moment (of time.monotonic) has not arrived."""
        return any(begun >= since for begun in self.requests.values())

    async def evaluate_apart(self, expression: str) -> Any:
        """The value of a JavaScript expression (a promise is awaited), in a world the page's own scripts cannot see or alter."""
        if self._world is None:
            made = await self.cdp.send("Page.createIsolatedWorld", {"frameId": self._frame_id})
            self._world = made["executionContextId"]
        asked = {"expression": expression, "contextId": self._world, "awaitPromise": True, "returnByValue": True}
        try:
            return (await self.cdp.send("Runtime.evaluate", asked))["result"].get("value")
        except Error:
            self._world = None
            raise


def _opens_page(request: Request) -> bool:
    return request.is_navigation_request() and request.frame.parent_frame is None


Tell = Callable[[str], None]
