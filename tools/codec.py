"""Text to (name, arguments) and back, in the two forms GLM models write. Knows no action; what is read are strings, escapes undone.

Call text (GLM-4.5V's desktop protocol): type(content='it\\'s here'), alone, in prose, or within <|begin_of_box|>…<|end_of_box|>.
Tool calls (the chat template's native form): <tool_call>type <arg_key>text</arg_key> <arg_value>…</arg_value> </tool_call>.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tools.base import Call, ParseError, shown


class _Broken(Exception):
    """A call that begins and is not whole. at: where reading goes on. truncated: whether the text ended in it."""

    def __init__(self, reason: str, at: int = 0, *, truncated: bool = False) -> None:
        super().__init__(reason)
        self.at, self.truncated = at, truncated


_CUT = "the text ends in the middle of it. Say less before it, and write the whole action."


@dataclass(slots=True)
class _Readings:
    """What was met so far, from left to right."""

    whole: Call | None = None
    broken: ParseError | None = None
    cut: ParseError | None = None
    unknown: Call | None = None

    def keep(self, call: Call) -> None:
        self.whole, self.cut = call, None

    def breaks(self, name: str, broken: _Broken) -> None:
        error = ParseError(f"{name}: {broken}", action=name)
        if broken.truncated:
            self.cut = error
        else:
            self.broken = error

    def outcome(self) -> Call | ParseError | None:
        """A call whose end is missing outweighs the whole ones before it: it is what the model meant to do last."""
        return self.cut or self.whole or self.broken or self.unknown


def _settled(outcomes: Iterable[Call | ParseError | None]) -> Call:
    for outcome in outcomes:
        if isinstance(outcome, ParseError):
            raise outcome
        if outcome is not None:
            return outcome
    raise ParseError("No action was found in the reply.")


# Call text. A quote ends its string only where a call can go on or end, so that apostrophes need no escape. Every pattern is possessive
# and every closing quote is found once, ahead: reading takes time proportional to the text, whatever the text.
_BOX = re.compile(r"<\|begin_of_box\|>(.*?)(?:<\|end_of_box\|>|(?=<\|begin_of_box\|>)|\Z)", re.DOTALL)
_START = re.compile(r"(?<![\w.])([A-Za-z_]\w*+)[ \t]*+\(|^[ \t*#]*+Memory[ \t*]*+:", re.MULTILINE)
_NEXT = re.compile(r"\s*+,?\s*+(?:(\))|([A-Za-z_]\w*+)\s*+=\s*+)")
_UNFINISHED = re.compile(r"\s*+,?\s*+(?:[A-Za-z_]\w*+)?\s*+\Z")
_BARE = re.compile(r"\[(?:[^\[\]()=]|\[[^\[\]()=]*+\])*+\]|\([\d\s,.]*+\)|[^,()\[\]{}'\"=\n]*+")
_QUOTE = re.compile(r"(?<!\\)((?:\\\\)*+)(['\"])")
_CLOSES = re.compile(r"\s*+(?:,\s*+[A-Za-z_]\w*+\s*+=|,?\s*+\)(?!\s*+['\"]\s*+[),]))")
_CLOSES_IN_BOX = re.compile(r"\s*+(?:,\s*+[A-Za-z_]\w*+\s*+=|,?\s*+\)[ \t]*+(?:[;\n]|\Z|([A-Za-z_]\w*+)\())")
_WORD = re.compile(r"^[ \t]*+(?:Action[ \t]*+:[ \t]*+)?([A-Z_]++)\.?(?=\s*+(?:\Z|[*#]*+[ \t]*+Memory[ \t*]*+:))", re.MULTILINE)
_TRIPLE = re.compile(r"('''|\"\"\")(?s:.*?)\1")  # as Python has them for several lines
_ESCAPE = re.compile(r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[\\'\"nrt])")
_SPECIAL = re.compile(r"[\\'\x00-\x1f\x7f-\x9f\u2028\u2029]|<(?=\|)")
_SHORT = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SHORT_READ = {written: character for character, written in _SHORT.items()} | {'\\"': '"'}
_MOST_ARGUMENTS = 16


class CallText:
    """name(argument='text', other=5), strings escaped as Python does; "<|" is written "\\x3c|" so that no text can end a box."""

    def read(self, text: str, names: Collection[str]) -> Call:
        """The last whole call of a known name: in the last box that has one, else before "Memory:", else anywhere; or a last line DONE."""
        return _settled(_outcomes(text, names))

    def write(self, call: Call) -> str:
        return f"{call.name}({', '.join(f'{key}={literal(value)}' for key, value in call.arguments.items())})"


def _outcomes(text: str, names: Collection[str]) -> Iterator[Call | ParseError | None]:
    """What each box holds, the last first, then what the whole text does."""
    for box in reversed(list(_BOX.finditer(text))):
        outcome = _CallReader(box[1], names, _CLOSES_IN_BOX).outcome()
        if isinstance(outcome, Call):
            start, end = outcome.span
            outcome = replace(outcome, span=(box.start(1) + start, box.start(1) + end))
        yield outcome
    yield _CallReader(text, names, _CLOSES).outcome()


def literal(value: Any) -> str:
    """A value in call text."""
    if isinstance(value, str):
        return "'" + _SPECIAL.sub(lambda match: _escaped(match[0]), value) + "'"
    return json.dumps(value, ensure_ascii=False)


def _escaped(character: str) -> str:
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _unescaped(text: str) -> str:
    plain = _ESCAPE.sub(lambda match: _SHORT_READ.get(match[0]) or _character(match[0]), text)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # two escaped halves of a pair become their character


def _character(escape: str) -> str:
    code = int(escape[2:], 16)
    return chr(code) if code < 0x110000 else escape


class _CallReader:
    """One reading of a text from left to right. closes: what must follow a quote that ends a string."""

    def __init__(self, text: str, names: Collection[str], closes: re.Pattern[str]) -> None:
        self.text, self.names, self.closes = text, names, closes
        self.known_ends: dict[tuple[re.Pattern[str], str], list[int]] = {}

    def outcome(self) -> Call | ParseError | None:
        readings, at = _Readings(), 0
        while start := _START.search(self.text, at):
            if start[1]:
                at = self._met(start, readings)
            elif readings.whole:
                break
            else:
                at = start.end()
        return readings.cut or readings.whole or self._lone_word() or readings.outcome()

    def _lone_word(self) -> Call | None:
        words = (Call(match[1].lower(), span=match.span()) for match in _WORD.finditer(self.text))
        return next((word for word in reversed(list(words)) if word.name in self.names), None)

    def _met(self, start: re.Match[str], readings: _Readings) -> int:
        """Take in the call that begins here; where to read on."""
        name, at = start[1].lower(), start.end()
        known = name in self.names
        try:
            spans, end = self._arguments(at)
        except _Broken as broken:
            if known:
                readings.breaks(name, broken)
            return at
        if known:
            readings.keep(Call(name, {key: self._value(*span) for key, span in spans.items()}, (start.start(1), end)))
        elif spans:
            readings.unknown = Call(name)
        return end if known else at

    def _arguments(self, at: int) -> tuple[dict[str, tuple[int, int]], int]:
        """Where each value stands, and where the call ends."""
        spans: dict[str, tuple[int, int]] = {}
        while found := _NEXT.match(self.text, at):
            if found[1]:
                return spans, found.end()
            if found[2] in spans or len(spans) == _MOST_ARGUMENTS:
                raise _Broken(f"{shown(found[2])} is given twice, or too much is given.")
            at = self._value_end(found.end())
            spans[found[2]] = found.end(), at
        if _UNFINISHED.match(self.text, at):
            raise _Broken(_CUT, truncated=True)
        raise _Broken("its arguments are written name='value', with commas between them.")

    def _value_end(self, at: int) -> int:
        quote = self.text[at : at + 1]
        if quote not in ("'", '"'):
            bare = _BARE.match(self.text, at)
            return bare.end() if bare else at
        if (triple := _TRIPLE.match(self.text, at)) and _CLOSES.match(self.text, triple.end()):
            return triple.end()
        for closing in (self._closing(self.closes, quote), self._closing(_CLOSES, quote)):
            index = bisect_left(closing, at + 1)
            if index < len(closing):
                return closing[index] + 1
        raise _Broken(_CUT, truncated=True)

    def _value(self, start: int, end: int) -> str:
        raw = self.text[start:end]
        marks = 3 if _TRIPLE.fullmatch(raw) else 1 if raw[:1] in ("'", '"') else 0
        return _unescaped(raw[marks:-marks]) if marks else raw.strip()

    def _closing(self, closes: re.Pattern[str], quote: str) -> list[int]:
        """Where a string in these quotes can end, in order."""
        if (closes, quote) not in self.known_ends:
            quotes = (match for match in _QUOTE.finditer(self.text) if match[2] == quote)
            ends = [match.start(2) for match in quotes if self._ends(closes.match(self.text, match.end()))]
            self.known_ends[closes, quote] = ends
        return self.known_ends[closes, quote]

    def _ends(self, match: re.Match[str] | None) -> bool:
        return match is not None and (not match.re.groups or match[1] is None or match[1].lower() in self.names)


# Tool calls. A string stands raw between its tags; within it a tag of the format is written with a backslash after "<" (and one that has
# backslashes there with one more), so that every text comes back exactly and ordinary text, markup included, stands as it is.
_GAP = r"(?:\s|\\n)*+"  # some serving stacks write a newline as backslash and n
_OPEN = re.compile(rf"<tool_call>{_GAP}([^\s<\\{{]*+)")
_CLOSE = re.compile(rf"{_GAP}</tool_call>")
_ARGUMENT = re.compile(rf"{_GAP}<arg_key>([^<]*+)</arg_key>{_GAP}<arg_value>")
_VALUE_TAG = re.compile(r"</?(?:arg_key|arg_value|tool_call)>")
_TAG = re.compile(r"<(\\*+)(/?(?:arg_key|arg_value|tool_call)>)")
_GUARDED_TAG = re.compile(r"<\\(\\*+)(/?(?:arg_key|arg_value|tool_call)>)")


class ToolCallXml:
    """<tool_call>name, then <arg_key>…</arg_key> and <arg_value>…</arg_value> for each argument, </tool_call>; each on its line."""

    def read(self, text: str, names: Collection[str]) -> Call:
        """The last whole call of a known name; a call given as a JSON object (name, arguments) between the tags is read too."""
        readings, at = _Readings(), 0
        while start := _OPEN.search(text, at):
            at = start.end()
            try:
                call, at = _json_call(text, at) if text.startswith("{", at) else _xml_call(text, start[1].lower(), at)
            except _Broken as broken:
                at = max(at, broken.at)
                readings.breaks(start[1].lower()[:40] or "tool_call", broken)
                continue
            if call.name in names:
                readings.keep(replace(call, span=(start.start(), at)))
            else:
                readings.unknown = call
        return _settled([readings.outcome()])

    def write(self, call: Call) -> str:
        lines = (f"<arg_key>{key}</arg_key>\n<arg_value>{unquoted(value)}</arg_value>\n" for key, value in call.arguments.items())
        return f"<tool_call>{call.name}\n{''.join(lines)}</tool_call>"


def unquoted(value: Any) -> str:
    """A value in a tool call."""
    return _TAG.sub(r"<\\\1\2", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _xml_call(text: str, name: str, at: int) -> tuple[Call, int]:
    arguments: dict[str, Any] = {}
    while found := _ARGUMENT.match(text, at):
        key = found[1].strip()
        value, at = _xml_value(text, found.end())
        if key in arguments:
            raise _Broken(f"{shown(key)} is given twice.", at)
        arguments[key] = value
    if close := _CLOSE.match(text, at):
        return Call(name, arguments), close.end()
    cut = _never_ends(text, at)
    raise _Broken(_CUT if cut else "its arguments do not stand in <arg_key> and <arg_value>.", at, truncated=cut)


def _never_ends(text: str, at: int) -> bool:
    return text.find("<tool_call>", at) < 0 and text.find("</tool_call>", at) < 0


def _xml_value(text: str, at: int) -> tuple[str, int]:
    tag = _VALUE_TAG.search(text, at)
    if not tag:
        raise _Broken(_CUT, len(text), truncated=True)
    raw = text[at : tag.start()]
    if tag[0] == "</arg_value>":
        return _GUARDED_TAG.sub(r"<\1\2", raw), tag.end()
    if tag[0] in ("<arg_key>", "</tool_call>") and _is_json(raw):
        return raw.strip(), tag.start()
    raise _Broken("each <arg_value> ends with </arg_value>, and no other tag stands in it.", tag.start())


def _is_json(text: str) -> bool:
    """Whether the text is a whole JSON value other than a string: what the end of is plain though its closing tag is missing."""
    try:
        return not isinstance(json.loads(text), str)
    except (ValueError, RecursionError):
        return False


def _json_call(text: str, at: int) -> tuple[Call, int]:
    try:
        given, end = json.JSONDecoder().raw_decode(text, at)
        name, arguments = given["name"], given.get("arguments", {})
        arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError, KeyError) as error:
        at = max(at, getattr(error, "pos", at))
        raise _Broken("it is no JSON object with a name and arguments.", at, truncated=_never_ends(text, at)) from None
    if not (isinstance(name, str) and isinstance(arguments, dict)) or _VALUE_TAG.search(text, at, end):
        raise _Broken("its name or its arguments are mixed with other tags.", end)
    close = _CLOSE.match(text, end)
    if not close:
        raise _Broken(_CUT, end, truncated=True)
    return Call(name.lower(), arguments), close.end()
