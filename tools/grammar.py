"""What may be written for an action, as a grammar in llguidance's dialect of Lark. Plain text: knows no library, no model and no tokens.

Control tokens stand by name outside quotes (<tool_call>), as that dialect has special tokens. All that the grammar admits is read as an
action, and all that is written for an action is admitted, up to the bounds on what has no end of itself. Where an argument's check is finer
than a grammar can say, the grammar keeps to a vocabulary that passes it: keys by their canonical names, numbers without needless digits.

Syntax: https://github.com/guidance-ai/llguidance/blob/main/docs/syntax.md
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Any

from environments.base import KEYS
from tools.base import ActionSpace, Parameter, Shape
from tools.codec import CallText, literal, unquoted

_LARGEST = 10**9 - 1
"""No number goes beyond it that has no bound of its own."""
_TAGS = tuple(f"{slash}{tag}>" for slash in ("", "/") for tag in ("arg_key", "arg_value", "tool_call"))
_RUN = 32
"""So many times in a row a string may begin what it must not hold, such as "<<<<"."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much may be written, so that even a model that knows nothing comes to an end.

    prose: characters said beside an action. text: characters of an argument. item: characters of a text in a list. items: how many a list
    has, or keys a combination.
    """

    prose: int = 600
    text: int = 1000
    item: int = 300
    items: int = 8

    def __post_init__(self) -> None:
        """Raises ValueError unless there is room for something: one character, two items."""
        if min(self.prose, self.text, self.item, self.items - 1) < 1:
            raise ValueError(f"within {self} nothing can be said")


@dataclass(frozen=True, slots=True)
class _Characters:
    """What a string is made of: any character outside of a regular expression's class, and escapes. never: what must not follow a "<"."""

    outside: str
    escapes: str
    never: tuple[str, ...]

    def some(self, least: int, most: int) -> str:
        """A regular expression for so many of them. Without negation, whose cost grows beyond measure with the length."""
        begun, turned = self._after(self.never)
        one = f"[^<{self.outside}]{self.escapes}|(<{begun}){{0,{_RUN}}}<{turned}"
        alone = f"|(<{begun}){{1,{_RUN}}}" if least == 1 else ""
        return f"(({one}){{{least},{most}}}(<{begun}){{0,{_RUN}}}{alone})"

    def _after(self, words: Iterable[str]) -> tuple[str, str]:
        """What may follow a "<": a beginning of a word that another "<" or the end cuts off, and one that turns into something else."""
        rests: dict[str, list[str]] = {}
        for word in words:
            rests.setdefault(word[0], []).append(word[1:])
        longer = {_escaped(first): self._after(rest) for first, rest in rests.items() if "" not in rest}
        others = f"[^<{self.outside}{''.join(map(_escaped, rests))}]{self.escapes}"
        begun = "|".join(f"{first}{more[0]}" for first, more in longer.items())
        turned = "|".join([others, *(f"{first}{more[1]}" for first, more in longer.items())])
        return f"({begun})?" if begun else "", f"({turned})"


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How a format writes values. written: one that is known. quote: what stands around a string. text, item: of a string, of a JSON string
    that stands in one."""

    written: Callable[[Any], str]
    quote: str
    text: _Characters
    item: _Characters


_UNSEEN = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_CALL_TEXT = _Spelling(
    literal,
    "'",
    _Characters(rf"'\\{_UNSEEN}", r"""|\\(['"\\nrt]|x[0-9a-f]{2}|u202[89])""", ("|",)),
    _Characters(rf"""'"\\{_UNSEEN}""", r"""|\\('|x(3c|7f|[89][0-9a-f])|u202[89])|\\\\(\\\\|["bfnrt]|u00[01][0-9a-f])""", ("|",)),
)
_TOOL_CALL = _Spelling(
    unquoted,
    "",
    _Characters("", "", _TAGS),
    _Characters(r""""\\\x00-\x1f""", r"""|\\(["\\\/abfnrt]|u00[01][0-9a-f])""", _TAGS),  # an escaped tag begins with \a, \t or \/
)


def action_rules(space: ActionSpace, bounds: Bounds = Bounds()) -> str:
    """A rule `action`, any action of the space, with all that it needs. A rule `start` is for the protocol to add."""
    in_text = isinstance(space.format, CallText)
    values, call = _Values(_CALL_TEXT if in_text else _TOOL_CALL, bounds), _call_text if in_text else _tool_call
    rules = {f"{tool.name}-{n}": call(shape, values) for tool in space.tools for n, shape in enumerate(space.dialect.shapes(tool), 1)}
    return _lines({"action": " | ".join(rules), **rules, **values.terminals})


def free_text(name: str, most: int) -> str:
    """A terminal of 1 to `most` characters in which no box token and no tag of a call is spelled out."""
    return _lines({name: f"/{_free(most)}/"})


def is_free_text(text: str, most: int) -> bool:
    """Whether it is what the terminal `free_text` admits."""
    return re.fullmatch(_free(most), text) is not None


def _free(most: int) -> str:
    return _Characters("", "", ("|", *_TAGS)).some(1, most)


def _lines(rules: Mapping[str, str]) -> str:
    return "".join(f"{name}: {body}\n" for name, body in rules.items())


def _call_text(shape: Shape, values: _Values) -> str:
    """name(argument='text', other=5): a comma before every argument but the first, whichever is the first."""
    arguments = [f"{_fixed(f'{one.name}=')} {values.of(one.schema)}" for one in shape.parameters]
    needed = [one.required for one in shape.parameters]
    least = needed.index(True) if any(needed) else len(needed) - 1
    lists = [" ".join([arguments[n], *_followed(shape.parameters[n + 1 :], arguments[n + 1 :])]) for n in range(least + 1)]
    inside = f" ({' | '.join(lists)}){'' if any(needed) else '?'}" if lists else ""
    return f'{_choice(shape.names)} "("{inside} ")"'


def _followed(parameters: Iterable[Parameter], arguments: Iterable[str]) -> Iterable[str]:
    pairs = zip(parameters, arguments, strict=True)
    return (f'(", " {argument}){"" if parameter.required else "?"}' for parameter, argument in pairs)


def _tool_call(shape: Shape, values: _Values) -> str:
    keys = (f'<arg_key> {_fixed(one.name)} </arg_key> "\\n"' for one in shape.parameters)
    given = (f'<arg_value> {values.of(one.schema)} </arg_value> "\\n"' for one in shape.parameters)
    arguments = (f"({key} {value}){'' if one.required else '?'}" for one, key, value in zip(shape.parameters, keys, given, strict=True))
    return " ".join(["<tool_call>", _choice(shape.names), '"\\n"', *arguments, "</tool_call>"])


class _Values:
    """Values as one format writes them. Whatever is more than a few words becomes a terminal, named after its kind."""

    def __init__(self, spelling: _Spelling, bounds: Bounds) -> None:
        self.spelling, self.bounds = spelling, bounds
        self.terminals: dict[str, str] = {}

    def of(self, schema: Mapping[str, Any]) -> str:
        """What stands for a value of this JSON schema in a rule."""
        schema = next((choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"), schema)
        if "enum" in schema:
            return _choice(map(self.spelling.written, schema["enum"]))
        if schema["type"] == "string":
            return self._string(schema)
        return self._plain(schema, ", ")

    def _string(self, schema: Mapping[str, Any]) -> str:
        spelling = self.spelling
        if "contentSchema" in schema:
            return self._terminal("LIST_TEXT", self._quoted(self._plain(schema["contentSchema"], ",")))
        if schema.get("format") in ("key", "keys"):
            names = ("plus" if key == "+" else key for key in sorted(KEYS))
            key = self._terminal("KEY", _choice(self._inner(name) for name in names))
            more = f' ("+" {key}){{0,{self.bounds.items - 1}}}' if schema["format"] == "keys" else ""
            return self._terminal("KEYS" if more else "ONE_KEY", self._quoted(f"{key}{more}"))
        least, most = schema.get("minLength", 0), min(self.bounds.text, schema.get("maxLength", self.bounds.text))
        mark = spelling.quote
        text = self._terminal("TEXT", f"/{mark}{spelling.text.some(least if mark else max(least, 1), most)}{mark}/")
        return text if least or mark else f"{text}?"  # a terminal must not be empty

    def _quoted(self, body: str) -> str:
        mark = self.spelling.quote
        return f"{_fixed(mark)} {body} {_fixed(mark)}" if mark else body

    def _inner(self, text: str) -> str:
        """A known string without the quotes around it."""
        written, cut = self.spelling.written(text), len(self.spelling.quote)
        return written[cut : len(written) - cut]

    def _plain(self, schema: Mapping[str, Any], comma: str) -> str:
        """JSON."""
        match schema["type"]:
            case "boolean":
                return '("true" | "false")'
            case "integer":
                return self._terminal("INTEGER", f"/{_integers(schema)}/")
            case "number":
                return self._terminal("NUMBER", f"/{_numbers(schema)}/")
            case "string":
                most = min(self.bounds.item, schema.get("maxLength", self.bounds.item))
                return self._terminal("ITEM", f'/"{self.spelling.item.some(0, most)}"/')
            case "array":
                item, least = self._plain(schema["items"], comma), schema.get("minItems", 0)
                most = max(least, min(self.bounds.items, schema.get("maxItems", self.bounds.items)))
                more = f" ({_fixed(comma)} {item}){_times(max(least - 1, 0), most - 1)}" if most > 1 else ""
                return self._terminal("LIST", f'"[" {item}{more} "]"' if least else f'"[" ({item}{more})? "]"')
        raise ValueError(f"there is no grammar for values of the JSON type {schema['type']!r}")

    def _terminal(self, kind: str, body: str) -> str:
        """The terminal with this body: one that is there, or a new one."""
        names = (kind, *(f"{kind}_{n}" for n in range(2, len(self.terminals) + 3)))
        name = next(name for name in names if self.terminals.get(name, body) == body)
        self.terminals[name] = body
        return name


def _fixed(text: str) -> str:
    return json.dumps(text)


def _escaped(character: str) -> str:
    return character if character.isalnum() or character in "_>" else f"\\{character}"


def _times(least: int, most: int) -> str:
    return f"{{{least},{most}}}" if least < most else f"{{{most}}}" if most != 1 else ""


def _choice(texts: Iterable[str]) -> str:
    choices = " | ".join(map(_fixed, texts))
    return f"({choices})" if " | " in choices else choices


def _integers(schema: Mapping[str, Any]) -> str:
    low, high = ceil(schema.get("minimum", -_LARGEST)), floor(schema.get("maximum", _LARGEST))
    least = 1 if schema.get("not") == {"const": 0} else 0
    above = [_whole(max(low, least), high)] if high >= max(low, least) else []
    below = [f"-({_whole(max(1, -high), -low)})"] if low < 0 else []
    return "|".join(above + below)


def _numbers(schema: Mapping[str, Any]) -> str:
    """Decimal fractions between the whole numbers of the range, and those so near 0 that they are written with an exponent."""
    low, high = ceil(schema.get("minimum", -_LARGEST)), floor(schema.get("maximum", _LARGEST))
    above = _fractions(max(low, 0), high) if high >= 0 else ""
    below = f"-({_fractions(max(-high, 0), -low)})" if low < 0 else ""
    return "|".join(filter(None, (above, below)))


def _fractions(low: int, high: int) -> str:
    """For 0 ≤ low ≤ high. A double needs up to 21 places (0.0001 and 17 digits that count)."""
    rare = r"|[0-9](\.[0-9]{1,17})?e-[0-9]{2,3}" if low == 0 < high else ""
    between = rf"({_whole(low, high - 1)})(\.[0-9]{{1,21}})?|" if low < high else ""
    return rf"{between}{high}(\.0)?{rare}"


def _whole(low: int, high: int) -> str:
    """The whole numbers from low to high, 0 ≤ low ≤ high, without zeros before them."""
    first, last = str(low), str(high)
    if len(first) < len(last):
        border = 10 ** len(first)
        return f"{_same_length(first, str(border - 1))}|{_whole(border, high)}"
    return _same_length(first, last)


def _same_length(first: str, last: str) -> str:
    """Digit strings from first to last, as long as these."""
    rest = len(first) - 1
    if first == last:
        return first
    if first[0] == last[0]:
        return f"{first[0]}({_same_length(first[1:], last[1:])})"
    low, high, parts = int(first[0]), int(last[0]), []
    if rest and first[1:] != "0" * rest:
        parts.append(f"{low}({_same_length(first[1:], '9' * rest)})")
        low += 1
    if rest and last[1:] != "9" * rest:
        parts.append(f"{high}({_same_length('0' * rest, last[1:])})")
        high -= 1
    if low <= high:
        parts.append(f"[{low}-{high}]" + (f"[0-9]{_times(rest, rest)}" if rest else ""))
    return "|".join(parts)
