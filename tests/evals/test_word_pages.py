"""Pages of words: made from seeds, every word where it is said to be, and some words kept from training."""

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from environments.browser import BrowserEnvironment
from evals.base import EvalError
from evals.demonstrations import TEST_SEEDS, Strays, record_all
from evals.instructions import clicking, copying
from evals.screen_words import finds, named, readings, standing
from evals.training_data import examples, provenance, split
from evals.word_pages import PAGES, draw, open_browser, read_pages, training_word, word
from evals.words import WORDS, bare, held_out
from model.examples import Example, Touched
from tools import compact_actions
from tools.computer import Click, Type


def test_a_seed_always_gives_the_same_page_and_its_words_stand_where_it_says() -> None:
    with open_browser() as browser:
        (_, first, words, _), (_, other, _, _) = draw(browser, [3, 4], training_word)
        ((_, again, same, _),) = draw(browser, [3], training_word)
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert words == same
    seen = np.asarray(first.convert("L"), dtype=float)
    for text, (left, top, right, bottom), columns in words:
        assert 0 <= left < right <= first.width
        assert 0 <= top < bottom <= first.height
        assert len(columns) == len(text)
        assert seen[round(top) : round(bottom), round(left) : round(right)].std() > 2, f"nothing is written at {text}"


FIELDS = """
<body style="margin:0; background:white">
<input value="Agnes Weber"><br><input size="9" style="text-align:right; font:16px serif; padding:6px" placeholder="Street"><br>
<input type="submit" value="Send now"><br><select><option>Rome</option><option selected>Oslo</option></select><br>
<select size="3"><option>Mercury</option><option>Venus</option></select><br>
<textarea style="width:90px; height:44px; font:12px monospace">one two three four five six seven eight</textarea><br>
<input type="password" value="secret"><input type="hidden" value="unseen"><input type="checkbox" value="ticked">
"""


def test_what_fields_show_is_read_where_it_stands_and_nothing_that_they_hide(tmp_path: Path) -> None:
    (tmp_path / "fields.html").write_text(FIELDS)
    with BrowserEnvironment((tmp_path / "fields.html").as_uri(), viewport=(200, 260)) as browser:
        browser.reset()
        browser.evaluate("document.querySelector('textarea').scrollTop = 20")
        before, seen = browser.evaluate("document.body.innerHTML"), browser.observe().screenshot.convert("L")
        words = browser.evaluate(f"size => ({WORDS})(document.body, [0, 0, ...size])", [200, 260])
        fields = browser.evaluate(_INSIDES)
        assert browser.evaluate("document.body.innerHTML") == before
    shown = [text for text, *_ in words]
    assert shown[:7] == ["Agnes", "Weber", "Street", "Send", "now", "Oslo", "Mercury"]
    assert shown[7] == "Venus"
    assert "four" in shown
    assert not {"one", "eight", "Rome", "secret", "unseen", "ticked"} & {*shown}, "scrolled away, not chosen, or dots"
    dark = np.asarray(seen) < 140
    for text, (left, top, right, bottom), columns in words:
        assert dark[round(top) : round(bottom), round(left) : round(right)].any(), f"nothing is written at {text}"
        assert len(columns) == len(text)
    inside, covered = np.zeros_like(dark), np.zeros_like(dark)
    for left, top, right, bottom in fields:
        inside[round(top) : round(bottom), round(left) : round(right)] = True
    for _, (left, top, right, bottom), _ in words:
        covered[int(top) - 1 : int(bottom) + 2, int(left) - 1 : int(right) + 2] = True
    assert not (dark & inside & ~covered).any(), "something is written where no word is said to be"


_INSIDES = """[...document.querySelectorAll('input:not([type]), [type=submit]')].map(e => {
  const b = e.getBoundingClientRect();
  return [b.left + 4, b.top + 4, b.right - 4, b.bottom - 4];
})"""


def test_pages_of_running_text_have_many_words_on_lines_as_close_as_those_of_small_print() -> None:
    with open_browser() as browser:
        running = [page.words for page in draw(browser, range(16), training_word, kind="running text")]
        others = [page.words for page in draw(browser, range(16), training_word)]
    assert sum(map(len, running)) > 2 * sum(map(len, others))
    rows = [sorted({(box[1] + box[3]) / 2 for _, box, _ in words}) for words in running]
    apart = sorted(below - above for of_page in rows for above, below in pairwise(of_page))
    assert 14 < apart[len(apart) // 2] < 21, "pixels, as many as a line of MiniWoB++ takes"


def test_about_a_twentieth_of_the_words_is_kept_from_training_and_never_drawn_for_it() -> None:
    rng = random.Random(1)
    made = [word(rng, lambda _: True) for _ in range(4000)]
    assert 0.03 < sum(map(held_out, made)) / len(made) < 0.07
    assert not any(held_out(word(rng, training_word)) for _ in range(400))
    assert held_out("Save.") == held_out("save") == held_out('"SAVE"')
    assert bare("(don't!)") == "don't"


def test_a_word_kept_from_training_is_not_typed_in_it_either() -> None:
    rng = random.Random(3)
    made = [[word(rng, lambda _: True), (5, 20 * i, 65, 20 * i + 12), [5.0] * 20] for i in range(800)]
    typed = [question for question in readings(made, (200, 16_000)) if question.text.startswith("read")]
    assert {(question.tag, held_out(question.read.text)) for question in typed if question.read} == {("read", False), ("unseen", True)}
    train, held = split([Example(Path(f"words/{seed}.png"), (), tuple(typed)) for seed in range(TEST_SEEDS, TEST_SEEDS + 60)])
    assert {question.tag for example in train for question in example.readings} == {"read"}
    assert {question.tag for example in held for question in example.readings} == {"read", "unseen"}
    for question in (copying(rng) for _ in range(3000)):
        action = compact_actions().parse(question.reply)
        assert isinstance(action, Type)
        assert not any(map(held_out, action.text.split())), action.text


def test_recorded_pages_become_questions_that_ask_for_no_held_out_word_in_training(tmp_path: Path) -> None:
    seeds = range(TEST_SEEDS, TEST_SEEDS + 64)
    assert record_all("words", tmp_path, (), seeds, Strays(), workers=1, tell=print) == 64
    assert record_all("words", tmp_path, (), seeds, Strays(), workers=1, tell=print) == 0, "what is there is not drawn again"
    assert len((tmp_path / "words" / PAGES).read_text().splitlines()) == 64
    assert json.loads((tmp_path / "dataset.json").read_text())["seeds"] == {"words": f"{seeds[0]}-{seeds[-1]}"}
    train, held = split(list(examples(tmp_path)))
    assert len(train) + len(held) == 64
    assert held, "some pages are held out"
    asked = [q for example in train for q in example.readings]
    assert {q.tag for q in asked} == {"find on pages", "read", "phrase", "absent", "told", "over", "drawn"}
    assert all(len(q.targets) == (q.tag in ("find on pages", "phrase", "told", "drawn")) for q in asked)
    sought = [
        text for q in asked if q.tag in ("find on pages", "drawn", "told", "over") for text in (q.sought, *(one.words for one in q.past))
    ]
    named = [word for text in sought for word in text.split()]
    assert not any(held_out(word) for word in named)
    assert all(q.read is not None and len(q.read.columns) == len(q.read.text) for q in asked if q.tag == "read")
    assert {q.tag for example in train for q in example.questions} == {"copy", "drill"}
    for example in train:
        here = {bare(seen.text) for seen in example.words or ()}
        assert not any(q.text[6:-1] in here for q in example.readings if q.tag == "absent")


def test_a_seed_is_recorded_as_the_same_page_whichever_others_are_and_however_many_workers_record(tmp_path: Path) -> None:
    seeds = [*range(10_016, 10_020), *range(10_048, 10_052), *range(10_080, 10_083), *range(10_112, 10_114)]
    for name, some, workers in (("all", seeds, 1), ("shared", seeds, 2), ("resumed", seeds[3::-2], 1), ("resumed", seeds, 1)):
        record_all("words", tmp_path / name, (), some, Strays(), workers=workers, tell=print)
    for name in ("shared", "resumed"):
        known, others = ({page["seed"]: page for page in read_pages(tmp_path / one / "words" / PAGES)} for one in ("all", name))
        assert others == known
        assert sorted(known) == seeds
        for seed in seeds:
            assert (tmp_path / name / "words" / f"{seed}.png").read_bytes() == (tmp_path / "all" / "words" / f"{seed}.png").read_bytes(), (
                seed
            )


def test_the_same_data_is_the_same_examples_in_every_process(tmp_path: Path) -> None:
    record_all("words", tmp_path, (), range(TEST_SEEDS, TEST_SEEDS + 8), Strays(), workers=1, tell=print)
    code = "import sys, pathlib; from evals.training_data import examples; print(list(examples(pathlib.Path(sys.argv[1]))))"
    said = [
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] != b""


def test_what_is_to_be_copied_stands_in_the_instruction_and_has_not_been_typed_yet() -> None:
    rng = random.Random(2)
    for question in (copying(rng) for _ in range(300)):
        text = question.reply.removeprefix("type(content=").removesuffix(")")[1:-1]
        instruction, *history = question.text.split("\n")
        if "letters" in instruction:
            assert text == (text.upper() if re.search("upper|capital", instruction) else text.lower())
            assert text.lower() in instruction.lower()
        else:
            assert text in instruction or instruction.endswith("...")
        assert len(history) % 2 == 1
        assert history[-1].startswith("left_click(")


def test_a_made_up_instruction_asks_for_the_first_of_its_words_that_was_not_clicked_yet_and_for_the_end_when_all_were() -> None:
    words = [[text, (100 * i, 10, 100 * i + 60, 30), ()] for i, text in enumerate(("Oak", "(elm)", "ash", "fir,"))]
    size = (400, 400)
    rng, found = random.Random(5), finds(words, size)
    by_reply, lengths, ends, misses = {question.reply: question for question in found}, set(), 0, 0
    for _ in range(400):
        question = clicking(rng, found, size)
        task, *history = question.text.split("\n")
        named = re.findall(r"(?<![a-z])(?:Oak|elm|ash|fir)(?![a-z])", task)
        hits = [one.words for one in question.past if one.words]
        assert len(question.past) == len(history)
        assert hits == named[: len(hits)]
        for call, clicked in zip(history, question.past, strict=True):
            touched = [one.sought for one in found if one.sought in named and on(call, one.targets[0], size)]
            assert touched == ([clicked.words] if clicked.words else [])
            assert (clicked.target is None) == (not clicked.words)
        if question.reply == "DONE()":
            ends += 1
            assert hits == named
            assert not question.targets
        else:
            assert bare(question.sought) == by_reply[question.reply].sought == named[len(hits)]
            assert question.targets == by_reply[question.reply].targets
        lengths.add(len(hits))
        misses += Touched() in question.past
    assert lengths == {0, 1, 2, 3, 4}
    assert ends > 40
    assert misses > 30


def on(call: str, box: Sequence[float], size: tuple[int, int]) -> bool:
    """Whether a click is on a box."""
    action = compact_actions().parse(call)
    assert isinstance(action, Click)
    x, y = action.point.on(size)
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def test_a_typed_text_is_found_on_the_screen_where_it_stands_on_one_line_and_once() -> None:
    def on(text: str, left: float, top: float) -> tuple[str, list[float], list[float]]:
        return text, [left, top, left + 10 * len(text), top + 12], [left + 10 * i + 5 for i in range(len(text))]

    words = [on("Reply:", 0, 0), on("(Ann", 100, 0), on("Lee),", 150, 0), on("Ann", 0, 40), on("Bo", 0, 80), on("Bo", 40, 80)]
    found = standing("Ann Lee", words)
    assert found is not None
    assert found.columns[:4] == (115, 125, 135, 139)
    assert len(found.columns) == len("Ann Lee")
    assert found.row == 6
    assert standing("Bo", words) is None, "it stands there twice"
    assert standing("Lee Ann", words) is None, "on two lines"
    assert standing("nn", words) is None
    captcha = [on(letter, 20 * i, 100 + 5 * (i % 2)) for i, letter in enumerate("kX7")]
    found = standing("kX7", [*words, *captcha])
    assert found is not None, "letter by letter, each a word of its own"
    assert found.columns == (5, 25, 45)
    assert standing("kX", [*captcha, *captcha]) is None, "it stands there twice"


def test_what_names_a_target_is_the_longest_run_of_the_instruction_that_stands_on_it_or_in_its_row() -> None:
    words = [["Hide", (20, 10, 40, 20), ()], ["the", (42, 10, 52, 20), ()], ["lamp", (54, 10, 74, 20), ()], ["to", (20, 40, 30, 50), ()]]
    task = 'Tick "hide the lamp", then go "to" Lamp'
    assert named(task, (20, 8, 74, 22), words) == ('"hide the lamp",', None)
    assert named(task, (2, 8, 12, 22), words) == ('"hide the lamp",', (20, 10, 74, 20)), "a box beside it"
    assert named(task, (54, 8, 74, 22), words) == ('lamp",', None)
    assert named(task, (42, 8, 52, 22), words[1:2]) == ("", None), "a small word names nothing"
    assert named(task, (20, 38, 30, 52), words) == ('"to"', None), "but in quotes"
    assert named(task, (20, 100, 30, 110), words) == ("", None)
    days = [["2016", (40, 0, 60, 10), ()], ["9", (20, 10, 30, 20), ()], ["12", (40, 10, 50, 20), ()]]
    assert named("Select 12/09/2016 as the date.", (18, 8, 32, 22), days) == ("09", None)
    assert named("Select 12/09/2016 as the date.", (38, 8, 52, 22), days) == ("", None), "a month is no day"
    assert named("Select Hide>lamp", (54, 8, 74, 22), words) == ("lamp", None), "a level of a menu"


def test_what_a_checkpoint_was_trained_on_stays_with_what_is_made_from_it(tmp_path: Path) -> None:
    words, tabs = {"benchmark": "words", "stray": 0.1}, {"benchmark": "miniwob", "stray": 0.1}
    for name, sources, seeds in (
        ("checkpoint", [words], {"words": "10000-10003", "click-tab": "10000"}),
        ("data", [words, tabs], {"click-tab": "10001-10002"}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(json.dumps({"sources": sources, "seeds": seeds}))
    found = provenance([tmp_path / "checkpoint", tmp_path / "data"])
    assert found == {"sources": [words, tabs], "seeds": {"click-tab": "10000-10002", "words": "10000-10003"}}


def test_test_seeds_are_never_recorded(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="Seed 9999 is for testing"):
        record_all("words", tmp_path, (), [TEST_SEEDS - 1], Strays(), workers=1, tell=print)


@pytest.mark.parametrize(
    ("tasks", "strays", "option"),
    [((), Strays(student="tiny"), "--student"), (("nonsense",), Strays(), "--tasks"), ((), Strays(0.0), "--stray")],
)
def test_what_pages_of_words_have_not_cannot_be_asked_of_them(tmp_path: Path, tasks: Sequence[str], strays: Strays, option: str) -> None:
    with pytest.raises(EvalError, match=f"nothing to do on pages of words: leave {option} out"):
        record_all("words", tmp_path / "out", tasks, [TEST_SEEDS], strays, workers=1, tell=print)
    assert not (tmp_path / "out").exists()
