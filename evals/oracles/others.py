"""What else could have been asked for on the pages of some tasks: other instructions for the same screen, and scripts that answer them.

One screenshot teaches several answers so, and that it is the instruction that tells which. The scripts are those that look at the page
alone, whatever was done before, or the part of one that goes on from there.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from functools import partial

from evals.drawings import ORDINALS
from evals.oracles import clicks, drags, forms, lists
from evals.oracles.page import ORDINAL, Others, Page, Script

_NAMES = "ui_utils.PEOPLE_NAMES"


def _some(rng: random.Random, found: Iterable[str], most: int) -> list[str]:
    """Of those that are there once."""
    listed = list(found)
    once = [one for one in listed if listed.count(one) == 1]
    return rng.sample(once, min(most, len(once)))


def _quoting(page: Page, text: str) -> str:
    return re.sub('"(.*)"', lambda _: f'"{text}"', page.instruction)


TICKETS = "cheapest cost", "shortest duration", "longest duration", "most expensive cost"


def buy(best: str) -> str:
    return f"Buy the ticket with the {best}."


def generate(kind: str) -> str:
    return f"Generate {kind}, then press submit."


CONTACTS = "phone number", "email", "address"


def contact(name: str, what: str) -> str:
    return f"Find {name} in the contact book and click on their {what}."


def resize(side: str, way: str) -> str:
    return f"Resize the textarea so that the {side} is {way} than its initial size then press Submit."


def _links(script: Script, elsewhere: bool, page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """elsewhere: whether links may be on a part of the page that is not shown, so that one may be asked for that is not here."""
    asked, links = page.said('"(.*)"'), page.texts(".alink")
    for link in _some(rng, (link for link in links if link != asked), 2):
        yield _quoting(page, link), script
    if elsewhere:
        said = re.findall(r"\w+[.,]?", page.js("document.querySelector('#area').innerText"))
        for word in _some(rng, (word for word in said if word not in (*links, asked, "Tab", "Section") and word[0].isalpha()), 1):
            yield _quoting(page, word), script


def _shapes(start: str, end: str, script: Script, page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """The page's own descriptions, of shapes that are there; of a count that has a button."""
    counts = page.texts("#count-buttons button")
    for _ in range(12):
        description = str(page.js("shapes.sampleDesc().text"))
        found = clicks.matching(page, description)
        if found if not counts else str(len(found)) in counts and (found or rng.random() < 0.3):
            yield f"{start}{description}{end}", script


def _dates(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """In an open calendar."""
    if page.has(".ui-datepicker-calendar td a"):
        shown = int(page.js("$.datepicker._curInst.drawMonth")) + 1
        for month in (shown, rng.randint(1, 12)):
            date = f"{month:02d}/{rng.randint(1, 28):02d}/2016"
            yield re.sub(r"\d+/\d+/\d+", date, page.instruction), partial(forms.pick_date, date=date)


def _numbers(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    kinds = ["an odd number", "an even number", *(f"a number {than} than {rng.randint(2, 8)}" for than in ("less", "greater"))]
    for kind in rng.sample(kinds, 3):
        yield generate(kind), clicks.generate_number


def _spun(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Once the spinner has the keyboard."""
    if page.js("document.activeElement.id") == "spinner":
        shown = int(page.js("document.querySelector('#spinner').value"))
        for number in {shown, rng.randint(-10, 9), shown + rng.choice((-1, 1))}:
            yield re.sub(r"-?\d+", str(number), page.instruction), forms.turn


def _contacts(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    here = page.texts("#contact .name")[0]
    for name in (here, str(rng.choice(page.js(_NAMES)))):
        yield contact(name, rng.choice(CONTACTS)), lists.phone_book


def _tickets(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    for best in rng.sample(TICKETS, 2):
        yield buy(best), clicks.buy_ticket


def _places(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    names = page.texts("#sortable li")
    for name in _some(rng, names, 3):
        at = names.index(name)
        goals = drags.places(at, len(names))
        goal = rng.choice([goal for goal, place in goals.items() if 0 <= place < len(names) and place != at])
        yield f"Drag {name} {goal}.", drags.drag_items


def _mails(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """As long as the list of all is there."""
    for sender in _some(rng, page.texts("#main .email-sender"), 2):
        one, what = str(rng.choice(page.js(_NAMES))), rng.choice(("reply", "forward", "delete", "star"))
        told = {
            "reply": f'reply to them with the text "{one}."', "forward": f"forward that email to {one}.",
            "delete": "click the trash icon to delete it.", "star": "click the star icon to mark it as important.",
        }  # fmt: skip
        yield f"Find the email by {sender} and {told[what]}", lists.mail


def _senders(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """The same wording with the name of another sender, as long as the list of all is there."""
    sender = str(page.js("core.currentFields.by"))
    for other in _some(rng, (name for name in page.texts("#main .email-sender") if name != sender), 3):
        if sender in page.instruction:
            yield page.instruction.replace(sender, other), partial(lists.mail, by=other)


def _posts(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Before anything was clicked."""
    if not page.js("document.querySelectorAll('.controls ul:not(.hide)').length"):
        for user in _some(rng, page.texts(".username"), 2):
            action = rng.choice(("Reply", "Retweet", "Like", *lists.IN_MENU))
            yield f'For the user {user}, click on the "{action}" button.', lists.one_post


def _listed(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Before anything was chosen."""
    if not page.js("document.querySelector('#options').selectedOptions.length"):
        for name in _some(rng, page.texts("#options option"), 2):
            yield f"Select {name} from the scroll list and click Submit.", lists.choose_from_list


def _slices(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    for label in _some(rng, page.texts("#divWheel [id*=-title-]"), 3):
        yield _quoting(page, label), clicks.slice_of_pie


def _widgets(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    asked = page.said('"(.*)"')
    for kind in sorted({*page.js("all('#area [data-type]').map(e => e.dataset.type)")} - {asked}):
        yield _quoting(page, kind), clicks.widget


def _keys(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Once the field has the keyboard, and nothing in it."""
    if page.js("document.activeElement.id === 'tt' && !document.activeElement.value"):
        for key in _some(rng, page.texts("#tab td:first-child"), 2):
            yield f"Enter the value of {key} into the text field and press Submit.", partial(forms.value_of, key=key)


def _ordinals(page: Page, before: str, script: Script) -> Iterator[tuple[str, Script]]:
    """The others of three instead of the one that is said behind some words."""
    told = (re.sub(f"(?<={before} ){ORDINAL}", ORDINALS[place], page.instruction) for place in range(3))
    yield from ((instruction, script) for instruction in told if instruction != page.instruction)


def _paragraphs(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """As long as none is highlighted."""
    if not page.js("String(getSelection())"):
        yield from _ordinals(page, "text in the", drags.highlight_paragraph)


def _sizes(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Before it was resized."""
    if not page.js("$('#tt').resizable('instance').originalSize"):
        for side, way in rng.sample([(side, way) for side in ("width", "height") for way in ("larger", "smaller")], 3):
            yield resize(side, way), drags.resize_textarea


def _boxes(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Which radio button, or, once one is chosen, into which of the boxes, none of which has been clicked."""
    if not page.has("#area input[type=radio]:checked"):
        yield from _ordinals(page, "Check the", forms.radio_and_number)
    elif not page.has("#area input[type=text]:focus"):
        yield from _ordinals(page, "into the", forms.number_in_box)


def _cases(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """Once the field has the keyboard, and nothing in it."""
    if page.js("document.activeElement.id === 'tt' && !document.activeElement.value"):
        for case in ("upper", "lower", rng.choice(("upper", "lower"))):
            name = str(rng.choice(page.js(_NAMES)))
            shown = rng.choice((name.upper(), name.lower()))
            yield f'Type "{shown}" in all {case} case letters in the text input and press Submit.', forms.type_text


def _heights(page: Page, rng: random.Random) -> Iterator[tuple[str, Script]]:
    """In the open list."""
    for height in _some(rng, page.texts(".selectric-items li"), 3):
        yield re.sub("Choose (.*) from", f"Choose {height} from", page.instruction), partial(forms.height_in_list, height=height)


OTHERS: dict[str, Others] = {
    "buy-ticket": _tickets,
    **dict.fromkeys(("choose-date", "choose-date-easy", "choose-date-medium", "choose-date-nodelay"), _dates),
    **dict.fromkeys(("click-collapsible-2", "click-collapsible-2-nodelay"), partial(_links, clicks.collapsible_link, True)),
    "click-link": partial(_links, clicks.quoted(".alink"), False),
    **dict.fromkeys(("click-pie", "click-pie-nodelay"), _slices),
    "click-scroll-list": _listed,
    "click-shape": partial(_shapes, "Click on a ", "", clicks.click_shape),
    **dict.fromkeys((f"click-tab-2{more}" for more in ("", "-easy", "-hard")), partial(_links, clicks.tab_link, True)),
    "click-tab-2-medium": partial(_links, clicks.tab_link, False),
    "click-widget": _widgets,
    "count-shape": partial(_shapes, "How many ", "s are there?", clicks.count_shape),
    "drag-items": _places,
    **dict.fromkeys((f"email-inbox{more}" for more in ("", "-delete", "-important", "-reply", "-star-reply")), _mails),
    **dict.fromkeys((f"email-inbox-{more}" for more in ("forward-nl", "forward-nl-turk", "nl-turk")), _senders),
    "enter-text-2": _cases,
    "form-sequence-2": _boxes,
    "form-sequence-3": _heights,
    "generate-number": _numbers,
    "highlight-text-2": _paragraphs,
    "phone-book": _contacts,
    "read-table": _keys,
    "resize-textarea": _sizes,
    "social-media": _posts,
    "use-spinner": _spun,
}
