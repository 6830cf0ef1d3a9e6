"""The three stages: infer (a model answers items, one line each), judge (what each answer is worth), metric (rates).

Judging is a pure function of the items and the responses, and metric one of the judgements: to score again asks no model.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from environments.base import Box
from evals.base import EvalError
from evals.episode import Episode, Outcome
from evals.grounding.answers import Unit, read_answer
from evals.grounding.ask import Protocol, generation, messages
from evals.grounding.items import Grounding, ImageFault, Item, Polygon, Scoring, load_image, size_of
from evals.grounding.responses import Response, answered_before, line
from evals.grounding.scorer import Position, Unscorable, is_right
from evals.stats import wilson
from model.base import Cancelled, Model, ModelError
from tools.base import ParseError

ERRORS_IN_A_ROW = 3
"""So many model errors one after another stop the inference: what is broken will not mend by itself."""


def infer(
    benchmark: Grounding,
    model: Model,
    asked: Protocol,
    path: Path,
    *,
    workers: int = 1,
    done: Callable[[Response], object] = lambda response: None,
) -> str:
    """Ask the model about every item that `path` holds no answer to yet, and append each answer as it comes.

    workers: threads that ask one model, whose `generate` must allow that. Returns why it stopped early, "" when it did not; Ctrl-C ends
    with KeyboardInterrupt, what was answered by then kept. Raises EvalError when `path` holds what is no response.
    """
    before = {response.id for response in answered_before(path)}
    todo = [item for item in benchmark.items if item.id not in before]
    stop = threading.Event()
    config = replace(generation(asked), cancelled=stop.is_set)

    def ask(item: Item) -> Response:
        if stop.is_set():
            raise Cancelled("The inference was stopped.")
        began = time.perf_counter()
        try:
            said = model.generate(messages(asked, item.instruction, load_image(item), refuses=benchmark.refuses), config)
        except ImageFault as fault:
            return Response(item.id, error=str(fault), fault="eval_error", instruction=item.instruction)
        except Cancelled:
            raise
        except ModelError as fault:
            return Response(item.id, error=str(fault), fault="model_error", instruction=item.instruction)
        seconds = round(time.perf_counter() - began, 3)
        return Response(
            item.id, said.content, instruction=item.instruction, reasoning=said.reasoning, stop_reason=said.stop_reason,
            seconds=seconds, prompt_tokens=said.prompt_tokens, completion_tokens=said.completion_tokens,
        )  # fmt: skip

    failed = 0
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file, ThreadPoolExecutor(workers) as pool:
        try:
            for future in as_completed([pool.submit(ask, item) for item in todo]):
                response = future.result()
                file.write(line(response))
                file.flush()
                done(response)
                failed = failed + 1 if response.fault == "model_error" else 0
                if failed == ERRORS_IN_A_ROW:
                    return f"{failed} items in a row ended in an error of the model; the last: {response.error}"
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)
    return ""


def judge(benchmark: Grounding, responses: Mapping[str, Response], unit: Unit = "thousandths") -> list[Episode]:
    """What each item's response is worth, in the order of the items. An item without a response is no success."""
    return [_judged(item, responses.get(item.id), unit) for item in benchmark.items]


def _judged(item: Item, response: Response | None, unit: Unit) -> Episode:
    if response is None:
        return _episode(item, response, "model_error", "There is no response to this item.", missing=True)
    if response.fault:
        return _episode(item, response, response.fault, response.error)
    size = size_of(item)
    try:
        answer = read_answer(response.raw_response, unit, size)
        right = is_right(item, answer)
        others = {name: is_right(item, answer, target) for name, target in item.others.items()}
    except ParseError as error:
        cut = " The reply was cut at its longest." if response.stop_reason == "length" else ""
        return _episode(item, response, "parse_error", f"{error}{cut}")
    except (Unscorable, EvalError) as error:
        return _episode(item, response, "eval_error", str(error))
    found: dict[str, Any] = {"answer": "refused"}
    if isinstance(answer, Position):
        found = {"answer": "point", "position": [answer.x, answer.y]}
        if size is not None:
            found["point"] = [round(answer.x * size[0], 3), round(answer.y * size[1], 3)]
    return _episode(item, response, "success" if right else "failure", others=others, **found)


def _episode(item: Item, response: Response | None, status: Outcome, reason: str = "", **details: Any) -> Episode:
    target = "box" if isinstance(item.target, Box) else "polygon" if isinstance(item.target, Polygon) else "refusal"
    said = response or Response(item.id)
    return Episode(
        item.id, None, status, instruction=item.instruction, success=status == "success", reward=float(status == "success"),
        reason=reason, tags=tuple(item.tags.values()), seconds=said.seconds, model_seconds=said.seconds, screenshot=item.size,
        prompt_tokens=said.prompt_tokens, completion_tokens=said.completion_tokens,
        details={"target": target, "axes": dict(item.tags), **details},
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Share:
    """Successes among items, with Wilson's 95 % interval. parse_errors: replies without an answer; errors: of the model or the data."""

    name: str
    items: int
    successes: int
    success_rate: float
    wilson95: tuple[float, float]
    parse_errors: int
    errors: int


@dataclass(frozen=True, slots=True)
class Metric:
    """summary.json of a grounding run. groups: by the benchmark's axes. scorings: other ways to count, by name."""

    benchmark: str
    version: str
    complete: bool
    stopped: str
    planned: int
    episodes: int
    successes: int
    errors: int
    missing: int
    success_rate: float
    wilson95: tuple[float, float]
    statuses: Mapping[str, int]
    groups: tuple[Share, ...]
    scorings: tuple[Share, ...]
    notes: tuple[str, ...]


def metric(benchmark: Grounding, judgements: Sequence[Episode], stopped: str = "", notes: tuple[str, ...] = ()) -> Metric:
    """The rates over some judgements."""
    missing = sum("missing" in judged.details for judged in judgements)
    total = _share("all", judgements, Scoring("all"))
    return Metric(
        benchmark=benchmark.name,
        version=benchmark.version,
        complete=not missing and not stopped,
        stopped=stopped,
        planned=len(benchmark.items),
        episodes=len(judgements),
        successes=total.successes,
        errors=total.errors,
        missing=missing,
        success_rate=total.success_rate,
        wilson95=total.wilson95,
        statuses=dict(Counter(judged.status for judged in judgements)),
        groups=_groups(benchmark.axes, judgements),
        scorings=tuple(_share(scoring.name, judgements, scoring) for scoring in benchmark.scorings),
        notes=notes,
    )


def _groups(axes: Sequence[str], judgements: Sequence[Episode]) -> tuple[Share, ...]:
    """One for each value of the first axis and, under it, each of the second, as they come up; unnamed axes of an item are left out."""
    groups: dict[tuple[str, ...], list[Episode]] = {}
    for judged in judgements:
        values = tuple(judged.details["axes"].get(axis, "") for axis in axes)
        for depth in range(1, len(axes) + 1):
            groups.setdefault(values[:depth], []).append(judged)
    return tuple(_share(" · ".join(filter(None, key)), of, Scoring("")) for key, of in sorted(groups.items()) if key[-1])


def _share(name: str, judgements: Sequence[Episode], scoring: Scoring) -> Share:
    counted = [judged for judged in judgements if scoring.counts(judged)]
    hits = sum(scoring.hit(judged) for judged in counted)
    return Share(
        name=name,
        items=len(counted),
        successes=hits,
        success_rate=hits / len(counted) if counted else 0.0,
        wilson95=wilson(hits, len(counted)),
        parse_errors=sum(judged.status == "parse_error" for judged in counted),
        errors=sum(judged.is_error for judged in counted),
    )
