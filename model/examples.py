"""What a grounding model is trained on: a screenshot with questions about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from model.base import GenerationConfig, Message
from model.labels import Rectangle, Word


@dataclass(frozen=True, slots=True)
class Touched:
    """What a point of a history was at: the words that name it, as they stand in the text, and the rectangle it was in (pixels); none where
    it missed, or where that is not known.

    A model's clicks are not in the middle, as an expert's are: in training such a point is drawn anew, anywhere in its rectangle.
    """

    words: str = ""
    target: Rectangle | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """The text that follows the screenshot, the reply wanted, and the rectangle (left, top, right, bottom; pixels) each of its points may
    lie in, in the reply's order; a point beyond them is wanted exactly.

    read: what the reply types, where it stands on the screen; None for what does not stand there, or is told in the text. sought: the words
    that name the first target, as they stand in the text. past: of the last points of the text, those of its history, in order. beside:
    where the words sought stand, if in the first target's row and not on it. evidence: what on the screen tells that this is the reply.
    weight: how much its kind and its points count. thought: what the reply begins with that is no call yet, up to the end of its line.
    noted: words of the thought that are read off the screen, each with the index of its first letter in the thought. given: so many letters
    of the reply are not to be learned, for they are of no screen; a reply that is all thought is not to be ended either.
    """

    text: str
    reply: str
    targets: tuple[Rectangle, ...] = ()
    tag: str = ""
    read: Word | None = None
    sought: str = ""
    past: tuple[Touched, ...] = ()
    beside: Rectangle | None = None
    evidence: Rectangle | None = None
    weight: float = 1.0
    thought: str = ""
    noted: tuple[tuple[int, Word], ...] = ()
    given: int = 0


@dataclass(frozen=True, slots=True)
class Example:
    """A screenshot (a PNG file), the questions that are always asked, further questions to choose from, and the words that can be read.

    words: all that are written there; None when that is not known, and then nothing is taught of its letters. task: what it is an example
    of; pages that are only read have none.
    """

    image: Path
    questions: tuple[Question, ...]
    readings: tuple[Question, ...] = ()
    words: tuple[Word, ...] | None = None
    task: str = ""


def stretched(example: Example, across: float, down: float) -> Example:
    """The same for its screenshot made so many times as wide and as high."""

    def box(one: Rectangle) -> Rectangle:
        left, top, right, bottom = one
        return left * across, top * down, right * across, bottom * down

    def word(one: Word) -> Word:
        return Word(one.text, tuple(column * across for column in one.columns), one.row * down)

    def question(one: Question) -> Question:
        return replace(
            one,
            targets=tuple(map(box, one.targets)),
            read=one.read and word(one.read),
            past=tuple(replace(touched, target=touched.target and box(touched.target)) for touched in one.past),
            beside=one.beside and box(one.beside),
            evidence=one.evidence and box(one.evidence),
            noted=tuple((at, word(noted)) for at, noted in one.noted),
        )

    questions, readings = (tuple(map(question, some)) for some in (example.questions, example.readings))
    words = None if example.words is None else tuple(map(word, example.words))
    return replace(example, questions=questions, readings=readings, words=words)


@dataclass(frozen=True, slots=True)
class Lesson:
    """A conversation as a prompt puts it to the model, how it is answered, and the reply wanted, which may spell control tokens."""

    messages: tuple[Message, ...]
    config: GenerationConfig
    reply: str
