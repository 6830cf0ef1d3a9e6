"""Endless scripts, crashed pages and killed browsers end in words within a bound, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from environments.base import ActionError, EnvironmentFault, Point
from environments.browser import BrowserEnvironment, BrowserOptions
from tests.page_server import PageServer

LOOP, FINE = Point(60, 40), Point(60, 100)
BOUND = 15.0
"""Seconds, on a busy machine."""


@pytest.fixture(scope="module")
def short() -> Iterator[BrowserEnvironment]:
    options = BrowserOptions(action_timeout=1.5, navigation_timeout=6, settle_timeout=1)
    with BrowserEnvironment(options=options) as environment:
        yield environment


@pytest.fixture
def page(short: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    short.reset()
    short.goto(pages.url("trouble.html"))
    short.observe()
    return short


def hang(page: BrowserEnvironment) -> None:
    with pytest.raises(ActionError, match="does not respond"):
        page.click(LOOP)


def children(pid: int) -> list[int]:
    """The processes begun by a process, and theirs."""
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [each for child in map(int, found) for each in (child, *children(child))]


def browsers() -> list[int]:
    """The Chromiums of this process, without the processes of their own."""
    return [pid for pid in children(os.getpid()) if b"--remote-debugging" in command(pid) and b"--type=" not in command(pid)]


def command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def gone(pids: list[int], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while any(command(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def test_a_hung_page_is_told_of_and_every_verb_returns_within_the_bound(page: BrowserEnvironment) -> None:
    before = page.observe().png
    begun = time.monotonic()
    hang(page)
    seen = page.observe()
    assert "does not respond" in seen.notices[0]
    assert seen.png == before
    for verb in (lambda: page.click(FINE), lambda: page.type("x"), lambda: page.evaluate("1")):
        with pytest.raises(ActionError):
            verb()
    assert time.monotonic() - begun < BOUND


@pytest.mark.parametrize("target", ["trouble.html", "inner.html", "elsewhere"])
def test_going_to_an_address_leaves_a_hung_page(page: BrowserEnvironment, pages: PageServer, target: str) -> None:
    hang(page)
    url = "data:text/html,<title>elsewhere</title>" if target == "elsewhere" else pages.url(target)
    page.goto(url)
    seen = page.observe()
    assert (seen.url, len(seen.tabs)) == (url, 1)
    page.click(FINE)


def test_reloading_and_closing_leave_a_hung_page_too(page: BrowserEnvironment) -> None:
    hang(page)
    page.reload()
    page.observe()
    page.click(FINE)
    assert page.evaluate("record") == ["fine"]
    hang(page)
    page.close_tab()
    assert page.observe().url == "about:blank"


def test_a_crashed_page_is_loaded_again_and_told_of(page: BrowserEnvironment, pages: PageServer) -> None:
    with pytest.raises(ActionError, match="crashed"):
        page.goto("chrome://crash")
    seen = page.observe()
    assert any("The tab crashed" in notice for notice in seen.notices)
    assert (seen.url, len(seen.tabs)) == (pages.url("trouble.html"), 1)
    page.click(FINE)
    assert page.evaluate("record") == ["fine"]


def test_a_page_that_crashes_again_and_again_gives_way_to_a_blank_one(page: BrowserEnvironment) -> None:
    for _ in range(2):
        with pytest.raises(ActionError, match="crashed"):
            page.goto("chrome://crash")
        seen = page.observe()
    assert seen.url == "about:blank"
    assert "crashed again" in seen.notices[0]


def test_a_killed_browser_is_a_fault_and_reset_starts_a_new_one(pages: PageServer) -> None:
    with BrowserEnvironment(pages.url("trouble.html")) as page:
        before = set(browsers())
        page.reset()
        (browser,) = set(browsers()) - before
        os.kill(browser, signal.SIGKILL)
        begun = time.monotonic()
        for verb in (lambda: page.click(FINE), page.observe, lambda: page.goto("about:blank"), lambda: page.evaluate("1")):
            with pytest.raises(EnvironmentFault, match="The browser has closed"):
                verb()
        assert time.monotonic() - begun < BOUND
        assert page.reset().url == pages.url("trouble.html")
        page.click(FINE)
        assert page.evaluate("record") == ["fine"]


def test_a_killed_driver_is_a_fault_and_reset_starts_a_new_one(pages: PageServer) -> None:
    with BrowserEnvironment(pages.url("trouble.html")) as page:
        before = set(children(os.getpid()))
        page.reset()
        mine = [pid for pid in children(os.getpid()) if pid not in before]
        (driver,) = [pid for pid in mine if b"run-driver" in command(pid)]
        os.kill(driver, signal.SIGKILL)
        for verb in (lambda: page.click(FINE), page.observe):
            with pytest.raises(EnvironmentFault, match="The browser has closed"):
                verb()
        assert page.reset().url == pages.url("trouble.html")
        assert gone(mine)


def test_before_reset_and_after_close_every_verb_is_a_fault() -> None:
    page = BrowserEnvironment()
    for verb in (lambda: page.click(FINE), page.observe, page.back, lambda: page.evaluate("1"), lambda: page.answer_dialog(True)):
        with pytest.raises(EnvironmentFault, match=r"call reset\(\) first"):
            verb()
    page.close()
    page.close()


def test_close_leaves_no_process_behind_even_on_a_hung_page(pages: PageServer) -> None:
    before = set(children(os.getpid()))
    with BrowserEnvironment(pages.url("trouble.html"), options=BrowserOptions(action_timeout=1)) as page:
        page.reset()
        mine = [pid for pid in children(os.getpid()) if pid not in before]
        assert len(mine) > 3
        hang(page)
    assert gone(mine)


@pytest.mark.parametrize("end", ["pass", "os._exit(3)", "os.kill(os.getpid(), 9)", "os.kill(os.getpid(), 15)"])
def test_a_process_that_ends_without_close_leaves_no_browser_behind(end: str) -> None:
    code = (
        "import os, subprocess\nfrom environments.browser import BrowserEnvironment\n"
        "page = BrowserEnvironment()\npage.reset()\n"
        f"print(os.getpid(), flush=True)\ninput()\n{end}\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, stderr=subprocess.DEVNULL, text=True)
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        started = children(int(child.stdout.readline()))
        assert len(started) > 3
        child.stdin.write("\n")
        child.stdin.close()
        child.wait(20)
    assert gone(started)


def test_an_interrupt_at_the_keyboard_leaves_the_browser_usable(pages: PageServer) -> None:
    code = (
        "import os, signal, threading\nfrom environments.browser import BrowserEnvironment\n"
        "page = BrowserEnvironment()\npage.reset()\n"
        "threading.Timer(0.5, lambda: os.killpg(0, signal.SIGINT)).start()\n"
        "try:\n    page.evaluate('new Promise(() => 0)')\n"
        "except KeyboardInterrupt:\n    print(page.observe().screenshot.size, page.evaluate('6 * 7'))\n"
        "page.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, start_new_session=True)
    assert done.stdout == "(1280, 720) 42\n"


def test_it_works_inside_somebody_elses_event_loop_and_on_another_thread(page: BrowserEnvironment) -> None:
    async def within() -> str | None:
        page.click(FINE)
        return page.observe().url

    urls = [asyncio.run(within())]
    thread = threading.Thread(target=lambda: urls.append(page.observe().url))
    thread.start()
    thread.join()
    assert urls[0] == urls[1]
    assert page.evaluate("record") == ["fine"]


def test_a_script_that_throws_is_an_error_with_its_message(page: BrowserEnvironment) -> None:
    with pytest.raises(ActionError, match="nosuch is not defined"):
        page.evaluate("nosuch")
    assert page.evaluate("([a, b]) => a + b", [1, 2]) == 3
