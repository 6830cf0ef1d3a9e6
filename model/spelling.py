"""Where the letters of a text come from: other places of a text, or cells of an image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from model.labels import Word, target_cells

NUMBER = re.compile(r"-?\d\w*")
"""With the letters behind it, as in 13h and 5th."""


def occurrences(words: str, text: str, *, loosely: bool = False) -> list[list[int]]:
    """Where the letters and signs of words are in a text, each time that they all stand there; loosely: in capitals or not, and with up to
    two signs between one and the next, as the digits of a date have them."""
    between, flags = (r"\W{0,2}", re.IGNORECASE) if loosely else ("", re.NOFLAG)
    every = between.join(f"({re.escape(letter)})" for letter in words)
    return [[found.start(i + 1) for i in range(len(words))] for found in re.finditer(rf"(?<!\w){every}(?!\w)", text, flags)]


def letter_cells(words: Sequence[tuple[int, Word]], lengths: Sequence[int], first: int, grid: tuple[int, int]) -> dict[int, list[int]]:
    """Of the tokens of a text, of so many letters each, from the index `first` on: the cells of an image of `grid` patches where their
    letters are, if they are of words on the screen, which begin with such a letter of the text."""
    found, letter = dict[int, list[int]](), 0
    for i, length in enumerate(lengths):
        places = [(word.columns[at - begin], word.row) for begin, word in words for at in range(letter, letter + length)
                  if 0 <= at - begin < len(word.columns)]  # fmt: skip
        cells = {cell for x, y in places for cell in target_cells((x, y, x, y), grid[1] // 2, grid[0] // 2)}
        if cells:
            found[first + i] = sorted(cells)
        letter += length
    return found


def spelled_by(
    places: Sequence[Sequence[int]], lengths: Sequence[int], token_at: Sequence[int], first: int
) -> tuple[dict[int, list[int]], set[tuple[int, int]]]:
    """Of typed tokens of so many letters, from the index `first` on: the tokens of a text that spell each, and which of these stands behind
    which. places: of all the letters in the text. token_at: the token of every place."""
    found: dict[int, set[int]] = {}
    before: set[tuple[int, int]] = set()
    starts = [0, *accumulate(lengths)]
    for place in places:
        for i, (start, end) in enumerate(pairwise(starts)):
            keys = [token_at[at] for at in place[start:end]]
            found.setdefault(first + i, set()).update(keys)
            earlier = token_at[place[start - 1]] if start else keys[0] - 1
            if 0 <= earlier < keys[0]:
                before.add((keys[0], earlier))
    return {i: sorted(keys) for i, keys in found.items()}, before
