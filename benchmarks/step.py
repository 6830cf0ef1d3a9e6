"""What a step costs besides the model: `python -m benchmarks.step [--environment desktop|model] [--steps N] [--json]`.

The real loop on an application-like page (a tool bar, a side bar, a table of 200 rows, a form) at 1280×720 in a real Chromium: every step
looks, renders the prompt, reads a scripted reply, clicks a row, waits for the page to settle and records. Beside it, in the same run and
on the same page, bare playwright loops that only click and capture. On a desktop: the same loop on a virtual display of that size, whose
screen is full of text and stays still; beside it pyautogui's own click and screenshot (which needs scrot) as they come. With `model`: what
a decision of the embedded model costs, from a screenshot it has not seen to a parsed action. Times are of this machine: compare within one
run.
"""

from __future__ import annotations

import base64
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image
from rich.console import Console
from rich.table import Table

from agent.agent import Agent
from agent.base import Step
from agent.policy import Limits
from agent.prompts.compact import CompactPrompt
from environments.base import Environment, Observation
from environments.browser import BrowserEnvironment, find_chromium
from environments.desktop import DesktopEnvironment, DesktopOptions
from evals.word_pages import draw, open_browser, training_word
from model import load_model
from model.scripted import ScriptedModel
from tools import native_actions
from tools.base import Thousandths
from tools.computer import Click

PAGE = Path(__file__).parent.parent / "tests" / "pages" / "app.html"
SIZE = (1280, 720)
WARM_UP = 5
PYAUTOGUI = """
import json, sys, time, pyautogui
times = []
for step in range(int(sys.argv[1])):
    began = time.perf_counter()
    pyautogui.click(500, 120 + step * 52 % 540)
    pyautogui.screenshot()
    times.append((time.perf_counter() - began) * 1000)
print(json.dumps(times))
"""
LOOK = ("settle", "capture", "decode", "encode")
PHASES = (*LOOK, "render", "read", "act", "record")


def row(step: int) -> tuple[int, int]:
    """The pixel clicked in a step: another row of the table each time."""
    return 500, 120 + step * 52 % 540


def in_browser(steps: int, folder: Path) -> dict[str, list[float]]:
    """Milliseconds of each phase of each step, model time left out."""
    with BrowserEnvironment(PAGE.as_uri(), viewport=SIZE) as env:
        times = ours(env, lambda: env.timings, steps, folder)
        if len(env.evaluate("record")) != steps:
            raise SystemExit("Not every click arrived.")
    return times


def on_desktop(steps: int, folder: Path) -> dict[str, list[float]]:
    """The same, then of pyautogui alone on the same display: its screenshot and a click with its default pauses."""
    text = "sh -c 'ls -lR /usr/lib/python3 | head -200; exec cat'"
    options = DesktopOptions(start=(f"xterm -geometry 210x54+0+0 -e {text}",))
    with DesktopEnvironment(display="virtual", size=SIZE, options=options) as env:
        times = ours(env, lambda: env.timings, steps, folder)
        assert env.virtual is not None
        said = subprocess.run([sys.executable, "-c", PYAUTOGUI, str(steps)], env=env.virtual.env, capture_output=True, text=True)
    if said.returncode:
        raise SystemExit(f"pyautogui alone: {said.stderr.strip().splitlines()[-1]}")
    return times | {"pyautogui: click, screenshot": json.loads(said.stdout)}


def ours(env: Environment, timings: Callable[[], dict[str, float]], steps: int, folder: Path) -> dict[str, list[float]]:
    actions = native_actions("browser")
    replies = [actions.render(Click(point=Thousandths.of(row(step), SIZE))) for step in range(steps)]
    times: dict[str, list[float]] = {phase: [] for phase in (*PHASES, "total")}

    def note(step: Step) -> None:
        spent = {**step.timings, **timings()}
        milliseconds = {phase: spent.get(phase, 0.0) * 1000 for phase in PHASES}
        others = (spent["observe"] - sum(timings().get(phase, 0.0) for phase in LOOK)) * 1000
        for phase, value in milliseconds.items():
            times[phase].append(value)
        times["total"].append(sum(milliseconds.values()) + others)

    limits = Limits(max_steps=steps, stuck_repeats=steps)
    trajectory = Agent(ScriptedModel(replies), env, prompt="tool_call", limits=limits, on_step=note).run("Go through it.", out=folder)
    if trajectory.status != "max_steps":
        raise SystemExit(f"The run is not what it should be: {trajectory.status}, {trajectory.reason}")
    return times


def bare(steps: int) -> dict[str, list[float]]:
    """Milliseconds of a click and a capture with playwright alone, by its own screenshot and over the DevTools protocol."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]})
        page.goto(PAGE.as_uri())
        devtools = page.context.new_cdp_session(page)
        asked = {"format": "png", "optimizeForSpeed": True}
        captures: dict[str, Callable[[], bytes]] = {
            "playwright: click, page.screenshot": page.screenshot,
            "playwright: click, CDP capture": lambda: base64.b64decode(devtools.send("Page.captureScreenshot", asked)["data"]),
        }
        times = {name: [_timed(page, row(step), look) for step in range(steps)] for name, look in captures.items()}
        browser.close()
    return times


def _timed(page: Any, at: tuple[int, int], look: Callable[[], bytes]) -> float:
    began = time.perf_counter()
    page.mouse.click(*at)
    Image.open(io.BytesIO(look())).convert("RGB")
    return (time.perf_counter() - began) * 1000


def deciding(steps: int) -> dict[str, list[float]]:
    """Milliseconds from screenshot to parsed action, and the part of the model in it; every screenshot is another page of words."""
    model, prompt = load_model("tiny"), CompactPrompt()
    with open_browser() as browser:
        pages = [page for at in range(0, steps, 32) for page in draw(browser, range(at, min(steps, at + 32)), training_word)]
    times: dict[str, list[float]] = {"model": [], "total": []}
    for seed, screenshot, *_ in pages:
        began = time.perf_counter()
        seen = Observation(screenshot)
        messages = prompt.render(f"Click on page {seed}.", [], seen)
        asked = time.perf_counter()
        said = model.generate(messages, prompt.generation())
        times["model"].append((time.perf_counter() - asked) * 1000)
        prompt.read(said, seen)
        times["total"].append((time.perf_counter() - began) * 1000)
    return times


def measure(steps: int, environment: str) -> dict[str, dict[str, float]]:
    """Median, 90th percentile and maximum in milliseconds, by phase and for each bare loop."""
    count = steps + WARM_UP
    if environment == "model":
        return {name: _figures(values[WARM_UP:]) for name, values in deciding(count).items()}
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        times = on_desktop(count, run) if environment == "desktop" else in_browser(count, run) | bare(count)
    return {name: _figures(values[WARM_UP:]) for name, values in times.items()}


def _figures(values: list[float]) -> dict[str, float]:
    deciles = statistics.quantiles(values, n=10)
    return {"median": round(statistics.median(values), 2), "p90": round(deciles[-1], 2), "max": round(max(values), 2)}


def main(
    environment: Annotated[str, typer.Option(help="browser, desktop, or model for a decision of the embedded one.")] = "browser",
    steps: Annotated[int, typer.Option(min=10, help="Counted steps, after five to warm up.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """What a step costs besides the model."""
    if environment not in ("browser", "desktop", "model"):
        raise SystemExit("--environment is browser, desktop or model.")
    found = measure(steps, environment)
    if as_json:
        print(json.dumps(found))
        return
    title = f"ms a decision, {steps} screenshots" if environment == "model" else f"ms a step at {SIZE[0]}×{SIZE[1]}, {steps} steps"
    table = Table(title=title, title_justify="left")
    for heading in ("", "median", "p90", "max", "× total"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, figures in found.items():
        ratio = figures["median"] / found["total"]["median"]
        table.add_row(name, *(f"{value:.1f}" for value in figures.values()), f"{ratio:.2f}", end_section=name in (PHASES[-1], "total"))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
