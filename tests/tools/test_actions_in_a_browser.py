"""Every action that needs a browser, done in a real one from the text a model would write."""

from pathlib import Path

import pytest

import tools
from environments.base import ActionError
from environments.browser import BrowserEnvironment
from tests.page_server import PageServer
from tools.base import Thousandths

SIZE = (1280, 720)


def do(browser: BrowserEnvironment, text: str) -> None:
    tools.desktop_actions("browser").parse(text).run(browser, browser.observe())


def at(x: int, y: int) -> str:
    return f"'{Thousandths.of((x, y), SIZE)}'"


def title(browser: BrowserEnvironment) -> object:
    browser.observe()
    return browser.evaluate("document.title")


def test_a_model_moves_between_pages_and_tabs(browser: BrowserEnvironment, pages: PageServer) -> None:
    do(browser, f"goto(url='{pages.url('record.html')}')")
    do(browser, f"goto(url='{pages.url('lists.html')}')")
    do(browser, "back()")
    assert title(browser) == "Record"
    do(browser, "forward()")
    assert title(browser) == "Lists"
    do(browser, f"new_tab(url='{pages.url('files.html')}')")
    assert len(browser.observe().tabs) == 2
    do(browser, "switch_tab(index=0)")
    assert title(browser) == "Lists"
    do(browser, "close_tab(index=0)")
    assert title(browser) == "Files"
    browser.evaluate("document.title = 'changed'")
    do(browser, "reload()")
    assert title(browser) == "Files"


def test_a_model_gives_a_page_the_file_it_asks_for(browser: BrowserEnvironment, pages: PageServer, tmp_path: Path) -> None:
    (tmp_path / "it's.txt").write_text("hello")
    browser.goto(pages.url("files.html"))
    do(browser, f"left_click(start_box={at(60, 40)})")
    browser.observe()
    do(browser, f"upload(paths='{tmp_path}/it's.txt')")
    browser.observe()
    assert browser.evaluate("record") == [["one", "it's.txt", "hello"]]


def test_a_model_answers_dialogs(browser: BrowserEnvironment, pages: PageServer) -> None:
    browser.goto(pages.url("dialogs.html"))
    for answer in ("accept=true, text='Ann'", "accept=False"):
        do(browser, f"left_click(start_box={at(60, 160)})")
        browser.observe()
        do(browser, f"answer_dialog({answer})")
        browser.observe()
    assert browser.evaluate("record") == ["Ann", None]


def test_a_model_chooses_from_a_list(browser: BrowserEnvironment, pages: PageServer) -> None:
    browser.goto(pages.url("lists.html"))
    do(browser, f"select_option(start_box={at(60, 34)}, option='Green')")
    assert browser.evaluate("document.getElementById('few').value") == "g"
    with pytest.raises(ActionError, match="Red"):
        do(browser, f"select_option(start_box={at(60, 34)}, option='Purple')")


def test_a_model_holds_buttons_and_keys_over_several_steps(browser: BrowserEnvironment, pages: PageServer) -> None:
    browser.goto(pages.url("record.html"))
    do(browser, "key_down(key='shift')")
    do(browser, f"mouse_down(start_box={at(500, 100)})")
    do(browser, f"mouse_up(start_box={at(600, 100)})")
    do(browser, "key_up(key='shift')")
    kinds = [entry[0] for entry in browser.evaluate("record") if entry[0] in ("mousedown", "mouseup", "keydown", "keyup")]
    assert kinds == ["keydown", "mousedown", "mouseup", "keyup"]


def test_keys_held_in_a_scroll_are_released(browser: BrowserEnvironment, pages: PageServer) -> None:
    browser.goto(pages.url("record.html"))
    do(browser, f"scroll(start_box={at(500, 100)}, direction='down', step=1, hold_keys='alt')")
    kinds = [entry[0] for entry in browser.evaluate("record") if entry[0] in ("wheel", "keydown", "keyup")]
    assert kinds[0] == "keydown"
    assert kinds[-1] == "keyup"
    assert "wheel" in kinds


@pytest.mark.parametrize(
    ("name", "button", "detail"),
    [("left_click", 0, 1), ("left_double_click", 0, 2), ("left_triple_click", 0, 3), ("right_click", 2, 1), ("middle_click", 1, 1)],
)
def test_each_click_of_the_protocol_is_that_click(
    browser: BrowserEnvironment, pages: PageServer, name: str, button: int, detail: int
) -> None:
    browser.goto(pages.url("record.html"))
    do(browser, f"{name}(start_box='[400,200]')")
    presses = [entry for entry in browser.evaluate("record") if entry[0] == "mousedown"]
    assert presses[-1][:5] == ["mousedown", 512, 144, button, detail]
