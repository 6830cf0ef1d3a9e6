"""Scripted experts: they read a page's own DOM to know what to do, and say it as a model would.

An oracle is a Model, so the loop, the actions and the recording are the real ones; what it saw in the DOM is kept as labels for training.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

from PIL import Image

from agent.prompts.compact import compact_reply
from evals.oracles.page import SIZE, Page, Script, Seen
from evals.pages import REGION, PageEnvironment, in_pixels
from evals.words import WORDS
from model.base import Completion, GenerationConfig, Message, Model, ModelError
from model.labels import Rectangle
from tools import compact_actions
from tools.base import ParseError, Thousandths, Tool
from tools.computer import Click, Drag, Hover
from tools.control import Done

OTHERS_AT_MOST = 3
"""So many other instructions are answered for one screen."""
STUDENT_STEPS = 3
"""So many actions of a student at most come before those of the expert."""

_IS_BARE = """
([x, y]) => {
  const e = document.elementFromPoint(x, y);
  return !!e && !e.closest('button, a, input, select, textarea, label, .ui-dialog, [onclick], #sync-task-cover');
}
"""


@dataclass(frozen=True, slots=True)
class Label:
    """What the DOM said at one step, in pixels of the screenshot. others: of other instructions.

    kind: an action, a stray click (not to be learned), or the end. target: where a click may go, or a drag may begin that may end in
    `goal`. words: every visible word as [text, [left, top, right, bottom], [column of each letter's centre]]. named: the words of the
    instruction or the thought that tell the target, where they are not those that stand on it. evidence: what on the screen tells that this
    is to be done. thought: what is said first: some words after others, each with the box they stand in, if they are read off the screen.
    """

    kind: Literal["act", "stray", "end"]
    target: Rectangle | None
    words: list[Any]
    named: str = ""
    goal: Rectangle | None = None
    evidence: Rectangle | None = None
    thought: tuple[tuple[str, Rectangle | None], ...] = ()
    others: tuple[Other, ...] = ()


@dataclass(frozen=True, slots=True)
class Other:
    """What would have been done, had the instruction been another, and its label, which has no words."""

    instruction: str
    call: str
    label: Label


class Oracle:
    """Goes through a page by its script, and says that it is done if it is asked once more.

    stray: the probability that it does not begin by itself: with a click on a bare place first, or with actions of a `student`, a few,
    as long as it does not say that it is done; what of these is not what the script would have done is a stray, and the script does it
    then (DAgger's states, arXiv 1011.0686). Where the stray covered that, or changed what told it, it is done and not learned: the script
    would have decided anew. labels: one for each step.
    """

    name = "oracle"

    def __init__(
        self,
        env: PageEnvironment,
        script: Script,
        seed: str = "",
        stray: float = 0.0,
        *,
        full: bool = False,
        student: Model | None = None,
    ) -> None:
        """full: whether the labels are to hold the words that are seen, and what else could have been asked for, which takes a while."""
        self.env, self.actions, self.labels = env, compact_actions(), list[Label]()
        self._page, self._rng, self._full, self._student = Page(env), random.Random(seed), full, student
        self._strays, self._plan = 0, script(self._page)
        if self._rng.random() < stray:
            self._strays = self._rng.randint(1, STUDENT_STEPS) if student else 1
        self._due: Tool | None = None
        self._told = list[bytes]()  # what told the action that is due, as it looked then

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        """Raises ModelError when the page is not what the script knows."""
        page, due = self._page, self._aimed(messages)
        label = _label(page, due)
        said = Completion(compact_reply(" ".join(words for words, _ in label.thought), self.actions.render(due)))
        if self._strays:
            self._strays -= 1
            if (astray := self._astray(messages, config)) is None:
                self._strays = 0
            elif not self._agrees(astray):
                self.labels.append(Label("stray", None, []))
                return astray
            else:
                said = astray
        if self._full:
            seen = self.env.browser.evaluate(f"size => ({WORDS})(document.body, [0, 0, ...size])", list(REGION))
            words = [[text, in_pixels(box), in_pixels(columns)] for text, box, columns in seen]
            label = replace(label, words=words, others=tuple(self._asked_otherwise()))
        self.labels.append(label)
        self._due = None
        return said

    def _aimed(self, messages: Sequence[Message]) -> Tool:
        """What is to be done, at the place where it is to be done now: after a stray the page may look otherwise."""
        page = self._page
        screen = [part for message in messages for part in message.content if isinstance(part, Image.Image)][-1]
        if self._due is None:
            page.begin()
            self._due = next(self._plan, Done())
            self._told = _parts(screen, page.told_at())
        else:
            page.lost = False
            if page.again is not None:
                self._due = page.again()
            page.lost = page.lost or _parts(screen, page.told_at()) != self._told
        return self._due

    def _asked_otherwise(self) -> Iterator[Other]:
        found = 0
        for instruction, script in self.env.others(self._page, self._rng) if self.env.others else ():
            page = Page(self.env, instruction)
            try:
                action = next(script(page))
            except (ModelError, StopIteration):
                continue  # the page has no answer to it
            label = _label(page, action)
            if label.kind == "stray":
                continue
            yield Other(instruction, self.actions.render(action), label)
            if (found := found + 1) == OTHERS_AT_MOST:
                return

    def _agrees(self, said: Completion) -> bool:
        """Whether it is what is to be done: the same, be it at another place of the target."""
        done, due, target = self.actions.parse(said.content), self._due, self._page.target
        if isinstance(done, Click | Hover) and isinstance(due, Click | Hover) and target:
            return done.model_copy(update={"point": due.point}) == due and _holds(target, done.point)
        if isinstance(done, Drag) and isinstance(due, Drag) and len(done.path) == 2 and target and (goal := self._page.goal):
            alike = done.model_copy(update={"path": due.path}) == due
            return alike and _holds(target, done.path[0]) and _holds(goal, done.path[1])
        return done == due

    def _astray(self, messages: Sequence[Message], config: GenerationConfig) -> Completion | None:
        """What is done instead of what the script says; None when nothing is."""
        if self._student is None:
            bare = self._bare_place()
            return bare and Completion(self.actions.render(Click(point=bare)))
        said = self._student.generate(messages, config)
        try:
            return None if isinstance(self.actions.parse(said.content), Done) else said
        except ParseError:
            return None

    def _bare_place(self) -> Thousandths | None:
        x, y = self._rng.uniform(2, REGION[0] - 10), self._rng.uniform(52, REGION[1] - 16)
        return self._page.at(x, y) if self.env.browser.evaluate(_IS_BARE, [x, y]) else None


def _label(page: Page, action: Tool) -> Label:
    """What an action is, but for words and others; one that is done for what cannot be seen any more is not to be learned."""
    known, target = page.still(), page.target if isinstance(action, Click | Hover) or page.goal else None
    thought = tuple((part.words, part.box) if isinstance(part, Seen) else (part, None) for part in page.thought) if known else ()
    kind: Literal["act", "stray", "end"] = "stray" if not known else "end" if isinstance(action, Done) else "act"
    return Label(kind, target, [], page.named, page.goal, page.evidence, thought)


def _parts(screen: Image.Image, boxes: Sequence[Rectangle]) -> list[bytes]:
    """What some rectangles of a screenshot (pixels) show."""
    return [screen.crop((int(left), int(top), ceil(right), ceil(bottom))).tobytes() for left, top, right, bottom in boxes]


def _holds(rectangle: Rectangle, point: Thousandths) -> bool:
    (x, y), (left, top, right, bottom) = point.on(SIZE), rectangle
    return left <= x <= right and top <= y <= bottom
