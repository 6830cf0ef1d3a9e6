"""How each task of the desktop suite can be done, mostly from the keyboard: the oracle's actions, by the task's id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evals.scripts import When
from tools.base import Thousandths, Tool
from tools.computer import Click, Key, Type
from tools.control import Fail, Wait
from tools.desktop import FocusWindow

SIZE = 1280, 800
"""Pixels of the screen."""
HOME = "~/Documents"
SAVED = Wait(seconds=0.5)


def keys(*combinations: str) -> list[Tool | When]:
    return [Key(keys=combination) for combination in combinations]


def text(what: str) -> Type:
    return Type(text=what)


def at(x: int, y: int) -> Click:
    """A pixel of the screen. Windows of one size always appear in the same place."""
    return Click(point=Thousandths.of((x, y), SIZE))


def selected(name: str) -> list[Tool | When]:
    """In the file manager typing goes to a file by its name."""
    return [text(name), *keys("escape")]


def cell(down: int, right: int, *values: str) -> list[Tool | When]:
    """In Calc: go so many cells down and right from the first one; then a value a cell, downwards."""
    steps = ["+".join([key] * times) for key, times in (("down", down), ("right", right)) if times]
    return [*keys("ctrl+home", *steps), *(text(f"{value}\n") for value in values)]


def kept(window: str) -> list[Tool | When]:
    """Save in the format the file has, where LibreOffice asks."""
    return [*keys("ctrl+s"), When("Confirm File Format", Key(keys="enter")), When(window, Wait(seconds=1))]


def gimp(*words: str) -> list[Tool | When]:
    """GIMP's search for a command by its name."""
    found: list[Tool | When] = []
    for word in words:
        found += [When("(imported)", Key(keys="/")), When("Search Actions", text(word)), Wait(seconds=1), *keys("enter"), Wait(seconds=1)]
    return found


WRITTEN = gimp("overwrite photo.png")

SCRIPTS: Mapping[str, Sequence[Tool | When]] = {
    "files-rename": [*selected("draft"), *keys("f2"), Wait(seconds=0.5), *keys("ctrl+a"), text("garden.txt\n")],
    "files-new-folder": [*keys("ctrl+shift+n"), Wait(seconds=0.5), *keys("ctrl+a"), text("Invoices 2026\n")],
    "files-move": [*selected("report"), *keys("ctrl+x", "ctrl+l"), text(f"{HOME}/Archive\n"), When("Archive", Key(keys="ctrl+v")), SAVED],
    "files-delete": [*selected("draft"), *keys("shift+delete"), Wait(seconds=0.5), *keys("enter"), SAVED],
    "text-append": [*keys("ctrl+end"), text("Buy bread\n"), *keys("ctrl+s"), SAVED],
    "text-new": [
        text("Zürich – 7 °C"), *keys("ctrl+s"), When("Save As", Key(keys="ctrl+a")), text(f"{HOME}/weather.txt"), SAVED,
        *keys("enter"), SAVED,
    ],
    "text-replace": [
        *keys("ctrl+r"), When("Find and Replace", text("Monday")), *keys("tab"), text("Thursday"), *keys("alt+a", "alt+r"), SAVED,
        FocusWindow(window="meeting.txt"), *keys("ctrl+s"), SAVED,
    ],
    "terminal-count": [text(f"wc -l < {HOME}/report.csv > ~/lines.txt\n"), SAVED],
    "terminal-archive": [text("cd && tar czf documents.tar.gz Documents\n"), SAVED],
    "terminal-permission": [text(f"chmod 744 {HOME}/cleanup.sh\n"), SAVED],
    "calc-total": [*cell(5, 1, "=SUM(B2:B5)"), *kept("budget.xlsx")],
    "calc-correct": [*cell(2, 1, "9"), *cell(4, 0, "Figs"), *cell(4, 1, "4"), *kept("stock.xlsx")],
    "calc-csv": [
        *keys("ctrl+shift+s"), When("Save", Key(keys="ctrl+a")), text(f"{HOME}/stock.csv\n"),
        When("Confirm File Format", Key(keys="enter")),
        When("Export Text File", Key(keys="enter")), SAVED,
    ],
    "writer-append": [*keys("ctrl+end"), text("\nBring a lantern."), *kept("invitation.docx")],
    "writer-bold": [*keys("ctrl+home", "shift+end", "ctrl+b"), *kept("notice.docx")],
    "impress-title": [
        *keys("tab", "f2"), Wait(seconds=0.5), *keys("ctrl+a"), text("Annual report"), *keys("escape", "ctrl+s"), Wait(seconds=1),
    ],
    "gimp-mirror": [*gimp("flip image horizontally"), *WRITTEN],
    "gimp-grey": [*gimp("grayscale"), *WRITTEN],
    "gimp-scale": [*gimp("scale image"), When("Scale Image", text("120\t")), *keys("alt+s"), Wait(seconds=1), *WRITTEN],
    "pdf-code": [text("nn"), FocusWindow(window="Terminal"), text("echo 7419 > ~/code.txt\n"), SAVED],
    "settings-buttons": [at(700, 212), at(391, 336), at(878, 595), SAVED],
    "impossible-version": [Fail(reason="There is no Python 4.")],
}  # fmt: skip
