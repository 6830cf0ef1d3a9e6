"""What GLM-4.5V's desktop protocol calls our actions and arguments. Knows names only: neither how text is written nor what an action does.

Source: the zai-org/GLM-V desktop agent's action space (left_click … FAIL), with the hold_keys and left_triple_click of its successor.
What the protocol has no name for keeps our name in the same style: goto(url='…'), remember(text='…'). Our names are read everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tools.base import Call, Form, Parameter, ParseError, Plain, Shape, Tool

_BUTTONS = ("left", "right", "middle")
_COUNTS = {1: "click", 2: "double_click", 3: "triple_click"}
_CLICKS = {f"{button}_{kind}": (button, count) for count, kind in _COUNTS.items() for button in _BUTTONS}
_DRAGS = {f"{button}_drag": button for button in _BUTTONS}
_SHOWN_CLICKS = ("left_click", "right_click", "middle_click", "left_double_click", "left_triple_click")
_DIRECTIONS = {"down": ("dy", 1), "up": ("dy", -1), "right": ("dx", 1), "left": ("dx", -1)}
_STEP = 5
_WORDS = {"wait": "WAIT", "done": "DONE", "fail": "FAIL"}
_REMARKS = frozenset(("element_info", "start_element_info", "end_element_info"))
_NO_KEYS = ("", "[]", "none", "null")
_WHAT = {"element_info": "what is there"}
_HOLD = "hold_keys: string, may be left out: keys held down meanwhile, joined by +"
_WHEEL = ("direction: down | up | left | right", "step: integer 1 to 100, default 5: notches of the wheel", _HOLD)
_FORMS: dict[str, tuple[Form, ...]] = {
    "click": tuple(Form(Call(name, {"start_box": "[x,y]"} | _WHAT), (_HOLD,)) for name in _SHOWN_CLICKS),
    "hover": (Form(Call("hover", {"start_box": "[x,y]"} | _WHAT)),),
    "drag": (Form(Call("left_drag", {"start_box": "[x,y]", "end_box": "[x,y]"} | _WHAT), (_HOLD,)),),
    "scroll": (Form(Call("scroll", {"start_box": "[x,y]", "direction": "down", "step": _STEP} | _WHAT), _WHEEL),),
    "type": (Form(Call("type", {"content": "…"})),),
}


class Glm:
    """The dialect of GLM-4.5V's desktop protocol."""

    def forms(self, tool: type[Tool]) -> tuple[Form, ...]:
        if tool.name in _FORMS:
            return _FORMS[tool.name]
        return tuple(Form(self._renamed(form.call), form.notes) for form in Plain().forms(tool))

    def shapes(self, tool: type[Tool]) -> tuple[Shape, ...]:
        """Every argument that is written, a remark on the element among them where one is usual."""
        plain = Plain().shapes(tool)
        given = {parameter.name: parameter for shape in plain for parameter in shape.parameters}
        if tool.name == "click":
            return (self._shape(tool, tuple(_CLICKS), given["point"], _REMARK, given["hold"]),)
        if tool.name == "drag":
            point, path = given["path"].schema["items"], given["path"].schema
            via = Parameter("via", {**path, "minItems": 1}, required=False)
            ends = Parameter("start_box", point), via, Parameter("end_box", point)
            return (self._shape(tool, tuple(_DRAGS), *ends, _REMARK, given["hold"]),)
        if tool.name == "scroll":
            both = (Parameter(axis, given[axis].schema) for axis in ("dx", "dy"))
            rest = (_REMARK, given["hold"])
            return tuple(self._shape(tool, ("scroll",), given["point"], *way, *rest) for way in (_WAY, both))
        remark = (_REMARK,) if tool.name == "hover" else ()
        return tuple(self._shape(tool, (_WORDS.get(tool.name, tool.name),), *shape.parameters, *remark) for shape in plain)

    def _shape(self, tool: type[Tool], names: tuple[str, ...], *parameters: Parameter) -> Shape:
        """The same under the protocol's words, lists as text."""
        return Shape(names, tuple(Parameter(self.word(tool, one.name), _textual(one.schema), one.required) for one in parameters))

    def names(self, tool: type[Tool]) -> frozenset[str]:
        own = {"click": frozenset(_CLICKS), "drag": frozenset(_DRAGS)}
        return own.get(tool.name, frozenset()) | {tool.name}

    def word(self, tool: type[Tool], field: str) -> str:
        return "content" if (tool.name, field) == ("type", "text") else _THEIRS.get(field, field)

    def read(self, call: Call) -> Call:
        """Remarks on the element are left out, and keys to hold that name none. Raises ParseError when the arguments make no sense."""
        given = {_OUR.get(key, key): value for key, value in call.arguments.items() if key not in _REMARKS}
        if str(given.get("hold", "")).strip().lower() in _NO_KEYS:
            given.pop("hold", None)
        if call.name in _CLICKS:
            button, count = _CLICKS[call.name]
            return Call("click", _agreed(call.name, given, {"button": button, "count": count}))
        if call.name in _DRAGS or call.name == "drag":
            named = {"button": _DRAGS[call.name]} if call.name in _DRAGS else {}
            return Call("drag", _path_read(_agreed(call.name, given, named)))
        if call.name == "scroll":
            return Call("scroll", _notches(given))
        if call.name == "type" and "content" in given:
            if "text" in given:
                raise ParseError("type takes content or text, not both.")
            given["text"] = given.pop("content")
        return Call(call.name, given)

    def write(self, call: Call) -> Call:
        given = dict(call.arguments)
        if call.name == "click":
            button, count = given.pop("button", "left"), given.pop("count", 1)
            return self._renamed(Call(f"{button}_{_COUNTS[count]}", given))
        if call.name == "drag":
            button, (first, *between, last) = given.pop("button", "left"), given.pop("path")
            via = {"via": between} if between else {}
            return self._renamed(Call(f"{button}_drag", {"start_box": first, **via, "end_box": last, **given}))
        if call.name == "scroll":
            given = _direction(given)
        return self._renamed(Call(call.name, given))

    def _renamed(self, call: Call) -> Call:
        """A call of ours under the protocol's words, lists as text."""
        words = _THEIRS | ({"text": "content"} if call.name == "type" else {})
        return Call(_WORDS.get(call.name, call.name), {words.get(key, key): _flat(value) for key, value in call.arguments.items()})


_THEIRS = {"point": "start_box", "hold": "hold_keys"}
_OUR = {theirs: ours for ours, theirs in _THEIRS.items()}


_REMARK = Parameter("element_info", {"type": "string"}, required=False)
_WAY = (Parameter("direction", {"enum": list(_DIRECTIONS)}), Parameter("step", {"type": "integer", "minimum": 1, "maximum": 100}, False))


def _textual(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "string", "contentSchema": schema} if schema.get("type") == "array" else schema


def _flat(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, list) else value


def _path_read(given: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(given)
    if "path" in rest:
        return rest
    if "point" not in rest or "end_box" not in rest:
        raise ParseError("start_box and end_box are needed, where the drag begins and where it ends.")
    return {"path": [rest.pop("point"), *_points(rest.pop("via", "[]")), rest.pop("end_box")], **rest}


def _points(text: Any) -> list[Any]:
    try:
        points = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        points = None
    if not isinstance(points, list):
        raise ParseError("via is a list of points, such as [[x,y],[x,y]].")
    return points


def _agreed(name: str, given: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with what the call's name says. Raises ParseError when they say otherwise: which of the two is meant is not known."""
    for key, value in named.items():
        if key in given and str(given[key]).strip().lower() != str(value):
            raise ParseError(f"{name} with {key} {given[key]!r} says two things: leave {key} out.")
    return {**given, **named}


def _notches(given: Mapping[str, Any]) -> dict[str, Any]:
    rest = dict(given)
    if "direction" in rest and ("dx" in rest or "dy" in rest):
        raise ParseError("scroll takes direction and step, or dx and dy, not both.")
    if "direction" not in rest:
        return rest if "dx" in rest or "dy" in rest else _notches(rest | {"direction": "down"})
    direction, step = str(rest.pop("direction")).strip().lower(), str(rest.pop("step", _STEP)).strip()
    if direction not in _DIRECTIONS:
        raise ParseError("direction is down, up, left or right.")
    if not re.fullmatch(r"0*([1-9][0-9]?|100)", step):
        raise ParseError("step is a whole number of wheel notches, 1 to 100.")
    axis, sign = _DIRECTIONS[direction]
    return {**rest, axis: sign * int(step)}


def _direction(given: Mapping[str, Any]) -> dict[str, Any]:
    """A scroll along one axis in the protocol's words; one along both keeps dx and dy."""
    rest = dict(given)
    dx, dy = rest.pop("dx", 0), rest.pop("dy", 0)
    if dx and dy:
        return dict(given)
    axis, notches = ("dy", dy) if dy else ("dx", dx)
    direction = next(name for name, way in _DIRECTIONS.items() if way == (axis, 1 if notches > 0 else -1))
    return {"point": rest.pop("point"), "direction": direction, "step": abs(notches), **rest}
