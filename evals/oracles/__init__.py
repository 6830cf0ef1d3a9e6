"""Scripted experts: `ORACLES` has a script for each of MiniWoB++'s tasks that one solves, `UNSOLVED` the reason for each other one.

Only those that succeed with each of the seeds 0 to 4 are here, by the pages' own rewards and within the tasks' budgets. To try them all:
`glimpse eval miniwob --suite oracles --agent oracle`. `PARTLY` has scripts for some of the others that succeed with most seeds, and may
be recorded where they do.
"""

from __future__ import annotations

from evals.oracles import clicks, drags, forms, hints, lists
from evals.oracles.page import Script

ORACLES: dict[str, Script] = dict(sorted({**clicks.SCRIPTS, **drags.SCRIPTS, **forms.SCRIPTS, **hints.SCRIPTS, **lists.SCRIPTS}.items()))
PARTLY: dict[str, Script] = {
    "click-pie-nodelay": clicks.pie, "email-inbox-forward": lists.mail, "email-inbox-noscroll": lists.mail,
}  # fmt: skip
_QUICK = "it asks for quickness: the page moves on while one looks and thinks"
_TWICE = "with seed 2 two messages are by the sender that is asked for: which one is meant is nowhere to be read"
UNSOLVED: dict[str, str] = {
    "button-delay": "it asks for a pause of so many seconds between two clicks, which the compact protocol has no action for",
    "chase-circle": _QUICK,
    "click-pie-nodelay": "with seed 1 its first item takes no click, be it on the letter or on the slice",
    "drag-cube": "a cube that spins on after it is let go; not tried",
    "email-inbox-forward": _TWICE,
    "email-inbox-noscroll": _TWICE,
    "hover-shape": _QUICK,
    "moving-items": _QUICK,
    "simon-says": _QUICK,
    "stock-market": _QUICK,
    "tic-tac-toe": "a game of luck: an oracle that played its best against the page's player won 7 of 10",
}
