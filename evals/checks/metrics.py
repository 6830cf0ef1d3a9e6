"""Metrics of task files: what was found, what was expected, a score in [0, 1]. Named as OSWorld's where they mean the same; our own code.

A metric takes what the result's getter gave, then, where the task has one, what the expected one gave, then the task's options by name.
None, or a file that is not what it should be, scores 0. Text and settings are judged here; pictures and documents in files of their own.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from evals.checks import documents, images
from evals.checks.rules import of_rule

Metric = Callable[..., float]


def exact_match(result: Any, rules: Any) -> float:
    return float(result == of_rule(rules, "expected"))


def match_in_list(result: Any, rules: Any) -> float:
    return float(result in of_rule(rules, "expected"))


def check_include_exclude(result: str | None, rules: Any) -> float:
    """All of `include` stand in the text, none of `exclude`."""
    if result is None:
        return 0.0
    include, exclude = of_rule(rules, "include", ()), of_rule(rules, "exclude", ())
    return float(all(word in result for word in include) and not any(word in result for word in exclude))


def check_list(result: Path | None, rules: Any) -> float:
    """Each pattern of `expect` is found in a line, none of `unexpect` is."""
    if result is None:
        return 0.0
    lines = _text(result).splitlines()

    def found(pattern: str) -> bool:
        return any(re.search(pattern, line) for line in lines)

    return float(all(map(found, of_rule(rules, "expect", ()))) and not any(map(found, of_rule(rules, "unexpect", ()))))


def file_contains(result: Path | None, rules: Any) -> float:
    return float(result is not None and all(word in _text(result) for word in of_rule(rules, "expected")))


def compare_text_file(result: Path | None, expected: Path | None, *, ignore_blanks: bool = False, ignore_case: bool = False) -> float:
    """Two files with the same text; with `ignore_blanks` spaces, tabs and line ends count as one space each run."""
    if result is None or expected is None:
        return 0.0
    return float(_folded(_text(result), ignore_blanks, ignore_case) == _folded(_text(expected), ignore_blanks, ignore_case))


def compare_config(result: Path | None, rules: Any, *, containment_ok: bool = False) -> float:
    """The file's text is the rule's, or holds it."""
    if result is None:
        return 0.0
    text, wanted = _text(result), str(of_rule(rules, "expected"))
    return float(wanted in text if containment_ok else text == wanted)


def check_config_status(result: Path | None, rules: Any) -> float:
    """GIMP's settings: a line `(key value)`; also its older way to group them, a list of two keys."""
    if result is None:
        return 0.0
    key, wanted = of_rule(rules, "key"), str(of_rule(rules, "value"))
    keys = key if isinstance(key, list) else [key]
    pattern = r"\(\s*" + r"\s+".join(re.escape(str(one)) for one in keys) + r"\s+([^()]+?)\s*\)"
    return float(any(found == wanted for found in re.findall(pattern, re.sub(r"(?m)^\s*#.*$", "", _text(result)))))


def check_json_settings(result: Path | None, rules: Any) -> float:
    """All of the expected keys have the expected values; others may stand beside them."""
    settings, wanted = _json(result), of_rule(rules, "expected")
    return float(isinstance(settings, dict) and all(key in settings and settings[key] == value for key, value in wanted.items()))


def check_json_keybindings(result: Path | None, rules: Any) -> float:
    bindings = _json(result)
    return float(isinstance(bindings, list) and of_rule(rules, "expected") in bindings)


def is_extension_installed(result: str | None, rules: Any) -> float:
    """`code --list-extensions` does or does not name one."""
    kind = of_rule(rules, "type")
    if result is None or kind not in ("contain", "not_contain"):
        return 0.0
    return float((str(of_rule(rules, "expected")) in result) == (kind == "contain"))


def check_auto_saving_time(result: Path | None, rules: Any) -> float:
    """LibreOffice saves by itself every so many minutes (registrymodifications.xcu)."""
    root = documents.xml_of(result)
    if root is None:
        return 0.0
    found = [value.text for item in root.iter("item") for prop in item.iter("prop") for value in prop.iter("value")
             if documents.local(prop.attrib).get("name") == "AutoSaveTimeIntervall"]  # fmt: skip
    return float(bool(found) and found[-1] == str(of_rule(rules, "minutes")))


def is_utc_0(result: str | None) -> float:
    """`timedatectl status` says an offset of zero."""
    return float(result is not None and re.search(r"Time zone:.*\+0000\)", result) is not None)


def check_gnome_favorite_apps(result: str | None, rules: Any) -> float:
    """The apps in any order."""
    try:
        apps = ast.literal_eval((result or "").strip())
    except (ValueError, SyntaxError):
        return 0.0
    return float(isinstance(apps, list) and sorted(map(str, apps)) == sorted(of_rule(rules, "expected")))


def is_vlc_recordings_folder(result: Path | None, rules: Any) -> float:
    return float(_vlc(result, "input-record-path", "") == of_rule(rules, "recording_file_path"))


def check_key_values(result: Path | None, rules: Any) -> float:
    """Our own: a file of `key=value` lines, in sections or not, holds those of the rule `expected`."""
    if result is None:
        return 0.0
    lines = dict(_pairs(result))
    return float(all(lines.get(key) == value for key, value in of_rule(rules, "expected").items()))


def _of_vlc(option: str, rule: str, default: str) -> Metric:
    """A metric for one of VLC's settings. default: what VLC does when its file does not name the option."""

    def metric(result: Path | None, rules: Any) -> float:
        return float(result is not None and _vlc(result, option, default) == str(of_rule(rules, rule)))

    return metric


def _vlc(file: Path | None, option: str, default: str) -> str | None:
    return None if file is None else dict(_pairs(file)).get(option, default)


def _pairs(file: Path) -> Iterator[tuple[str, str]]:
    for line in _text(file).splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.lstrip().startswith(("#", ";")):
            yield key.strip(), value.strip()


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _folded(text: str, blanks: bool, case: bool) -> str:
    text = " ".join(text.split()) if blanks else text
    return text.casefold() if case else text


def _json(file: Path | None) -> Any:
    """None when it is none. Lines that are comments are allowed, as VS Code writes them."""
    try:
        return None if file is None else json.loads(re.sub(r"(?m)^\s*//.*$", "", _text(file)))
    except ValueError:
        return None


METRICS: dict[str, Metric] = {
    metric.__name__: metric
    for metric in (
        exact_match, match_in_list, check_include_exclude, check_list, file_contains, compare_text_file, compare_config,
        check_config_status, check_json_settings, check_json_keybindings, is_extension_installed, check_auto_saving_time, is_utc_0,
        check_gnome_favorite_apps,
        is_vlc_recordings_folder, check_key_values, *images.METRICS, *documents.METRICS,
    )
} | {
    "check_qt_bgcone": _of_vlc("qt-bgcone", "expected_qt_bgcone", "1"),
    "check_qt_max_volume": _of_vlc("qt-max-volume", "expected_qt_max_volume", "125"),
    "check_qt_minimal_view": _of_vlc("qt-minimal-view", "expected_qt_minimal_view", "0"),
    "check_one_instance_when_started_from_file": _of_vlc(
        "one-instance-when-started-from-file", "expected_one_instance_when_started_from_file", "1"
    ),
    "check_play_and_exit": _of_vlc("play-and-exit", "expected_play_and_exit", "0"),
}  # fmt: skip
