"""What is thought of made-up sights: comparisons, sums and choices that need no screen, to be learned from many more than pages show; and
what is copied from made-up instructions (evals/instructions.py), which needs none either.

The words that would be read off the screen are given, and what follows from them and the instruction is learned; the texts are those of the
tasks (evals/oracles), and so is the wording, which comes from the scripts themselves.
"""

from __future__ import annotations

import calendar
import random
from collections.abc import Callable, Sequence

from agent.prompts.compact import compact_reply, compact_text
from evals.drawings import ORDINALS
from evals.instructions import copying, somewhere
from evals.oracles.clicks import card, judged
from evals.oracles.drags import resizing
from evals.oracles.forms import bounds, feedback, month_beside, place_of_result, solved
from evals.oracles.lists import same
from evals.oracles.others import CONTACTS, TICKETS, buy, contact, generate, resize
from evals.oracles.page import chosen, compared, parity
from evals.word_pages import training_word, word
from model.examples import Question
from tools import compact_actions
from tools.base import Tool
from tools.computer import Key, Type

ACTIONS = compact_actions()


def drill(rng: random.Random) -> Question:
    """One of them, by chance."""
    return rng.choice(_DRILLS)(rng)


def _question(task: str, history: Sequence[str], seen: str, rest: str, action: Tool | None = None) -> Question:
    """seen: what of the thought is given, rest: what follows from it; action: what is done then, None where a screen would have to tell."""
    thought = compact_reply(f"{seen} {rest}".strip(), "")
    reply = thought + (ACTIONS.render(action) if action else "")
    given = len(compact_reply(seen, "").rstrip("\n")) if seen else 0
    return Question(compact_text(task, history), reply, tag="drill", thought=thought, given=given)


def _near(rng: random.Random, number: int, low: int, high: int) -> int:
    """The number itself, one beside it, or any."""
    return min(high, max(low, rng.choice((number, number - 1, number + 1, *(rng.randint(low, high) for _ in range(4))))))


def _month(rng: random.Random) -> Question:
    """After months that were turned to one by one, if need be too far: what was thought of them is not to be said again."""
    month = rng.randint(1, 12)
    shown, first, date = _near(rng, month, 1, 12), rng.choice((12, rng.randint(1, 12))), f"{month:02d}/{rng.randint(1, 28):02d}/2016"
    before = range(first, shown, 1 if first < shown else -1)
    turned = (f"{calendar.month_name[one]} {month_beside(one, first - shown, date)}" for one in before)
    history = [somewhere(rng), *(compact_reply(thought, somewhere(rng)) for thought in turned)]
    rest = month_beside(shown, shown - month, date)
    return _question(f"Select {date} as the date and hit submit.", history, calendar.month_name[shown], rest)


def _spinner(rng: random.Random) -> Question:
    """After turns from 0 on, if need be too far."""
    number, history = rng.randint(-10, 9), [somewhere(rng)]
    shown = _near(rng, number, -10, 9)
    for one in range(0, shown, 1 if shown > 0 else -1):
        key = ACTIONS.render(Key(keys="up" if shown > 0 else "down"))
        history.append(compact_reply(f"{one} {compared(0, shown, str(number))}", key))
    turn = None if shown == number else Key(keys="up" if shown < number else "down")
    return _question(f"Select {number} with the spinner and hit Submit.", history, str(shown), compared(shown, number), turn)


def _generated(rng: random.Random) -> Question:
    limit, kind = rng.randint(0, 9), rng.choice(("odd", "even", "less", "greater"))
    shown = str(_near(rng, limit, 0, 10)) if rng.random() < 0.9 else "-"
    task = generate(f"a number {kind} than {limit}" if kind in ("less", "greater") else f"an {kind} number")
    thrown = [(number, *judged(task, number)) for number in map(str, rng.choices(range(11), k=rng.randint(0, 4)))]
    history = [somewhere(rng), *(compact_reply(f"{number} {said}", somewhere(rng)) for number, said, right in thrown if not right)]
    return _question(task, history, shown, judged(task, shown)[0])


def _odd(rng: random.Random) -> Question:
    shown = rng.randint(-10, 10)
    return _question("Mark the numbers below as odd or even and press submit when done.", [], str(shown), parity(shown))


def _sum(rng: random.Random) -> Question:
    a, b, sign = rng.randint(0, 10), rng.randint(0, 10), rng.choice("+-x")
    result = {"+": a + b, "-": a - b, "x": a * b}[sign]
    task = "Solve the math problem and type your answer into the textbox. Press submit when done."
    return _question(task, [somewhere(rng)], f"{a} {sign} {b} =", "", Type(text=str(result)))


def _equation(rng: random.Random) -> Question:
    known, sign, total = str(rng.randint(0, 9)), rng.choice("+-"), rng.randint(0, 99)
    a, b = ("x", known) if rng.random() < 0.5 else (known, "x")
    rest, x = solved(a, sign, b, total)
    task = "Solve for x and type your answer into the textbox. Press Submit when done."
    return _question(task, [somewhere(rng)], f"{a} {sign} {b} = {total}", rest, Type(text=str(x)))


def _blocks(rng: random.Random) -> Question:
    a, b = rng.randint(1, 10), rng.randint(1, 10)
    task = "Type the total number of blocks into the textbox and press Submit."
    return _question(task, [somewhere(rng)], f"{a} + {b}", "", Type(text=str(a + b)))


def _guess(rng: random.Random) -> Question:
    low, high, number = 0, 9, rng.randint(0, 9)
    history, seen, rest = [somewhere(rng)], "", ""
    stop = rng.randint(1, 3)
    for turn in range(stop + 1):
        guess = (low + high) // 2
        history.append(ACTIONS.render(Key(keys="ctrl+a")))
        if turn == stop or guess == number:
            break
        history.append(compact_reply(f"{seen} {rest}".strip(), ACTIONS.render(Type(text=f"{guess}\n"))))
        seen = feedback(number > guess, guess)
        low, high = (guess + 1, high) if number > guess else (low, guess - 1)
        rest = bounds(low, high)
    task = "Guess the number between 0-9 and press Submit. Use the feedback below to find the right number."
    return _question(task, history, seen, rest, Type(text=f"{guess}\n"))


def _tickets(rng: random.Random) -> Question:
    best = rng.choice(TICKETS)
    values = rng.sample(range(50, 2000) if "cost" in best else range(60, 1440), 4)
    shown = [f"${value}" if "cost" in best else f"{value // 60}h {value % 60}m" for value in values]
    extreme = (min if best.startswith(("cheapest", "shortest")) else max)(values)
    return _question(buy(best), [], " ".join(shown), chosen(shown[values.index(extreme)]))


def _contact(rng: random.Random) -> Question:
    asked, other = (word(rng, training_word).capitalize() for _ in range(2))
    shown = asked if rng.random() < 0.5 else asked[0] + other[1:] if rng.random() < 0.3 else other
    what, others = rng.choice(CONTACTS), (word(rng, training_word).capitalize() for _ in range(rng.randint(0, 3)))
    history = [compact_reply(f"{name} {same(False)}", somewhere(rng)) for name in others]
    return _question(contact(asked, what), history, shown, same(shown == asked, what.split()[0]))


def _cards(rng: random.Random) -> Question:
    cards, turned, best = rng.sample(range(26), 3), rng.randint(1, 3), 0
    history, seen, rest = list[str](), "", ""
    for nth in range(turned):
        call = somewhere(rng)
        history.append(compact_reply(f"{seen} {rest}".strip(), call))
        best = max(best, nth, key=lambda at: cards[at])
        seen, rest = str(cards[nth]), card(nth, best, str(cards[best]))
    return _question("Find and pick the card with the greatest number, then press submit.", history, seen, rest)


def _resized(rng: random.Random) -> Question:
    task = resize(rng.choice(("height", "width")), rng.choice(("larger", "smaller")))
    return _question(task, [], "", chosen(resizing(task)))


def _result(rng: random.Random) -> Question:
    position, name = rng.randint(1, 9), word(rng, training_word).capitalize()
    told = ORDINALS[position - 1]
    history = [somewhere(rng), ACTIONS.render(Type(text=name)), somewhere(rng)]
    if turned := position > 3 and rng.random() < 0.5:
        history.append(compact_reply(place_of_result(told, turned=False), somewhere(rng)))
    task = f'Use the textbox to enter "{name}" and press "Search", then find and click the {told} search result.'
    return _question(task, history, "", place_of_result(told, turned=turned))


_DRILLS: tuple[Callable[[random.Random], Question], ...] = (
    _month, _month, _spinner, _spinner, _generated, _generated, _odd, _sum, _equation, _blocks, _guess, _tickets, _contact, _cards, _result,
    _resized, *[copying] * 8,
)  # fmt: skip
"""Some come up more often, as more of the tasks need them; copying what an instruction names, the most."""
