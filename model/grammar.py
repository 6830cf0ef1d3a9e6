"""Decoding within a grammar, by llguidance: what may follow, and what must. Knows no action and no wording.

A grammar is llguidance's dialect of Lark; control tokens stand in it by name (<tool_call>), and only so: text never becomes one, whatever
it spells. Syntax: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
from collections.abc import Collection
from functools import cached_property, lru_cache
from re import fullmatch
from typing import TYPE_CHECKING

import torch

from model.base import GrammarError
from model.tokens import Tokens

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_BITS = torch.arange(32, dtype=torch.int32)
_CACHED = 64
"""Grammars kept compiled."""


class Grammars:
    """The grammars of one model, each compiled once. vocabulary: length of its logits. stops: the tokens that may end a reply."""

    def __init__(self, tokens: Tokens, vocabulary: int, stops: Collection[int]) -> None:
        self._tokens, self._vocabulary, self._stops = tokens, vocabulary, sorted(stops)
        self._compiled = lru_cache(_CACHED)(self._compile)

    def matcher(self, text: str) -> Matcher:
        """For one reply, from its beginning. Raises GrammarError when the text is no grammar, or one that no token satisfies."""
        return Matcher(self._compiled(text).deep_copy())

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        """The tokenizer with every control token marked special, which the released checkpoints do only for some: so text holds none."""
        from llguidance import LLTokenizer

        spec = json.loads(self._tokens._trusted.to_str())
        for token in spec["added_tokens"]:
            token["special"] = not fullmatch(r"[\[,]\d{1,3}", token["content"])
        return LLTokenizer(json.dumps(spec), n_vocab=self._vocabulary, eos_token=self._stops)

    def _compile(self, text: str) -> LLMatcher:
        from llguidance import LLMatcher

        matcher = LLMatcher(self._tokenizer, text, log_level=0)
        matcher.compute_bitmask()  # where nothing can follow, this is what notices
        _check(matcher, "The grammar cannot be used")
        return matcher


class Matcher:
    """One reply as far as it has been written."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher

    @property
    def ended(self) -> bool:
        """Whether nothing may follow but a stop token."""
        return bool(self._matcher.is_stopped())

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits (…, vocabulary) with -inf for what must not follow. Raises GrammarError where nothing can."""
        bits = torch.frombuffer(bytearray(self._matcher.compute_bitmask()), dtype=torch.int32)
        _check(self._matcher, "The grammar comes to a dead end")
        allowed = ((bits[:, None] >> _BITS) & 1).flatten()[: logits.shape[-1]].to(logits.device, torch.bool)
        return logits.masked_fill(~allowed, -torch.inf)

    def accept(self, token: int) -> None:
        """Go on past a token. Raises GrammarError when it must not follow."""
        if not self._matcher.consume_token(token):
            raise GrammarError(f"Token {token} cannot follow here in the grammar.")

    def forced(self) -> list[int]:
        """The tokens that must follow, accepted already; none where there is a choice.

        They are those the tokenizer would make of the whole text. A last one that what follows could still grow into another is left to
        be chosen: `[` before a number, where `[412` is one token.
        """
        tokens = self._matcher.compute_ff_tokens()
        if tokens and not self._matcher.consume_tokens(tokens):
            _check(self._matcher, "The grammar comes to a dead end")
        return list(tokens)


def _check(matcher: LLMatcher, what: str) -> None:
    if matcher.is_error():
        told = matcher.get_error()
        reason = "no token of this model satisfies it" if told.startswith("NoExtension") else " ".join(told.split())[:200]
        raise GrammarError(f"{what}: {reason}.")
