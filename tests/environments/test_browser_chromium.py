"""Finding a browser, starting it, and what its options do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from environments.base import EnvironmentFault
from environments.browser import BrowserEnvironment, BrowserOptions, find_chromium
from tests.page_server import PageServer


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without a browser: nothing named, nothing on PATH, nothing downloaded. Gives an empty folder."""
    monkeypatch.delenv("GLIMPSE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "downloaded"))
    return tmp_path


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\necho this is no browser >&2\nexit 1\n")
    path.chmod(0o755)
    return path


def test_the_browser_that_is_named_is_used_before_all_others(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bare / "bin" / "chromium")
    mine = program(bare / "my browser")
    monkeypatch.setenv("GLIMPSE_CHROMIUM", str(mine))
    assert find_chromium() == mine


def test_a_browser_on_the_path_is_used_before_a_downloaded_one(bare: Path) -> None:
    program(bare / "downloaded" / "chromium-1200" / "chrome-linux" / "chrome")
    there = program(bare / "bin" / "google-chrome")
    assert find_chromium() == there


def test_of_several_downloaded_browsers_the_newest_is_used(bare: Path) -> None:
    for folder in ("chromium-999/chrome-linux", "chromium-1200/chrome-linux64", "chromium_headless_shell-1300/chrome-linux"):
        program(bare / "downloaded" / folder / "chrome")
    assert "chromium-1200" in find_chromium().parts


def test_without_a_browser_the_ways_to_get_one_are_named_in_a_line(bare: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        BrowserEnvironment().reset()
    for way in ("apt-get install chromium", "playwright install chromium", "$GLIMPSE_CHROMIUM"):
        assert way in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_named_browser_that_does_not_exist_is_a_fault_that_names_it(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLIMPSE_CHROMIUM", "/nosuch/browser")
    with pytest.raises(EnvironmentFault, match="/nosuch/browser"):
        find_chromium()


def test_a_browser_that_does_not_start_is_a_fault_in_a_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = program(tmp_path / "broken")
    monkeypatch.setenv("GLIMPSE_CHROMIUM", str(broken))
    with BrowserEnvironment() as environment, pytest.raises(EnvironmentFault, match=f"{broken} did not start") as caught:
        environment.reset()
    assert "\n" not in str(caught.value)


def test_finding_a_browser_does_not_load_playwright() -> None:
    code = "import sys, environments.browser; environments.browser.find_chromium; print('playwright' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_a_profile_is_kept_between_runs_and_resets(pages: PageServer, tmp_path: Path) -> None:
    options = BrowserOptions(profile=tmp_path / "profile")
    for value in ("", "kept"):
        with BrowserEnvironment(pages.url("tabs.html"), options=options) as environment:
            for _ in range(2):
                seen = environment.reset()
                assert (len(seen.tabs), seen.notices) == (1, ())
            assert environment.evaluate("localStorage.x || ''") == value
            environment.evaluate("localStorage.x = 'kept'")


def test_language_clock_and_permissions_are_as_asked(pages: PageServer) -> None:
    options = BrowserOptions(locale="de-DE", timezone="Asia/Tokyo", permissions=("notifications",), flags=("--lang=de",))
    with BrowserEnvironment(pages.url("tabs.html"), viewport=(500, 400), options=options) as environment:
        assert environment.reset().screenshot.size == (500, 400)
        facts = "[navigator.language, Intl.DateTimeFormat().resolvedOptions().timeZone, Notification.permission, innerWidth]"
        assert environment.evaluate(facts) == ["de-DE", "Asia/Tokyo", "granted", 500]
