"""Looking: once the page has settled, one capture, the tabs and the notices."""

from __future__ import annotations

import asyncio
import io
import time
from contextlib import suppress

from PIL import Image
from playwright.async_api import Error

from environments.base import Observation
from environments.browser.session import Session
from environments.browser.settle import settle
from environments.browser.tab import Tab
from environments.browser.view import View

CAPTURE_BOUND = 4.0
"""Seconds for one capture."""
PROBE = 0.5
"""Seconds in which a page that is not hung answers."""
TURNS = 4
"""How often the tab may change under the look (a pop-up opens, a page crashes) before what was last seen is shown."""


async def look(session: Session, view: View) -> Observation:
    """What a person sees now; what was last seen while a dialog is open or the page does not respond, which notices then say."""
    for _ in range(TURNS):
        tab = await session.current()
        if tab.dialog or await _seen(session, view, tab):
            break
    else:
        session.tell("The page changes too fast to be seen; the screenshot shows what was last seen.")
    session.looked = time.monotonic()
    tab = await session.current()
    await _read_titles(session)
    return _observation(session, view, tab)


async def _seen(session: Session, view: View, tab: Tab) -> bool:
    """Whether nothing more can be gained by looking again."""
    bound = session.options.navigation_timeout + 2 * session.options.settle_timeout + CAPTURE_BOUND
    try:
        done = await session.guard(_shoot(session, view, tab), bound)
    except TimeoutError:
        if await tab.responds(PROBE):
            return False
        session.tell("The page does not respond; the screenshot shows what was last seen. Go to another address or close the tab.")
        return True
    except Error:
        await asyncio.sleep(0.05)  # the event that says why (a crash, a closed browser) is on its way
        return False
    return done and session.is_current(tab)


async def _shoot(session: Session, view: View, tab: Tab) -> None:
    """Settle if anything was done since the last look, and capture. Raises TimeoutError when the page does not respond."""
    if tab.hung and not await tab.responds(PROBE):
        raise TimeoutError
    began = time.perf_counter()
    if session.acted > session.looked or tab.png is None:
        options = session.options
        if not await settle(tab, session.acted, options.navigation_timeout, options.settle_timeout):
            session.tell("The page is still loading.")
        await session.downloads.arrived(options.settle_timeout)
    settled = time.perf_counter()
    tab.png = session.png = await asyncio.wait_for(view.capture(tab), CAPTURE_BOUND)
    session.timings = {"settle": settled - began, "capture": time.perf_counter() - settled}


async def _read_titles(session: Session) -> None:
    """Of tabs in the background that have not been looked at; one that does not respond stays untitled."""
    for tab in session.tabs:
        if not tab.title and not session.is_current(tab):
            with suppress(Error, TimeoutError):
                tab.title = await asyncio.wait_for(tab.page.title(), 0.3)


def _observation(session: Session, view: View, tab: Tab) -> Observation:
    png = tab.png or session.png or _blank(view)
    tabs = tuple(f"{'* ' if each is tab else ''}{each.title or 'Untitled'} — {each.page.url}" for each in session.tabs)
    began = time.perf_counter()
    captured = Image.open(io.BytesIO(png))
    captured.load()
    screenshot = captured if captured.mode == "RGB" else captured.convert("RGB")
    session.timings["decode"] = time.perf_counter() - began
    return Observation(screenshot, tab.page.url, tabs, session.take_notices(), png)


def _blank(view: View) -> bytes:
    """A white page, for when nothing was ever seen."""
    encoded = io.BytesIO()
    Image.new("RGB", view.size, "white").save(encoded, "PNG")
    return encoded.getvalue()
