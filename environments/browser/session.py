"""One browser context: its tabs, what happens in them by itself, and the notices about it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from playwright.async_api import BrowserContext, Dialog, Error, FileChooser, Page

from environments.base import ActionError, EnvironmentFault
from environments.browser.chromium import Chromium, first_line, gone_is_fine
from environments.browser.downloads import Downloads
from environments.browser.options import BrowserOptions
from environments.browser.tab import Tab

CLOSED = "The browser has closed; reset() starts a new one."
ABORTED = "ERR_ABORTED"
EVENT_BOUND = 2.0
"""Seconds in which the event that explains an error must have come."""
SAID = 1000
"""Characters of a dialog's message that are told."""
DIALOGS = 5
"""Dialogs in a row after which a tab is taken for one that never stops opening them."""
TAB_BOUND = 15.0
"""Seconds in which the browser itself must have opened or closed a tab."""


class Session:
    """Tabs in the order they were opened, one of them current. Everything here runs on the browser's event loop."""

    def __init__(self, context: BrowserContext, options: BrowserOptions, chromium: Chromium) -> None:
        self._context, self.options, self._chromium = context, options, chromium
        self.tabs: list[Tab] = []
        self.downloads = Downloads(options.downloads, self.tell)
        self.interrupted = asyncio.Event()
        self.acted, self.looked = time.monotonic(), 0.0
        self.timings: dict[str, float] = {}
        self.png: bytes | None = None
        self._current: Tab | None = None
        self._notices: list[str] = []
        self._answering: asyncio.Task[None] | None = None
        self._expected = False
        self._lost = ""
        context.on("page", self._appeared)

    async def open(self) -> None:
        """Begin with one blank tab; the pages that a persistent profile has open are closed."""
        old = self._context.pages
        await self.new_tab()
        for page in old:
            await gone_is_fine(page.close())

    def leave(self) -> None:
        """Hear no more of the context."""
        self._context.remove_listener("page", self._appeared)
        self.downloads.close()

    def touched(self) -> None:
        """Something is about to be done to the page: the next look waits for all that has begun since the first such thing."""
        if self.acted <= self.looked:
            self.acted = time.monotonic()

    def tell(self, notice: str) -> None:
        self._notices.append(notice)

    def take_notices(self) -> tuple[str, ...]:
        """What has happened since they were last taken, and the dialog that is open."""
        told, self._notices = Counter(self._notices), []
        dialog = self._current and self._current.dialog
        notices = [notice if times == 1 else f"{notice} ({times} times)" for notice, times in told.items()]
        return (*notices, describe(dialog)) if dialog else tuple(notices)

    async def current(self) -> Tab:
        """The tab that is seen and acted on: reloaded in a new one after a crash, a blank one when the last has closed."""
        if not self._chromium.running:
            raise EnvironmentFault(CLOSED)
        if self._current is None:
            return await self.new_tab()
        if self._current.crashed:
            return await self._recover(self._current)
        return self._current

    async def show(self, tab: Tab) -> None:
        self._current = tab
        await asyncio.wait_for(tab.page.bring_to_front(), TAB_BOUND)

    async def new_tab(self) -> Tab:
        """A blank tab, which becomes the current one."""
        self._expected = True
        try:
            page = await asyncio.wait_for(self._context.new_page(), TAB_BOUND)
        except Error as error:
            raise EnvironmentFault(CLOSED) from error
        finally:
            self._expected = False
        return self._adopt(page)

    async def replace(self, tab: Tab, notice: str) -> Tab:
        """A blank tab in the place of one that is beyond help."""
        self.tell(notice)
        new = await self.new_tab()
        if tab in self.tabs:
            self.tabs.remove(new)
            self.tabs[self.tabs.index(tab)] = new
        await gone_is_fine(tab.page.close())
        return new

    async def _recover(self, tab: Tab) -> Tab:
        """The crashed tab's address in a new tab; a blank one when it has just crashed there before."""
        again, self._lost = tab.address == self._lost, tab.address
        if again:
            return await self.replace(tab, f"The tab crashed again at {tab.address}; a blank tab has taken its place.")
        new = await self.replace(tab, f"The tab crashed; {tab.address} was loaded again in a new one, and what was entered there is lost.")
        with suppress(Error):
            await new.page.goto(tab.address, wait_until="commit", timeout=self.options.navigation_timeout * 1000)
        return new

    def is_current(self, tab: Tab) -> bool:
        return self._current is tab

    def _appeared(self, page: Page) -> None:
        if not self._expected:
            self.tell("A new tab has opened and is now the current one.")
        self._adopt(page)

    def _adopt(self, page: Page) -> Tab:
        known = next((tab for tab in self.tabs if tab.page is page), None)
        if known is not None:
            return known
        if self._current is not None:
            self._current.window_opened()
            self._current.changed.set()
        tab = Tab(page)
        page.on("dialog", lambda dialog: self._asked(tab, dialog))
        page.on("filechooser", lambda chooser: self._choosing(tab, chooser))
        page.on("download", self.downloads.receive)
        page.on("crash", lambda _: self._crashed(tab))
        page.on("close", lambda _: self._closed(tab))
        self.tabs.append(tab)
        self._current = tab
        return tab

    def _asked(self, tab: Tab, dialog: Dialog) -> None:
        tab.dialog = dialog
        self._current = tab
        self.interrupted.set()
        asyncio.get_running_loop().call_later(self.options.dialog_timeout, self._overdue, tab, dialog)

    def _overdue(self, tab: Tab, dialog: Dialog) -> None:
        if tab.dialog is dialog:
            self._answering = asyncio.ensure_future(self.answer_by_default(tab))

    async def answer_by_default(self, tab: Tab) -> None:
        """Accept an alert, dismiss every other dialog, and tell."""
        if (dialog := tab.dialog) is None:
            return
        accept = dialog.type == "alert"
        done = "accepted" if accept else "dismissed"
        self.tell(f"The {dialog.type} dialog {dialog.message[:SAID]!r} was {done}, as it was not answered.")
        await self.answer(tab, accept, "")

    async def answer_all_by_default(self) -> None:
        """So that something else can be done; a tab that keeps opening dialogs is left with one after a few."""
        for tab in list(self.tabs):
            for _ in range(DIALOGS):
                if tab.dialog is None:
                    break
                await self.answer_by_default(tab)
                with suppress(TimeoutError):
                    await self.guard(tab.responds(EVENT_BOUND), EVENT_BOUND + 1)

    async def answer(self, tab: Tab, accept: bool, text: str) -> None:
        dialog, tab.dialog = tab.dialog, None
        if dialog is not None:
            tab.leaving = tab.leaving and accept
            with suppress(Error):  # it went away by itself, with its page
                await (dialog.accept(text or dialog.default_value) if accept else dialog.dismiss())

    def _choosing(self, tab: Tab, chooser: FileChooser) -> None:
        tab.chooser = chooser
        several = "one or more files" if chooser.is_multiple() else "a file"
        self.tell(f"The page asks for {several}: answer with upload.")

    def _crashed(self, tab: Tab) -> None:
        tab.crashed = True
        tab.dialog = None
        self.interrupted.set()
        tab.changed.set()

    def _closed(self, tab: Tab) -> None:
        if tab not in self.tabs:
            return
        self.tabs.remove(tab)
        tab.dialog = None
        if tab is self._current:
            self._current = self.tabs[-1] if self.tabs else None
            self.interrupted.set()
            if not tab.leaving:
                left = "another" if self.tabs else "a blank one"
                self.tell(f"The tab {tab.title or tab.address!r} closed itself; {left} is now current.")

    async def guard(self, work: Coroutine[Any, Any, object], seconds: float) -> bool:
        """Whether the work was done before a dialog, a crash or the closing of its tab; raises TimeoutError after the bound."""
        self.interrupted.clear()
        doing = asyncio.ensure_future(work)
        doing.add_done_callback(_retrieve)
        stop = asyncio.ensure_future(self.interrupted.wait())
        await asyncio.wait({doing, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not doing.done():
            doing.cancel()
            if not self.interrupted.is_set():
                raise TimeoutError
            return False
        if not self.interrupted.is_set():
            doing.result()
        return True

    async def act(self, verb: Coroutine[Any, Any, None], seconds: float) -> None:
        """Do a verb until it is done, something interrupts it, or the bound passes.

        Raises ActionError when the page refuses, crashes or does not respond; EnvironmentFault when the browser has closed.
        """
        self.touched()
        tab = self._current
        try:
            await self.guard(verb, seconds)
        except TimeoutError:
            if tab is not None:
                tab.hung = True
            raise ActionError(f"The page does not respond (for {seconds:g} s). Go to another address or close the tab.") from None
        except Error as error:
            if not await self.explained(error):
                raise ActionError(first_line(error)) from error
        if not self.tabs:
            await asyncio.sleep(0.1)  # when the browser ends, its tabs are said to close first
        if not self._chromium.running:
            raise EnvironmentFault(CLOSED)
        if tab is not None and tab.crashed:
            raise ActionError("The tab crashed while this was done; it is loaded again.")

    async def explained(self, error: Error) -> bool:
        """Whether a tab's crash or closing, or the browser's, is what made a verb fail; its event may come after the error.

        When a thing is said to have closed and no such event comes, the driver itself has gone, and the browser with it.
        """
        closed = "has been closed" in str(error)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.interrupted.wait(), EVENT_BOUND if closed or ABORTED in str(error) else 0.1)
        if closed and not self.interrupted.is_set():
            self._chromium.running = False
        return self.interrupted.is_set() or not self._chromium.running


def _retrieve(task: asyncio.Task[object]) -> None:
    """Take the exception of work that nobody waits for any more."""
    if not task.cancelled():
        task.exception()


def describe(dialog: Dialog) -> str:
    """A dialog in words, with the way to answer it."""
    default = f" (its field holds {dialog.default_value!r})" if dialog.default_value else ""
    says = "asks whether to leave this page" if dialog.type == "beforeunload" else f"says {dialog.message[:SAID]!r}"
    return f"{'An' if dialog.type == 'alert' else 'A'} {dialog.type} dialog {says}{default}: answer it with answer_dialog."
