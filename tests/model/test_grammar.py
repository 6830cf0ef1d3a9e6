"""Decoding within a grammar: what may follow, what must, when it is over. On vocabularies with and without one-token coordinates."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tools
from model.base import GrammarError
from model.tokens import CONTROLS
from tests.model.walks import KINDS, PADDING, Kind, allowed, grammars, stops, tokens, walk
from tests.tools.actions import any_action, with_all
from tools.base import ActionSpace, Tool
from tools.grammar import Bounds, action_rules

SPACES = {
    "call text": with_all(tools.desktop_actions("browser")),
    "tool call": with_all(tools.native_actions("browser")),
    "compact": tools.compact_actions(),
}
SHORT, LONG = Bounds(text=40, item=40, items=3), Bounds(text=1000, item=1000, items=40)
EVERY = pytest.mark.parametrize("kind", KINDS)
BOTH = pytest.mark.parametrize("space", [SPACES["call text"], SPACES["tool call"]], ids=["call text", "tool call"])


@cache
def actions(space: ActionSpace, bounds: Bounds) -> str:
    return f"start: action\n{action_rules(space, bounds)}"


def encoded(text: str, kind: Kind) -> list[int]:
    """The tokens of what is written for an action: the tags of a tool call are control tokens, and nothing else is."""
    parts = re.split("(</?(?:tool_call|arg_key|arg_value)>)", text) if text.startswith("<tool_call>") else [text]
    known = tokens(kind)
    return [token for n, part in enumerate(parts) for token in ([known.control[part]] if n % 2 else known.encode(part))]


@EVERY
@pytest.mark.parametrize("name", SPACES)
def test_whatever_the_grammar_admits_is_an_action(name: str, kind: Kind) -> None:
    space, done = SPACES[name], set()
    for seed in range(40):
        done.add(type(space.parse(walk(actions(space, SHORT), seed, 600, kind))))
    assert len(done) > 4


@BOTH
@given(action=any_action, kind=st.sampled_from(KINDS))
@settings(max_examples=150, deadline=None)
def test_what_is_written_for_an_action_is_admitted_and_what_is_forced_is_how_it_is_written(
    space: ActionSpace, action: Tool, kind: Kind
) -> None:
    """Token by token as the tokenizer has the whole text; so forcing changes nothing a model would have written by itself."""
    matcher, ids = grammars(kind).matcher(actions(space, LONG)), encoded(space.render(action), kind)
    at = 0
    while at < len(ids):
        forced = matcher.forced()
        assert ids[at : at + len(forced)] == forced
        at += len(forced)
        if not forced:
            assert ids[at] in allowed(matcher, kind)
            matcher.accept(ids[at])
            at += 1
    assert set(stops(kind)) <= set(allowed(matcher, kind))


def test_a_number_is_left_to_be_chosen_as_the_tokens_the_model_has_for_it() -> None:
    for kind in KINDS:
        matcher = grammars(kind).matcher('start: "click [" NUMBER "," NUMBER "]"\nNUMBER: /0|[1-9][0-9]{0,2}/')
        ids = tokens(kind).encode("click [412,305]")
        forced = matcher.forced()
        assert ids[: len(forced)] == forced
        assert tokens(kind).decode(forced).endswith("[") is (kind in ("digits", "glm"))
        for token in ids[len(forced) :]:
            assert token in allowed(matcher, kind)
            matcher.accept(token)
        assert matcher.ended


@EVERY
def test_a_reply_that_is_complete_lets_only_a_stop_follow(kind: Kind) -> None:
    matcher = grammars(kind).matcher('start: "a" "b"?')
    assert not matcher.ended
    assert tokens(kind).decode(matcher.forced() or []) in ("", "a")
    for token in tokens(kind).encode("ab"):
        if token in allowed(matcher, kind):
            matcher.accept(token)
    assert allowed(matcher, kind) == stops(kind)
    assert matcher.ended
    assert matcher.forced() == []
    matcher.accept(stops(kind)[0])
    assert matcher.ended


def test_text_never_becomes_a_control_token() -> None:
    matcher = grammars().matcher("start: TEXT\nTEXT: /(?s:.)+/")
    assert not set(tokens().control.values()) - set(stops()) & set(allowed(matcher))
    for token in tokens().encode("<tool_call><|image|></think>"):
        matcher.accept(token)


def test_a_control_token_stands_in_a_grammar_by_its_name() -> None:
    for name in CONTROLS:
        if tokens().control[name] not in stops():
            matcher = grammars().matcher(f'start: "a" {name} "b"' if name.startswith("<") else 'start: "a"')
            ids = matcher.forced()
            assert tokens().decode(ids) == ("a" + name + "b" if name.startswith("<") else "a")


def test_logits_keep_their_values_where_a_token_may_follow() -> None:
    matcher = grammars().matcher("start: /[ab]+/")
    logits = torch.randn(2, len(tokens()) + PADDING, generator=torch.Generator().manual_seed(0))
    masked = matcher.mask(logits)
    kept = masked > -torch.inf
    assert 0 < int(kept[0].sum()) < 20
    assert torch.equal(masked[kept], logits[kept])
    assert bool(logits.isfinite().all())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Empty grammar"),
        ("start: a b", "unknown name"),
        ("start: <nope>", "unknown special token"),
        ("start: /(/", "regex"),
        ("start: A\nA: /a/ & /b/", "no token of this model satisfies it"),
    ],
)
def test_what_is_no_grammar_is_refused_in_one_line(text: str, reason: str) -> None:
    with pytest.raises(GrammarError, match=reason) as refusal:
        grammars().matcher(text)
    assert len(str(refusal.value).splitlines()) == 1
    assert len(str(refusal.value)) < 300


def test_a_dead_end_further_on_is_an_error_of_that_reply_alone() -> None:
    text = 'start: "a" A | "c"\nA: /a/ & /b/'
    stuck, well = grammars().matcher(text), grammars().matcher(text)
    [begun] = tokens().encode("a")
    stuck.accept(begun)
    with pytest.raises(GrammarError, match="dead end"):
        allowed(stuck)
    well.accept(*tokens().encode("c"))
    assert well.ended


def test_a_token_that_may_not_follow_is_refused() -> None:
    with pytest.raises(GrammarError, match="cannot follow"):
        grammars().matcher('start: "a" | "b"').accept(*tokens().encode("c"))


def test_replies_within_one_grammar_do_not_disturb_each_other() -> None:
    def reply(seed: int) -> str:
        return walk(actions(SPACES["call text"], SHORT), seed, 600)

    alone = [reply(seed) for seed in range(12)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(reply, range(12))) == alone
