"""How each task of the desktop suite can be done, mostly from the keyboard: the oracle's actions, by the task's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evals.scripts import When
from tools.base import Tool
from tools.computer import Key, Type
from tools.control import Fail, Wait
from tools.desktop import FocusWindow

HOME = "~/Documents"
SAVED = Wait(seconds=0.5)


def keys(*combinations: str) -> list[Tool | When]:
    return [Key(keys=combination) for combination in combinations]


def text(what: str) -> Type:
    return Type(text=what)


def selected(name: str) -> list[Tool | When]:
    """In the file manager typing goes to a file by its name."""
    return [text(name), *keys("escape")]


def cell(place: str, *values: str) -> list[Tool | When]:
    """In Calc F5 … the name box takes an address; then a value a cell, downwards."""
    return [*keys("ctrl+shift+t"), text(f"{place}\n"), *(text(f"{value}\n") for value in values)]


def kept(window: str) -> list[Tool | When]:
    """Save in the format the file has, where LibreOffice asks."""
    return [*keys("ctrl+s"), When("Keep", Key(keys="alt+k")), When(window, Wait(seconds=1))]


def gimp(*words: str) -> list[Tool | When]:
    """GIMP's search for a command by its name."""
    found: list[Tool | When] = []
    for word in words:
        found += [When("photo.png", Key(keys="/")), When("Search Actions", text(word)), Wait(seconds=1), *keys("enter"), Wait(seconds=1)]
    return found


WRITTEN = gimp("overwrite photo.png")

SCRIPTS: Mapping[str, Sequence[Tool | When]] = {
    "files-rename": [*selected("draft"), *keys("f2"), Wait(seconds=0.5), *keys("ctrl+a"), text("garden.txt\n")],
    "files-new-folder": [*keys("ctrl+shift+n"), Wait(seconds=0.5), *keys("ctrl+a"), text("Invoices 2026\n")],
    "files-move": [*selected("report"), *keys("ctrl+x", "ctrl+l"), text(f"{HOME}/Archive\n"), When("Archive", Key(keys="ctrl+v")), SAVED],
    "files-delete": [*selected("draft"), *keys("shift+delete"), Wait(seconds=0.5), *keys("enter"), SAVED],
    "text-append": [*keys("ctrl+end"), text("Buy bread\n"), *keys("ctrl+s"), SAVED],
    "text-new": [text("Zürich – 7 °C"), *keys("ctrl+s"), When("Save As", Key(keys="ctrl+a")), text(f"{HOME}/weather.txt\n"), SAVED],
    "text-replace": [
        *keys("ctrl+r"), When("Find and Replace", text("Monday")), *keys("tab"), text("Thursday"), *keys("alt+a"), SAVED,
        FocusWindow(window="meeting.txt"), *keys("ctrl+s"), SAVED,
    ],
    "terminal-count": [text(f"wc -l < {HOME}/report.csv > ~/lines.txt\n"), SAVED],
    "terminal-archive": [text("cd && tar czf documents.tar.gz Documents\n"), SAVED],
    "terminal-permission": [text(f"chmod 744 {HOME}/cleanup.sh\n"), SAVED],
    "calc-total": [*cell("B6", "=SUM(B2:B5)"), *kept("budget.xlsx")],
    "calc-correct": [*cell("B3", "9"), *cell("A5", "Figs"), *cell("B5", "4"), *kept("stock.xlsx")],
    "calc-csv": [
        *keys("ctrl+shift+s"), When("Save", Key(keys="ctrl+a")), text(f"{HOME}/stock.csv\n"), When("Keep", Key(keys="alt+k")),
        When("Export Text File", Key(keys="enter")), SAVED,
    ],
    "writer-append": [*keys("ctrl+end"), text("\nBring a lantern."), *kept("invitation.docx")],
    "writer-bold": [*keys("ctrl+home", "shift+end", "ctrl+b"), *kept("notice.docx")],
    "impress-title": [
        *keys("f6", "tab", "f2"), Wait(seconds=0.5), *keys("ctrl+a"), text("Annual report"), *keys("escape", "ctrl+s"), Wait(seconds=1),
    ],
    "gimp-mirror": [*gimp("flip image horizontally"), *WRITTEN],
    "gimp-grey": [*gimp("grayscale"), *WRITTEN],
    "gimp-scale": [*gimp("scale image"), When("Scale Image", text("120\t")), *keys("enter"), Wait(seconds=1), *WRITTEN],
    "pdf-code": [*keys("pagedown", "pagedown"), FocusWindow(window="Terminal"), text("echo 7419 > ~/code.txt\n"), SAVED],
    "settings-theme": [text("HighContrast"), *keys("enter"), SAVED, *keys("alt+a"), SAVED],
    "impossible-version": [Fail(reason="There is no Python 4.")],
}  # fmt: skip
