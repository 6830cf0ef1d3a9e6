"""Decoding within a grammar, by llguidance: what may follow, and what must. Knows no action and no wording.

A grammar is llguidance's dialect of Lark; control tokens stand in it by name (<tool_call>), and only so: text never becomes one, whatever
it spells. Syntax: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import cached_property, lru_cache
from itertools import takewhile
from typing import TYPE_CHECKING

import torch

from model.base import GrammarError
from model.tokens import Tokens

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_BITS = torch.arange(8, dtype=torch.uint8)
_SLICES = [r"""[^<'"\\\x00-\x1f\x7f-\x9f\u2028\u2029]{1,30}""", r"[^<]{1,30}"]
"""Tokens that are plain text. Where a string may hold any of them, a mask takes them all at once: at 150,000 tokens 20 times as fast."""
_WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]\Z")
"""The last byte of something that may be half a word, in any script."""
_ANY_CUT = '\n%llguidance {"no_forcing": true}\n'
_CACHED = 64
"""Grammars kept compiled."""


class Grammars:
    """The grammars of one model, each compiled once. vocabulary: length of its logits. stops: the tokens that may end a reply."""

    def __init__(self, tokens: Tokens, vocabulary: int, stops: Collection[int]) -> None:
        self._tokens, self._vocabulary, self._stops = tokens, vocabulary, sorted(stops)
        self._compiled = lru_cache(_CACHED)(self._compile)

    def matcher(self, text: str) -> Matcher:
        """For one reply, from its beginning. Raises GrammarError when the text is no grammar, or one that no token satisfies."""
        strict, loose = self._compiled(text)
        return Matcher(strict.deep_copy(), loose.deep_copy(), self._tokenizer)

    @cached_property
    def _tokenizer(self) -> LLTokenizer:
        """The tokenizer with every control token marked special, which the released checkpoints do only for some: so text holds none."""
        from llguidance import LLTokenizer

        spec = json.loads(self._tokens.to_json())
        for token in spec["added_tokens"]:
            token["special"] = not re.fullmatch(r"[\[,]\d{1,3}", token["content"])
        return LLTokenizer(json.dumps(spec), n_vocab=self._vocabulary, eos_token=self._stops, slices=_SLICES)

    def _compile(self, text: str) -> tuple[LLMatcher, LLMatcher]:
        from llguidance import LLMatcher

        strict = LLMatcher(self._tokenizer, text, log_level=0)
        strict.compute_bitmask()  # where nothing can follow, this is what notices
        _check(strict, "The grammar cannot be used")
        return strict, LLMatcher(self._tokenizer, text + _ANY_CUT, log_level=0)


class Matcher:
    """One reply as far as it has been written.

    strict, loose: the same grammar; where some text must follow, the first admits only the tokens llguidance cuts it into, the second any.
    """

    def __init__(self, strict: LLMatcher, loose: LLMatcher, tokenizer: LLTokenizer) -> None:
        self._strict, self._loose, self._tokenizer = strict, loose, tokenizer

    @property
    def ended(self) -> bool:
        """Whether nothing may follow but a stop token."""
        return bool(self._strict.is_stopped()) and not self._strict.is_error()

    def mask(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits (…, vocabulary) with -inf for what must not follow. Raises GrammarError where nothing can."""
        in_a_word = any(map(self._may_be_half_a_word, self._strict.compute_ff_tokens()[:1]))
        matcher = self._loose if in_a_word else self._strict
        packed = torch.frombuffer(bytearray(matcher.compute_bitmask()), dtype=torch.uint8).to(logits.device)
        _check(matcher, "The grammar comes to a dead end")
        barred = ((packed[:, None] >> _BITS.to(logits.device)) & 1).flatten()[: logits.shape[-1]] == 0
        return logits.masked_fill(barred, -torch.inf)

    def accept(self, token: int) -> None:
        """Go on past a token. Raises GrammarError when it must not follow."""
        if not (self._strict.consume_token(token) and self._loose.consume_token(token)):
            raise GrammarError(f"Token {token} cannot follow here in the grammar.")

    def forced(self) -> list[int]:
        """The tokens that must follow, accepted already; none where there is a choice.

        They are those the tokenizer would make of the whole text. Last ones that hang on what follows are left to be chosen: `[` before a
        number, where `[412` is one token (llguidance sees to that), and half a word, which a tokenizer may cut by what ends it.
        """
        tokens = list(self._strict.compute_ff_tokens())
        for token in tokens:
            self.accept(token)
        follows = self._strict.compute_ff_bytes()
        _check(self._strict, "The grammar comes to a dead end")
        if self.ended or (follows and not _WORD.match(follows[:1])):
            return tokens
        halves = sum(1 for _ in takewhile(self._may_be_half_a_word, reversed(tokens)))
        self._strict.rollback(halves)
        self._loose.rollback(halves)
        return tokens[: len(tokens) - halves]

    def _may_be_half_a_word(self, token: int) -> bool:
        return _WORD.search(self._tokenizer.decode_bytes([token])) is not None


def _check(matcher: LLMatcher, what: str) -> None:
    if matcher.is_error():
        told = matcher.get_error()
        reason = "no token of this model satisfies it" if told.startswith("NoExtension") else " ".join(told.split())[:200]
        raise GrammarError(f"{what}: {reason}.")
