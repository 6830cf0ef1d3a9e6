"""Going to addresses, through history and between tabs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from playwright.async_api import Error
from playwright.async_api import TimeoutError as NavigationTimeout

from environments.base import ActionError, EnvironmentFault
from environments.browser.chromium import first_line
from environments.browser.session import Session
from environments.browser.tab import Tab

DOWNLOAD = "Download is starting"
"""How playwright says that an address is a file to keep; the download is then told of by itself."""
LEAVING = 3.0
"""Seconds a page has for its last script when its tab is closed."""
PROBE = 1.0
"""Seconds a page is given to show that its scripts are not in an endless loop, before it is left."""


def address(url: str) -> str:
    """An address as people type it, made whole. Raises ActionError when it cannot be one."""
    typed = url.strip()
    if re.match(r"[a-z][a-z0-9+.-]*:(?!\d+(/|$))", typed, re.IGNORECASE):
        if typed[:11].lower() == "javascript:":
            raise ActionError("A javascript: address cannot be opened.")
        return typed
    local = re.match(r"(localhost|127\.|\[::1\])", typed)
    whole = f"{'http' if local else 'https'}://{typed}"
    if not typed or re.search(r"\s", typed) or not urlsplit(whole).hostname:
        raise ActionError(f"{url!r} is not an address.")
    return whole


async def goto(session: Session, url: str) -> None:
    """Raises ActionError when the address cannot be opened; an error page (404, 500) is opened like any other."""
    whole = address(url)
    tab = await free(session, await session.current())
    try:
        await visit(session, tab, whole)
    except Error as error:
        if DOWNLOAD not in str(error) and not await session.explained(error):
            raise ActionError(f"{whole} cannot be opened: {reason(error)}") from error


def reason(error: Error) -> str:
    """Why a navigation failed, in a line."""
    if isinstance(error, NavigationTimeout):
        return "it did not answer in time"
    return re.sub(r" at \S+$", "", first_line(error))


async def visit(session: Session, tab: Tab, url: str) -> None:
    """Raises playwright's Error when the address does not begin to arrive within the navigation bound."""
    await tab.page.goto(url, wait_until="commit", timeout=session.options.navigation_timeout * 1000)


async def begin(session: Session, url: str) -> None:
    """Open the start address in a new session. Raises EnvironmentFault when it cannot be opened."""
    tab = await session.current()
    if url == tab.page.url:
        return  # a new tab is blank already
    try:
        await visit(session, tab, url)
    except Error as error:
        raise EnvironmentFault(f"{url} cannot be opened: {reason(error)}") from error


async def free(session: Session, tab: Tab) -> Tab:
    """The tab, its endless script stopped if it has one; another in its place when that does not help, or dialogs never end."""
    if tab.dialog is not None:
        return await session.replace(tab, "The tab opened one dialog after another; a new one has taken its place.")
    if await tab.responds(PROBE):
        return tab
    with suppress(Error, TimeoutError):
        await asyncio.wait_for((await tab.devtools()).send("Runtime.terminateExecution"), PROBE)
    if await tab.responds(PROBE):
        session.tell("The page did not respond; its script was stopped.")
        return tab
    return await session.replace(tab, "The tab did not respond; a new one has taken its place.")


async def travel(session: Session, by: int) -> None:
    """Go one page back (-1) or forward (1). Raises ActionError when there is none."""
    tab = await free(session, await session.current())
    history = await (await tab.devtools()).send("Page.getNavigationHistory")
    index, entries = history["currentIndex"], history["entries"]
    there = 0 <= index + by < len(entries)
    if not there or (index + by == 0 and entries[0]["url"] == "about:blank"):
        raise ActionError(f"There is no page to go {'back' if by < 0 else 'forward'} to.")
    step = tab.page.go_back if by < 0 else tab.page.go_forward
    await step(wait_until="commit", timeout=session.options.navigation_timeout * 1000)


async def reload(session: Session) -> None:
    tab = await free(session, await session.current())
    await tab.page.reload(wait_until="commit", timeout=session.options.navigation_timeout * 1000)


async def new_tab(session: Session, url: str) -> None:
    whole = address(url) if url else ""
    await session.new_tab()
    if whole:
        await goto(session, whole)


async def switch_tab(session: Session, index: int) -> None:
    await session.show(_tab(session, index))


async def close_tab(session: Session, index: int | None) -> None:
    """Close a tab as a person does: its page may ask to stay, unless it does not respond."""
    tab = await session.current() if index is None else _tab(session, index)
    if tab.dialog is not None or not await tab.responds(PROBE):
        tab.leaving = True
        await tab.page.close()
        return
    gone = asyncio.Event()
    tab.page.once("close", lambda _: gone.set())
    tab.leaving = True
    await tab.page.close(run_before_unload=True)
    try:
        await asyncio.wait_for(gone.wait(), LEAVING)
    except TimeoutError:
        await tab.page.close()


def _tab(session: Session, index: int) -> Tab:
    if not 0 <= index < len(session.tabs):
        raise ActionError(f"There is no tab {index}; there are {len(session.tabs)}, counted from 0.")
    return session.tabs[index]


async def upload(session: Session, paths: Sequence[str]) -> None:
    """Raises ActionError when no file chooser is open, or it takes one file and several are given."""
    tab = await session.current()
    if tab.chooser is None:
        raise ActionError("No file chooser is open: click what opens it first.")
    if len(paths) > 1 and not tab.chooser.is_multiple():
        raise ActionError("The page takes one file only.")
    chooser, tab.chooser = tab.chooser, None
    await chooser.set_files(list(paths))
