"""Run a benchmark's episodes into one folder, several at a time, so that a run that was stopped or killed can go on.

What lies in the folder is said in evals/folder.py. Knows no benchmark, no browser and no model by name, and not where a worker is.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from agent.base import Step
from evals.base import Benchmark, EvalError
from evals.episode import Episode, read_episode
from evals.folder import EPISODES, FORMAT, RESULT, RETRIED, RUN, check_out, locked, read_about, write_json, write_summary
from evals.plan import Plan, Slot
from evals.provenance import commit, config_hash, prompt_hash, versions
from evals.summary import Summary, summarise
from evals.worker import UNJUDGED, LocalWorker, OnStep, PerEpisode, Stop, Worker, WorkerLost
from model.base import Model

ERRORS_IN_A_ROW = 3
"""So many episodes in a row that end in an error stop the run: what is broken will not mend by itself."""
BY_HAND = "stopped by hand"
LAST_SECONDS = 20.0
"""Seconds that episodes under way have to end after a stop."""

Again = Literal["no", "resume", "errors", "failed"]
"""Of a folder that holds a run: refuse it; go on with what has no result; and with what ended in an error; and with all without success."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told as a run goes on: each step, each episode once it has ended; how many there are. Told one thing at a time."""

    step: Callable[[Slot, Step], None] = lambda slot, step: None
    episode: Callable[[Episode], None] = lambda episode: None
    planned: Callable[[int, Sequence[Episode]], None] = lambda planned, there: None


def run(
    make: Callable[[], Benchmark],
    model: Model | PerEpisode,
    out: Path,
    plan: Plan,
    watch: Watch | None = None,
    *,
    again: Again = "no",
    about: Mapping[str, Any] | None = None,
    hire: Callable[[OnStep], Worker] | None = None,
) -> Summary:
    """Run every episode and return the summary, which is on disk by then.

    make: a benchmark, for each worker its own. about: what else run.json is to say; JSON only, and part of the configuration under
    "options". hire: makes a worker that runs somewhere else. An episode that ends in an error which is not the agent's is run again up to
    `plan.retries` times, then counted as one, and the run goes on; after ERRORS_IN_A_ROW, or on Ctrl-C, it stops, and `Summary.stopped`
    says why. Raises EvalError when there is nothing to run, `out` cannot be used or written, or holds a run of another configuration.
    """
    first = make()
    there = [first]  # whoever takes it closes it
    try:
        slots = plan.slots(first.tasks())
        if again == "no":
            check_out(out)
            if hire is None:
                first.environment(slots[0].task).close()  # what cannot even start is told before anything is written
        else:
            read_about(out)
        described = _about(first, model.name, plan, slots, about or {})

        def supply() -> Benchmark:
            try:
                return there.pop()
            except IndexError:
                return make()

        def here(on_step: OnStep) -> Worker:
            return LocalWorker(supply, model, plan, on_step)

        try:
            with locked(out):
                before, todo = _open(out, described, slots, again)
                return _Run(out, plan, slots, before, todo, watch or Watch(), hire or here).go((first.name, first.version))
        except OSError as error:
            raise EvalError(
                f"{out} cannot be written: {error.strerror or error}. What ended is kept there; --resume goes on with it."
            ) from error
    finally:
        while there:
            there.pop().close()


class _Run:
    """A run under way. What several threads touch is touched under the lock."""

    def __init__(
        self,
        out: Path,
        plan: Plan,
        slots: Sequence[Slot],
        before: Mapping[str, Episode],
        todo: Sequence[Slot],
        watch: Watch,
        hire: Callable[[OnStep], Worker],
    ) -> None:
        self._out, self._plan, self._slots, self._watch, self._hire = out, plan, slots, watch, hire
        self._episodes = dict(before)
        self._todo = deque(todo)
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._in_a_row, self._stopped = 0, ""
        self._fault: BaseException | None = None

    def go(self, name: tuple[str, str]) -> Summary:
        todo = {slot.key for slot in self._todo}
        self._watch.planned(len(self._slots), [episode for key, episode in self._episodes.items() if key not in todo])
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(self._plan.workers, len(self._todo)))]
        try:
            try:
                for thread in threads:
                    thread.start()
                for thread in threads:
                    while thread.is_alive():
                        thread.join(0.5)
            except KeyboardInterrupt:
                self._stop(BY_HAND)
                end = time.monotonic() + LAST_SECONDS
                for thread in threads:
                    if thread.ident is not None:
                        thread.join(max(0.0, end - time.monotonic()))
            if self._fault is not None:
                raise self._fault
        finally:
            ended = [self._episodes[slot.key] for slot in self._slots if slot.key in self._episodes]
            asked = [(slot.task.id, slot.task.seed, slot.repeat) for slot in self._slots]
            summary = summarise(name, ended, len(asked), self._stopped, asked)
            write_summary(self._out, summary, ended)
        return summary

    def _work(self) -> None:
        """What a thread does: hire a worker and give it episode after episode."""
        try:
            worker = self._hire(self._told)
            with self._lock:
                self._workers.append(worker)
            try:
                while (slot := self._next()) is not None:
                    self._keep(self._episode(worker, slot))
            finally:
                worker.close()
        except Stop as stop:
            self._stop(str(stop) if str(stop) and "keyboard" not in str(stop) else BY_HAND)
        except BaseException as fault:  # the border of the thread: the run ends with it
            with self._lock:
                self._fault = self._fault or fault
            self._stop(f"{type(fault).__name__}: {fault}")

    def _next(self) -> Slot | None:
        with self._lock:
            return None if self._stopped or not self._todo else self._todo.popleft()

    def _episode(self, worker: Worker, slot: Slot) -> Episode:
        folder = self._out / EPISODES / slot.key
        attempt = 0
        while True:
            attempt += 1
            set_aside(self._out, slot.key)
            with self._lock:
                self._episodes.pop(slot.key, None)
            try:
                episode = worker.run(slot, folder)
            except WorkerLost as lost:
                task = slot.task
                episode = Episode(task.id, task.seed, "env_error", slot.repeat, task.instruction, reason=str(lost), tags=task.tags)
            if not episode.is_error or UNJUDGED in episode.details or self._stopped or attempt > self._plan.retries:
                return replace(episode, attempts=attempt)

    def _keep(self, episode: Episode) -> None:
        folder = self._out / EPISODES / episode.key
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / RESULT, asdict(episode))
        with self._lock:
            self._episodes[episode.key] = episode
            self._in_a_row = self._in_a_row + 1 if episode.is_error and UNJUDGED not in episode.details else 0
            with suppress(OSError):  # a terminal that has gone is no reason to lose a run
                self._watch.episode(episode)
            broken = self._in_a_row >= ERRORS_IN_A_ROW
        if broken:
            self._stop(f"{ERRORS_IN_A_ROW} episodes in a row ended in an error; the last: {episode.reason}")

    def _told(self, slot: Slot, step: Step) -> None:
        with self._lock, suppress(OSError):
            self._watch.step(slot, step)

    def _stop(self, reason: str) -> None:
        with self._lock:
            self._stopped = self._stopped or reason
            workers = list(self._workers)
        for worker in workers:
            worker.stop()


def set_aside(out: Path, key: str) -> None:
    """Move what an episode left to where it is kept, so that it can be run again; nothing to do when there is nothing."""
    folder, kept = out / EPISODES / key, out / RETRIED
    if folder.exists():
        kept.mkdir(exist_ok=True)
        number = next(n for n in range(1, 1_000_000) if not (kept / f"{key}-{n}").exists())
        os.replace(folder, kept / f"{key}-{number}")


def _about(benchmark: Benchmark, model: str, plan: Plan, slots: Sequence[Slot], more: Mapping[str, Any]) -> dict[str, Any]:
    """What run.json says."""
    settings = {
        "benchmark": benchmark.name,
        "version": benchmark.version,
        "model": model,
        **plan.settings(),
        "prompt_hash": prompt_hash(plan.prompt),
        "options": dict(more.get("options", {})),
    }
    return {
        "format": FORMAT,
        **settings,
        **more,
        "config_hash": config_hash(settings),
        "repeats": plan.repeats,
        "shard": plan.shard,
        "workers": plan.workers,
        "retries": plan.retries,
        "skipped": dict(benchmark.skipped),
        "started": datetime.now(UTC).isoformat(),
        "versions": versions(),
        "commit": commit(),
        "episodes": [[slot.task.id, slot.task.seed, slot.repeat] for slot in slots],
    }


def _open(out: Path, about: Mapping[str, Any], slots: Sequence[Slot], again: Again) -> tuple[dict[str, Episode], list[Slot]]:
    """Write run.json, or check that the folder's is the same run; the episodes that are there, by key, and those to be run."""
    if again == "no":
        check_out(out)
        (out / EPISODES).mkdir(parents=True, exist_ok=True)
        write_json(out / RUN, about)
        return {}, list(slots)
    found = read_about(out)
    if found["config_hash"] != about["config_hash"]:
        names = ("benchmark", "version", "model", "prompt", "prompt_hash", "limits", "grammar", "max_steps", "options")
        other = next((name for name in names if found.get(name) != about[name]), "config_hash")
        raise EvalError(
            f"{out} holds a run of another configuration: {other} is {found.get(other)!r} there, {about[other]!r} here; name another --out."
        )
    if sorted(map(str, found["episodes"])) != sorted(map(str, about["episodes"])):  # merged ones are in another order
        raise EvalError(f"{out} holds a run of other episodes ({len(found['episodes'])}; asked for {len(slots)}); name another with --out.")
    ended = {slot.key: slot for slot in slots if (out / EPISODES / slot.key / RESULT).exists()}
    episodes = {key: read_episode((file := out / EPISODES / key / RESULT).read_bytes(), str(file)) for key in ended}
    todo = [slot for slot in slots if slot.key not in episodes or _repeated(episodes[slot.key], again)]
    sitting = {"at": about["started"], "again": again, "episodes": len(todo), "commit": about["commit"]}
    write_json(out / RUN, {**found, "sittings": [*found.get("sittings", []), sitting]})
    return episodes, todo


def _repeated(episode: Episode, again: Again) -> bool:
    return (again == "errors" and episode.is_error) or (again == "failed" and not episode.success)
