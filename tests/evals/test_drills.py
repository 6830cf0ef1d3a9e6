"""Drills say what is so, and only what follows from what is given is learned."""

import random
import re
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evals.drills import drill
from model import embedded_path
from model.batches import BatchBuilder
from model.examples import Example
from model.small import PREPROCESSOR
from model.tokens import Tokens
from model.vision import Preprocessor

SEEDS = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("drills") / "blank.png"
    Image.new("RGB", (56, 84)).save(image)
    return image


@given(SEEDS)
def test_what_is_thought_of_made_up_sights_is_so(seed: int) -> None:
    question = drill(random.Random(seed))
    asked, thought, reply = question.text.split("\n")[0], question.thought.removeprefix("# ").rstrip("\n"), question.reply
    if found := re.fullmatch(r"(\w+) (\d\d) (over|under|is) (\d\d) so (\w+)", thought):
        month, day = map(int, asked.split()[1].split("/")[:2])
        assert datetime.strptime(found[1], "%B").month == int(found[2])
        assert month == int(found[4])
        assert found[5] == {"over": "back", "under": "on", "is": str(day)}[found[3]]
    if found := re.search(r"(-?\d+) (over|under|is) (-?\d+)( so \w+)?$", thought):
        assert found[2] == ("over" if int(found[1]) > int(found[3]) else "under" if int(found[1]) < int(found[3]) else "is")
    if found := re.match(r"(-?\d+) (odd|even)", thought):
        assert int(found[1]) % 2 == ("even", "odd").index(found[2])
    typed = re.search(r"type\(content='(-?\d+)", reply)
    if found := re.fullmatch(r"(\d+) ([-+x])(?: (\d+) =| (\d+))", thought):
        a, b = int(found[1]), int(found[3] or found[4])
        assert typed
        assert int(typed[1]) == {"+": a + b, "-": a - b, "x": a * b}[found[2]]
    if found := re.match(r"(.*) = (\d+) so", thought):
        assert typed
        parts = re.fullmatch(r"(-?\d+) ([-+]) (-?\d+)", found[1].replace("x", typed[1]))
        assert parts
        a, b = int(parts[1]), int(parts[3])
        assert a + (b if parts[2] == "+" else -b) == int(found[2])
    if found := re.fullmatch(r"(\w+) (yes|no) so (\w+)", thought):
        assert (f"Find {found[1]} in" in asked) == (found[2] == "yes") == (f"on their {found[3]}" in asked)


@given(SEEDS)
def test_a_thought_of_a_made_up_sight_ends_in_what_is_to_be_done(seed: int) -> None:
    question = drill(random.Random(seed))
    asked, *history = question.text.split("\n")
    thought, then = question.thought.removeprefix("# ").rstrip("\n"), question.thought.rstrip("\n").split(" so ")[-1]
    if found := re.fullmatch(r"Generate an? (odd|even)? ?number ?(?:(less|greater) than (\d+))?, then press submit.", asked):
        number, fits = re.match(r"\d+", thought), False
        if number and found[3]:
            fits = int(number[0]) < int(found[3]) if found[2] == "less" else int(number[0]) > int(found[3])
        elif number:
            fits = int(number[0]) % 2 == (found[1] == "odd")
        assert then == ("submit" if fits else "generate")
    if found := re.match(r"(\d)\w\w: page (\d), number (\d)", thought):
        assert int(found[1]) == (int(found[2]) - 1) * 3 + int(found[3])
        turned = found[2] == "1" or any("so page" in line for line in history)
        assert then == (f"number {found[3]}" if turned else f"page {found[2]}")
    if asked.startswith("Find and pick"):
        numbers = [int(line.split()[1]) for line in [*history, question.thought] if line.startswith("# ")]
        best = ("left", "middle", "right")[numbers.index(max(numbers))]
        assert then == ("middle", "right", "submit" if best == "right" else best)[len(numbers) - 1]
    if asked.startswith("Buy the ticket"):
        shown = re.findall(r"\$\d+|\d+h \d+m", thought.split(" so ")[0])
        worth = [int(one[1:]) if one[0] == "$" else int(one.split("h ")[0]) * 60 + int(one.split("h ")[1][:-1]) for one in shown]
        wanted = min(worth) if "cheapest" in asked or "shortest" in asked else max(worth)
        assert then == shown[worth.index(wanted)]
    if found := re.match(r"(higher|lower) than (\d) so (\d) to (\d)", thought):
        low, high = int(found[3]), int(found[4])
        assert (low if found[1] == "higher" else high) == int(found[2]) + (1 if found[1] == "higher" else -1)
        assert question.reply.endswith(rf"type(content='{(low + high) // 2}\n')")
    if found := re.match(r"Select (-?\d+) with the spinner", asked):
        turn = {"under": "key(keys='up')", "over": "key(keys='down')", "is": ""}[thought.split()[1]]
        assert question.reply == question.thought + turn
        assert thought.endswith(f" {found[1]}")
    if found := re.match(r"Resize the textarea so that the (width|height) is (larger|smaller)", asked):
        assert then == {"width": ("left", "right"), "height": ("up", "down")}[found[1]][found[2] == "larger"]


@given(seed=SEEDS)
def test_what_is_given_is_not_learned_and_an_open_end_neither(blank: Path, seed: int) -> None:
    question = drill(random.Random(seed))
    tokens = Tokens.load(embedded_path())
    batch = BatchBuilder(tokens, Preprocessor(**PREPROCESSOR)).build([Example(blank, (question,))], random.Random(0))
    labels = sorted(
        (index, token) for some in (batch.kinds, batch.text, batch.copied, batch.read, batch.tokens) for _, index, token in some
    )
    assert "".join(tokens.decode([token]) for _, token in labels) == question.reply[question.given :] + (
        "<|user|>" if question.reply != question.thought else ""
    )
    assert not batch.ends
    assert not batch.points
