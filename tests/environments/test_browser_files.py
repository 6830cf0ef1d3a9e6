"""Files go to the page and come from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from environments.base import ActionError, Point
from environments.browser import BrowserEnvironment, BrowserOptions
from tests.page_server import PageServer

ONE, SEVERAL, REPORT, EVIL = (Point(60, top) for top in (40, 100, 150, 210))


@pytest.fixture
def page(chromium: BrowserEnvironment, pages: PageServer) -> BrowserEnvironment:
    chromium.goto(pages.url("files.html"))
    chromium.observe()
    return chromium


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("a.txt", "b ü.txt"):
        (tmp_path / name).write_text(f"this is {name}")
    return [str(tmp_path / name) for name in ("a.txt", "b ü.txt")]


def test_a_file_chooser_is_told_of_and_takes_an_upload(page: BrowserEnvironment, files: list[str]) -> None:
    page.click(ONE)
    assert page.observe().notices == ("The page asks for a file: answer with upload.",)
    page.upload(files[:1])
    page.observe()
    assert page.evaluate("record") == [["one", "a.txt", "this is a.txt"]]


def test_a_chooser_for_several_takes_several(page: BrowserEnvironment, files: list[str]) -> None:
    page.click(SEVERAL)
    assert page.observe().notices == ("The page asks for one or more files: answer with upload.",)
    page.upload(files)
    page.observe()
    assert [name for _, name, _ in page.evaluate("record")] == ["a.txt", "b ü.txt"]


def test_what_cannot_be_uploaded_is_an_error_that_says_why(page: BrowserEnvironment, files: list[str]) -> None:
    with pytest.raises(ActionError, match="No file chooser is open"):
        page.upload(files)
    page.click(ONE)
    page.observe()
    with pytest.raises(ActionError, match=r"There is no file /nosuch/file\.txt"):
        page.upload(["/nosuch/file.txt"])
    with pytest.raises(ActionError, match="one file only"):
        page.upload(files)
    page.upload(files[1:])
    page.observe()
    assert page.evaluate("record[0][1]") == "b ü.txt"


def test_downloads_land_in_the_folder_under_safe_and_unique_names(pages: PageServer, tmp_path: Path) -> None:
    folder = tmp_path / "run" / "downloads"
    with BrowserEnvironment(pages.url("files.html"), options=BrowserOptions(downloads=folder)) as page:
        page.reset()
        page.click(REPORT)
        assert page.observe().notices == (f"Downloaded report.txt (900 bytes) to {folder / 'report.txt'}.",)
        page.click(REPORT)
        page.observe()
        page.click(EVIL)
        page.observe()
        page.goto(pages.url("download?name=direct.bin"))
        page.observe()
    assert sorted(path.name for path in folder.iterdir())[1:] == ["direct.bin", "report (2).txt", "report.txt"]
    assert all(path.parent == folder for path in tmp_path.rglob("*") if path.is_file())


def test_without_a_folder_downloads_are_kept_until_close(pages: PageServer) -> None:
    with BrowserEnvironment(pages.url("files.html")) as page:
        page.reset()
        page.click(REPORT)
        (notice,) = page.observe().notices
        kept = Path(notice.rpartition(" to ")[2].removesuffix("."))
        assert kept.read_text() == "a report\n" * 100
    assert not kept.parent.exists()
