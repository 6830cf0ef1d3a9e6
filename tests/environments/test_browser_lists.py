"""Drop-down lists: by pixels, by keys and by name."""

from __future__ import annotations

import pytest
from PIL import ImageChops

from environments.base import ActionError, Point
from environments.browser import BrowserEnvironment
from tests.page_server import PageServer

FEW, MANY, PLAIN = Point(60, 34), Point(60, 414), Point(340, 74)


@pytest.fixture
def page(chromium: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    chromium.goto(pages.url("lists.html"))
    chromium.observe()
    return chromium


def test_a_list_opens_where_it_is_seen_and_an_option_is_chosen_by_a_click(page: BrowserEnvironment) -> None:
    closed = page.observe().screenshot
    page.click(FEW)
    opened = page.observe().screenshot
    changed = ImageChops.difference(closed, opened).getbbox()
    assert changed is not None
    assert changed[3] - changed[1] > 80
    page.click(Point(60, 48 + 36))
    assert page.evaluate("record") == [["few", "input", "g", True], ["few", "change", "g", True]]


def test_a_closed_list_looks_as_before_it_was_opened(page: BrowserEnvironment) -> None:
    for point in (FEW, PLAIN):
        page.move(Point(900, 600))
        before = page.observe().screenshot
        page.click(point)
        page.press("escape")
        page.click(Point(900, 600))
        assert ImageChops.difference(before, page.observe().screenshot).getbbox() is None


def test_an_open_list_leaves_the_page_around_it_in_its_place(page: BrowserEnvironment) -> None:
    boxes = "[...document.querySelectorAll('select')].map(each => JSON.stringify(each.getBoundingClientRect())).join()"
    before = page.evaluate(boxes)
    for point in (FEW, PLAIN, MANY):
        page.click(point)
        page.observe()
        assert page.evaluate(boxes) == before
        page.press("escape")


def test_a_long_list_is_scrolled_by_the_wheel(page: BrowserEnvironment) -> None:
    page.click(MANY)
    page.observe()
    page.scroll(Point(60, 300), dy=5)
    page.observe()
    page.click(Point(60, 300))
    chosen = page.evaluate("document.getElementById('many').value")
    assert 20 < int(chosen.removeprefix("Number ")) < 60


def test_keys_choose_in_a_list(page: BrowserEnvironment) -> None:
    page.click(FEW)
    page.press("down")
    page.press("enter")
    assert page.evaluate("document.getElementById('few').value") == "g"


@pytest.mark.parametrize(("wanted", "chosen"), [("Green", "g"), ("deep blue", "b"), ("b", "b"), ("  Deep blue ", "b")])
def test_an_option_is_chosen_by_its_text_or_value(page: BrowserEnvironment, wanted: str, chosen: str) -> None:
    page.select_option(FEW, wanted)
    assert [event[:3] for event in page.evaluate("record")] == [["few", "input", chosen], ["few", "change", chosen]]


def test_an_open_list_can_be_answered_by_name(page: BrowserEnvironment) -> None:
    page.click(FEW)
    page.observe()
    page.select_option(FEW, "Green")
    assert page.evaluate("[document.getElementById('few').value, !!document.querySelector('select:open')]") == ["g", False]


def test_what_cannot_be_chosen_is_an_error_that_says_why(page: BrowserEnvironment) -> None:
    with pytest.raises(ActionError, match="'Red', 'Green', 'Deep blue'"):
        page.select_option(FEW, "Purple")
    with pytest.raises(ActionError, match="'Gone' is disabled"):
        page.select_option(FEW, "Gone")
    with pytest.raises(ActionError, match="no drop-down list"):
        page.select_option(Point(900, 600), "Red")


def test_lists_in_frames_and_shadow_roots_are_chosen_from_too(chromium: BrowserEnvironment, pages: PageServer) -> None:
    chromium.goto(pages.url("frames.html"))
    chromium.observe()
    chromium.select_option(Point(100, 20 + 103), "green")
    chromium.select_option(Point(100, 220 + 103), "blue")
    chromium.select_option(Point(470, 72), "blue")
    chromium.observe()
    assert chromium.evaluate("record") == [["127.0.0.1", "green"], ["localhost", "blue"], ["shadow", "blue"]]


def test_a_list_in_a_frame_is_chosen_from_by_pixels(chromium: BrowserEnvironment, pages: PageServer) -> None:
    chromium.goto(pages.url("frames.html"))
    chromium.observe()
    chromium.click(Point(100, 20 + 103))
    chromium.observe()
    chromium.press("down")
    chromium.press("enter")
    chromium.observe()
    assert chromium.evaluate("record") == [["127.0.0.1", "green"]]
