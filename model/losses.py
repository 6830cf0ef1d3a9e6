"""The losses that teach a small model to point and to read; each a function of hidden states, none knows how they were made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.batches import Batch
from model.labels import GLYPH_LABELS, LETTER_LABELS, piece_letters


class LetterHead(nn.Linear):
    """Names the letters and letter pairs in the upper and in the lower half of each merged vision cell, and those of each piece of text
    from its embedding, as if it stood in both.

    Thrown away after training. It makes the tower read within minutes, and lets what is read and what is asked for meet in one space, so
    that a word need not have been a question before to be found.
    """

    pieces: Tensor
    spelled: Tensor

    def __init__(self, width: int, pieces: Sequence[tuple[int, str]]) -> None:
        """pieces: (token id, text) of the vocabulary."""
        super().__init__(width, 2 * LETTER_LABELS)
        nn.init.normal_(self.weight, 0, width**-0.5)
        nn.init.constant_(self.bias, -4.0)
        found = [(token, labels) for token, text in pieces if (labels := piece_letters(text))]
        self.register_buffer("pieces", torch.tensor([token for token, _ in found], dtype=torch.long), persistent=False)
        spelled = torch.zeros(len(found), LETTER_LABELS)
        for row, (_, labels) in enumerate(found):
            spelled[row, sorted(labels)] = 1
        self.register_buffer("spelled", spelled.repeat(1, 2), persistent=False)


class GlyphHead(nn.Linear):
    """Names the letter in each half of each patch, before patches are merged: one of GLYPH_LABELS, or that there is none.

    Thrown away after training. That it must say where a letter is makes the tower read sooner than the bag of letters of a cell does
    (docs/log.md, 2026-11-27).
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, 2 * (GLYPH_LABELS + 1))
        weight = torch.ones(GLYPH_LABELS + 1)
        weight[GLYPH_LABELS] = 0.1  # most halves hold none
        self.register_buffer("label_weight", weight, persistent=False)

    label_weight: Tensor


class PlaceHead(nn.Linear):
    """Tells where each merged cell is: sines and cosines of both its coordinates, 0.5 to 4 cycles over the image.

    Thrown away after training. Without it a tower that is taught to read forgets where it reads: after 40 minutes a linear probe of its
    features missed a cell's y by 77 pixels of 336 on average, which is chance (docs/log.md, 2026-11-27).
    """

    CYCLES = 0.5, 1.0, 2.0, 4.0

    def __init__(self, width: int) -> None:
        super().__init__(width, 4 * len(self.CYCLES))

    @classmethod
    def codes(cls, columns: int, rows: int) -> Tensor:
        """(cells, 16): what it is to say of an image of so many cells."""
        y, x = torch.meshgrid((torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns, indexing="ij")
        angles = 2 * torch.pi * torch.stack([x, y], -1).reshape(-1, 2, 1) * torch.tensor(cls.CYCLES)
        return torch.cat([angles.sin(), angles.cos()], -1).flatten(1)


class ReadingHeads(nn.Module):
    """What only training needs: the heads that make the tower read, and keep it from forgetting where."""

    def __init__(self, vision_width: int, width: int, pieces: Sequence[tuple[int, str]]) -> None:
        super().__init__()
        self.letters, self.glyphs, self.places = LetterHead(width, pieces), GlyphHead(vision_width), PlaceHead(width)


def glyph_loss(encoded: Tensor, batch: Batch, head: GlyphHead) -> Tensor:
    """Cross-entropy over the halves of all patches of the rows whose words are known; encoded (B, patches, vision width)."""
    logits, wanted = _glyphs(encoded, batch, head)
    return F.cross_entropy(logits.flatten(0, 2), wanted.flatten(), weight=head.label_weight)


def glyphs_named(encoded: Tensor, batch: Batch, head: GlyphHead) -> tuple[int, int]:
    """How many letters and digits are named rightly, and how many there are, in the rows whose words are known."""
    logits, wanted = _glyphs(encoded, batch, head)
    there = wanted < GLYPH_LABELS - 1
    return int((logits.argmax(-1) == wanted)[there].sum()), int(there.sum())


def _glyphs(encoded: Tensor, batch: Batch, head: GlyphHead) -> tuple[Tensor, Tensor]:
    """Logits (known rows, patches, 2, labels), and which label is wanted."""
    wanted = torch.full((*encoded.shape[:2], 2), GLYPH_LABELS)
    if batch.glyphs:
        rows, patches, halves, letters = torch.tensor(batch.glyphs).T
        wanted[rows, patches, halves] = letters
    wanted = wanted[batch.known]
    return head(encoded[batch.known]).view(*wanted.shape, GLYPH_LABELS + 1), wanted


def spelling_loss(embeddings: Tensor, head: LetterHead) -> Tensor:
    """The same as `letter_loss` for the embeddings (vocabulary, width) of the pieces that spell something."""
    return _multi_label(head(embeddings[head.pieces]), head.spelled)


def _multi_label(logits: Tensor, wanted: Tensor) -> Tensor:
    """Binary cross-entropy summed over labels, the few positives counting four times."""
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none", pos_weight=torch.tensor(4.0)).sum(-1).mean()


def letter_loss(features: Tensor, batch: Batch, head: LetterHead) -> Tensor:
    """Over (B, cells, labels), of the rows whose words are known."""
    wanted = torch.zeros(*features.shape[:2], 2 * LETTER_LABELS)
    if batch.letters:
        rows, cells, halves, labels = torch.tensor(batch.letters).T
        wanted[rows, cells, halves * LETTER_LABELS + labels] = 1
    return _multi_label(head(features[batch.known]), wanted[batch.known])


def place_loss(features: Tensor, batch: Batch, head: PlaceHead) -> Tensor:
    """Mean squared error of what is said of every cell's place."""
    said, codes = head(features), head.codes(batch.grid[1] // 2, batch.grid[0] // 2)
    return F.mse_loss(said, codes.expand_as(said))


def box_loss(hidden: Tensor, head: Tensor, ids: Sequence[int], ranges: Sequence[tuple[int, int]], weights: Tensor) -> Tensor:
    """-log of the probability that falls on the allowed thousandths; hidden (points, width), ids the 1,000 coordinate tokens, weights
    (points,)."""
    log_p = F.log_softmax(F.linear(hidden, head), -1)[:, torch.tensor(ids)]
    low, high = (torch.tensor(side)[:, None] for side in zip(*ranges, strict=True))
    value = torch.arange(len(ids))[None]
    return -log_p.masked_fill((value < low) | (value > high), -1e9).logsumexp(1) @ weights / weights.sum()


@dataclass(frozen=True, slots=True)
class Look:
    """One row of one head's attention, and the positions it is to look at."""

    row: int
    head: int
    index: int
    keys: Sequence[int]


POINTING, HALVES, SOURCES, NAMED, HISTORY, EVIDENCE = "attention", "halves", "sources", "named", "history", "evidence"
GROUNDING_LAYERS = 5
"""The last layers of a text model, which are taught to find what is asked for; those before them take in what was done."""


def first_grounding(layers: int) -> int:
    """The index of the first of them, in a model of so many layers."""
    return max(0, layers - GROUNDING_LAYERS)


def looks(batch: Batch, layers: int) -> list[tuple[str, int, list[Look]]]:
    """Which heads of a text model of so many layers are taught where to look: name of the loss, layer, rows of attention.

    Of the last five layers: the first three: head 2, where a reply and its first point are decided, at the words that name the target, so
    that the layers behind know what to look for. The second to the last: heads 0 (where x is decided) and 1 (where y is) at the image cells
    of the target; where it is named by words in its row, y is decided looking at these. The third and fourth, where y is decided: head 3 at
    the cells of which the same fills the upper half, head 0 at those of which it fills the lower half, each at the beginning of the image
    when there are none: two lines of text fit in a cell. The third and fourth, where a letter is typed: head 2 at that letter, in the
    question's text or on the screen. For this, a text's letters must know what stands before them (induction heads, arXiv 2209.11895): the
    second, head 3, and the first, head 3, so that the second also knows what stands before that; else the letter behind one space could be
    that behind any. The second and third, where a reply, its first coordinate and what it types are decided: head 1 at what tells that it
    is this reply, where that is known.

    Where two layers or more come before these five: at the y of each point of a question, head 3 of the first of those two looks at the x,
    and head 0 of the second at the image cell of the point; head 2 of the next, the first of the five, at the words that name what was
    there, or at the beginning of the image: so what was done can be told from what is still to be done.
    """
    first = first_grounding(layers)
    pointing = [
        Look(p.row, axis, p.index + axis, [batch.image_start + cell for cell in cells])
        for p in batch.points
        for axis, cells in enumerate((p.cells, p.y_cells))
    ]
    typed = [Look(row, 2, index, keys) for row, index, keys in batch.sources]
    before = [Look(row, 3, index, [earlier]) for row, index, earlier in sorted(set(batch.repeated))]
    at_half = [
        Look(p.row, head, p.index + 1, [batch.image_start + cell for cell in cells] or [batch.image_start - 1])
        for p in batch.points
        for head, cells in zip((3, 0), p.halves, strict=True)
    ]
    named = [Look(row, 2, index, keys) for row, index, keys, _ in batch.sought]
    taught = [(NAMED, layer, named) for layer in (0, 1, 2)] + [(SOURCES, 1, before), (SOURCES, 2, typed), (SOURCES, 3, typed)]
    taught.append((SOURCES, 0, [Look(row, 3, index, [index - 1]) for row, index in batch.preceded]))
    tells = [Look(row, 1, index, keys) for row, index, keys in batch.evidence]
    taught += [(EVIDENCE, layer, tells) for layer in (1, 2)]
    taught += [(POINTING, layer, pointing) for layer in (1, 2, 3, 4)] + [(HALVES, layer, at_half) for layer in (2, 3)]
    if first >= 2:
        joined = [Look(row, 3, index, [index - 1]) for row, index, _ in batch.past_points]
        touched = [Look(row, 0, index, cells) for row, index, cells in batch.past_points]
        done = [Look(row, 2, index, keys or [batch.image_start - 1]) for row, index, keys in batch.past_words]
        taught += [(HISTORY, -2, joined), (HISTORY, -1, touched), (NAMED, 0, done)]
    return [(name, first + layer, found) for name, layer, found in taught if found and first + layer < layers]


def places(taught: Sequence[Look]) -> Tensor:
    """(n, 3): row, head and index of each."""
    return torch.tensor([(look.row, look.head, look.index) for look in taught])


def attention_loss(scores: Tensor, wanted: Sequence[Look], spread: bool = False) -> Tensor:
    """-log of the attention that lies where it is wanted; scores (looks, L), before the softmax. spread: it is to be the same at each of
    the places wanted, the cross-entropy to that is the loss."""
    mask = torch.ones(scores.shape, dtype=torch.bool)
    mask[torch.tensor([(row, key) for row, look in enumerate(wanted) for key in look.keys]).unbind(1)] = False
    log_p = F.log_softmax(scores, -1)
    if spread:
        return -(log_p.masked_fill(mask, 0).sum(-1) / (~mask).sum(-1)).mean()
    return -log_p.masked_fill(mask, -1e9).logsumexp(1).mean()


def token_loss(hidden: Tensor, head: Tensor, labels: Sequence[tuple[int, int, int]], weights: Sequence[float] = ()) -> Tensor:
    """Cross-entropy of wanted tokens: (row, index of the token before, token). weights: of the labels, equal if not given."""
    rows, index, wanted = torch.tensor(labels).T
    losses = F.cross_entropy(F.linear(hidden[rows, index], head), wanted, reduction="none")
    counts = torch.tensor(weights or [1.0] * len(labels))
    return losses @ counts / counts.sum()


def sought_loss(given: Sequence[Tensor], batch: Batch, head: LetterHead) -> Tensor:
    """The same as `letter_loss` for what the attention of the second and third of the grounding layers is given where a reply and its first
    point are decided: the letters of what is to be found."""
    rows, index = torch.tensor([(row, index) for row, index, _, _ in batch.sought]).T
    wanted = torch.zeros(len(batch.sought), 2, LETTER_LABELS)
    for at, (_, _, _, labels) in enumerate(batch.sought):
        wanted[at, :, sorted(labels)] = 1
    first = first_grounding(len(given))
    seen = given[first + 1 : first + 3]
    return torch.stack([_multi_label(head(states[rows, index]), wanted.flatten(1)) for states in seen]).mean()


def reading_losses(vision: tuple[Tensor, Tensor], embeddings: Tensor, batch: Batch, heads: ReadingHeads) -> dict[str, Tensor]:
    """Of what the vision tower sees; "glyphs" and "letters" only when the words of a row are known. vision: its states before merging
    (B, patches, vision width), normed, and its features (B, cells, width). embeddings: of the tokens."""
    losses = {}
    if batch.known:
        losses = {"glyphs": glyph_loss(vision[0], batch, heads.glyphs), "letters": letter_loss(vision[1], batch, heads.letters)}
    return {**losses, "places": place_loss(vision[1], batch, heads.places), "spelling": spelling_loss(embeddings, heads.letters)}


def action_losses(
    outputs: tuple[Tensor, Sequence[Tensor], Sequence[Tensor]],
    batch: Batch,
    taught: Sequence[tuple[str, int, Sequence[Look]]],
    heads: tuple[Tensor, ReadingHeads],
    ids: tuple[Sequence[int], Sequence[int]],
) -> dict[str, Tensor]:
    """Of what the text model says. outputs: hidden (B, L, width), the scores of what is taught by `looks`, and what each layer is given.
    heads: the language model's, those for reading. ids: token ids of the thousandths of x and of y.
    """
    (hidden, scores, given), weight = outputs, heads[0]
    losses = {"kinds": token_loss(hidden, weight, batch.kinds, batch.kind_weights)}
    if batch.sought:
        losses["sought"] = sought_loss(given, batch, heads[1].letters)
    for name, labels in (("tokens", batch.tokens), ("text", batch.text), ("copied", batch.copied), ("read", batch.read)):
        if labels:
            losses[name] = token_loss(hidden, weight, labels)
    if batch.points:
        rows, index = torch.tensor([p.row for p in batch.points]), torch.tensor([p.index for p in batch.points])
        counts = torch.tensor([p.weight for p in batch.points])
        losses["x"] = box_loss(hidden[rows, index], weight, ids[0], [p.x for p in batch.points], counts)
        losses["y"] = box_loss(hidden[rows, index + 1], weight, ids[1], [p.y for p in batch.points], counts)
    for loss in (POINTING, HALVES, SOURCES, NAMED, HISTORY, EVIDENCE):
        with_it = [(score, wanted) for score, (name, _, wanted) in zip(scores, taught, strict=True) if name == loss]
        if with_it:
            losses[loss] = torch.stack([attention_loss(score, wanted, loss == NAMED) for score, wanted in with_it]).mean()
    return losses


WEIGHTS = {
    "x": 1.0, "y": 1.0, "kinds": 1.0, "copied": 1.0, "read": 1.0, "text": 1.0, "tokens": 0.3, POINTING: 0.6, HALVES: 0.6, SOURCES: 0.6,
    NAMED: 0.9, HISTORY: 0.6, EVIDENCE: 0.6, "letters": 0.2, "spelling": 0.2, "sought": 0.1, "glyphs": 2.0, "places": 12.0,
}  # fmt: skip
"""kinds: the first token of a reply decides between acting and being done; among all tokens it would drown. copied, read, text: what is
typed, from the question, from the screen, and otherwise."""
