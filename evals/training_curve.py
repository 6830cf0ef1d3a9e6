"""What a training's log says, as a picture: the losses, and the share of held-out questions that were answered, by task and time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

READING = ("find", "phrase", "unseen", "read", "absent", "text", "kinds", "missed")
"""Tags that are no tasks: words found, of training and held out, and what is typed and decided."""


def read_log(file: Path) -> list[dict[str, Any]]:
    """The lines of a training.jsonl that hold a validation, the last of each moment."""
    lines = (json.loads(line) for line in file.read_text(encoding="utf-8").splitlines())
    return list({line["minutes"]: line for line in lines if line.get("validation")}.values())


def draw(file: Path, out: Path) -> None:
    """Draw a training.jsonl into a PNG: lines for reading, below them a row a task, as dark as the share of its points that were hit."""
    from matplotlib.figure import Figure

    log = read_log(file)
    minutes = [line["minutes"] for line in log]
    tasks = sorted({tag for line in log for tag in line["validation"]} - set(READING))
    shares = [[_share(line["validation"].get(task)) for line in log] for task in tasks]
    order = sorted(range(len(tasks)), key=lambda i: -(shares[i][-1] or 0))
    figure = Figure(figsize=(9, 4 + 0.14 * len(tasks)), layout="constrained")
    lines, rows = figure.subplots(2, 1, height_ratios=[3, max(1, 0.14 * len(tasks))])
    for tag in READING:
        seen = [(at, share) for at, line in zip(minutes, log, strict=True) if (share := _share(line["validation"].get(tag))) is not None]
        if seen:
            lines.plot(*zip(*seen, strict=True), label=tag, linewidth=1.2)
    lines.set(ylim=(0, 1), ylabel="share right, held out", xlabel="minutes")
    lines.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, frameon=False)
    grid = [[float("nan") if share is None else share for share in shares[i]] for i in order]
    rows.imshow(grid, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    rows.set_yticks(range(len(tasks)), [tasks[i] for i in order], fontsize=5)
    rows.set_xticks(range(len(log)), [f"{at:.0f}" for at in minutes], fontsize=6)
    figure.savefig(out, dpi=110)


def _share(found: list[int] | None) -> float | None:
    return found[0] / found[1] if found and found[1] else None
