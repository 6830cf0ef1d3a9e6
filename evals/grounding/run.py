"""A grounding benchmark as the command line runs it: the stages one after another, into a run's folder, and a table.

    run.json           what was asked, of which data, with what model and prompt: enough to do it again
    responses.jsonl    what was said to each item
    judgements.jsonl   what each is worth, an Episode a line
    summary.json       the rates

Judging reads responses.jsonl and asks no model; with --resume only items without an answer are asked.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evals.base import EvalError
from evals.folder import FORMAT, JUDGEMENTS, RESPONSES, RUN, SUMMARY, check_out, locked, read_about, write_json, write_text
from evals.grounding import ask
from evals.grounding.answers import Unit
from evals.grounding.items import Grounding
from evals.grounding.responses import matched, read_responses, write_responses
from evals.grounding.stages import Metric, infer, judge, metric
from evals.grounding.table import headline, table
from evals.provenance import commit, versions
from model.base import Model

BY_HAND = "stopped by hand"
_SAME = ("benchmark", "version", "model", "prompt", "responses_sha256", "coordinates", "items")
"""What must be equal for a run to go on."""


def evaluate(
    benchmark: Grounding,
    out: Path,
    *,
    model: Model | None = None,
    prompt: str | None = None,
    responses: Path | None = None,
    coordinates: Unit = "thousandths",
    limit: int | None = None,
    resume: bool = False,
    workers: int = 1,
) -> int:
    """Run what is asked for, write the folder, print the table; returns the exit code: 0, 3 when items lack a response, 130 by hand.

    model: asked about every item; without one, `responses` is a file to judge, or `out` with `resume` a run to judge again. coordinates:
    what the responses are written in. limit: only the first so many items. Raises EvalError for what cannot be met, ModelError never.
    """
    if limit is not None:
        benchmark = replace(benchmark, items=benchmark.items[:limit])
    if model is not None and responses is not None:
        raise EvalError("Either a model is asked or the responses in a file are judged: leave one away.")
    if model is None and responses is None and not resume:
        raise EvalError("There is neither a model to ask nor a file of responses to judge.")
    given = None if responses is None else matched(benchmark, read_responses(responses), str(responses))
    asked = ask.question(prompt)
    about = _about(benchmark, model, asked, responses, coordinates)
    if not resume:
        check_out(out)
    try:
        with locked(out):
            _begin(out, about, resume, judging=model is None and responses is None)
            if given is not None:
                write_responses(out / RESPONSES, [given.responses[item.id] for item in benchmark.items if item.id in given.responses])
            stopped = "" if model is None else _infer(benchmark, model, asked, out / RESPONSES, workers)
            found = _judge(benchmark, out, coordinates, stopped, given.notes if given else None)
    except OSError as error:
        raise EvalError(f"{out} cannot be written: {error.strerror or error}; name another with --out.") from error
    Console().print(table(found))
    print(headline(found), f"Run folder: {out}", sep="\n", flush=True)
    for line in filter(None, (found.stopped, *found.notes)):
        print(f"glimpse: {line}", file=sys.stderr)
    return 130 if found.stopped == BY_HAND else 0 if found.complete else 3


def _about(benchmark: Grounding, model: Model | None, asked: ask.Protocol, responses: Path | None, coordinates: Unit) -> dict[str, Any]:
    config = ask.generation(asked)
    sampling = {"max_tokens": config.max_tokens, "temperature": config.temperature, "top_p": config.top_p, "seed": config.seed}
    by_model: dict[str, Any] = {"model": None if model is None else model.name, "prompt": None, "sampling": None}
    if model is not None:
        words = ask.text("…", refuses=benchmark.refuses) if asked == "grounding" else "compact"
        by_model |= {"prompt": asked, "prompt_text": words, "sampling": sampling}
    return {
        "format": FORMAT,
        "kind": "grounding",
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "data_sha256": dict(benchmark.files),
        **by_model,
        "responses": None if responses is None else str(responses),
        "responses_sha256": None if responses is None else hashlib.sha256(responses.read_bytes()).hexdigest(),
        "coordinates": coordinates,
        "items": len(benchmark.items),
        "skipped": dict(benchmark.skipped),
        "started": datetime.now(UTC).isoformat(),
        "versions": versions(),
        "commit": commit(),
        "episodes": [[item.id, None, 0] for item in benchmark.items],
    }


def _begin(out: Path, about: Mapping[str, Any], resume: bool, judging: bool) -> None:
    """Write run.json; of a run that goes on, check that it is the same one. Raises EvalError naming what differs."""
    if not resume:
        check_out(out)
        write_json(out / RUN, about)
        return
    before = read_about(out)
    asked_of = ("model", "prompt", "responses_sha256", "coordinates")
    for name in _SAME:
        if not (judging and name in asked_of) and before.get(name) != about[name]:
            raise EvalError(f"{out} cannot be gone on with: its {name} is {before.get(name)!r}, not {about[name]!r}; name another --out.")


def _infer(benchmark: Grounding, model: Model, asked: ask.Protocol, path: Path, workers: int) -> str:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(benchmark.name, total=len(benchmark.items))
        try:
            return infer(benchmark, model, asked, path, workers=workers, done=lambda response: progress.advance(bar))
        except KeyboardInterrupt:
            return BY_HAND


def _judge(benchmark: Grounding, out: Path, unit: Unit, stopped: str, notes: tuple[str, ...] | None) -> Metric:
    said = read_responses(out / RESPONSES) if (out / RESPONSES).exists() else []
    own = matched(benchmark, said, str(out / RESPONSES))
    judgements = judge(benchmark, own.responses, unit)
    found = metric(benchmark, judgements, stopped, own.notes if notes is None else notes)
    write_text(out / JUDGEMENTS, "".join(json.dumps(asdict(judged), ensure_ascii=False) + "\n" for judged in judgements))
    write_json(out / SUMMARY, asdict(found))
    return found
