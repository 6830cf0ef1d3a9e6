"""The engine against plain transformers, vLLM and the machine: `python -m benchmarks.engine [--model small|large] [--json]`.

One trajectory of twelve steps (benchmarks/trajectory.py), greedy, in float32, on a random checkpoint (benchmarks/checkpoints.py), against
the least time this machine can do it in (benchmarks/limit.py). Each side runs in a process of its own, one after the other; its figures
are the medians of `--repeat` trajectories, no two alike. docs/performance.md says what each figure means.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn, TypeVar

import typer
from rich.console import Console

from benchmarks.checkpoints import CACHE, GEOMETRIES
from benchmarks.figures import compare
from benchmarks.limit import Machine, Work
from benchmarks.report import tables
from benchmarks.sides import PARTS, Figures, Plan, note, ours, peer, plain
from benchmarks.trajectory import PATCHES

NEW = 390
"""About as many tokens as a step adds: the height of the matrices whose product is timed."""
T = TypeVar("T")


def measure(plan: Plan) -> Figures:
    """The figures of a plan. The machine is measured before and after, its best counts."""
    work = Work.of(plan.checkpoint)
    before = alone(hardware, plan)
    found = {"ours": alone(ours, plan)}
    if "steps" in plan.parts:
        found["plain"] = alone(plain, plan)
    if plan.peer:
        found["peer"] = peer(plan)  # a server of its own; here is only its client
    machine = before.better(alone(hardware, plan))
    return {"model": plan.model, "steps": plan.steps, "repeat": plan.repeat} | compare(found, work, machine)


def alone(side: Callable[[Plan], T], plan: Plan) -> T:
    """The same in a fresh process: what it holds and how it sets its threads touches no other side."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(side, plan).result()


def stop(signal_number: int, _: FrameType | None) -> NoReturn:
    """End what was started before ending."""
    for child in multiprocessing.active_children():
        child.terminate()
    raise SystemExit(128 + signal_number)


def hardware(plan: Plan) -> Machine:
    note("the machine: matrix products and reads")
    return Machine.measure(Work.of(plan.checkpoint), PATCHES, NEW)


def main(
    model: Annotated[str, typer.Option(help=f"Which checkpoint: {' or '.join(GEOMETRIES)}.")] = "small",
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(PARTS)}, only these; may be given again.")] = None,
    against: Annotated[str, typer.Option("--peer", help='Another engine to run beside it: "vllm".')] = "",
    repeat: Annotated[int, typer.Option(min=1, help="Trajectories whose median counts.")] = 3,
    steps: Annotated[int, typer.Option(min=2, help="Steps of a trajectory.")] = 12,
    folder: Annotated[Path, typer.Option(help="Where checkpoints and the peer's environment are kept.")] = CACHE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """The engine against plain transformers, vLLM and the machine."""
    parts = tuple(only or PARTS)
    signal.signal(signal.SIGTERM, stop)
    if model not in GEOMETRIES or not set(parts) <= set(PARTS) or against not in ("", "vllm"):
        raise SystemExit(f"--model is {' or '.join(GEOMETRIES)}, --only one of {', '.join(PARTS)}, --peer vllm.")
    figures = measure(Plan(model, folder, parts, steps, repeat, against))
    if as_json:
        print(json.dumps(figures))
    else:
        Console().print(*tables(figures), sep="\n")


if __name__ == "__main__":
    typer.run(main)
