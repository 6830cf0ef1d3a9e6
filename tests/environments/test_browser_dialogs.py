"""JavaScript dialogs never block: they are told of, answered, and given a safe answer when the agent does something else."""

from __future__ import annotations

import time

import pytest

from environments.base import ActionError, Point
from environments.browser import BrowserEnvironment, BrowserOptions
from tests.page_server import PageServer

ALERT, CONFIRM, PROMPT, STAY, TWO, PLAIN, FIELD, FOR_EVER = (Point(100, top) for top in (40, 100, 160, 220, 280, 340, 390, 460))


@pytest.fixture
def page(browser: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    browser.goto(pages.url("dialogs.html"))
    browser.observe()
    return browser


def told(page: BrowserEnvironment) -> str:
    return " ".join(page.observe().notices)


def test_a_dialog_is_told_of_for_as_long_as_it_is_open_over_what_was_last_seen(page: BrowserEnvironment) -> None:
    before = page.observe().png
    page.click(CONFIRM)
    for _ in range(2):
        seen = page.observe()
        assert seen.notices == ("A confirm dialog says 'Delete it?': answer it with answer_dialog.",)
        assert seen.png == before
    page.answer_dialog(True)
    assert page.observe().notices == ()


@pytest.mark.parametrize("accept", [True, False])
def test_the_page_gets_the_answer(page: BrowserEnvironment, accept: bool) -> None:
    page.click(CONFIRM)
    page.answer_dialog(accept)
    assert page.evaluate("record") == [accept]


@pytest.mark.parametrize(("accept", "text", "answer"), [(True, "Zoë", "Zoë"), (True, "", "Bob"), (False, "Zoë", None)])
def test_a_prompt_gets_its_text(page: BrowserEnvironment, accept: bool, text: str, answer: str | None) -> None:
    page.click(PROMPT)
    assert "its field holds 'Bob'" in told(page)
    page.answer_dialog(accept, text)
    assert page.evaluate("record") == [answer]


def test_a_dialog_after_a_dialog_is_told_of_too(page: BrowserEnvironment) -> None:
    page.click(TWO)
    assert "First?" in told(page)
    page.answer_dialog(True)
    assert "Second?" in told(page)
    page.answer_dialog(False)
    assert page.evaluate("record") == [True, False]


@pytest.mark.parametrize(("button", "done", "recorded"), [(ALERT, "accepted", "alerted"), (CONFIRM, "dismissed", False)])
def test_another_action_gives_the_safe_answer_first_and_is_then_done(
    page: BrowserEnvironment, button: Point, done: str, recorded: object
) -> None:
    page.click(button)
    page.observe()
    page.click(PLAIN)
    assert f"was {done}, as it was not answered" in told(page)
    assert page.evaluate("record") == [recorded, "plain"]


def test_a_dialog_in_the_middle_of_typing_ends_it_there(page: BrowserEnvironment) -> None:
    page.click(FIELD)
    page.type("abcdef")
    assert "Three letters." in told(page)
    page.answer_dialog(True)
    page.observe()
    assert page.evaluate("document.querySelector('input').value") == "abc"


def test_a_page_that_never_stops_asking_can_be_left(page: BrowserEnvironment, pages: PageServer) -> None:
    page.click(FOR_EVER)
    assert told(page) == "An alert dialog says 'Again.': answer it with answer_dialog."
    with pytest.raises(ActionError, match="one dialog after another"):
        page.click(PLAIN)
    page.goto(pages.url("inner.html"))
    seen = page.observe()
    assert (seen.url, len(seen.tabs)) == (pages.url("inner.html"), 1)
    assert any("accepted, as it was not answered. (10 times)" in notice for notice in seen.notices)


def test_answering_without_a_dialog_is_an_error(page: BrowserEnvironment) -> None:
    with pytest.raises(ActionError, match="No dialog is open"):
        page.answer_dialog(True)


def test_a_page_may_ask_before_it_is_left(page: BrowserEnvironment, pages: PageServer) -> None:
    page.click(STAY)
    page.goto(pages.url("inner.html"))
    seen = page.observe()
    assert "A beforeunload dialog asks whether to leave" in seen.notices[-1]
    page.answer_dialog(False)
    assert page.observe().url == pages.url("dialogs.html")
    page.goto(pages.url("inner.html"))
    page.answer_dialog(True)
    assert page.observe().url == pages.url("inner.html")


def test_a_tab_may_ask_before_it_is_closed(page: BrowserEnvironment, pages: PageServer) -> None:
    page.new_tab(pages.url("dialogs.html"))
    page.observe()
    page.click(STAY)
    page.close_tab()
    assert "beforeunload" in told(page)
    page.answer_dialog(False)
    assert len(page.observe().tabs) == 2
    page.close_tab()
    page.answer_dialog(True)
    assert len(page.observe().tabs) == 1


def test_a_page_that_opens_with_a_dialog_is_gone_to_and_told_of(browser: BrowserEnvironment) -> None:
    browser.goto("data:text/html,<title>T</title><script>alert('Welcome')</script>after")
    assert "Welcome" in told(browser)
    browser.answer_dialog(True)
    browser.observe()
    assert browser.evaluate("document.body.textContent") == "after"


def test_a_dialog_that_nobody_answers_gets_the_safe_answer_after_its_bound(pages: PageServer) -> None:
    with BrowserEnvironment(pages.url("dialogs.html"), options=BrowserOptions(dialog_timeout=0.5)) as page:
        page.reset()
        page.click(CONFIRM)
        assert "answer it" in told(page)
        end = time.monotonic() + 10
        while "dismissed, as it was not answered" not in told(page):
            assert time.monotonic() < end
        assert page.evaluate("record") == [False]
