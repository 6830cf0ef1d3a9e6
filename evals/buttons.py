"""Little pages of our own: a few labelled buttons in many looks; click the one that is named, then say that it is done.

Made from seeds, so labelled synthetic: a place to learn that a page need not change and nobody else ends the episode. Not for comparison
with published numbers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from agent.trajectory import Trajectory
from environments.browser import BrowserEnvironment
from evals.base import EvalError, Score, Source, Task
from evals.oracles.clicks import one
from evals.pages import PageBenchmark, PageEnvironment

SOURCE = Source(
    data="pages made from seeds by this project", licence="Apache-2.0", ran="whole", get="nothing to get: in the package", synthetic=True
)
TASK = "click-named"
_WORDS = (
    "ONE TWO THREE FOUR OK Cancel Save Send Submit Next Back Open Close Yes No Start Stop Login Search Help Delete Edit Print Copy Paste "
    "Undo Redo Add Remove Apply Reset Continue Finish Accept Decline Join Leave Play Pause Reply Forward Settings Profile Home Menu More "
    "Less Buy Pay Order Share Like Follow Upload Download Refresh View Hide Show Up Down Left Right New Old Red Blue Green First Second "
    "Third Last Book Call Check Confirm Connect Create Done Enter Exit Filter Go Insert Install List Load Lock Log Mail Map Move Mute Note "
    "Ready Record Register Rename Report Retry Run Select Sign Skip Sort Sync Test Try Turn Update Wait Write"
)
LABELS = _WORDS.split()
ASKED = ("Click button {}.", 'Click on the "{}" button.', "Click the {} button.", "Press {}.", "Click {}.", 'Click "{}".')
STEPS = 4

_NOTE = "clicked.push(this.textContent);"
_FEEDBACK = ("", "", "this.style.background = '#8c8';", "said.textContent = 'You clicked ' + this.textContent;", "this.disabled = true;")


class Page:
    """A page made from a seed: its HTML and what is asked."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"buttons-{seed}")
        labels = rng.sample(LABELS, rng.choice((1, 2, 2, 2, 3, 3, 4, 5)))
        self.wanted = rng.randrange(len(labels))
        self.instruction = rng.choice(ASKED).format(labels[self.wanted])
        look, feedback = _look(rng), rng.choice(_FEEDBACK)
        parts = [_button(label, i == self.wanted, look, feedback, _place(rng, look, labels, i)) for i, label in enumerate(labels)]
        if not look["scattered"]:
            parts = [rng.choice((" ", "<br>", "<br><br>")).join(parts)]
        heading = " ".join(rng.sample(LABELS, rng.randint(1, 4))) if rng.random() < 0.4 and not look["scattered"] else ""
        self.html = (
            "<!doctype html><title>Buttons</title>"
            f"<body style='max-width:152px;margin:{rng.choice((0, 4, 8, 8, 20))}px;background:{look['page']};"
            f"font:{look['size']}px {look['font']}'><script>clicked = []</script>"
            f"{f'<p>{escape(heading)}</p>' if heading else ''}{''.join(parts)}<p id=said></p>"
        )


def _look(rng: random.Random) -> dict[str, Any]:
    plain = rng.random() < 0.5
    return {
        "scattered": rng.random() < 0.5,
        "page": rng.choice(("#fff", "#fff", "#fff", "#eef", "#f4f4f4", "#ffd")),
        "size": rng.choice((11, 12, 13.33, 13.33, 14, 16, 18)),
        "font": rng.choice(("Arial", "Arial", "sans-serif", "Georgia")),
        "button": "" if plain else f"background:{rng.choice(('#07c', '#fff', '#2a5', '#ddd', '#333'))};border:1px solid #888;"
        f"border-radius:{rng.choice((0, 3, 8))}px;padding:{rng.choice((2, 5, 9))}px {rng.choice((6, 12))}px;",
    }  # fmt: skip


def _button(label: str, wanted: bool, look: dict[str, Any], feedback: str, place: str) -> str:
    ink = "color:#fff;" if any(dark in look["button"] for dark in ("#07c", "#2a5", "#333")) else "color:#000;"
    style = f"{look['button']}{ink}{place if look['scattered'] else ''}font:inherit;"
    return f'<button {"id=target " if wanted else ""}style="{style}" onclick="{_NOTE}{feedback}">{escape(label)}</button>'


def _place(rng: random.Random, look: dict[str, Any], labels: Sequence[str], index: int) -> str:
    """One horizontal band of the page for each button, so that none covers another, and none beyond the right edge."""
    band, room = 200 / len(labels), 150 - int(len(labels[index]) * look["size"] * 0.7 + 30)
    return f"position:absolute;left:{rng.randint(2, max(3, room))}px;top:{round(4 + band * index + rng.uniform(0, max(0.0, band - 36)))}px;"


class ButtonsEnvironment(PageEnvironment):
    """One page."""

    def __init__(self, browser: BrowserEnvironment, seed: int) -> None:
        super().__init__(browser)
        self.seed, self._page, self.script = seed, Page(seed), one("#target")
        self.instruction = self._page.instruction

    def open(self) -> None:
        self.browser.goto("data:text/html;charset=utf-8," + quote(self._page.html))

    def clicked(self) -> list[bool]:
        """For each click on a button so far, whether it was the one that was named."""
        return [bool(right) for right in self.browser.evaluate("clicked.map(label => label === target.textContent)")]


class Buttons(PageBenchmark):
    """Seeds of the one task."""

    name, version = "buttons", "1"

    def __init__(self, seeds: Sequence[int], headless: bool = True) -> None:
        super().__init__([Task(TASK, seed=seed, max_steps=STEPS) for seed in seeds], headless)

    def environment(self, task: Task) -> ButtonsEnvironment:
        return ButtonsEnvironment(self.browser(), task.seed or 0)

    def score(self, task: Task, trajectory: Trajectory, env: Any) -> Score:
        """Success: the button that was named was clicked once, no other was, and the model said that it was done."""
        clicked = env.clicked()
        success = clicked == [True] and trajectory.status == "done"
        return Score(success, float(success), reason=f"clicks: {clicked}, {trajectory.status}")


def make(*, tasks: Sequence[str] = (), seeds: Sequence[int] = (), headless: bool = True) -> Buttons:
    """See `Buttons`; seeds 0 to 49 unless named. Raises EvalError for another task than the one there is."""
    if unknown := [name for name in tasks if name != TASK]:
        raise EvalError(f"buttons has no task {unknown[0]!r}; it has {TASK}.")
    return Buttons(seeds or range(50), headless)
