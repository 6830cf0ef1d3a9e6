"""Charts as inline SVG, drawn by matplotlib: the same numbers give the same bytes, and colours follow the page's, light or dark.

matplotlib comes with the extra "evals"; without it there are no charts. Text stays text: selectable, in the page's font, escaped by it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISSING = "Charts need matplotlib: pip install 'glimpse[evals]', then glimpse report FOLDER again."
WIDTH = 5.0
"""Inches, of 72 points each; the page scales them."""
Role = Literal["ink", "faint", "success", "failure", "error"]
_COLOURS: Mapping[Role, str] = {"ink": "#010203", "faint": "#010204", "success": "#010205", "failure": "#010206", "error": "#010207"}
"""What is drawn with, and replaced by the page's own: `var(--ink)`."""
_SETTINGS: Mapping[Any, Any] = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 8.0, "axes.linewidth": 0.6,
    "axes.spines.top": False, "axes.spines.right": False, "patch.linewidth": 0.0, "xtick.major.width": 0.6, "ytick.major.width": 0.6,
    "text.color": _COLOURS["ink"], "axes.labelcolor": _COLOURS["ink"], "axes.edgecolor": _COLOURS["faint"],
    "xtick.color": _COLOURS["faint"], "ytick.color": _COLOURS["faint"], "xtick.labelcolor": _COLOURS["ink"],
    "ytick.labelcolor": _COLOURS["ink"], "figure.facecolor": "none", "axes.facecolor": "none", "legend.frameon": False,
    "axes.formatter.useoffset": False,
}  # fmt: skip
_WHOLE_BINS, _BINS = 40, 24


def available() -> bool:
    """matplotlib is installed."""
    try:
        return find_spec("matplotlib") is not None
    except ModuleNotFoundError:
        return False


def rates(rows: Sequence[tuple[str, float, tuple[float, float]]], title: str) -> Markup:
    """Success rates in [0, 1] with their intervals, one row each, the first at the top: a dot and a line, in percent."""
    with _figure(0.5 + 0.2 * len(rows), title) as (figure, axes, svg):
        for place, (_, rate, (low, high)) in enumerate(rows):
            axes.plot([100 * low, 100 * high], [place, place], color=_COLOURS["faint"], linewidth=1.6, solid_capstyle="butt")
            axes.plot([100 * rate], [place], "o", color=_COLOURS["success"], markersize=4.5, clip_on=False)
        axes.set(xlim=(0, 100), ylim=(len(rows) - 0.4, -0.6), xlabel="success, %")
        axes.set_yticks(range(len(rows)), [_short(label) for label, _, _ in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=_COLOURS["faint"], linewidth=0.3, alpha=0.5)
        _save(figure, svg)
    return _inline(svg.getvalue(), title)


def histogram(values: Mapping[Role, Sequence[float]], unit: str, title: str) -> Markup:
    """How often which value came up, successes, failures and errors stacked. Values: finite, at least 0; whole numbers get a bar each."""
    found = [value for group in values.values() for value in group]
    with _figure(1.7, title) as (figure, axes, svg):
        shown = [(role, group) for role, group in values.items() if group]
        axes.hist(
            [list(group) for _, group in shown],
            bins=_bins(found),
            stacked=True,
            rwidth=0.9,
            color=[_COLOURS[role] for role, _ in shown],
            label=[role for role, _ in shown],
        )
        axes.locator_params(axis="y", integer=True)
        axes.set(xlabel=unit, ylabel="episodes")
        axes.legend(ncols=3, loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0, handlelength=1, handleheight=0.8, columnspacing=1)
        _save(figure, svg)
    return _inline(svg.getvalue(), title)


def _bins(values: Sequence[float]) -> Any:
    """Edges around whole numbers that lie close enough, else how many bins."""
    low, high = min(values), max(values)
    if all(value == int(value) for value in values) and high - low <= _WHOLE_BINS:
        return [number - 0.5 for number in range(int(low), int(high) + 2)]
    return _BINS


@contextmanager
def _figure(height: float, title: str) -> Iterator[tuple[Figure, Axes, StringIO]]:
    """An empty chart, matplotlib's own defaults under our settings whatever the user's are."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_SETTINGS, "svg.hashsalt": _short(title)})  # ids of several charts on a page differ
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, figure.subplots(), StringIO()


def _save(figure: Figure, svg: StringIO) -> None:
    nothing: Any = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page's font draws the text, not matplotlib's
        figure.savefig(svg, format="svg", metadata=nothing)


def _inline(svg: str, title: str) -> Markup:
    """An SVG file as an element of a page: no prologue, no ids but those it refers to, colours and font the page's."""
    svg = svg[svg.index("<svg ") :]
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # text holds no "<" that is not escaped
    for role, colour in _COLOURS.items():
        svg = svg.replace(f": {colour}", f": var(--{role})")
    svg = re.sub(r'(<text style="[^"]*?)font-family: [^;"]*; ', r"\1", svg)
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{escape(_short(title))}" ', 1))


def _short(label: str, longest: int = 36) -> str:
    label = "".join(c if c.isprintable() else " " for c in label)
    return label if len(label) <= longest else f"{label[: longest - 1]}…"


def over_time(
    out: Path,
    minutes: Sequence[float],
    lines: Mapping[str, Sequence[float | None]],
    rows: Sequence[tuple[str, Sequence[float | None]]],
) -> None:
    """A PNG of shares in [0, 1] over time: some as lines, the others a row each, the darker the larger. None is a moment without one."""
    from matplotlib.figure import Figure

    height = 0.13 * len(rows)
    figure = Figure(figsize=(8, 3.5 + height), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[3, max(1.0, height)])
    for label, shares in lines.items():
        if seen := [(at, share) for at, share in zip(minutes, shares, strict=True) if share is not None]:
            above.plot(*zip(*seen, strict=True), label=label, linewidth=1.2)
    above.set(ylim=(0, 1), ylabel="share right, held out", xlabel="minutes")
    above.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7, frameon=False)
    grid = [[float("nan") if share is None else share for share in shares] for _, shares in rows]
    below.imshow(grid, aspect="auto", cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
    below.set_yticks(range(len(rows)), [label for label, _ in rows], fontsize=5)
    below.set_xticks(range(len(minutes)), [f"{at:.0f}" for at in minutes], fontsize=6)
    figure.savefig(out, dpi=100)
