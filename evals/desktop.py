"""Our own desktop suite: tasks in OSWorld's format over programs that Debian packages, each on a display and in a home folder of its own.

Made by hand, so not for comparison with published numbers. Start files are made by code; checkers read files and settings. Each task has a
script that does it (evals/desktop_scripts.py), and an agent that does nothing fails it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from evals import start_files
from evals.base import EvalError, Task
from evals.checks.apps import missing
from evals.checks.benchmark import FileBenchmark, chosen, no_seeds, on_desktop, refusal
from evals.checks.task import load_all
from evals.desktop_scripts import SCRIPTS, SIZE
from evals.scripts import PROMPT, Script
from model.base import Model

FOLDER = Path(__file__).with_name("desktop_tasks")
VERSION, STEPS = "1", 50


class DesktopSuite(FileBenchmark):
    oracle_prompt = PROMPT

    def oracle(self, task: Task, env: Any) -> Model:
        return Script(env, SCRIPTS[task.id])


def make(*, tasks: Sequence[str] = (), seeds: Sequence[int] = (), headless: bool = True, environment: str = "desktop") -> DesktopSuite:
    """The tasks named, or all whose programs are installed. headless is no choice here: displays are virtual.

    Raises EvalError when there is no such task, or when a program of one that was named is missing, and for seeds.
    """
    no_seeds(seeds, "desktop")
    on_desktop(environment, "desktop")
    wanted = chosen(load_all(FOLDER), tasks, "desktop")
    files = Path(tempfile.mkdtemp(prefix="glimpse-start-files-"))
    start_files.write(files)
    lacking = {task.id: missing(task.related_apps) for task in wanted}
    skipped = {task.id: reason for task in wanted if (reason := refusal(task, files, lacking[task.id]))}
    if tasks and skipped:
        id, reason = next(iter(skipped.items()))
        raise EvalError(f"desktop: {id} cannot be run: {reason}.")
    return DesktopSuite(
        "desktop", VERSION, [task for task in wanted if task.id not in skipped], files, skipped=skipped, steps=STEPS, size=SIZE
    )
