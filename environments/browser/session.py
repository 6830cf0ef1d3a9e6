"""One browser context: its tabs, what happens in them by itself, and the notices about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from playwright.async_api import BrowserContext, Dialog, Error, FileChooser, Page

from environments.base import ActionError
from environments.browser.chromium import first_line
from environments.browser.options import BrowserOptions
from environments.browser.tab import Tab


class Session:
    """Tabs in the order they were opened, one of them current. Everything here runs on the browser's event loop."""

    def __init__(self, context: BrowserContext, options: BrowserOptions) -> None:
        self._context, self._options = context, options
        self.tabs: list[Tab] = []
        self._current: Tab | None = None
        self._notices: list[str] = []
        self._opening: set[Page] = set()
        self.interrupted = asyncio.Event()
        self.acted = time.monotonic()
        context.on("page", self._appeared)

    async def open(self) -> None:
        """Begin with one blank tab; pages a persistent profile has open are closed."""
        old = self._context.pages
        page = await self._context.new_page()
        for each in old:
            await each.close()
        await self._adopt(page)
        self._notices.clear()

    async def current(self) -> Tab:
        """The tab that is seen and acted on; a blank one when the last has closed."""
        if self._current is None:
            await self._adopt(await self._context.new_page())
        assert self._current is not None
        return self._current

    def tell(self, notice: str) -> None:
        self._notices.append(notice)

    def take_notices(self) -> tuple[str, ...]:
        told, self._notices = tuple(self._notices), []
        return told

    def _appeared(self, page: Page) -> None:
        asyncio.ensure_future(self._adopt(page))

    async def _adopt(self, page: Page) -> Tab:
        for tab in self.tabs:
            if tab.page is page:
                return tab
        tab = await Tab.of(page)
        self.tabs.append(tab)
        self._current = tab
        return tab

    async def act(self, verb: Coroutine[Any, Any, None], seconds: float) -> None:
        """Do a verb until it is done, something interrupts it, or the bound passes.

        Raises ActionError when the page refuses, has gone or does not respond.
        """
        self.interrupted.clear()
        self.acted = time.monotonic()
        doing = asyncio.ensure_future(verb)
        stop = asyncio.ensure_future(self.interrupted.wait())
        await asyncio.wait({doing, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not doing.done():
            doing.cancel()
            if self.interrupted.is_set():
                return
            raise ActionError(f"The page does not respond: nothing came back within {seconds:g} s. Go to another address or close the tab.")
        try:
            doing.result()
        except Error as error:
            raise ActionError(first_line(error)) from error
