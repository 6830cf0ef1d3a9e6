"""MiniWoB++'s tasks: what each asks of the hand, when it counts as done, how many actions it may take, and which make up a suite.

Read off the pages and tried on them. BrowserGym's list is that of its `DEFAULT_BENCHMARKS["miniwob"]` (github.com/ServiceNow/BrowserGym,
browsergym/experiments/benchmark: configs.py, utils.py, metadata/miniwob.csv; Apache-2.0), seeded as in its miniwob/base.py. It pins the
pages to commit 7fd85d71 of the benchmark; those of the package miniwob 1.1.0 are the same, byte for byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from evals.base import Task
from evals.oracles import ORACLES

STEPS = 10
"""The usual budget of actions (BrowserGym's)."""
LONG_STEPS = 30
_LONG = frozenset(
    (
        "book-flight",
        "book-flight-nodelay",
        "choose-date",
        "choose-date-nodelay",
        "click-checkboxes-large",
        "click-menu",
        "generate-number",
        "hot-cold",
        "number-checkboxes",
        "order-food",
        "social-media-all",
        "social-media-some",
        "text-editor",
        "use-spinner",
    )
)
"""Tasks for which STEPS is too few, by what their oracles take or may take; in a suite of our own they have LONG_STEPS."""

CLASSES: dict[str, frozenset[str]] = {
    name: frozenset(tasks.split())
    for name, tasks in {
        "click": (
            "buy-ticket click-button click-color click-dialog click-dialog-2 click-link click-shape click-tab click-test click-test-2 "
            "click-test-transfer click-widget count-shape count-sides focus-text focus-text-2 grid-coordinate identify-shape unicode-test"
        ),
        "clicks": (
            "ascending-numbers bisect-angle choose-date choose-date-easy choose-date-medium choose-date-nodelay choose-list circle-center "
            "click-button-sequence click-checkboxes click-checkboxes-large click-checkboxes-soft click-checkboxes-transfer "
            "click-collapsible click-collapsible-2 click-collapsible-2-nodelay click-collapsible-nodelay click-menu click-menu-2 "
            "click-option click-pie click-pie-nodelay click-shades click-tab-2 click-tab-2-easy click-tab-2-hard click-tab-2-medium "
            "email-inbox-delete email-inbox-important email-inbox-noscroll email-inbox-star-reply find-greatest find-midpoint "
            "form-sequence-3 generate-number hot-cold navigate-tree number-checkboxes odd-or-even phone-book right-angle tic-tac-toe "
            "use-spinner"
        ),
        "type": (
            "book-flight book-flight-nodelay copy-paste copy-paste-2 email-inbox email-inbox-forward email-inbox-forward-nl "
            "email-inbox-forward-nl-turk email-inbox-nl-turk email-inbox-noscroll email-inbox-reply email-inbox-star-reply enter-date "
            "enter-password enter-text enter-text-2 enter-text-dynamic enter-time find-word form-sequence-2 guess-number login-user "
            "login-user-popup multi-layouts multi-orderings read-table read-table-2 scroll-text search-engine sign-agreement "
            "simple-algebra simple-arithmetic terminal text-transform use-autocomplete use-autocomplete-nodelay use-colorwheel "
            "use-colorwheel-2 visual-addition"
        ),
        "drag": (
            "daily-calendar drag-box drag-circle drag-cube drag-items drag-items-grid drag-shapes drag-shapes-2 drag-single-shape "
            "drag-sort-numbers draw-circle draw-line form-sequence highlight-text highlight-text-2 resize-textarea text-editor use-slider "
            "use-slider-2"
        ),
        "scroll": (
            "click-scroll-list daily-calendar email-inbox email-inbox-forward-nl-turk email-inbox-nl-turk order-food scroll-text "
            "scroll-text-2 sign-agreement social-media social-media-all social-media-some"
        ),
        "reaction": ("button-delay chase-circle hover-shape moving-items simon-says stock-market"),
    }.items()
}
"""What a task asks of the hand: one click, a few, typing, dragging, scrolling, or being quick. Some ask for two of these."""

_THRESHOLDS = dict.fromkeys(
    ("bisect-angle", "circle-center", "draw-circle", "draw-line", "find-midpoint", "right-angle", "use-colorwheel", "use-colorwheel-2"), 0.8
)
"""Raw rewards here fall off with the distance from the right place, angle, line or colour, and 1 is mostly out of a mouse's reach, as
pixels are whole numbers: an oracle's click on circle-center gives 0.93 to 0.98, on right-angle mostly 0.99. Farama's package has
`get_thresholded_reward` for this; 0.8 is our choice."""

_NOT_IN_BROWSERGYM = frozenset(("button-delay", "chase-circle", "hover-shape", "moving-items", "simon-says"))
_NOT_IN_CORE = frozenset(("stock-market", "drag-cube"))
"""Of BrowserGym's tasks the two that cannot be done at a large model's pace, or only by luck: a price that jumps, a cube that spins."""
SUITES = ("smoke", "core", "full", "oracles")


def threshold(task: str) -> float:
    """The raw reward from which an episode is a success."""
    return _THRESHOLDS.get(task, 1.0)


def tags(task: str) -> tuple[str, ...]:
    """Its classes."""
    return tuple(name for name, members in CLASSES.items() if task in members)


def episodes(tasks: Sequence[str], seeds: Sequence[int]) -> list[Task]:
    """Each task with each seed, within the budgets of our own."""
    return [Task(name, seed=seed, max_steps=LONG_STEPS if name in _LONG else STEPS, tags=tags(name)) for name in tasks for seed in seeds]


def suite_tasks(suite: str, known: Sequence[str]) -> list[str]:
    """The tasks of a suite, of all there are in alphabetical order: 19 (smoke), 123 (core), 125 (full), or those that have an oracle."""
    if suite in ("smoke", "oracles"):
        return [name for name in known if name in (CLASSES["click"] if suite == "smoke" else ORACLES)]
    left_out = _NOT_IN_BROWSERGYM | (_NOT_IN_CORE if suite == "core" else frozenset())
    return [name for name in known if name not in left_out]


def browsergym_episodes(tasks: Sequence[str]) -> list[Task]:
    """BrowserGym's 625 episodes of its 125 tasks, in its order (alphabetical).

    Its seeds are below `2 ^ 32`, which in Python is 34, so that some come twice: 590 episodes are different ones. Each of these stands here
    once, with how often it counts as `times`; metadata["page_seed"] is the number its page is seeded with.
    """
    rng = np.random.RandomState(42)
    times = Counter((name, int(seed)) for name in tasks for seed in rng.randint(0, 2 ^ 32, size=5))
    return [
        Task(name, seed=seed, max_steps=STEPS, tags=tags(name), times=count, metadata={"page_seed": page_seed(seed)})
        for (name, seed), count in times.items()
    ]


def page_seed(seed: int) -> int:
    """What BrowserGym makes of the seed of an episode."""
    return int(np.random.RandomState(seed).randint(0, 1_000_000))
