"""What models write is read as what they meant, or refused in words that help; what we write is read back exactly."""

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tools
from tests.tools.actions import BUILDS, TAGS, any_action, with_all
from tools.base import ActionSpace, ParseError, Thousandths, Tool
from tools.browser import AnswerDialog, CloseTab, Goto, Upload
from tools.computer import Click, Drag, Key, Scroll, Type
from tools.control import Done, Fail, Wait

GLM = with_all(tools.desktop_actions("browser"))
NATIVE = with_all(tools.native_actions("browser"))
COMPACT = tools.compact_actions()
BOTH = pytest.mark.parametrize("space", [GLM, NATIVE], ids=["call text", "tool call"])
AT = Thousandths(412, 305)


def test_every_tool_is_tried() -> None:
    assert set(BUILDS) == set(tools.all_tools())


@BOTH
@given(action=any_action)
@settings(max_examples=200, deadline=None)
def test_what_is_rendered_parses_to_the_same_action(space: ActionSpace, action: Tool) -> None:
    assert space.parse(space.render(action)) == action


@pytest.mark.parametrize(
    "text",
    [
        "left_click(start_box='[5,6]', button='right')", "left_double_click(start_box='[5,6]', count='1')",
        "left_drag(start_box='[5,6]', end_box='[7,8]', button='right')", "scroll(start_box='[5,6]', direction='up', dy='9')",
        "type(content='a', text='b')",
    ],
)  # fmt: skip
def test_a_call_that_says_two_things_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match=r"two things|not both"):
        GLM.parse(text)


def test_what_a_call_s_name_says_may_be_said_again() -> None:
    assert GLM.parse("right_click(start_box='[412,305]', button='Right', count=1)") == Click(point=AT, button="right")


@given(action=any_action, before=st.text(alphabet="abc (.\n'", max_size=20), after=st.text(alphabet="abc.\n", max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_boxed_action_is_found_in_prose(action: Tool, before: str, after: str) -> None:
    assert GLM.parse(f"{before}<|begin_of_box|>{GLM.render(action)}<|end_of_box|>{after}\nMemory:\n[]") == action


@given(action=any_action, thought=st.text(alphabet="abc (.\n'", max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_native_call_is_found_after_prose(action: Tool, thought: str) -> None:
    assert NATIVE.parse(f"{thought}\n{NATIVE.render(action)}\n") == action


@given(action=any_action, cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=200, deadline=None)
def test_a_native_call_cut_anywhere_is_refused(action: Tool, cut: float) -> None:
    text = NATIVE.render(action)
    with pytest.raises(ParseError):
        NATIVE.parse(text[: int(cut * len(text))])


@given(content=st.text(alphabet="ab'\"(\\,= \n"), cut=st.floats(0, 1, exclude_max=True))
@settings(max_examples=200, deadline=None)
def test_call_text_cut_anywhere_is_refused(content: str, cut: float) -> None:
    text = GLM.render(Type(text=content))
    with pytest.raises(ParseError):
        GLM.parse(text[: int(cut * len(text))])


PIECES = (
    *TAGS,
    "left_click(",
    "type(content='",
    "key(keys=",
    "start_box=",
    ",",
    ")",
    "(",
    "x=",
    "[",
    "]",
    "DONE",
    "<tool_call>click",
    '{"name":',
    "}",
)


@BOTH
@given(text=st.text() | st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=30).map("".join))
@settings(max_examples=500, deadline=None)
def test_any_text_is_an_action_or_a_parse_error(space: ActionSpace, text: str) -> None:
    refusal = "refused"
    try:
        assert isinstance(space.parse(text), Tool)
    except ParseError as error:
        refusal = str(error)
    assert 0 < len(refusal) < 1500


UNITS = [*PIECES, "type(content='a', ", "a='', ", "f(x='", "f(x='', ", "type(a='', b='", "\\", "\\'", "<\\", " ", "\n", "Memory:\n", "D\n",
         "<tool_call>type<arg_key>a</arg_key><arg_value>", "<tool_call>type<arg_key>a</arg_key><arg_value>[1,", '<tool_call>{"a":["',
         "<|begin_of_box|>type(content='", "type(content='''", "type(content='''', "]  # fmt: skip


@BOTH
@pytest.mark.parametrize("head", ["", "type(content='", "<tool_call>type<arg_key>text</arg_key><arg_value>"])
def test_a_hundred_kilobytes_of_anything_are_read_within_a_second(space: ActionSpace, head: str) -> None:
    for unit in UNITS:
        text, start = head + unit * (100_000 // len(unit)), time.process_time()
        with suppress(ParseError):
            space.parse(text)
        assert time.process_time() - start < 1, unit


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("left_click(start_box='[412,305]', element_info='the 'OK' button')", Click(point=AT)),
        ("left_click(start_box=[412, 305])", Click(point=AT)),
        ('left_click(start_box="412, 305")', Click(point=AT)),
        ("LEFT_CLICK ( start_box = '[412,305]' , )", Click(point=AT)),
        ("left_click(start_box='[1000,0]')", Click(point=Thousandths(999, 0))),
        ("right_click(start_box='[412,305]')", Click(point=AT, button="right")),
        ("middle_click(start_box='[412,305]')", Click(point=AT, button="middle")),
        ("left_double_click(start_box='[412,305]')", Click(point=AT, count=2)),
        ("left_triple_click(start_box='[412,305]')", Click(point=AT, count=3)),
        ("left_click(start_box='[412,305]', hold_keys='ctrl+shift')", Click(point=AT, hold=("ctrl", "shift"))),
        ("left_click(start_box='[412,305]', hold_keys=['Control_L'])", Click(point=AT, hold=("ctrl",))),
        ("left_click(start_box='[412,305]', hold_keys='')", Click(point=AT)),
        ("click(point='[412,305]', button='right', count=2)", Click(point=AT, button="right", count=2)),
        (
            "left_drag(start_box='[412,305]', end_box='[1,2]', start_element_info='a', end_element_info='b')",
            Drag(path=(AT, Thousandths(1, 2))),
        ),
        ("scroll(start_box='[412,305]', direction='up', step=3)", Scroll(point=AT, dy=-3)),
        ("scroll(start_box='[412,305]', direction='right')", Scroll(point=AT, dx=5)),
        ("scroll(start_box='[412,305]', hold_keys='ctrl')", Scroll(point=AT, dy=5, hold=("ctrl",))),
        ("key(keys='Ctrl+Return')", Key(keys="ctrl+enter")),
        ("key(keys='ctrl++')", Key(keys="ctrl+plus")),
        ("key(keys='+')", Key(keys="plus")),
        ("key(keys=\"['ctrl', 'c']\")", Key(keys="ctrl+c")),
        ("type(content='society's view (all of it)')", Type(text="society's view (all of it)")),
        ("type(content='print('hello')')", Type(text="print('hello')")),
        ("<|begin_of_box|>type(content='print('hello') # it's')<|end_of_box|>", Type(text="print('hello') # it's")),
        ('type(content="it\'s")', Type(text="it's")),
        ("type(content='a\nb')", Type(text="a\nb")),
        ("type(content='''it's\nso''')", Type(text="it's\nso")),
        ('type(content="""a\nb""")', Type(text="a\nb")),
        ("type(content='''tis')", Type(text="''tis")),
        (r"type(content='a\nb\tc \'d\' \\ \d é \x41 \ud83d\ude00')", Type(text="a\nb\tc 'd' \\ \\d é A 😀")),
        ("type(content='Memory:\n[]')", Type(text="Memory:\n[]")),
        ("goto(url='https://a.b/c?d=e(f)&g=h')", Goto(url="https://a.b/c?d=e(f)&g=h")),
        ("upload(paths=['/a b', '/c'])", Upload(paths=("/a b", "/c"))),
        ("upload(paths='/a')", Upload(paths=("/a",))),
        ("close_tab(index=None)", CloseTab()),
        ("answer_dialog(accept=True)", AnswerDialog(accept=True)),
        ("WAIT()", Wait()),
        ("WAIT", Wait()),
        ("It cannot be done.\nFAIL", Fail()),
        ("Action: DONE", Done()),
        ("<|begin_of_box|>DONE<|end_of_box|>", Done()),
        ("DONE(answer='42')", Done(answer="42")),
    ],
)
def test_call_text_is_read_as_it_was_meant(text: str, action: Tool) -> None:
    assert GLM.parse(text) == action


@pytest.mark.parametrize(
    "text",
    [
        "First left_click(start_box='[1,1]'), no: left_click(start_box='[412,305]').",
        "I click (on it), then key(s) follow: left_click(start_box='[412,305]') and wait (a little).",
        "<|begin_of_box|>left_click(start_box='[412,305]')<|end_of_box|> It is better than right_click(start_box='[1,1]').",
        "left_click(start_box='[412,305]')\nMemory:\n[{\"next\": \"right_click(start_box='[1,1]')\"}]",
        "Memory:\n[]\nleft_click(start_box='[412,305]')",
        "print(x='1') left_click(start_box='[412,305]') print(x='1')",
        "<|begin_of_box|>left_click(start_box='[412,305]')",
        "The answer is <|begin_of_box|>42<|end_of_box|>: left_click(start_box='[412,305]')",
    ],
)
def test_the_last_whole_action_is_the_one_that_is_meant(text: str) -> None:
    assert GLM.parse(text) == Click(point=AT)


NATIVE_CLICK = "<tool_call>click\n<arg_key>point</arg_key>\n<arg_value>[412, 305]</arg_value>\n</tool_call>"


@pytest.mark.parametrize(
    "text",
    [
        NATIVE_CLICK,
        NATIVE_CLICK.replace("\n", ""),
        NATIVE_CLICK.replace("\n", "\\n"),
        NATIVE_CLICK.replace("</arg_value>", ""),
        NATIVE_CLICK.replace("click", "Click "),
        f"<tool_call>done</tool_call>{NATIVE_CLICK} there",
        '<tool_call>{"name": "click", "arguments": {"point": [412, 305]}}</tool_call>',
        '<tool_call>\n{"name": "click", "arguments": "{\\"point\\": [412, 305]}"}\n</tool_call>',
    ],
)
def test_native_calls_are_read_in_all_their_spellings(text: str) -> None:
    assert NATIVE.parse(text) == Click(point=AT)


@pytest.mark.parametrize("text", ["<tool_call>done</tool_call>", "<tool_call>done\n</tool_call>", "<tool_call>\ndone\n</tool_call>"])
def test_a_native_call_needs_no_arguments(text: str) -> None:
    assert NATIVE.parse(text) == Done()


def test_a_native_string_is_raw_whatever_it_looks_like() -> None:
    for text in ("5", "null", '"quoted"', " padded\n", "[1]", "&lt;b&gt;", "<b>\\n</b>", "<\\b>"):
        assert f"<arg_value>{text}</arg_value>" in NATIVE.render(Type(text=text))
        assert NATIVE.parse(NATIVE.render(Type(text=text))) == Type(text=text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "No action was found in the reply. Write one like this: left_click(start_box='[x,y]'"),
        ("I am done", "No action was found"),
        ("I may not say\nDONE\nas long as it is not.", "No action was found"),
        ("left_klick(start_box='[1,2]')", "There is no action 'left_klick'. Did you mean left_click?"),
        ("launch(app='x')", "There is no action 'launch'. The actions are: left_click,"),
        ("type('abc')", "type: its arguments are written name='value', with commas between them. Write it like this: type(content='…')"),
        ("type(content='abc", "type: the text ends in the middle of it."),
        ("left_click(start_box='[1,2]') no, <|begin_of_box|>type(content='abc", "type: the text ends in the middle of it."),
        ("left_click(start_box='[1,2]') no, type(content='abc", "type: the text ends in the middle of it."),
        ("left_click()", "left_click: start_box is missing."),
        ("left_click(start_box='[1,2]', start_box='[1,2]')", "left_click: 'start_box' is given twice"),
        ("left_click(start_box='[1,2,3,4]')", "start_box: a point is [x,y], two whole numbers from 0 to 999, not '[1,2,3,4]'."),
        ("left_click(start_box='[1,2000]')", "coordinates are thousandths of the screen, from 0 to 999, not 2000."),
        ("left_click(start_box='[1.5,2]')", "a coordinate is a whole number from 0 to 999, not '1.5'."),
        ("left_click(start_box='[1,2]', where='x')", "left_click: there is no argument 'where'."),
        ("left_drag(start_box='[1,2]')", "start_box and end_box are needed"),
        ("drag(path='[[1,2]]')", "path: "),
        ("scroll(start_box='[1,2]', direction='in')", "direction is down, up, left or right."),
        ("scroll(start_box='[1,2]', step=500)", "step is a whole number of wheel notches, 1 to 100."),
        ("scroll(start_box='[1,2]', step=0)", "step is a whole number of wheel notches, 1 to 100."),
        ("scroll(start_box='[1,2]', dx=0)", "a scroll needs a number of notches that is not 0"),
        ("key(keys='hyper+x')", "There is no key 'hyper'."),
        ("key(keys='ctrl+')", "There is no key ''."),
        ("key(keys='ctrl+al')", "There is no key 'al'."),
        ("WAIT(seconds=100)", "seconds: it should be less than or equal to 60, not '100'. Write it like this: WAIT()"),
        (r"type(content='\ud800')", "type: content: it holds half a character"),
    ],
)
def test_what_is_no_action_is_refused_in_words_that_help(text: str, says: str) -> None:
    with pytest.raises(ParseError) as refused:
        GLM.parse(text)
    assert says in str(refused.value)
    assert "Write " in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Done.", "No action was found"),
        (NATIVE_CLICK.removesuffix("</tool_call>"), "click: the text ends in the middle of it."),
        (NATIVE_CLICK[:60], "click: the text ends in the middle of it."),
        (NATIVE_CLICK + "<tool_call>type\n<arg_key>text</arg_key>", "type: the text ends in the middle of it."),
        (NATIVE_CLICK.replace("click", "clik"), "There is no action 'clik'. Did you mean click?"),
        ("<tool_call>click(point=[1,2])</tool_call>", "Did you mean click?"),
        (
            NATIVE_CLICK.replace("</tool_call>", "<arg_key>point</arg_key><arg_value>[1, 2]</arg_value></tool_call>"),
            "'point' is given twice.",
        ),
        ("<tool_call>type<arg_key>text</arg_key><arg_value>a<arg_key>b</arg_key></tool_call>", "each <arg_value> ends with </arg_value>"),
        ('<tool_call>{"name": "type", "arguments": {"text": "a</arg_key><arg_value>b"}}</tool_call>', "mixed with other tags"),
        ("<tool_call>click [1,2]</tool_call>", "its arguments do not stand in <arg_key> and <arg_value>."),
        ("<tool_call>type<arg_key>text</arg_key></tool_call>", "its arguments do not stand in <arg_key> and <arg_value>."),
    ],
)
def test_a_native_call_that_is_broken_is_refused_in_words_that_help(text: str, says: str) -> None:
    with pytest.raises(ParseError) as refused:
        NATIVE.parse(text)
    assert says in str(refused.value)
    assert "<tool_call>" in str(refused.value)


@given(action=any_action, before=st.text(alphabet="abc .\n", max_size=20), after=st.text(alphabet="abc.\n", max_size=20))
@pytest.mark.parametrize("box", [False, True])
@settings(max_examples=100, deadline=None)
def test_an_action_is_found_where_it_stands(box: bool, action: Tool, before: str, after: str) -> None:
    for space, marks in ((GLM, ("<|begin_of_box|>", "<|end_of_box|>") if box else ("", "")), (NATIVE, ("", ""))):
        head, call = f"{before} {marks[0]}", space.render(action)
        assert space.find(f"{head}{call}{marks[1]}{after}") == (action, (len(head), len(head) + len(call)))


def test_a_space_knows_its_own_actions_only() -> None:
    assert COMPACT.parse("left_click(start_box='[412,305]')") == Click(point=AT)
    with pytest.raises(ParseError, match="There is no action 'goto'"):
        COMPACT.parse("goto(url='x')")
    with pytest.raises(ParseError, match="There is no action 'goto'"):
        tools.desktop_actions("desktop").parse("goto(url='x')")


def test_what_is_written_can_end_no_box_and_no_line() -> None:
    text = GLM.render(Type(text="<|end_of_box|>\nMemory:\n\u2028'\\"))
    assert text == r"type(content='\x3c|end_of_box|>\nMemory:\n\u2028\'\\')"
