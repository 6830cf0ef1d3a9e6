"""Where things are in a screenshot as a model sees it: which letters stand in which cell and patch, which cells and coordinates a target
has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """A word on the screen: its letters, the pixel column of each letter's centre, and the row of all of them."""

    text: str
    columns: tuple[float, ...]
    row: float


LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PAIRS_FROM = len(LETTERS)
CAPITALS_FROM = PAIRS_FROM + (len(LETTERS) + 1) ** 2
LETTER_LABELS = CAPITALS_FROM + 2
"""Letters and digits, pairs of neighbours, and capitals: the first letter is one, the second is."""
GLYPH_LABELS = len(LETTERS) + 1
"""Letters, and any other sign."""
_CODE = {letter: i for i, letter in enumerate(LETTERS)}
CELL, _PATCH = 28, 14
"""Pixels of a side: of a merged vision token, of one of its four patches."""


def piece_letters(text: str) -> set[int]:
    """The labels of the letters, pairs and capitals that a piece of text spells."""
    codes = [_CODE.get(c, PAIRS_FROM) for c in text.lower()]
    pairs = {PAIRS_FROM + this * (PAIRS_FROM + 1) + following for this, following in pairwise(codes) if PAIRS_FROM not in (this, following)}
    capitals = {CAPITALS_FROM + i for i, letter in enumerate(text[:2]) if letter.isupper()}
    return pairs | capitals | {code for code in codes if code < PAIRS_FROM}


def letter_labels(words: Sequence[Word], columns: int, rows: int) -> set[tuple[int, int, int]]:
    """The letters (of LETTERS), pairs of neighbours and capitals of the words of which a letter has its centre in the upper half (0) or the
    lower half (1) of a cell of the image: (cell, half, label). Of the whole word, so that each cell tells which words it is a part of."""
    labels = set()
    for word in words:
        row, spelled = int(word.row / _PATCH), piece_letters(word.text)
        for column in {int(x / CELL) for x in word.columns if x >= 0}:
            if 0 <= row < 2 * rows and column < columns:
                labels |= {(row // 2 * columns + column, row % 2, label) for label in spelled}
    return labels


def glyph_labels(words: Sequence[Word], columns: int, rows: int) -> set[tuple[int, int, int]]:
    """Which letter (of LETTERS, or one more for any other sign) has its centre in which half of which patch: (patch in merge order, 0 for
    the left half or 1 for the right, letter); of several the last. columns and rows are of patches."""
    labels = dict[tuple[int, int], int]()
    for word in words:
        row = int(word.row / _PATCH)
        for letter, x in zip(word.text.lower(), word.columns, strict=False):
            column = int(x / _PATCH)
            if 0 <= row < rows and 0 <= column < columns:
                patch = ((row // 2) * (columns // 2) + column // 2) * 4 + row % 2 * 2 + column % 2
                labels[patch, int(x % _PATCH * 2 / _PATCH)] = _CODE.get(letter, len(LETTERS))
    return {(*place, letter) for place, letter in labels.items()}


def target_cells(target: Rectangle, columns: int, rows: int, least: float = 4.5) -> list[int]:
    """The image cells a rectangle covers by at least `least` pixels both ways, or else the one under its centre."""
    return [row * columns + column for row, column in _covered(target, (columns, rows), CELL, (least, least))]


def half_cells(target: Rectangle, columns: int, rows: int) -> tuple[list[int], list[int]]:
    """The image cells of which a rectangle fills most of the upper half's height, and those of which it fills the lower half's; of one that
    fills none, the half that holds its centre."""
    covered = _covered(target, (columns, 2 * rows), _PATCH, (4.5, 10))
    upper, lower = ([row // 2 * columns + column for row, column in covered if row % 2 == half] for half in (0, 1))
    return upper, lower


def _covered(target: Rectangle, grid: tuple[int, int], height: int, least: tuple[float, float]) -> list[tuple[int, int]]:
    """Row and column of the cells of such a height, in so many columns and rows, that a rectangle covers by at least so many pixels across
    and down, or else of the one under its centre."""
    (left, top, right, bottom), (columns, rows) = target, grid
    cells = [
        (row, column)
        for row in range(max(0, int(top / height)), min(rows, int(bottom / height) + 1))
        for column in range(max(0, int(left / CELL)), min(columns, int(right / CELL) + 1))
        if min(right, (column + 1) * CELL) - max(left, column * CELL) > least[0]
        and min(bottom, (row + 1) * height) - max(top, row * height) > least[1]
    ]
    centre = min(rows - 1, max(0, int((top + bottom) / 2 / height))), min(columns - 1, max(0, int((left + right) / 2 / CELL)))
    return cells or [centre]


def allowed_thousandths(low: float, high: float, size: int) -> tuple[int, int]:
    """The thousandths that lie in the middle 60 % of an extent: its exact centre is noise, its edges are too risky."""
    margin = (high - low) * 0.2
    first = min(999, max(0, int((low + margin) / size * 1000)))
    return first, min(999, max(first, int((high - margin) / size * 1000)))
