"""The grammar of an action space, as text: ranges, names, bounds. That it admits actions and nothing else is tested where it is used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, create_model

import tools
from environments.base import Environment, Observation
from tools.base import ActionSpace, Plain, Tool, ToolResult
from tools.codec import CallText, ToolCallXml
from tools.grammar import Bounds, action_rules, free_text

GOLDEN = Path(__file__).parent / "golden"
number = st.integers(-2000, 2000)


class Wheel(Tool):
    """Turn it."""

    name: ClassVar[str] = "wheel"

    def run(self, env: Environment, seen: Observation) -> ToolResult:
        return ToolResult()


def space(kind: Any, *, xml: bool = True, **limits: Any) -> ActionSpace:
    """Of one action with one argument of a kind, within limits."""
    value: Any = Annotated[kind, Field(**limits)]
    made = create_model("Made", __base__=Wheel, value=(value, ...))
    return ActionSpace((made,), ToolCallXml() if xml else CallText(), Plain())


def terminal(rules: str, name: str) -> re.Pattern[str]:
    body = next(line.removeprefix(f"{name}: /").removesuffix("/") for line in rules.splitlines() if line.startswith(f"{name}:"))
    return re.compile(body.replace(r"\/", "/"))


@given(low=number, span=st.integers(0, 2000), value=number)
@settings(deadline=None)
def test_a_whole_number_is_admitted_when_it_is_within_its_range(low: int, span: int, value: int) -> None:
    written = terminal(action_rules(space(int, ge=low, le=low + span)), "INTEGER")
    for n in (value, low - 1, low, low + span, low + span + 1):
        assert bool(written.fullmatch(str(n))) is (low <= n <= low + span)
    assert not written.fullmatch(f"0{low}")


@given(low=st.integers(-100, 100), span=st.integers(0, 100), value=st.floats(-300, 300).filter(lambda value: str(value) != "-0.0"))
@settings(deadline=None)
def test_a_number_is_admitted_when_it_is_within_its_range(low: int, span: int, value: float) -> None:
    written = terminal(action_rules(space(float, ge=low, le=low + span)), "NUMBER")
    for n in (value, float(low), low - 0.5, low + span + 0.5, float(low + span)):
        assert bool(written.fullmatch(str(n))) is (low <= n <= low + span)


def test_a_number_without_limits_ends() -> None:
    written = terminal(action_rules(space(int)), "INTEGER")
    assert written.fullmatch("-7")
    assert written.fullmatch("999999999")
    assert not written.fullmatch("9" * 10)


@pytest.mark.parametrize(("least", "most", "fits"), [(0, 5, "abcde"), (1, 3, "abc"), (3, 3, "abc")])
def test_a_text_is_as_long_as_its_field_says_and_no_longer_than_the_bounds(least: int, most: int, fits: str) -> None:
    written = terminal(action_rules(space(str, xml=False, min_length=least, max_length=most)), "TEXT")
    assert written.fullmatch(f"'{fits}'")
    assert not written.fullmatch(f"'{fits}x'")
    assert bool(written.fullmatch("''")) is (least == 0)
    assert not terminal(action_rules(space(str, xml=False), Bounds(text=2)), "TEXT").fullmatch("'abc'")


@given(st.lists(st.sampled_from(["<", "/", "arg_", "arg_key>", "tool_call>", "arg_value", ">", "|", "a", "\n"]), max_size=12).map("".join))
@settings(deadline=None)
def test_a_string_holds_no_tag_or_box_of_its_format(text: str) -> None:
    tag, box = re.search("</?(arg_key|arg_value|tool_call)>", text) is not None, "<|" in text
    assert bool(terminal(action_rules(space(str)), "TEXT").fullmatch(text)) is (bool(text) and not tag)
    assert bool(terminal(action_rules(space(str, xml=False)), "TEXT").fullmatch(f"'{text}'")) is not (box or "\n" in text)
    assert bool(terminal(free_text("PROSE", 99), "PROSE").fullmatch(text)) is (bool(text) and not tag and not box)


def test_bounds_leave_room_for_something() -> None:
    for least in ({"prose": 0}, {"text": 0}, {"item": 0}, {"items": 1}):
        with pytest.raises(ValueError, match="nothing can be said"):
            Bounds(**least)


def test_every_action_of_a_space_has_a_rule() -> None:
    for one in (tools.desktop_actions("browser"), tools.native_actions("desktop"), tools.compact_actions()):
        rules = action_rules(one)
        assert all(f"\n{tool.name}-1: " in rules for tool in one.tools)


def test_the_grammar_is_as_agreed() -> None:
    assert action_rules(tools.compact_actions()) == (GOLDEN / "compact.lark").read_text("utf-8")
