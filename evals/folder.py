"""A run's folder: what lies where, written so that each file is there whole or not at all. Knows how nothing is run.

run.json                     what was run and with what: enough to run it again
episodes/<key>/              the episode's trajectory, and result.json, written last: an episode without it did not end
retried/<key>-<n>/           what it had left before it was run again
responses.jsonl              of a grounding benchmark instead: what the model said to each item
judgements.jsonl             and what that is worth: an Episode a line
summary.json                 counts and rates
report.html                  the same for people
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from evals.base import EvalError, official_metrics
from evals.episode import Episode, episode_key, read_episode
from evals.summary import Summary

RUN, RESULT, SUMMARY, REPORT = "run.json", "result.json", "summary.json", "report.html"
EPISODES, RETRIED, RESPONSES, JUDGEMENTS, LOCK = "episodes", "retried", "responses.jsonl", "judgements.jsonl", ".lock"
FORMAT = 2
"""The folder's number, in run.json. Another is refused rather than guessed at."""


def new_folder(what: str) -> Path:
    """A name for a run's folder: runs/<date>-<time>-<what>."""
    slug = "-".join("".join(c if c.isalnum() else " " for c in what.lower()).split())[:40].strip("-")
    return Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{slug}"


def check_out(out: Path, holds: str = RUN) -> None:
    """Raise EvalError when no run can be written there (something is in the way, or it holds a run already). Writes nothing."""
    if (out / holds).exists():
        way = "go on with it by --resume, or name" if holds == RUN else "name"
        raise EvalError(f"{out} already holds a run: {way} another folder with --out.")
    nearest = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise EvalError(
            f"{out} cannot be written: {nearest} is {'read-only' if nearest.is_dir() else 'no folder'}; name another with --out."
        )


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the folder while it is written to. Raises EvalError at once when another process does."""
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise EvalError(f"{out} is being written by another run: wait for it, or name another folder with --out.") from None
    try:
        yield
    finally:
        lock.release()


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write JSON so that the file is there whole or not at all. Raises OSError."""
    write_text(path, json.dumps(record, ensure_ascii=False, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text so that the file is there whole or not at all. A lone surrogate becomes its escape. Raises OSError."""
    half = path.with_name(f"{path.name}.part")
    try:
        with half.open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    except OSError:
        half.unlink(missing_ok=True)
        raise


def write_summary(out: Path, summary: Summary, episodes: Sequence[Episode]) -> None:
    """Write summary.json; the benchmark's own figures, if it has any, stand in it under "official". Raises OSError."""
    write_json(out / SUMMARY, {**asdict(summary), "official": official_metrics(summary.benchmark, episodes)})


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises EvalError naming the file when it is missing, no JSON, or no object."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EvalError(f"{path} is missing: is {path.parent} the folder of a run?") from None
    except (OSError, ValueError) as error:
        raise EvalError(f"{path} cannot be read: {error}.") from None
    if not isinstance(found, dict):
        raise EvalError(f"{path} holds no JSON object.")
    return found


def read_about(out: Path) -> dict[str, Any]:
    """What run.json says. Raises EvalError also when it was written by another version of the format."""
    about = read_json(out / RUN)
    if about.get("format") != FORMAT:
        raise EvalError(f"{out / RUN}: written in format {about.get('format')!r}; this version of Glimpse reads format {FORMAT}.")
    return about


def read_episodes(out: Path) -> list[Episode]:
    """The episodes that ended, in the order they were planned. Raises EvalError for a record that cannot be read."""
    judged = out / JUDGEMENTS
    if judged.exists():
        lines = judged.read_bytes().splitlines()
        return [read_episode(line, f"{judged}, line {number}") for number, line in enumerate(lines, 1)]
    try:
        keys = [episode_key(task, seed, repeat) for task, seed, repeat in read_about(out)["episodes"]]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, EvalError):
            raise
        raise EvalError(f"{out / RUN}: episodes is no list of task, seed and repeat.") from None
    files = [out / EPISODES / key / RESULT for key in keys]
    return [read_episode(file.read_bytes(), str(file)) for file in files if file.exists()]
