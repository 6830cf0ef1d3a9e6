"""Little pages full of words, made from seeds: what a model learns to read on.

No two pages are alike: paragraphs, lists, tables, forms, toolbars and dialogs in many fonts, sizes and colours, of words that mostly no
other page has. Thirty-two are drawn at once, each an area of one browser page, which is many times faster than one after the other.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from html import escape
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, NamedTuple

from PIL import Image

from environments.browser import BrowserEnvironment
from evals.base import EvalError
from evals.drawings import THINGS, control, drawing
from evals.pages import REGION, SCALE, in_pixels
from evals.words import WORDS, held_out

PIXELS = round(REGION[0] * SCALE), round(REGION[1] * SCALE)
PAGES = "pages.jsonl"
"""What each page of a folder of recorded ones shows: a JSON object a line, {"seed", "words", "things"}; the picture is <seed>.png."""
_COLUMNS, _ROWS = 8, 4
_FONTS = ("Liberation Sans", "Liberation Sans", "Liberation Sans", "Liberation Serif", "Liberation Mono", "DejaVu Sans", "DejaVu Serif",
          "DejaVu Sans Mono")  # fmt: skip
_SIZES = (8, 9, 9, 10, 10, 10, 10, 11, 11, 12, 12, 13, 14, 16)
_SMALL_SIZES = (7, 7.5, 7.5, 7.5, 8, 8, 9)
_LIGHT = ("#fff", "#fff", "#fff", "#fff", "#eee", "#def", "#ffe", "#f5f5f5", "#efe")
_DARK = ("#222", "#113", "#000", "#343a40")
_INK = ("#000", "#000", "#000", "#333", "#00c", "#c00", "#060", "#555", "#808")
_PALE = ("#fff", "#eee", "#9cf", "#fc6", "#cfc")
_ONSETS = [
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "y",
    "z",
    "br",
    "ch",
    "cl",
    "cr",
    "dr",
    "fl",
    "fr",
    "gl",
    "gr",
    "pl",
    "pr",
    "qu",
    "sh",
    "sl",
    "sm",
    "sp",
    "st",
    "str",
    "th",
    "tr",
    "tw",
]
_NUCLEI = ["a", "a", "a", "e", "e", "e", "i", "i", "o", "o", "u", "ai", "ea", "ee", "ie", "io", "oa", "oo", "ou", "y"]
_CODAS = [
    "",
    "",
    "",
    "",
    *["b", "ck", "d", "f", "g", "l", "ll", "m", "n", "nd", "ng", "nt", "p", "r", "rd", "rt", "s", "ss", "st", "t", "th", "x"],
]
_ENDINGS = ["", "", "", "", "", "s", "ed", "er", "ing", "ly", "ion", "able", "ness", "ment"]
_SIGNS = ("", "", "", "", "", "", ".", ",", ":", "!", "?", ")")


@cache
def english() -> tuple[str, ...]:
    """Words of Python's language reference, as the interpreter brings it along (a few thousand; which exactly depends on its version)."""
    from pydoc_data.topics import topics

    return tuple(sorted(set(re.findall(r"\b[A-Za-z][a-z]{1,13}\b", " ".join(topics.values())))))


def word(rng: random.Random, kept: Callable[[str], bool]) -> str:
    """A word that is `kept`: of English, made up of syllables, a code, or a number."""
    while True:
        kind = rng.random()
        if kind < 0.3:
            made = rng.choice(english())
        elif kind < 0.8:
            syllables = (rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(rng.choice((1, 1, 2, 2, 3))))
            made = "".join(syllables) + rng.choice(_ENDINGS)
        elif kind < 0.92:
            made = "".join(rng.choices("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=rng.randint(2, 7)))
        else:
            made = str(rng.randint(1, 10 ** rng.randint(1, 6)))
        case = rng.random()
        made = made.capitalize() if case < 0.3 else made.upper() if case < 0.36 else made
        if kept(made):
            return made


def training_word(made: str) -> bool:
    return not held_out(made)


class _Writer:
    """Writes one page's HTML."""

    def __init__(self, seed: int, kept: Callable[[str], bool]) -> None:
        self.rng, self._kept = random.Random(seed), kept
        self.dark = self.rng.random() < 0.12
        self.background = self.rng.choice(_DARK if self.dark else _LIGHT)

    def page(self) -> str:
        parts = []
        if self.rng.random() < 0.45:
            parts.append(self.instruction("13px", 3, 9))
        for _ in range(self.rng.randint(2, 6)):
            parts.append(f"<div style='{self.style()}'>{self.rng.choice(_BLOCKS)(self)}</div>")
        return "".join(parts)

    def instruction(self, size: str, least: int, most: int) -> str:
        """Words on yellow, as above MiniWoB++'s pages."""
        style = f"background:#ff0;color:#000;min-height:46px;padding:2px;font:{size} Liberation Sans"
        return f"<div style='{style}'>{self.words(least, most)}</div>"

    def drawing(self) -> str:
        """A page with shapes, colours or controls."""
        above = self.instruction("13px", 3, 9) if self.rng.random() < 0.7 else ""
        return above + (self.controls() if self.rng.random() < 0.25 else drawing(self.rng))

    def controls(self) -> str:
        """A form of nothing else."""
        rng = self.rng
        parts = (f"<div style='margin-top:{rng.randint(0, 4)}px'>{rng.choice(_FORM_BLOCKS)(self)}</div>" for _ in range(rng.randint(2, 6)))
        look = f"font:{rng.choice((8, 9, 10, 11))}pt Liberation Sans;color:{rng.choice(_PALE) if self.dark else '#000'}"
        return f"<div style='{look};padding:{rng.randint(0, 8)}px'>{''.join(parts)}</div>"

    def running_text(self) -> str:
        """A page of small print, its lines as close as those of a letter, some of its words links."""
        rng, parts = self.rng, []
        if rng.random() < 0.5:
            parts.append(self.instruction("7.5pt", 4, 20))
        for _ in range(rng.randint(1, 4)):
            place = f"margin:{rng.randint(0, 8)}px {rng.randint(0, 30)}px 0 {rng.randint(0, 20)}px"
            font = f"font:{rng.choice(('normal', 'normal', 'normal', 'bold'))} {rng.choice(_SMALL_SIZES)}pt {rng.choice(_FONTS[:5])}"
            text = " ".join(self.links() for _ in range(rng.randint(1, 4)))
            parts.append(f"<div style='{place};{font};color:{rng.choice(_PALE if self.dark else _INK[:5])}'>{text}</div>")
        return "".join(parts)

    def words(self, least: int, most: int) -> str:
        rng = self.rng
        return escape(" ".join(word(rng, self._kept) + rng.choice(_SIGNS) for _ in range(rng.randint(least, most))))

    def style(self) -> str:
        rng = self.rng
        ink = rng.choice(_PALE if self.dark else _INK)
        weight = rng.choice(("normal", "normal", "normal", "bold"))
        slant = "italic " if rng.random() < 0.08 else ""
        place = f"margin:{rng.randint(0, 14)}px 0 0 {rng.randint(0, 50)}px"
        return f"font:{slant}{weight} {rng.choice(_SIZES)}pt {rng.choice(_FONTS)};color:{ink};{place}"

    def paragraph(self) -> str:
        return f"<p style='margin:0'>{self.words(2, 10)}</p>"

    def buttons(self) -> str:
        rng = self.rng
        look = rng.choice(
            ("", "", "", "border-radius:6px;background:#06c;color:#fff;border:0;padding:3px 8px", "background:#eee;border:1px solid #888")
        )
        one = f"font:inherit;{look}"
        return "".join(
            f"<button {control('button')} style='{one};margin:{rng.randint(0, 6)}px'>{self.words(1, 2)}</button>"
            for _ in range(rng.randint(1, 3))
        )

    def links(self) -> str:
        rng, parts = self.rng, []
        for _ in range(rng.randint(3, 12)):
            linked = rng.random() < 0.3
            parts.append(
                f"<span style='text-decoration:underline;color:{'#9cf' if self.dark else '#00f'}'>{self.words(1, 1)}</span>"
                if linked
                else self.words(1, 1)
            )
        return " ".join(parts)

    def ticks(self) -> str:
        rng, kind, around = self.rng, self.rng.choice(("checkbox", "radio")), self.rng.choice(("div", "div", "span"))
        boxes = (f"<input type={kind} {control(kind)}{' checked' if rng.random() < 0.4 else ''}>" for _ in range(rng.randint(1, 5)))
        return "".join(f"<{around}><label>{box}{self.words(1, 2) if rng.random() < 0.8 else ''}</label></{around}>" for box in boxes)

    def fields(self) -> str:
        rng, parts = self.rng, []
        for _ in range(rng.randint(1, 3)):
            holds = f" value='{self.words(1, 1)}'" if rng.random() < 0.3 else ""
            parts.append(f"<div>{self.words(1, 1)} <input {control('text')} style='width:{rng.randint(30, 90)}px'{holds}></div>")
        return "".join(parts)

    def text_area(self) -> str:
        size = f"rows={self.rng.randint(2, 3)} style='width:{self.rng.randint(60, 140)}px;font:inherit'"
        return f"<textarea {size} {control('textarea')}>{self.words(1, 4) if self.rng.random() < 0.5 else ''}</textarea>"

    def slider(self) -> str:
        return f"<input type=range {control('range')} style='width:{self.rng.randint(60, 130)}px' value={self.rng.randint(0, 100)}>"

    def table(self) -> str:
        rng, columns = self.rng, self.rng.randint(2, 3)
        border = rng.choice(("border:1px solid #888", "border-bottom:1px solid #ccc", ""))
        rows = (
            "".join(f"<td style='{border};padding:1px 4px'>{self.words(1, 1)}</td>" for _ in range(columns))
            for _ in range(rng.randint(2, 5))
        )
        return f"<table style='font:inherit;color:inherit;border-collapse:collapse'>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def listing(self) -> str:
        kind = self.rng.choice(("ul", "ol"))
        items = "".join(f"<li>{self.words(1, 3)}</li>" for _ in range(self.rng.randint(2, 5)))
        return f"<{kind} style='margin:0;padding-left:22px'>{items}</{kind}>"

    def toolbar(self) -> str:
        tabs = "".join(
            f"<span style='padding:2px 5px;border:1px solid #aaa'>{self.words(1, 1)}</span>" for _ in range(self.rng.randint(2, 4))
        )
        return f"<div style='white-space:nowrap'>{tabs}</div>"

    def dialog(self) -> str:
        return (
            f"<div style='border:1px solid #777;background:#fff;color:#000;width:{self.rng.randint(90, 140)}px'>"
            f"<div style='background:#ddd;padding:2px'>{self.words(1, 2)}</div><div style='padding:4px'>{self.words(2, 6)}</div>"
            f"<button style='font:inherit'>{self.words(1, 1)}</button> <button style='font:inherit'>{self.words(1, 1)}</button></div>"
        )

    def menu(self) -> str:
        options = "".join(f"<option>{self.words(1, 2)}</option>" for _ in range(3))
        return f"<div>{self.words(1, 2)} <select {control('select')} style='font:inherit'>{options}</select></div>"


_BLOCKS: tuple[Callable[[_Writer], str], ...] = (
    _Writer.paragraph, _Writer.paragraph, _Writer.buttons, _Writer.buttons, _Writer.links, _Writer.ticks, _Writer.fields, _Writer.table,
    _Writer.listing, _Writer.toolbar, _Writer.dialog, _Writer.menu,
)  # fmt: skip

_FORM_BLOCKS = (
    _Writer.ticks,
    _Writer.ticks,
    _Writer.fields,
    _Writer.fields,
    _Writer.buttons,
    _Writer.text_area,
    _Writer.menu,
    _Writer.slider,
)


Kind = Literal["mixed", "running text", "drawing"]
_WRITE: dict[Kind, Callable[[_Writer], str]] = {
    "mixed": _Writer.page, "running text": _Writer.running_text, "drawing": _Writer.drawing,
}  # fmt: skip
_RECORDED: tuple[Kind, ...] = ("mixed", "running text", "drawing")
"""What is recorded, sixty-four seeds after the other (page_group): every second thirty-two at one device pixel for a CSS pixel."""


class Drawn(NamedTuple):
    """A page: its seed, its screenshot, and in pixels of this its words (as WORDS) and what else it shows (as THINGS)."""

    seed: int
    image: Image.Image
    words: list[Any]
    things: list[Any]


def draw(
    browser: BrowserEnvironment, seeds: Sequence[int], kept: Callable[[str], bool], scale: float = SCALE, *, kind: Kind = "mixed"
) -> Iterator[Drawn]:
    """At most 32 pages at once. The browser is as `open_browser` makes it.

    scale: the browser's; a screenshot taken at another than SCALE is resampled, as `glimpse find` does.
    """
    areas = []
    for i, seed in enumerate(seeds):
        writer = _Writer(seed, kept)
        left, top = i % _COLUMNS * REGION[0], i // _COLUMNS * REGION[1]
        place = f"position:absolute;left:{left}px;top:{top}px;width:{REGION[0]}px;height:{REGION[1]}px;overflow:hidden"
        page = _WRITE[kind](writer)
        areas.append(f"<div class=area style='{place};background:{writer.background}'>{page}</div>")
    browser.evaluate("html => { document.body.style.margin = 0; document.body.innerHTML = html; }", "".join(areas))
    found = browser.evaluate(
        f"size => [...document.querySelectorAll('.area')].map(e => {{ const b = e.getBoundingClientRect(),"
        f" place = [b.left, b.top, b.left + size[0], b.top + size[1]]; return [({WORDS})(e, place), ({THINGS})(e, place)]; }})",
        list(REGION),
    )
    seen = browser.observe().screenshot
    width, height = (round(side * scale) for side in REGION)
    for i, (seed, (words, things)) in enumerate(zip(seeds, found, strict=True)):
        left, top = i % _COLUMNS * width, i // _COLUMNS * height
        image = seen.crop((left, top, left + width, top + height)).resize(PIXELS, Image.Resampling.BICUBIC)
        yield Drawn(
            seed,
            image,
            [[text, in_pixels(box), in_pixels(columns)] for text, box, columns in words],
            [[names, in_pixels(box)] for names, box in things],
        )


def open_browser(scale: float = SCALE, headless: bool = True) -> BrowserEnvironment:
    """A browser whose page is as large as all areas together."""
    browser = BrowserEnvironment("about:blank", viewport=(_COLUMNS * REGION[0], _ROWS * REGION[1]), scale=scale, headless=headless)
    browser.reset()
    return browser


def page_group(seed: int) -> int:
    """The number of the thirty-two seeds, from a multiple of it on, whose pages are of one kind and sharpness and are drawn at once."""
    return seed // (_COLUMNS * _ROWS)


def record_pages(seeds: Sequence[int], out: Path) -> int:
    """Draw pages of training words into a folder, a third of them of running text, a third with drawings, half at one device pixel for a
    CSS pixel and resampled; what it holds already is not drawn again. Returns how many were drawn. Raises EvalError as `read_pages` does.
    """
    out.mkdir(parents=True, exist_ok=True)
    drawn = {page["seed"] for page in read_pages(out / PAGES)}
    left = sorted({*seeds} - drawn)
    with open_browser() as sharp, open_browser(1.0) as coarse, (out / PAGES).open("ab", 0) as lines:
        for number, some in groupby(left, page_group):
            browser, scale = (coarse, 1.0) if number % 2 else (sharp, SCALE)
            kind = _RECORDED[number // 2 % len(_RECORDED)]
            for seed, image, words, things in draw(browser, list(some), training_word, scale, kind=kind):
                image.save(out / f"{seed}.png", compress_level=1)
                line = json.dumps({"seed": seed, "words": words, "things": things}) + "\n"
                lines.write(line.encode())  # at once, for other processes write there, too
    return len(left)


def read_pages(file: Path) -> Iterator[dict[str, Any]]:
    """What is known of recorded pages, as PAGES says; nothing when there is no such file, nor for a last line that was not finished.

    Raises EvalError naming the line that is no page.
    """
    with file.open("rb") if file.exists() else BytesIO() as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                page = json.loads(line)
                found = {"seed": page["seed"], "words": page["words"], "things": page.get("things", ())}
            except (ValueError, KeyError, TypeError):
                raise EvalError(f"{file}, line {number}: this is no page of words: delete the line, and its seed is drawn anew.") from None
            yield found


def cut_unfinished(file: Path) -> None:
    """Cut off a last line that an interrupted recording left unfinished. Only while nobody writes there."""
    if file.exists():
        os.truncate(file, file.read_bytes().rfind(b"\n") + 1)
