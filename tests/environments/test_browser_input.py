"""Mouse and keyboard reach the page as a person's would."""

from __future__ import annotations

from typing import Any

import pytest

from environments.base import Browser, HeldInput, Point
from environments.browser import BrowserEnvironment
from tests.page_server import PageServer

PAD, FIELD, AREA = Point(500, 100), Point(100, 30), Point(100, 100)


@pytest.fixture
def page(chromium: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    chromium.goto(pages.url("record.html"))
    chromium.observe()
    return chromium


def recorded(page: BrowserEnvironment, *kinds: str) -> list[list[Any]]:
    """What was done to the page since last asked, of the given kinds."""
    return [event for event in page.evaluate("record.splice(0)") if event[0] in kinds]


def value(page: BrowserEnvironment, name: str) -> Any:
    return page.evaluate(f"document.getElementById('{name}').value")


def test_it_has_the_verbs_of_a_browser_and_of_held_input(page: BrowserEnvironment) -> None:
    assert isinstance(page, Browser)
    assert isinstance(page, HeldInput)


@pytest.mark.parametrize(("button", "number", "last"), [("left", 0, "click"), ("middle", 1, "auxclick"), ("right", 2, "contextmenu")])
def test_each_button_clicks_where_it_was_told(page: BrowserEnvironment, button: Any, number: int, last: str) -> None:
    page.click(PAD, button=button)
    events = recorded(page, "mousedown", "mouseup", last)
    assert ["mousedown", 500, 100, number, 1, ""] in events
    assert last in {event[0] for event in events}


def test_two_clicks_are_a_double_click_and_three_choose_a_line(page: BrowserEnvironment) -> None:
    page.click(PAD, count=2)
    assert recorded(page, "dblclick") == [["dblclick", 500, 100, 0, 2, ""]]
    page.click(Point(60, 210), count=3)
    assert page.evaluate("String(getSelection()).trim()") == "one line of text"


def test_keys_held_during_a_click_are_seen_by_the_page_and_released(page: BrowserEnvironment) -> None:
    page.click(PAD, hold=("ctrl", "shift"))
    assert recorded(page, "click") == [["click", 500, 100, 0, 1, "ctrl+shift"]]
    page.click(PAD)
    assert recorded(page, "click") == [["click", 500, 100, 0, 1, ""]]


def test_a_drag_follows_its_path_with_the_button_down(page: BrowserEnvironment) -> None:
    path = [Point(420, 40), Point(600, 60), Point(650, 280)]
    page.drag(path)
    events = recorded(page, "mousedown", "mousemove", "mouseup")
    pressed = [event[0] for event in events].index("mousedown")
    assert events[pressed][1:3] == [420, 40]
    moves = [event[1:] for event in events[pressed:] if event[0] == "mousemove"]
    assert all(buttons == 1 for _, _, buttons in moves)
    assert [600, 60, 1] in moves
    assert events[-1][:3] == ["mouseup", 650, 280]


def test_a_drag_selects_text(page: BrowserEnvironment) -> None:
    page.drag([Point(20, 210), Point(300, 210)])
    assert page.evaluate("String(getSelection())") == "one line of text"


def test_the_wheel_scrolls_both_ways_by_whole_notches(page: BrowserEnvironment) -> None:
    page.scroll(PAD, dy=3)
    page.observe()
    assert page.evaluate("[scrollX, scrollY]") == [0, 300]
    page.scroll(PAD, dx=2, dy=-1)
    page.observe()
    assert page.evaluate("[scrollX, scrollY]") == [200, 200]


def test_moving_hovers(page: BrowserEnvironment) -> None:
    page.move(PAD)
    assert recorded(page, "mousemove")[-1] == ["mousemove", 500, 100, 0]
    assert page.evaluate("document.querySelector('#pad:hover') !== null")


@pytest.mark.parametrize(
    "text", ["Hello, World! ~`@#$%^&*()", "naïve “quotes” – € 漢字 العربية हिन्दी", "👩‍👩‍👧 e\u0301 \u00a0x", "  two  spaces "]
)
def test_any_text_arrives_exactly(page: BrowserEnvironment, text: str) -> None:
    page.click(FIELD)
    page.type(text)
    assert value(page, "field") == text


def test_a_newline_is_enter_and_a_tab_goes_to_the_next_field(page: BrowserEnvironment) -> None:
    page.click(AREA)
    page.type("one\r\ntwo\nthree")
    assert value(page, "area") == "one\ntwo\nthree"
    page.click(FIELD)
    page.type("a\tb")
    assert (value(page, "field"), value(page, "area")) == ("a", "one\ntwo\nthreeb")


def test_typing_presses_keys_that_the_page_sees(page: BrowserEnvironment) -> None:
    page.click(FIELD)
    recorded(page)
    page.type("aB")
    assert [event[1] for event in recorded(page, "keydown")] == ["a", "B"]


def test_ten_thousand_characters_arrive_within_the_bound(page: BrowserEnvironment) -> None:
    text = "\n".join(f"{number} übermäßig " * 9 for number in range(90))
    assert len(text) > 10_000
    page.click(AREA)
    page.type(text)
    assert value(page, "area") == text


def test_keys_pressed_together_go_down_in_order_and_up_in_the_opposite_one(page: BrowserEnvironment) -> None:
    page.press("ctrl", "shift", "x")
    events = [(event[0], event[1].lower()) for event in recorded(page, "keydown", "keyup")]
    assert events == [
        ("keydown", "control"),
        ("keydown", "shift"),
        ("keydown", "x"),
        ("keyup", "x"),
        ("keyup", "shift"),
        ("keyup", "control"),
    ]


def test_copy_and_paste_work_by_their_keys(page: BrowserEnvironment) -> None:
    page.click(FIELD)
    page.type("copied")
    page.press("ctrl", "a")
    page.press("ctrl", "c")
    page.click(AREA)
    page.press("ctrl", "v")
    page.press("ctrl", "v")
    assert value(page, "area") == "copiedcopied"


@pytest.mark.parametrize("key", ["escape", "f5", "pagedown", "home", "space", "contextmenu", "printscreen", "?", "/"])
def test_named_keys_and_signs_can_be_pressed(page: BrowserEnvironment, key: str) -> None:
    page.press(key)
    assert len(recorded(page, "keydown")) == 1


def test_held_buttons_and_keys_stay_down_until_released(page: BrowserEnvironment) -> None:
    page.key_down("shift")
    page.mouse_down(Point(420, 40))
    page.move(Point(480, 90))
    page.mouse_up(Point(480, 90))
    page.key_up("shift")
    events = recorded(page, "mousedown", "mousemove", "mouseup", "keydown", "keyup")
    assert events[0] == ["keydown", "Shift", "shift"]
    assert ["mousemove", 480, 90, 1] in events
    assert events[-2:] == [["mouseup", 480, 90, 0, 1, "shift"], ["keyup", "Shift", ""]]


def test_reset_releases_what_is_held(page: BrowserEnvironment, pages: PageServer) -> None:
    page.key_down("ctrl")
    page.mouse_down(PAD)
    page.reset()
    page.goto(pages.url("record.html"))
    page.observe()
    page.move(PAD)
    page.click(PAD)
    events = recorded(page, "click", "mousemove")
    assert events[0][3] == 0
    assert events[-1] == ["click", 500, 100, 0, 1, ""]


def test_frames_of_any_site_and_shadow_roots_are_clicked_and_typed_into_by_pixels(chromium: BrowserEnvironment, pages: PageServer) -> None:
    chromium.goto(pages.url("frames.html"))
    chromium.observe()
    for top in (20, 220):
        chromium.click(Point(100, top + 25))
        chromium.click(Point(100, top + 65))
        chromium.type("é1")
    chromium.click(Point(480, 40))
    chromium.observe()
    record = chromium.evaluate("record")
    for place in ("127.0.0.1", "localhost"):
        assert [what for where, what in record if where == place] == ["clicked", "é", "é1"]
    assert ["shadow", "clicked"] in record
