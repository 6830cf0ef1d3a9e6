"""What many tests share: the little pages, and one browser that is started once."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from environments.browser import BrowserEnvironment, BrowserOptions
from tests.page_server import PageServer


@pytest.fixture(scope="session")
def pages() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[BrowserEnvironment]:
    """Quick to go to a page of one's own with, for tests that leave no tabs, dialogs or held keys behind."""
    with BrowserEnvironment(options=BrowserOptions(action_timeout=4, navigation_timeout=8)) as environment:
        environment.reset()
        yield environment


@pytest.fixture
def browser(chromium: BrowserEnvironment) -> BrowserEnvironment:
    """The same, begun anew: 1280 by 720 pixels at scale 1, one blank tab."""
    chromium.reset()
    return chromium


def pytest_configure() -> None:
    """Ctrl-C is under test, and a shell that starts the tests in the background has it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
