"""Scripts for MiniWoB++'s pages that ask for text: fields, dates, lists, tables, a terminal."""

from __future__ import annotations

import re

from evals.oracles.page import ORDINAL, SUBMIT, Actions, Page, Script, chosen, compared, extreme, ordinal
from evals.pages import REGION
from tools.computer import Click, Key, Type

_LABELS = {"movies": "Genre", "directed": "Director", "year": "Year|Date"}
"""How the instruction names a field, and what may stand beside it."""


def enter_text(page: Page) -> Actions:
    yield from page.click("#tt")
    yield from type_text(page)
    yield from page.click(SUBMIT)


def type_text(page: Page) -> Actions:
    text = page.said('"(.*)"')
    if "upper case" in page.instruction:
        text = text.upper()
    elif "lower case" in page.instruction:
        text = text.lower()
    yield Type(text=text)


def enter_password(page: Page) -> Actions:
    for field in ("#password", "#verify"):
        yield from page.fill(field, page.said('"(.*)"'))
    yield from page.click(SUBMIT)


def login(page: Page) -> Actions:
    """A pop-up may come when a field is clicked: cancel it, and click there again."""
    for field, text in zip(("#username", "#password"), page.told('username "(.*)" and the password "(.*)" into'), strict=True):
        yield from page.click(field, named=field[1:])
        if page.has("#popup-cancel"):
            yield from page.click("#popup-cancel")
            yield from page.click(field, named=field[1:])
        yield Type(text=text)
    yield from page.click(SUBMIT)


def _from_the_left(page: Page, text: str) -> Actions:
    """A date or time field is typed part by part, from the part that is clicked; it takes the signs between them, but no space."""
    left, top, _, bottom = page.box("#tt")
    yield Click(point=page.at(left + 8, (top + bottom) / 2))
    yield Type(text=text)
    yield from page.click(SUBMIT)


def enter_date(page: Page) -> Actions:
    yield from _from_the_left(page, page.said(r"Enter (\d+/\d+/\d+) as"))


def enter_time(page: Page) -> Actions:
    yield from _from_the_left(page, page.said(r"Enter (\d+:\d+ [AP]M) as").replace(" ", ""))


def find_word(page: Page) -> Actions:
    word = page.texts("#area p")[0].split()[ordinal(page.said(ORDINAL)) - 1]
    yield from page.fill("#answer-input", re.sub("[^a-zA-Z]", "", word))
    yield from page.click(SUBMIT)


def read_table(page: Page) -> Actions:
    yield from _from_table(page, "#tt", page.said("value of (.*) into"))
    yield from page.click(SUBMIT)


def _from_table(page: Page, field: str, key: str) -> Actions:
    yield from page.click(field)
    yield from value_of(page, key)


def value_of(page: Page, key: str) -> Actions:
    """Type what stands beside a key."""
    cells = page.texts("#tab td")
    page.named = key
    page.look("#tab td", key)
    yield Type(text=cells[cells.index(key) + 1])


def read_table_twice(page: Page) -> Actions:
    for i in (1, 2):
        yield from _from_table(page, f"#tt{i}", page.texts(f"#ll{i}")[0].rstrip(":"))
    yield from page.click(SUBMIT)


def arithmetic(page: Page) -> Actions:
    a, sign, b = page.texts("#math-problem")[0].rstrip(" =").split()
    result = {"+": int(a) + int(b), "-": int(a) - int(b), "x": int(a) * int(b)}[sign]
    yield from _solve(page, "", result)


def _solve(page: Page, rest: str, result: int) -> Actions:
    yield from page.click("#math-answer")
    page.think(page.seen("#math-problem"), *([rest] if rest else []))
    yield Type(text=str(result))
    yield from page.click(SUBMIT)


def algebra(page: Page) -> Actions:
    a, sign, b, _, result = page.texts("#math-problem")[0].split()
    yield from _solve(page, *solved(a, sign, b, int(result)))


def solved(a: str, sign: str, b: str, total: int) -> tuple[str, int]:
    """What is thought of "x + 4 = 9" and the like, and x."""
    known = int(b if a == "x" else a)
    first, way, second = (total, "-", known) if sign == "+" else (total, "+", known) if a == "x" else (known, "-", total)
    return f"so {first} {way} {second}", first + second if way == "+" else first - second


def count_blocks(page: Page) -> Actions:
    yield from page.click("#math-answer")
    numbers = [len(page.texts(f"#visual-{i} .addition-block")) for i in (1, 2)]
    page.look("#math-problem")
    page.think(" + ".join(map(str, numbers)))
    yield Type(text=str(sum(numbers)))
    yield from page.click(SUBMIT)


def captcha(page: Page) -> Actions:
    yield from page.fill("#tt", "".join(page.texts("#captcha span")))
    yield from page.click(SUBMIT)


def guess_number(page: Page) -> Actions:
    """The answer is nowhere to be read: halve what is left. A click may turn the field's own spinner, so that it is never empty."""
    low, high, guess = 0, 9, -1
    yield from page.click("#tt")
    while True:
        told = feedback(page.has("#higher"), guess)
        guess = (low + high) // 2
        yield Key(keys="ctrl+a")
        if (low, high) != (0, 9):
            page.think(page.seen("#feedback > div", words=told), bounds(low, high))
        yield Type(text=f"{guess}\n")
        low, high = (guess + 1, high) if page.has("#higher") else (low, guess - 1)


def feedback(higher: bool, guess: int) -> str:
    return f"{'higher' if higher else 'lower'} than {guess}"


def bounds(low: int, high: int) -> str:
    return f"so {low} to {high}"


def radio_and_number(page: Page) -> Actions:
    radio = page.said(f"Check the {ORDINAL} radio button")
    yield from page.click("#area input[type=radio]", nth=ordinal(radio) - 1, named=f"{radio} radio")
    yield from number_in_box(page)
    yield from page.click(SUBMIT)


def number_in_box(page: Page) -> Actions:
    number, box = page.told(f'enter the number "(.*)" into the {ORDINAL}')
    yield from page.fill("#area input[type=text]", number, nth=ordinal(box) - 1, named=f"{box} textbox")


def movie_search(page: Page) -> Actions:
    """Five layouts of the same three fields; a label stands somewhere beside its field."""
    wanted = zip(_LABELS.items(), page.told("Search for (.*) movies directed by (.*) from year (.*)[.]"), strict=True)
    rows = page.js("all('#area input[type=text]').map(e => text(e.closest('p, tr, .row, .field, .ui-entry')))")
    for (named, label), text in wanted:
        nth = next(i for i, row in enumerate(rows) if re.search(label, row))
        yield from page.fill("#area input[type=text]", text, nth, named=named)
    yield from page.click("#area button, #area .final, #area .ui-submit")


def search_engine(page: Page) -> Actions:
    query, position = page.told(f'enter "(.*)" and press .* the {ORDINAL} search result')
    yield from page.fill("#search-text", query)
    yield from page.click("#search")
    before, on_page = divmod(ordinal(position) - 1, 3)
    if before:
        page.think(place_of_result(position, turned=False))
        yield from page.click("#pagination a", str(before + 1), named=str(before + 1))
    page.think(place_of_result(position, turned=True))
    yield from page.click(".search-title", nth=on_page, named=f"number {on_page + 1}")


def place_of_result(position: str, *, turned: bool) -> str:
    """What is thought of the 5th result: its page and its place there, and which of them is next; turned: the page has been turned to."""
    before, on_page = divmod(ordinal(position) - 1, 3)
    places = f"page {before + 1}", f"number {on_page + 1}"
    return f"{position}: {', '.join(places)} {chosen(places[turned or not before])}"


def terminal(page: Page) -> Actions:
    yield from page.click("#terminal")
    yield Type(text="ls\n")
    files = page.texts(".terminal-output")[-1].split()
    ending = page.said(r"extension (\.\S+)") if "ending with" in page.instruction else ""
    yield Type(text=f"rm {next(file for file in files if (file.endswith(ending) if ending else '.' not in file))}\n")


def autocomplete(page: Page) -> Actions:
    start = page.said('starts with "(.*?)"')
    end = page.said('ends with "(.*)"') if "ends with" in page.instruction else ""
    item = next(item for item in page.js("ITEMS") if item.startswith(start) and item.endswith(end))
    yield from page.fill("#tags", start)
    while not page.has(".ui-menu-item", item):
        yield from page.hover("#tags")
    if page.box(".ui-menu-item", item)[3] > REGION[1]:  # too many begin alike: say more
        yield Type(text=item.removeprefix(start))
        while len(page.texts(".ui-menu-item")) > 1:
            yield from page.hover("#tags")
    yield from page.click(".ui-menu-item", item)
    yield from page.click(SUBMIT)


def copy_paste(page: Page) -> Actions:
    nth = page.said(ORDINAL) if re.search(ORDINAL, page.instruction) else ""
    yield from page.click("#area textarea", nth=ordinal(nth) - 1 if nth else 0, named=nth)
    yield Key(keys="ctrl+a")
    yield Key(keys="ctrl+c")
    yield from page.click("#answer-input")
    yield Key(keys="ctrl+v")
    yield from page.click(SUBMIT)


# lists, spinners, dates


def choose_list(page: Page) -> Actions:
    """A native list is opened by a click and goes to what is typed."""
    yield from page.fill("#options", page.said("Select (.*) from the list"))
    yield Key(keys="enter")
    yield from page.click("#area button")


def dropdown(page: Page) -> Actions:
    height, answer = page.told('Choose (.*) from the dropdown, then click the button labeled "(.*)"')
    yield from page.click(".selectric")
    yield from height_in_list(page, height)
    yield from page.click("#buttons button", answer)


def height_in_list(page: Page, height: str) -> Actions:
    yield from page.click(".selectric-items li", height)


def spinner(page: Page) -> Actions:
    yield from page.click("#spinner", named=page.said(r"Select (-?\d+) with"))
    yield from turn(page)


def turn(page: Page) -> Actions:
    """Once and again, until it shows the number."""
    number = page.said(r"Select (-?\d+) with")
    while True:
        shown = page.seen("#spinner")
        page.think(shown, compared(int(shown.words), int(number)))
        if shown.words == number:
            break
        yield Key(keys="up" if int(shown.words) < int(number) else "down")
    yield from page.click(SUBMIT)


def month_beside(month: int, away: int, date: str) -> str:
    """What is thought of a month that is so many before (negative) or behind that of a date, month first."""
    wanted, day, _ = date.split("/")
    return f"{month:02d} {compared(away, 0, wanted)} {chosen('back' if away > 0 else 'on' if away else str(int(day)))}"


def pick_date(page: Page, date: str) -> Actions:
    """In the open calendar of jQuery UI: turn the months one by one until the right one is there, then click the day."""
    month, day, year = (int(part) for part in date.split("/"))
    while not page.has(".ui-datepicker-calendar td a"):
        yield from page.hover("#query")
    while True:
        drawn = page.js("(d => d.drawYear * 12 + d.drawMonth)($.datepicker._curInst)")
        away = year * 12 + month - 1 - drawn
        page.think(page.seen(".ui-datepicker-month"), month_beside(drawn % 12 + 1, -away, date))
        if not away:
            break
        way, named = ("next", "on") if away > 0 else ("prev", "back")
        yield from page.click(f".ui-datepicker-{way}", named=named)
    yield from page.click(".ui-datepicker-calendar td a", str(day), named=str(day))


def choose_date(page: Page) -> Actions:
    yield from page.click("#datepicker")
    yield from pick_date(page, page.said(r"(\d+/\d+/\d+)"))
    yield from page.click(SUBMIT)


def book_flight(page: Page) -> Actions:
    which, start, goal, date = page.told(r"Book the (.*) one-way flight from: (.*) to: (.*) on (.*)\.")
    for field, place in (("#flight-from", start), ("#flight-to", goal)):
        name = next(name for name in page.js("DOMESTIC_FLIGHTS") if place in re.split(r" \(|\)", name))
        yield from page.fill(field, name)
        while not page.has(".ui-menu-item", name):
            yield from page.hover(field)
        yield from page.click(".ui-menu-item", name)
    yield from page.click("#datepicker")
    yield from pick_date(page, date)
    yield from page.click("#search")
    best = extreme(page, ".flight-price" if which == "cheapest" else ".time-duration", least=True)
    yield from page.click(".flight-price", nth=best.nth, named=best.words)


_HEX = "(ui_utils.colorNameToHex(given[0]) || given[0]).replace('#', '')"
_QUERY_COLOR = "(e => e.getAttribute('style').split('#')[1])(document.querySelector('#query .cc'))"


def color_wheel(page: Page) -> Actions:
    """The field takes the colour's hexadecimal code; a click beside it closes the picker, which covers the button."""
    code = page.js(_QUERY_COLOR) if page.has("#query .cc") else page.js(_HEX, page.said("Select (.*) with the color picker"))
    yield from page.click("#col")
    yield Key(keys="ctrl+a")
    if page.has("#query .cc"):
        page.look("#query .cc")
    else:
        page.named = page.said("Select (.*) with the color picker")
    yield Type(text=code)
    yield from page.click("#query")
    yield from page.click(SUBMIT)


SCRIPTS: dict[str, Script] = {
    "book-flight": book_flight,
    "book-flight-nodelay": book_flight,
    "choose-date": choose_date,
    "choose-date-easy": choose_date,
    "choose-date-medium": choose_date,
    "choose-date-nodelay": choose_date,
    "choose-list": choose_list,
    "copy-paste": copy_paste,
    "copy-paste-2": copy_paste,
    "enter-date": enter_date,
    "enter-password": enter_password,
    "enter-text": enter_text,
    "enter-text-2": enter_text,
    "enter-text-dynamic": enter_text,
    "enter-time": enter_time,
    "find-word": find_word,
    "form-sequence-2": radio_and_number,
    "form-sequence-3": dropdown,
    "guess-number": guess_number,
    "login-user": login,
    "login-user-popup": login,
    "multi-layouts": movie_search,
    "multi-orderings": movie_search,
    "read-table": read_table,
    "read-table-2": read_table_twice,
    "search-engine": search_engine,
    "simple-algebra": algebra,
    "simple-arithmetic": arithmetic,
    "terminal": terminal,
    "text-transform": captcha,
    "use-autocomplete": autocomplete,
    "use-autocomplete-nodelay": autocomplete,
    "use-colorwheel": color_wheel,
    "use-colorwheel-2": color_wheel,
    "use-spinner": spinner,
    "visual-addition": count_blocks,
}
