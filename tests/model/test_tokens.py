"""Prompts: exactly the template's layout, and no text that can break out of its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer

from model.base import GenerationConfig, Grid, Message, ModelError, ToolCall
from model.tokens import CONTROLS, ControlTokens, ImageSegment, Tokens, assemble, render
from tests.model import checkpoints

TOKENS = Tokens(checkpoints.tokenizer())
ADDED = {TOKENS.id(name) for name in checkpoints.ADDED}
SCREEN = Image.new("RGB", (56, 56))
THINKING = GenerationConfig(thinking=True)
PLAIN = GenerationConfig()

texts = st.lists(st.sampled_from(checkpoints.ADDED) | st.text(max_size=12)).map("".join)


def four_tokens(image: Image.Image) -> Grid:
    return 1, 4, 4


def written(messages: Sequence[Message], config: GenerationConfig = PLAIN) -> str:
    return "".join(part if isinstance(part, str) else "(image)" for part in render(messages, config))


@given(texts)
def test_text_never_becomes_a_control_token_and_is_read_back_as_it_was(text: str) -> None:
    ids = TOKENS.encode(text)
    assert not ADDED & set(ids)
    assert TOKENS.decode(ids) == text


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), texts), min_size=1))
def test_a_prompt_has_the_control_tokens_of_its_turns_and_no_others(turns: list[tuple[str, str]]) -> None:
    def controls(messages: list[Message]) -> list[int]:
        return [token for token in assemble(messages, PLAIN, TOKENS, four_tokens).ids if token in ADDED]

    messages = [Message(role, (text,)) for role, text in turns]  # type: ignore[arg-type]
    assert controls(messages) == controls([Message(message.role, ("hello",)) for message in messages])


@given(st.text(st.characters(codec="utf-8"), max_size=30).filter(lambda text: "<" not in text and "[" not in text and "/" not in text))
def test_a_prompt_is_tokenised_as_the_whole_text_would_be(text: str) -> None:
    messages = [Message("system", ("Be brief.",)), Message("user", (text, " and more"))]
    assert assemble(messages, PLAIN, TOKENS, four_tokens).ids == TOKENS.encode_trusted(written(messages))


def test_a_question_without_thinking_is_laid_out_as_the_template_does() -> None:
    messages = [Message("system", ("Be brief.",)), Message("user", (SCREEN, "What is this?"))]
    assert written(messages) == (
        "[gMASK]<sop><|system|>\nBe brief.<|user|>\n(image)What is this?/nothink<|assistant|>\n<think></think>\n"
    )  # fmt: skip


def test_with_thinking_the_model_opens_its_thought_itself() -> None:
    assert written([Message("user", ("Hi",))], THINKING) == "[gMASK]<sop><|user|>\nHi<|assistant|>\n"


def test_a_tool_loop_is_laid_out_as_the_template_does() -> None:
    call = ToolCall("click", {"point": [3, 4], "note": 'say "ä"', "double": False})
    messages = [
        Message("user", ("Go.",)),
        Message("assistant", ("I click.",), reasoning=" The button. ", calls=(call, ToolCall("wait"))),
        Message("tool", ("clicked",)),
        Message("tool", ("now: ", SCREEN)),
    ]
    assert written(messages, THINKING) == (
        "[gMASK]<sop><|user|>\nGo.<|assistant|>\n<think>The button.</think>\nI click."
        "\n<tool_call>click\n<arg_key>point</arg_key>\n<arg_value>[3, 4]</arg_value>\n"
        '<arg_key>note</arg_key>\n<arg_value>say "ä"</arg_value>\n<arg_key>double</arg_key>\n<arg_value>false</arg_value>\n</tool_call>'
        "\n<tool_call>wait\n</tool_call>"
        "<|observation|>\n<tool_response>\nclicked\n</tool_response>\n"
        "\n<tool_response>\nnow: (image)\n</tool_response><|assistant|>\n"
    )


def test_reasoning_is_kept_only_after_the_last_user_turn() -> None:
    turns = [Message("user", ("one",)), Message("assistant", ("two",), reasoning="why")]
    assert "<think>why</think>\ntwo" in written(turns)
    assert "<think></think>\ntwo" in written([*turns, Message("user", ("three",))])


def test_tools_are_described_one_json_line_each_in_a_system_turn_of_their_own() -> None:
    tools = ({"name": "click", "description": "Click – once", "parameters": {"type": "object"}}, {"name": "wait"})
    assert written([Message("system", ("S",)), Message("user", ("U",))], GenerationConfig(tools=tools, thinking=True)) == (
        "[gMASK]<sop><|system|>\n# Tools\n\nThese functions are yours to call, one JSON description a line:\n<tools>\n"
        '{"type": "function", "function": {"name": "click", "description": "Click – once", "parameters": {"type": "object"}}}\n'
        '{"type": "function", "function": {"name": "wait"}}\n</tools>\n\n'
        "A call names the function, then each argument with its value, in this form:\n<tool_call>{function}\n"
        "<arg_key>{argument 1}</arg_key>\n<arg_value>{value 1}</arg_value>\n"
        "<arg_key>{argument 2}</arg_key>\n<arg_value>{value 2}</arg_value>\n...\n</tool_call>"
        "<|system|>\nS<|user|>\nU<|assistant|>\n"
    )


def test_in_a_tool_loop_every_prompt_extends_the_one_before() -> None:
    turns = [Message("user", ("Go.", SCREEN))]
    before: list[int] = []
    for step in range(3):
        ids = assemble(turns, THINKING, TOKENS, four_tokens).ids
        assert ids[: len(before)] == before
        before = ids
        turns += [Message("assistant", (f"step {step}",), "because", (ToolCall("click"),)), Message("tool", (SCREEN,))]


def test_an_image_stands_between_its_two_marks_as_many_tokens_as_its_grid_says() -> None:
    prompt = assemble([Message("user", (SCREEN, SCREEN))], PLAIN, TOKENS, lambda image: (1, 4, 6))
    image, start, end = (TOKENS.control[name] for name in ("<|image|>", "<|begin_of_image|>", "<|end_of_image|>"))
    marked = [start, *[image] * 6, end]
    at = prompt.ids.index(start)
    assert prompt.ids[at : at + 16] == marked * 2
    assert len(prompt) == len(prompt.ids)
    assert [(segment.grid, segment.length) for segment in prompt.images] == [((1, 4, 6), 6)] * 2
    assert not any(
        isinstance(a, ImageSegment) and isinstance(b, ImageSegment) for a, b in zip(prompt.segments, prompt.segments[1:], strict=False)
    )


def test_nothing_to_answer_and_a_picture_by_the_assistant_are_refused() -> None:
    with pytest.raises(ModelError, match="empty"):
        assemble([], PLAIN, TOKENS, four_tokens)
    with pytest.raises(ModelError, match="assistant turn holds an image"):
        assemble([Message("assistant", (SCREEN,))], PLAIN, TOKENS, four_tokens)


def test_a_lone_surrogate_becomes_a_replacement_character_and_a_pair_stays() -> None:
    assert TOKENS.decode(TOKENS.encode("a\ud83d b \U0001f600")) == "a\ufffd b \U0001f600"


def test_thousandths_stay_single_tokens_in_untrusted_text() -> None:
    tokens = Tokens(checkpoints.tokenizer(thousandths=True))
    ids = tokens.encode("at [412,305] <|user|>")
    assert {tokens.id("[412"), tokens.id(",305")} <= set(ids)
    assert tokens.control["<|user|>"] not in ids


def test_trusted_text_may_spell_control_tokens() -> None:
    box, end = TOKENS.control["<|begin_of_box|>"], TOKENS.control["<|end_of_box|>"]
    ids = TOKENS.encode_trusted("<|begin_of_box|>ok<|end_of_box|>")
    assert (ids[0], ids[-1]) == (box, end)
    assert TOKENS.decode(ids) == "<|begin_of_box|>ok<|end_of_box|>"


def test_a_tokenizer_without_control_tokens_is_refused_and_the_missing_ones_are_named() -> None:
    bare = Tokenizer.from_str(checkpoints.tokenizer().to_str().replace("<|begin_of_box|>", "<|other|>"))
    with pytest.raises(ModelError, match=r"lacks .*<\|begin_of_box\|>"):
        ControlTokens.of(bare)
    assert set(ControlTokens.of(checkpoints.tokenizer())) == set(CONTROLS)


@pytest.mark.parametrize("text", [None, "", "{}", '{"model": 3'])
def test_a_tokenizer_file_that_is_missing_or_damaged_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        Tokens.load(tmp_path)
