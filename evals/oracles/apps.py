"""Scripts for our own three apps; what is to be done they ask the page itself."""

from __future__ import annotations

from evals.oracles.page import Actions, Page, Script
from tools.computer import Key, Type


def search(page: Page) -> Actions:
    wanted = page.js("task.wanted")
    yield from page.fill("#query", wanted["query"])
    if page.js("task.entered"):
        yield Key(keys="enter")
    else:
        yield from page.click("#go")
    if title := wanted["opened"]:
        while not page.has(".title", title):
            yield from page.click(".next")
        yield from page.click(".title", title)
    elif wanted["page"] > 1 and page.has("#pages button", str(wanted["page"])):
        yield from page.click("#pages button", str(wanted["page"]))
    else:
        for _ in range(wanted["page"] - 1):
            yield from page.click(".next")


def todo(page: Page) -> Actions:
    for what, text in page.js("task.steps"):
        if what == "add":
            yield from page.fill("#new", text)
            if page.has("#add"):
                yield from page.click("#add")
            else:
                yield Key(keys="enter")
        else:
            yield from page.click("#items input" if what == "tick" else "#items .delete", nth=page.texts("#items label").index(text))


def settings(page: Page) -> Actions:
    if not page.has("#dialog"):
        yield from page.click("#open")
    for change in page.js("task.changes"):
        row, now = f'[data-label="{change["label"]}"]', change["now"]
        if change["tab"] and not page.has(".tab.here", change["tab"]):
            yield from page.click(".tab", change["tab"])
        if change["kind"] == "check":
            yield from page.click(f"{row} input", named=change["label"])
        elif change["kind"] == "radio":
            yield from page.click(f'{row} input[value="{now}"]')
        elif change["kind"] == "field":
            empty = page.js("document.querySelector(given[0]).value === ''", f"{row} input")
            yield from page.click(f"{row} input", named=change["label"])
            if not empty:
                yield Key(keys="ctrl+a")
            yield Type(text=now)
        else:
            native = change["kind"] == "select"
            yield from page.click(f"{row} select" if native else f"{row} .list > button", named=change["label"])
            yield from page.click(f"{row} option" if native else f"{row} .options button", now)
    yield from page.click("#save")


SCRIPTS: dict[str, Script] = {"search": search, "todo": todo, "settings": settings}
