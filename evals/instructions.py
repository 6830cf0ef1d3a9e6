"""Made-up instructions: to type what they name, to click what stands on the screen, one after the other.

Real tasks ask for this in a few hundred wordings; these, of random words, teach to find the names in any.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from string import ascii_letters, digits

from agent.prompts.compact import compact_text
from evals.screen_words import miss
from evals.word_pages import training_word, word
from evals.words import held_out
from model.examples import Question, Touched
from tools import compact_actions
from tools.base import Thousandths
from tools.computer import Click, Type
from tools.control import Done

ACTIONS = compact_actions()


def copying(rng: random.Random) -> Question:
    """A made-up instruction that names what is to be typed, the clicks and texts up to one of its fields, and the text of that field; of
    CASES of them, a word in capitals or in small letters."""
    if rng.random() < CASES:
        return _in_one_case(rng)
    values = [_value(rng) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    mark = "" if not any(" " in value for value in values) and rng.random() < 0.5 else rng.choice(('"', '"', "'"))
    named = [f"{_field(rng)} {mark}{value}{mark}" for value in values]
    before = f"{rng.choice(('Enter', 'Type', 'Write', 'Fill in', 'Search for'))} the" if rng.random() < 0.7 else _some(rng)
    after = f"{rng.choice((' ', ', ')) if mark else '. '}{_some(rng)}" if rng.random() < 0.6 else ""
    chosen, history = rng.randrange(len(values)), list[str]()
    for value in values[: chosen + 1]:
        history += [somewhere(rng), ACTIONS.render(Type(text=value))]
    return Question(compact_text(f"{before} {' and the '.join(named)}{after}.", history[:-1]), history[-1], tag="copy")


CASES = 0.15
"""The share of made-up instructions to type that ask for capitals, or for none."""


def _in_one_case(rng: random.Random) -> Question:
    """A made-up instruction to type a word in capitals, or in small letters."""
    made, capitals = word(rng, training_word), rng.random() < 0.5
    kind = rng.choice(("upper case", "capital") if capitals else ("lower case", "small"))
    mark, where = rng.choice(('"', '"', "'", "")), rng.choice((" in the text input", " in the field", ""))
    verb, every = rng.choice(("Type", "Enter", "Write")), rng.choice(("", "all "))
    task = f"{verb} {mark}{made}{mark} in {every}{kind} letters{where}{rng.choice(_MORE)}."
    typed = ACTIONS.render(Type(text=made.upper() if capitals else made.lower()))
    return Question(compact_text(task, [somewhere(rng)]), typed, tag="copy")


_ASKED = ("Click", "Click on", "Press", "Select", "Choose", "Open", "Find", "Tick", "Switch to", "Find and click on")
_CONTROL = ("", "", "the button ", "the link ", "the tab ", "the item named ", "the box ", "the ", "on ")
_MORE = " and click Submit", " and press the button"
_AND = ("", "", " button", " link", *_MORE, " tab", " folder")
MISSES = 0.25
"""The share of made-up instructions with a click that missed."""


def clicking(rng: random.Random, found: Sequence[Question], size: tuple[int, int]) -> Question:
    """A made-up instruction that names one to four of the words that `found` asks for, clicks on the first of them, on none or on all, now
    and then one that missed the next, and the click on the next, or that it is done. size: of the screenshot, pixels."""
    chosen = rng.sample(found, min(len(found), rng.choice((1, 1, 1, 2, 3, 4))))
    mark = rng.choice(('"', '"', '"', "'", ""))
    named = [f"{mark}{one.sought}{mark}" for one in chosen]
    before = f"{rng.choice(_ASKED)} {rng.choice(_CONTROL)}" if rng.random() < 0.7 or not mark else f"{_some(rng)} "
    after = rng.choice(_AND) if rng.random() < 0.7 or not mark else f"{rng.choice((' ', ', '))}{_some(rng)}"
    task = f"{before}{rng.choice((', ', ', ', ' and ', ', then click ')).join(named)}{after}."
    clicked = rng.randrange(len(chosen) + (after not in _MORE))
    history = [one.reply for one in chosen[:clicked]]  # a batch draws their points anew (Touched)
    past = [Touched(one.sought, one.targets[0]) for one in chosen[:clicked]]
    if clicked == len(chosen):
        return Question(compact_text(task, history), ACTIONS.render(Done()), (), "over", past=tuple(past))
    wanted, others = chosen[clicked], [one.targets[0] for one in found]
    if rng.random() < MISSES and (missed := miss(rng, [one.targets[0] for one in chosen], size, others)):
        history, past = [*history, missed], [*past, Touched()]
    return Question(compact_text(task, history), wanted.reply, wanted.targets, "told", sought=named[clicked], past=tuple(past))


def _some(rng: random.Random, most: int = 5) -> str:
    return " ".join(word(rng, training_word) for _ in range(rng.randint(1, most)))


def _field(rng: random.Random) -> str:
    return rng.choice(("name", "username", "password", "city", "date", "text", "word")) if rng.random() < 0.5 else _some(rng, 1)


def _value(rng: random.Random) -> str:
    """What is to be typed; no word of it is kept from training."""
    made = _any_value(rng)
    again = random.Random(made)  # a chance of its own: what is drawn after this stays what it was
    while any(map(held_out, made.split())):
        made = _any_value(again)
    return made


def _any_value(rng: random.Random) -> str:
    """One to three words, a sentence, letters and digits by chance, a date, a time, a name of a file, or digits."""
    kind = rng.random()
    if kind < 0.45:
        return _some(rng, rng.choice((1, 1, 3)))
    if kind < 0.65:
        return _sentence(rng)
    if kind < 0.87:
        return "".join(rng.choices(ascii_letters + digits, k=rng.randint(2, 8)))
    one, two, three = (rng.randint(0, 99) for _ in range(3))
    made = (f"{one:02}/{two:02}/20{three:02}", f"{one % 12 + 1}:{two:02} PM", f"{one}-{two}", f".{_some(rng, 1)}", f"{_some(rng, 1)}.{one}")
    return rng.choice(made)


def _sentence(rng: random.Random) -> str:
    """A few words of a few letters, some of them twice: what comes next is told by more than the word before."""
    few = [word(rng, training_word).lower()[: rng.randint(2, 7)] for _ in range(4)]
    words = [rng.choice(few) + rng.choice(("", "", "", ",", ".")) for _ in range(rng.randint(2, 4))]
    return " ".join(words).rstrip(",.").capitalize() + "."


def somewhere(rng: random.Random) -> str:
    """A click on any place, as it is written."""
    return ACTIONS.render(Click(point=Thousandths(rng.randint(0, 999), rng.randint(0, 999))))
