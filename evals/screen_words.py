"""What the words on a screen teach: where each stands, what stands at a place, and which of them an instruction means.

Words are as labels have them: [text, [left, top, right, bottom], [column of each letter's centre]], in pixels of the screenshot.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from typing import Any

from agent.prompts.compact import find_text
from evals.words import bare, held_out
from model.examples import Question
from model.labels import Rectangle, Word
from tools import compact_actions
from tools.base import Thousandths
from tools.computer import Click, Type

ACTIONS = compact_actions()


def letters(words: Sequence[Any]) -> tuple[Word, ...]:
    """Words as labels have them, as what can be read."""
    return tuple(Word(text, tuple(columns), (box[1] + box[3]) / 2) for text, box, columns in words)


def standing(text: str, words: Sequence[Any]) -> Word | None:
    """Where a text of one or more words stands, on one line and once; None when it does not."""
    parts, places = text.split(" "), list[Word]()
    for start in range(len(words) - len(parts) + 1):
        chosen = words[start : start + len(parts)]
        if all(part and part in word and bare(part) == bare(word) for part, (word, _, _) in zip(parts, chosen, strict=True)):
            columns, rows = list[float](), {round((box[1] + box[3]) / 2) for _, box, _ in chosen}
            for part, (word, _, of_letters) in zip(parts, chosen, strict=True):
                at = word.index(part)
                columns += [*([columns[-1] + 4] if columns else []), *of_letters[at : at + len(part)]]  # 4: into the space
            if max(rows) - min(rows) <= 2:
                places.append(Word(text, tuple(columns), min(rows)))
    places = places or list(_letter_by_letter(text, words))
    return places[0] if len(places) == 1 else None


def _letter_by_letter(text: str, words: Sequence[Any]) -> Iterator[Word]:
    """Where a text stands as neighbours that are each one letter of it, as in a captcha, more or less on one line."""
    for start in range(len(words) - len(text) + 1) if len(text) > 1 else ():
        chosen = words[start : start + len(text)]
        rows = [(box[1] + box[3]) / 2 for _, box, _ in chosen]
        if [shown for shown, _, _ in chosen] == list(text) and max(rows) - min(rows) <= 14:
            yield Word(text, tuple(column for _, _, columns in chosen for column in columns), sum(rows) / len(rows))


def readings(words: Sequence[Any], size: tuple[int, int], tag: str = "find") -> tuple[Question, ...]:
    """`find "word"` for every word that stands on the screen once, `find "two words"` for some neighbours, `read [x,y]` for every fourth
    word that is not too long to be typed; of words kept from training with the tag "unseen"."""
    return (*finds(words, size, tag), *_reads(words, size), *_phrases(words, size))


def finds(words: Sequence[Any], size: tuple[int, int], tag: str = "find") -> list[Question]:
    """`find "word"` for every one of these words that is among them once; of a word kept from training, with the tag "unseen"."""
    bares = [bare(text) for text, _, _ in words]
    times = Counter(shown.lower() for shown in bares)
    return [
        Question(find_text(shown), ACTIONS.render(centre(box, size)), (tuple(box),), "unseen" if held_out(shown) else tag, sought=shown)
        for shown, (_, box, _) in zip(bares, words, strict=True)
        if len(shown) > 1 and times[shown.lower()] == 1
    ]


def _reads(words: Sequence[Any], size: tuple[int, int]) -> Iterator[Question]:
    for text, box, columns in words[::4]:
        shown, point = bare(text), centre(box, size).point
        if 1 < len(shown) <= 16:
            first = text.index(shown)
            letter = Word(shown, tuple(columns[first : first + len(shown)]), (box[1] + box[3]) / 2)
            tag = "unseen" if held_out(shown) else "read"
            yield Question(f"read [{point.x},{point.y}]", ACTIONS.render(Type(text=shown)), (), tag, letter)


def centre(box: Sequence[float], size: tuple[int, int]) -> Click:
    """The click in the middle of a box on a screenshot of a size."""
    return Click(point=Thousandths.of((int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)), size))


def miss(rng: random.Random, boxes: Sequence[Rectangle], size: tuple[int, int], others: Sequence[Rectangle] = ()) -> str | None:
    """A click on one of the others, or anywhere; None where chance put it within 8 pixels of one of the boxes."""
    if others and rng.random() < 0.5:
        left, top, right, bottom = rng.choice(others)
    else:
        left, top, right, bottom = 0, 0, *size
    x, y = rng.uniform(left, right), rng.uniform(top, bottom)
    if any(left - 8 <= x <= right + 8 and top - 8 <= y <= bottom + 8 for left, top, right, bottom in boxes):
        return None
    return ACTIONS.render(centre((x, y, x, y), size))


def _phrases(words: Sequence[Any], size: tuple[int, int]) -> Iterator[Question]:
    """`find "two words"` for neighbours on a line, now and then."""
    for (first, a, _), (second, b, _) in list(pairwise(words))[::3]:
        beside = abs(a[1] - b[1]) < 3 and 0 < b[0] - a[2] < 12
        if beside and not held_out(first) and not held_out(second):
            box, asked = (a[0], min(a[1], b[1]), b[2], max(a[3], b[3])), f"{first} {bare(second)}"
            yield Question(find_text(asked), ACTIONS.render(centre(box, size)), (box,), "phrase", sought=asked)


def named(task: str, target: Rectangle, words: Sequence[Any]) -> tuple[str, Rectangle | None]:
    """What of an instruction names a target, as it stands there: the longest run of words that stands on the target too; or else in its
    row, and then where it stands there; or else the day of a date."""
    left, top, right, bottom = target
    on = [word for word in words if word[1][0] < right and word[1][2] > left and top <= (word[1][1] + word[1][3]) / 2 <= bottom]
    row = [word for word in words if top - 4 <= (word[1][1] + word[1][3]) / 2 <= bottom + 4]
    told = re.split(r"[\s>]+", task)  # the levels of a menu have ">" between them
    run, _ = _common_run(told, [text for text, *_ in on])
    if run:
        return " ".join(told[i] for i in run), None
    if day := next((day for text, *_ in on for day in _DAY.findall(task) if text.isdecimal() and int(text) == int(day)), None):
        return day, None
    run, at = _common_run(told, [text for text, *_ in row])
    sides = list(zip(*(box for _, box, _ in row[at : at + len(run)]), strict=True))
    beside = (min(sides[0]), min(sides[1]), max(sides[2]), max(sides[3])) if run else None
    return " ".join(told[i] for i in run), beside


_DAY = re.compile(r"\b\d{1,2}/(\d{1,2})/\d{4}\b")
"""Of a date, the month first."""
_SMALL = frozenset(("a", "an", "and", "by", "click", "for", "from", "in", "is", "of", "on", "or", "the", "to", "with"))
"""Words that name nothing, unless they are in quotes."""


def _common_run(told: Sequence[str], shown: Sequence[str]) -> tuple[range, int]:
    """The longest run of words of an instruction that stands among others in the same order, whatever the signs around the words, and where
    it begins among them; no run of small words alone."""
    a, b = ([bare(word).lower() for word in words] for words in (told, shown))
    best, at = range(0), 0
    for start in range(len(a)):
        for other in range(len(b)):
            same = takewhile(lambda pair: pair[0] == pair[1] != "", zip(a[start:], b[other:], strict=False))
            run = range(start, start + len(list(same)))
            if len(run) > len(best) and any(a[i] not in _SMALL or told[i] != bare(told[i]) for i in run):
                best, at = run, other
    return best, at
