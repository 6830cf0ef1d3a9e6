"""How examples become tensors: several questions behind one image, and what each of their tokens is to learn.

Every question sees the image and itself only, as if it had been asked alone (block mask, positions starting again behind the image): many
times the supervision for a little more compute.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from PIL import Image
from torch import Tensor

from model.base import GenerationConfig, Message, ModelError
from model.examples import Example, Question, stretched
from model.labels import CELL, Rectangle, allowed_thousandths, glyph_labels, half_cells, letter_labels, piece_letters, target_cells
from model.layout import mrope_positions
from model.small import coordinate_tokens
from model.spelling import NUMBER, letter_cells, occurrences, spelled_by
from model.tokens import IMAGE, USER, Tokens, assemble
from model.vision import Preprocessor


@dataclass(slots=True)
class PointLabel:
    """Where in a batch a point is predicted (row, index of the token before x), the thousandths allowed, the image cells of the target,
    those of what tells its y (the words that name it, if they stand beside it), and those of which this covers the upper and the lower
    half."""

    row: int
    index: int
    x: tuple[int, int]
    y: tuple[int, int]
    cells: list[int]
    y_cells: list[int]
    halves: tuple[list[int], list[int]]
    target: Rectangle
    tag: str
    weight: float


@dataclass(slots=True)
class Batch:
    """patches (B, n, 588); ids (B, L); positions (3, B, L); mask (B, L, L); image tokens at image_start : image_start + cells."""

    patches: Tensor
    ids: Tensor
    positions: Tensor
    mask: Tensor
    grid: tuple[int, int]
    image_start: int
    points: list[PointLabel] = field(default_factory=list)
    kinds: list[tuple[int, int, int]] = field(default_factory=list)  # (row, index of the token before, wanted token): what the reply is
    kind_weights: list[float] = field(default_factory=list)
    ends: list[tuple[int, int, int]] = field(default_factory=list)  # those of replies without a place or a text: there is nothing to do
    copied: list[tuple[int, int, int]] = field(default_factory=list)  # the same for what is typed and stands in the question
    read: list[tuple[int, int, int]] = field(default_factory=list)  # the same for what is typed and stands on the screen
    text: list[tuple[int, int, int]] = field(default_factory=list)  # the same for what else is typed and pressed
    tokens: list[tuple[int, int, int]] = field(default_factory=list)  # the same for all others that are no coordinate
    sought: list[tuple[int, int, list[int], set[int]]] = field(default_factory=list)
    # (row, index of the token before, indices of the pieces that name what is to be found there, their letters and pairs)
    known: list[int] = field(default_factory=list)  # rows of which it is known what is written there; of these alone are the next two
    letters: list[tuple[int, int, int, int]] = field(default_factory=list)  # (row, cell, upper or lower half of it, letter or pair)
    glyphs: list[tuple[int, int, int, int]] = field(default_factory=list)  # (row, patch, left or right half of it, letter or other sign)
    sources: list[tuple[int, int, list[int]]] = field(default_factory=list)  # (row, index of the token before, where what follows stands)
    evidence: list[tuple[int, int, list[int]]] = field(default_factory=list)
    # (row, index of the token before, image cells of what tells that it follows) of the tokens of a reply but for y
    repeated: list[tuple[int, int, int]] = field(default_factory=list)
    # (row, index, index of what stands before it) of the tokens of a question that are to be typed
    preceded: list[tuple[int, int]] = field(default_factory=list)
    # (row, index) of these, of what stands before them, and of the tokens typed from them
    past_points: list[tuple[int, int, list[int]]] = field(default_factory=list)
    # (row, index of the y, image cell) of each point in a question
    past_words: list[tuple[int, int, list[int]]] = field(default_factory=list)
    # (row, index of the y, indices of the pieces that name what was there, none where it was missed) of the points of a history
    size: tuple[int, int] = (0, 0)  # width and height of the screenshots, pixels


_PLACEHOLDER = Image.new("RGB", (28, 28))
TYPED = ("type(", "key(")
"""How a reply begins that is text and no place."""
_TYPE = "type(content='"
_CACHED = 100_000
"""So many tokenized questions are kept."""


class BatchBuilder:
    """Examples of one screenshot size into batches. `rng` chooses readings and the x that y is trained behind.

    room: tokens behind an image, for as many questions as fit; batches are of one length, but for a question that alone takes more.
    """

    def __init__(self, tokens: Tokens, preprocessor: Preprocessor, room: int = 288) -> None:
        self.tokens, self.preprocessor, self.room = tokens, preprocessor, room
        self.x_ids, self.y_ids = coordinate_ids(tokens)
        self._x, self._y = ({token: value for value, token in enumerate(ids)} for ids in (self.x_ids, self.y_ids))
        self._cache: dict[tuple[str, str], tuple[list[int], int, int]] = {}

    def build(self, examples: Sequence[Example], rng: random.Random) -> Batch:
        """Raises ModelError when the screenshots differ in size, once they are as the model takes them."""
        images = [Image.open(example.image).convert("RGB") for example in examples]
        grids = {self.preprocessor.grid(image)[1:] for image in images}
        if len(grids) > 1:
            raise ModelError(
                f"The screenshots of a batch must be of one size, not of {sorted({i.size for i in images})}: train on each apart."
            )
        (grid,) = grids
        prompt = assemble([Message("user", (images[0],))], GenerationConfig(), self.tokens, self.preprocessor.grid).ids
        image_id = self.tokens.control[IMAGE]
        head = prompt[: prompt.index(image_id) + grid[0] * grid[1] // 4 + 1]
        width, height = grid[1] * CELL // 2, grid[0] * CELL // 2  # a screenshot is resized to whole cells, and so is what is known of it
        fitting = zip(examples, images, strict=True)
        examples = [one if i.size == (width, height) else stretched(one, width / i.width, height / i.height) for one, i in fitting]
        chains = [self._questions(example, rng) for example in examples]
        length = len(head) + max(self.room, *(sum(len(self._tokens(q)[0]) for q in chain) for chain in chains))
        batch = _blank(head, len(examples), -(-length // 16) * 16, grid, image_id)
        batch.patches = torch.stack([self.preprocessor.frame(image) for image in images])
        batch.size = width, height
        for row, (example, chain) in enumerate(zip(examples, chains, strict=True)):
            if example.words is not None:
                batch.known.append(row)
                batch.letters += [(row, *label) for label in sorted(letter_labels(example.words, grid[1] // 2, grid[0] // 2))]
                batch.glyphs += [(row, *label) for label in sorted(glyph_labels(example.words, grid[1], grid[0]))]
            self._lay_out(batch, row, len(head), chain, rng)
        return batch

    def _questions(self, example: Example, rng: random.Random) -> list[Question]:
        """What there is to do, then readings, as far as there is room; one at least."""
        room, chosen = self.room, list[Question]()
        for question in (*example.questions, *rng.sample(example.readings, min(len(example.readings), 16))):
            if (length := len(self._tokens(question)[0])) <= room or not chosen:
                chosen.append(question)
                room -= length
        return chosen

    def _tokens(self, question: Question) -> tuple[list[int], int, int]:
        """Tokens from behind the image to the stop token, and how many of them come before the reply, and before its call; just as
        `assemble` makes them."""
        key = question.text, question.reply
        if len(self._cache) > _CACHED:
            self._cache.clear()
        if key not in self._cache:
            message = Message("user", (_PLACEHOLDER, question.text))
            asked = assemble([message], GenerationConfig(), self.tokens, lambda _: (1, 2, 2)).ids
            asked = asked[asked.index(self.tokens.control[IMAGE]) + 2 :]
            thought, call = (self.tokens.encode_trusted(s) for s in (question.thought, question.reply.removeprefix(question.thought)))
            self._cache[key] = [*asked, *thought, *call, self.tokens.control[USER]], len(asked), len(asked) + len(thought)
        return self._cache[key]

    def _lay_out(self, batch: Batch, row: int, at: int, chain: Sequence[Question], rng: random.Random) -> None:
        after_image = int(batch.positions[0, row, at - 1])
        for question in chain:
            tokens = self._tokens(question)[0]
            span = slice(at, at + len(tokens))
            batch.ids[row, span] = torch.tensor(tokens)
            batch.positions[:, row, span] = after_image + 1 + torch.arange(len(tokens))
            batch.mask[row, span, span] = torch.ones(len(tokens), len(tokens), dtype=torch.bool).tril()
            self._label(batch, row, at, question, rng)
            at += len(tokens)

    def _label(self, batch: Batch, row: int, at: int, question: Question, rng: random.Random) -> None:
        self._label_history(batch, row, at, question, rng)
        named = self._label_names(batch, row, at, question)
        taken = self._label_sources(batch, row, at, question)
        tokens, asked, call = self._tokens(question)
        rows, columns = batch.grid[0] // 2, batch.grid[1] // 2
        left, typed = list(reversed(question.targets)), question.reply.removeprefix(question.thought).startswith(TYPED)
        first, last = asked + self._given(question), len(tokens) - (question.reply == question.thought)
        if question.evidence:
            keys = [batch.image_start + cell for cell in target_cells(question.evidence, columns, rows)]
            batch.evidence += [(row, at + i - 1, keys) for i in range(asked, len(tokens)) if tokens[i - 1] not in self._x]
        if not typed and not question.targets and call < last:
            batch.ends.append((row, at + call - 1, tokens[call]))
        for i in range(first, last):
            if left and tokens[i] in self._x:
                first_point, target = len(left) == len(question.targets), left.pop()
                x = allowed_thousandths(target[0], target[2], batch.size[0])
                y = allowed_thousandths(target[1], target[3], batch.size[1])
                tells = question.beside if question.beside and first_point else target
                cells, y_cells = target_cells(target, columns, rows), target_cells(tells, columns, rows)
                label = PointLabel(
                    row, at + i - 1, x, y, cells, y_cells, half_cells(tells, columns, rows), target, question.tag, question.weight
                )
                batch.points.append(label)
                if named and first_point:
                    batch.sought += [(row, at + i - 1 + axis, *named) for axis in (0, 1)]
                batch.ids[row, at + i] = self.x_ids[rng.randint(*x)]
            elif not (question.targets and tokens[i] in self._y and tokens[i - 1] in self._x):
                chosen = i in (asked, call)
                of_text = taken.get(i, batch.text) if typed or i < call else batch.tokens
                (batch.kinds if chosen else of_text).append((row, at + i - 1, tokens[i]))
                batch.kind_weights += [question.weight] if chosen else []

    def _label_names(self, batch: Batch, row: int, at: int, question: Question) -> tuple[list[int], set[int]] | None:
        """The places in the batch of the words that name the target, and their letters."""
        call = self._tokens(question)[2]
        inside, spelled = self._named(question, question.sought, call)
        if not inside:
            return None
        named = [at + i for i in inside], spelled
        batch.sought.append((row, at + call - 1, *named))
        return named

    def _label_sources(self, batch: Batch, row: int, at: int, question: Question) -> dict[int, list[tuple[int, int, int]]]:
        """Labels where each token of what is typed and thought can be taken from; gives, by its index, the labels it belongs to, for those
        that are copied or read."""
        asked = self._tokens(question)[1]
        sources, before = self._sources(batch, question)
        told, noted, retold = before is not None, self._noted(batch, question), self._retold(question)
        batch.repeated += [(row, at + i, at + earlier) for i, earlier in sorted(before or ())]
        copied = {*(i for pair in before or () for i in pair), *(sources if told else ())}
        batch.preceded += [(row, at + i) for i in sorted(copied) if i]
        learned = {i: places for i, places in retold.items() if i >= asked + self._given(question)}
        for start, found in ((at if told else batch.image_start, sources), (batch.image_start, noted), (at, learned)):
            batch.sources += [(row, at + i - 1, [start + place for place in places]) for i, places in found.items()]
        return dict.fromkeys(noted, batch.read) | dict.fromkeys(sources, batch.copied if told else batch.read)

    def _label_history(self, batch: Batch, row: int, at: int, question: Question, rng: random.Random) -> None:
        tokens, asked, _ = self._tokens(question)
        rows, columns = batch.grid[0] // 2, batch.grid[1] // 2
        ends = [i for i in range(1, asked) if tokens[i - 1] in self._x and tokens[i] in self._y]
        for i, touched in zip(reversed(ends), reversed(question.past), strict=False):
            batch.past_words.append((row, at + i, [at + piece for piece in self._named(question, touched.words, i - 2)[0]]))
            if touched.target is not None:
                left, top, right, bottom = touched.target
                batch.ids[row, at + i - 1] = self.x_ids[rng.randint(*allowed_thousandths(left, right, batch.size[0]))]
                batch.ids[row, at + i] = self.y_ids[rng.randint(*allowed_thousandths(top, bottom, batch.size[1]))]
        for i in ends:
            x = self._x[int(batch.ids[row, at + i - 1])] * batch.size[0] / 1000
            y = self._y[int(batch.ids[row, at + i])] * batch.size[1] / 1000
            batch.past_points.append((row, at + i, [batch.image_start + cell for cell in target_cells((x, y, x, y), columns, rows)]))

    def _named(self, question: Question, words: str, call: int) -> tuple[list[int], set[int]]:
        """The indices of the pieces before the token `call` that spell these words, those right before it or else the first, and the
        letters they spell; none where they do not stand there."""
        pieces, token_at = self._pieces(question)
        text = "".join(pieces[:call])
        places = occurrences(words, text) if words else []
        place = (places[-1] if text.rstrip().endswith(words) else places[0]) if places else []
        inside = [i for i in sorted({token_at[at] for at in place}) if piece_letters(pieces[i])]
        return inside, {label for i in inside for label in piece_letters(pieces[i])}

    def _pieces(self, question: Question) -> tuple[list[str], list[int]]:
        """What each token up to the reply's call says, and the token of every letter of it all."""
        tokens, _, call = self._tokens(question)
        pieces = [self.tokens.decode([token]) for token in tokens[:call]]
        return pieces, [i for i, piece in enumerate(pieces) for _ in piece]

    def _sources(self, batch: Batch, question: Question) -> tuple[dict[int, list[int]], set[tuple[int, int]] | None]:
        """Where each token of a typed text, by its index, can be taken from: the indices of the tokens of the question that spell it, every
        time that all of the text stands there, and which of them follows which; else the cells of the image where its letters are, and
        None."""
        tokens, asked, call = self._tokens(question)
        if not question.reply.removeprefix(question.thought).startswith(_TYPE):
            return {}, None
        typed = tokens[call + 1 : -3]  # between the beginning of the call and its end in two signs, and the stop token
        letters = [len(self.tokens.decode([token])) for token in typed]
        (pieces, token_at), spelled = self._pieces(question), self.tokens.decode(typed)
        text = "".join(pieces[:asked])  # what is typed behind a thought follows from it, and is no copy
        if sum(letters) != len(spelled):  # a letter of several tokens
            return {}, None
        if places := occurrences(spelled, text) or ([] if question.read else occurrences(spelled, text, loosely=True)):
            return spelled_by(places, letters, token_at, call + 1)
        if question.read is None:
            return {}, None
        return letter_cells(((0, question.read),), letters, call + 1, batch.grid), None

    def _given(self, question: Question) -> int:
        """How many tokens the letters are that are given of a reply."""
        tokens, asked, _ = self._tokens(question)
        ends = accumulate(len(self.tokens.decode([token])) for token in tokens[asked:])
        return sum(end <= question.given for end in ends) if question.given else 0

    def _noted(self, batch: Batch, question: Question) -> dict[int, list[int]]:
        """The cells of the image where the letters of each token of a thought are, by its index, of those that are read off the screen."""
        tokens, asked, call = self._tokens(question)
        return letter_cells(question.noted, [len(self.tokens.decode([token])) for token in tokens[asked:call]], asked, batch.grid)

    def _retold(self, question: Question) -> dict[int, list[int]]:
        """Where each token of the numbers of a thought, by its index, stands before it, for those that are not read off the screen and do
        not follow at once on what was: such a one is worked out from it, as the 12 of "December 12" is."""
        asked, found = self._tokens(question)[1], dict[int, list[int]]()
        pieces, token_at = self._pieces(question)
        text = "".join(pieces[:asked])
        read = [(begin, begin + len(word.text)) for begin, word in question.noted] + [(0, question.given)] * bool(question.given)
        for number in NUMBER.finditer("".join(pieces[asked:])):
            if not any(begin <= number.start() <= end + 1 for begin, end in read):
                inside = sorted({token_at[len(text) + letter] for letter in range(*number.span())})
                places = occurrences(number[0], "".join(pieces[: inside[0]]))
                lengths = [len(pieces[i]) for i in inside]
                if places and sum(lengths) == len(number[0]):
                    found |= spelled_by(places, lengths, token_at, inside[0])[0]
        return found


def _blank(head: list[int], batch: int, length: int, grid: tuple[int, int], image_id: int) -> Batch:
    """A batch in which only the head is laid out: the tokens up to the end of the image, which everything behind it may look at."""
    ids = torch.zeros(batch, length, dtype=torch.long)
    ids[:, : len(head)] = torch.tensor(head)
    positions = torch.zeros(3, batch, length, dtype=torch.long)
    positions[:, :, : len(head)] = mrope_positions(head, [(1, *grid)], 0, image_id)[0]
    mask = torch.eye(length, dtype=torch.bool).repeat(batch, 1, 1)  # a row that may look at nothing would be no number
    mask[:, :, : len(head)] |= torch.ones(length, length, dtype=torch.bool).tril()[:, : len(head)]
    return Batch(torch.empty(0), ids, positions, mask, grid, head.index(image_id))


def coordinate_ids(tokens: Tokens) -> tuple[list[int], list[int]]:
    """Token ids of the thousandths of x and of y. Raises ModelError when the tokenizer has no single tokens for them."""
    found = tuple([tokens.id(name) for name in names] for names in coordinate_tokens())
    if any(token is None for axis in found for token in axis):
        raise ModelError(
            "This tokenizer has no single tokens for coordinates such as '[412' and ',305': train a model from scratch instead."
        )
    x, y = ([token for token in axis if token is not None] for axis in found)
    return x, y
