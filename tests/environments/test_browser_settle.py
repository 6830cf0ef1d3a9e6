"""A look waits until the page has come to rest, by what happens in it and not by the clock."""

from __future__ import annotations

import statistics
import time

import pytest

from environments.base import Point
from environments.browser import BrowserEnvironment
from tests.page_server import PageServer

MOVE, FETCH, POLL, GROW, FOREVER = (Point(60, top) for top in (40, 100, 160, 220, 280))


@pytest.fixture
def page(chromium: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    chromium.goto(pages.url("motion.html"))
    chromium.observe()
    return chromium


def said(page: BrowserEnvironment) -> str:
    return str(page.evaluate("said.textContent"))


def test_a_passing_motion_is_seen_at_its_end(page: BrowserEnvironment) -> None:
    page.click(MOVE)
    seen = page.observe().screenshot
    assert seen.getpixel((750, 70)) == (255, 0, 0)
    assert seen.getpixel((350, 70)) == (255, 255, 255)


def test_what_was_asked_for_is_waited_for(page: BrowserEnvironment) -> None:
    page.click(FETCH)
    page.observe()
    assert "arrived" in said(page)


def test_what_the_first_of_several_actions_asked_for_is_waited_for(page: BrowserEnvironment) -> None:
    page.click(FETCH)
    page.move(Point(1000, 600))
    page.evaluate("1")
    page.observe()
    assert "arrived" in said(page)


def test_changes_in_consecutive_frames_are_seen_at_their_end(page: BrowserEnvironment) -> None:
    page.click(GROW)
    page.observe()
    assert said(page) == "nothing......"


@pytest.mark.parametrize("button", [POLL, FOREVER])
def test_what_never_ends_is_not_waited_for(page: BrowserEnvironment, button: Point) -> None:
    page.click(button)
    begun = time.monotonic()
    page.observe()
    assert time.monotonic() - begun < 2.5


def test_a_page_that_never_loads_to_its_end_is_waited_for_only_once(chromium: BrowserEnvironment, pages: PageServer) -> None:
    chromium.goto(pages.url("stall?seconds=8"))
    chromium.observe()
    chromium.click(Point(1000, 600))
    begun = time.monotonic()
    chromium.observe()
    assert time.monotonic() - begun < 2


def test_nothing_is_waited_for_when_nothing_was_done(page: BrowserEnvironment) -> None:
    page.evaluate("setInterval(grow, 50)")
    page.observe()
    begun = time.monotonic()
    page.observe()
    assert time.monotonic() - begun < 0.5


def test_endless_motion_is_not_waited_for(page: BrowserEnvironment) -> None:
    page.evaluate("spinner()")
    page.click(Point(1000, 600))
    begun = time.monotonic()
    page.observe()
    assert time.monotonic() - begun < 1.5


def test_on_a_page_at_rest_settling_costs_a_few_frames(page: BrowserEnvironment) -> None:
    def cost(act: bool) -> float:
        if act:
            page.move(Point(1000, 600))
        begun = time.monotonic()
        page.observe()
        return time.monotonic() - begun

    settled, captured = (statistics.median(cost(act) for _ in range(9)) for act in (True, False))
    assert settled - captured < 0.2
