"""Addresses, history and tabs."""

from __future__ import annotations

import pytest

from environments.base import ActionError, EnvironmentFault, Point
from environments.browser import BrowserEnvironment, BrowserOptions
from environments.browser.visits import address
from tests.page_server import PageServer

NEW_TAB, POP_UP, CLOSE_ME, NEXT, SLOW, MYSELF = (Point(60, top) for top in (30, 100, 160, 210, 280, 330))


@pytest.fixture
def page(browser: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    browser.goto(pages.url("tabs.html"))
    browser.observe()
    return browser


@pytest.mark.parametrize("button", [NEW_TAB, POP_UP])
def test_a_new_tab_or_pop_up_becomes_the_current_one(page: BrowserEnvironment, pages: PageServer, button: Point) -> None:
    page.click(button)
    seen = page.observe()
    assert seen.url == pages.url("inner.html")
    assert seen.tabs == (f"Tabs — {pages.url('tabs.html')}", f"* Inner — {pages.url('inner.html')}")
    assert seen.notices == ("A new tab has opened and is now the current one.",)
    assert seen.screenshot.size == (1280, 720)
    assert page.observe().notices == ()


def test_a_tab_that_closes_itself_gives_way_to_the_last_one(page: BrowserEnvironment, pages: PageServer) -> None:
    page.click(MYSELF)
    assert len(page.observe().tabs) == 2
    page.click(CLOSE_ME)
    seen = page.observe()
    assert seen.tabs == (f"* Tabs — {pages.url('tabs.html')}",)
    assert "closed itself" in seen.notices[0]


def test_when_the_last_tab_closes_a_blank_one_opens(page: BrowserEnvironment) -> None:
    page.close_tab()
    seen = page.observe()
    assert (seen.url, len(seen.tabs)) == ("about:blank", 1)
    page.click(Point(5, 5))


def test_tabs_are_opened_switched_and_closed_by_number(page: BrowserEnvironment, pages: PageServer) -> None:
    page.new_tab(pages.url("record.html"))
    page.new_tab()
    assert [tab[:2] for tab in page.observe().tabs] == ["Ta", "Re", "* "]
    page.switch_tab(1)
    assert page.observe().url == pages.url("record.html")
    page.close_tab(0)
    seen = page.observe()
    assert seen.url == pages.url("record.html")
    assert [tab[:2] for tab in seen.tabs] == ["* ", "Un"]
    assert seen.notices == ()


@pytest.mark.parametrize("index", [-1, 1, 7])
def test_a_tab_that_does_not_exist_is_an_error_that_counts_them(page: BrowserEnvironment, index: int) -> None:
    for verb in (page.switch_tab, page.close_tab):
        with pytest.raises(ActionError, match=r"There is no tab .* there are 1"):
            verb(index)


def test_history_goes_back_and_forward_to_its_ends(page: BrowserEnvironment, pages: PageServer) -> None:
    page.click(NEXT)
    assert page.observe().url == pages.url("record.html")
    page.back()
    assert page.observe().url == pages.url("tabs.html")
    page.forward()
    assert page.observe().url == pages.url("record.html")
    with pytest.raises(ActionError, match="no page to go forward to"):
        page.forward()
    page.back()
    with pytest.raises(ActionError, match="no page to go back to"):
        page.back()


def test_reloading_begins_the_page_anew(page: BrowserEnvironment) -> None:
    page.evaluate("document.title = 'Changed'")
    page.reload()
    assert page.observe().tabs[0].startswith("* Tabs")


def test_the_page_a_click_leads_to_is_waited_for(page: BrowserEnvironment) -> None:
    page.click(SLOW)
    seen = page.observe()
    assert seen.url is not None
    assert seen.url.endswith("/slow?seconds=0.4")
    assert page.evaluate("document.body.textContent") == "arrived"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://nosuchhost.invalid/", "ERR_NAME_NOT_RESOLVED"),
        ("http://127.0.0.1:9/", "ERR_UNSAFE_PORT|ERR_CONNECTION_REFUSED"),
        ("two words", "is not an address"),
        ("", "is not an address"),
        ("javascript:alert(1)", "cannot be opened"),
        ("nosuch:thing", "cannot be opened"),
    ],
)
def test_an_address_that_cannot_be_opened_is_an_error_that_says_why(page: BrowserEnvironment, url: str, why: str) -> None:
    with pytest.raises(ActionError, match=why) as caught:
        page.goto(url)
    assert "\n" not in str(caught.value)
    page.goto("about:blank")
    assert page.observe().url == "about:blank"


def test_an_address_that_does_not_answer_is_an_error_within_the_bound(pages: PageServer) -> None:
    with BrowserEnvironment(pages.url("tabs.html"), options=BrowserOptions(navigation_timeout=2)) as page:
        page.reset()
        with pytest.raises(ActionError, match="did not answer in time"):
            page.goto(pages.url("slow?seconds=30"))
        page.goto(pages.url("inner.html"))
        assert page.observe().url == pages.url("inner.html")


def test_an_error_page_of_the_site_is_seen_like_any_other(page: BrowserEnvironment, pages: PageServer) -> None:
    page.goto(pages.url("missing"))
    assert page.observe().url == pages.url("missing")


def test_a_start_address_that_cannot_be_opened_is_a_fault_that_names_it() -> None:
    with BrowserEnvironment("http://nosuchhost.invalid/") as environment, pytest.raises(EnvironmentFault) as caught:
        environment.reset()
    assert str(caught.value) == "http://nosuchhost.invalid/ cannot be opened: net::ERR_NAME_NOT_RESOLVED"


@pytest.mark.parametrize(
    ("typed", "whole"),
    [
        ("example.org/a?b=c", "https://example.org/a?b=c"),
        ("localhost:8000", "http://localhost:8000"),
        ("127.0.0.1:8000/x", "http://127.0.0.1:8000/x"),
        ("example.org:8443", "https://example.org:8443"),
        (" https://example.org ", "https://example.org"),
        ("file:///etc/hostname", "file:///etc/hostname"),
        ("about:blank", "about:blank"),
    ],
)
def test_an_address_is_made_whole_as_a_browser_does(typed: str, whole: str) -> None:
    assert address(typed) == whole


def test_reset_forgets_tabs_and_cookies(page: BrowserEnvironment, pages: PageServer) -> None:
    page.evaluate("document.cookie = 'a=b'; localStorage.x = 'y'")
    page.new_tab(pages.url("inner.html"))
    seen = page.reset()
    assert (seen.tabs, seen.notices) == (("* Untitled — about:blank",), ())
    page.goto(pages.url("tabs.html"))
    assert page.evaluate("[document.cookie, localStorage.x || '']") == ["", ""]
