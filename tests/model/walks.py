"""Replies of a model that knows nothing: any token that the grammar lets follow, half of the time one of those that break formats."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import Literal, get_args

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from model import embedded_path
from model.grammar import Grammars, Matcher
from model.tokens import END_OF_TEXT, OBSERVATION, USER, Tokens
from tests.model import checkpoints

PADDING = 27
"""So many ids of the vocabulary stand for nothing, as at the end of GLM's."""
SHARP = "<|'\"\\/>)(,=[]{}:\n x03tu"


Kind = Literal["digits", "coordinates", "calls", "glm", "embedded"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_PIECES = {
    "calls": r"[a-z_]+\(start_box='|\]'\)|[\[,]\p{N}{1,3}(?!\p{N})|\p{N}| ?\p{L}+|\s+| ?[^\s\p{L}\p{N}]",
    "glm": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
}
"""How a text is cut before it is merged: by the tokenizer of small models, whose pieces are whole heads of calls, and by GLM-4.5V's."""
_CORPUS = [
    "left_click(start_box='[412,305]') right_click(start_box='[41,30]', element_info='it\\'s', hold_keys='ctrl+a') type(content='don\\'t')",
    "left_drag(start_box='[412,305]', end_box='[30,41]') scroll(start_box='[500,500]', direction='down', step=5) key(keys='ctrl+s') DONE()",
    'click\n point\n\n [412, 305] text\n hold\n I see the field, so I type.\nMemory:\n[]\nMemory:\n[{"a": "b"}, {"a": 1}]\n\n f(x)\r\n',
]


@cache
def tokens(kind: Kind = "digits") -> Tokens:
    """digits, coordinates: as every test checkpoint's, without and with one-token coordinates. embedded: the embedded checkpoint's."""
    if kind == "embedded":
        return Tokens.load(embedded_path())
    return Tokens(_trained(_PIECES[kind]) if kind in _PIECES else checkpoints.tokenizer(kind == "coordinates"))


def _trained(pieces: str) -> Tokenizer:
    made = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pieces), "isolated"), byte_level])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(_CORPUS, trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False))
    made.add_tokens([AddedToken(name, special=i < 18, normalized=False) for i, name in enumerate(checkpoints.ADDED)])
    return made


@cache
def stops(kind: Kind = "digits") -> list[int]:
    return sorted(tokens(kind).control[name] for name in (END_OF_TEXT, USER, OBSERVATION))


@cache
def grammars(kind: Kind = "digits") -> Grammars:
    return Grammars(tokens(kind), len(tokens(kind)) + PADDING, stops(kind))


@cache
def _sharp(kind: Kind) -> frozenset[int]:
    return frozenset(token for character in SHARP for token in tokens(kind).encode(character))


def allowed(matcher: Matcher, kind: Kind = "digits") -> list[int]:
    mask = matcher.mask(torch.zeros(len(tokens(kind)) + PADDING))
    return [int(token) for token in (mask == 0).nonzero()]


def walk(grammar: str, seed: int, most: int, kind: Kind = "digits") -> str:
    """A whole reply. It fails when that takes more tokens than `most`."""
    rng, matcher = Random(seed), grammars(kind).matcher(grammar)
    ids = matcher.forced()
    while not matcher.ended:
        choices = allowed(matcher, kind)
        sharp = [token for token in choices if token in _sharp(kind)]
        token = rng.choice(sharp if sharp and rng.random() < 0.5 else choices)
        matcher.accept(token)
        if token in stops(kind):
            break
        ids += [token, *matcher.forced()]
        assert len(ids) <= most, "it does not come to an end"
    return tokens(kind).decode(ids)
