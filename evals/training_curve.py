"""What a training's log says, as a picture: the losses, and the share of held-out questions that were answered, by task and time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evals import charts

READING = ("letters", "find", "find on pages", "phrase", "unseen", "copied", "read", "text", "kinds", "missed")
"""Tags that are no tasks: letters named, words found, of training and held out, and what is typed and decided."""


def read_log(file: Path) -> list[dict[str, Any]]:
    """The lines of a training.jsonl that hold a validation, the last of each moment."""
    lines = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    return list({line["minutes"]: line for line in lines if line.get("validation")}.values())


def draw(file: Path, out: Path) -> None:
    """Draw a training.jsonl into a PNG: lines for reading, below them a row a task, as dark as the share of its points that were hit."""
    log = read_log(file)
    minutes = [float(line["minutes"]) for line in log]
    tasks = {tag for line in log for tag in line["validation"]} - set(READING)
    rows = [(task, [_share(line["validation"].get(task)) for line in log]) for task in tasks]
    lines = {tag: [_share(line["validation"].get(tag)) for line in log] for tag in READING}
    charts.over_time(out, minutes, lines, sorted(rows, key=lambda row: (-(row[1][-1] or 0), row[0])))


def _share(found: list[int] | None) -> float | None:
    return found[0] / found[1] if found and found[1] else None
