"""Replies of a model that knows nothing: any token that the grammar lets follow, half of the time one of those that break formats."""

from __future__ import annotations

from functools import cache
from random import Random

import torch

from model.grammar import Grammars, Matcher
from model.tokens import END_OF_TEXT, OBSERVATION, USER, Tokens
from tests.model import checkpoints

PADDING = 27
"""So many ids of the vocabulary stand for nothing, as at the end of GLM's."""
SHARP = "<|'\"\\/>)(,=[]{}:\n x03tu"


@cache
def tokens(thousandths: bool = False) -> Tokens:
    return Tokens(checkpoints.tokenizer(thousandths))


@cache
def stops(thousandths: bool = False) -> list[int]:
    return sorted(tokens(thousandths).control[name] for name in (END_OF_TEXT, USER, OBSERVATION))


@cache
def grammars(thousandths: bool = False) -> Grammars:
    return Grammars(tokens(thousandths), len(tokens(thousandths)) + PADDING, stops(thousandths))


@cache
def _sharp(thousandths: bool) -> frozenset[int]:
    return frozenset(token for character in SHARP for token in tokens(thousandths).encode(character))


def allowed(matcher: Matcher, thousandths: bool = False) -> list[int]:
    mask = matcher.mask(torch.zeros(len(tokens(thousandths)) + PADDING))
    return [int(token) for token in (mask == 0).nonzero()]


def walk(grammar: str, seed: int, most: int, thousandths: bool = False) -> str:
    """A whole reply. It fails when that takes more tokens than `most`."""
    rng, matcher = Random(seed), grammars(thousandths).matcher(grammar)
    ids = matcher.forced()
    while not matcher.ended:
        choices = allowed(matcher, thousandths)
        sharp = [token for token in choices if token in _sharp(thousandths)]
        token = rng.choice(sharp if sharp and rng.random() < 0.5 else choices)
        matcher.accept(token)
        if token in stops(thousandths):
            break
        ids += [token, *matcher.forced()]
        assert len(ids) <= most, "it does not come to an end"
    return tokens(thousandths).decode(ids)
