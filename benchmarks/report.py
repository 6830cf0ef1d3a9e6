"""Figures for people: tables on a terminal, and of saved ones (`--json`) markdown and a plot.

`python -m benchmarks.report small.json large.json [--into docs/performance.md] [--plot docs/engine.png]`: --into replaces what stands
between the two marks; without it the markdown is printed. The plot needs the extra "benchmarks" (matplotlib).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

Figures = Mapping[str, Any]
SIDES = {"plain": "transformers", "peer": "vLLM", "ours": "ours"}
MARKS = ("<!-- measured: begin -->", "<!-- measured: end -->")
RATIOS = {
    "speedup_step12": "plain transformers over ours, step 12",
    "token_identical": "same tokens as plain transformers",
    "times_limit_step12": "ours over the limit, step 12",
    "growth_over_limit": "that over the same at step 2",
    "batch4_throughput_ratio": "four trajectories at once over one, tokens/s over steps 2–6",
    "batch4_decode_ratio": "… decoding alone",
    "batch4_limit_ratio": "… whole steps, if both took the limit's time",
    "forced_token_share": "tokens forced by the desktop grammar",
    "replies_read": "random replies that can be read",
    "long_run_growth": "steps 41–50 over 11–20, old screenshots dropped",
    "long_run_limit_growth": "the same at the limit",
    "peer_ratio": "vLLM over ours, all steps",
    "peer_token_identical": "same tokens as vLLM",
    "peer_batch4_ratio": "ours over vLLM, four at once, tokens/s",
}


def tables(figures: Figures) -> Iterator[Table]:
    """Seconds a step; then the ratios; then what was measured of the machine."""
    steps = Table(title=heading(figures), title_justify="left")
    rows = list(step_rows(figures))
    for title in rows[0]:
        steps.add_column(title, justify="right")
    for row in rows[1:]:
        steps.add_row(*row)
    yield steps
    for title, pairs in (("", ratio_rows(figures)), ("The machine", machine_rows(figures))):
        table = Table(title=title or None, title_justify="left", show_header=False)
        for name, value in pairs:
            table.add_row(name, value)
        yield table


def heading(figures: Figures) -> str:
    return (
        f"{figures['model']}: {figures['parameters'] / 1e6:.0f} M parameters, {figures['active'] / 1e6:.0f} M at work on a token; "
        f"seconds a step, medians of {figures['repeat']}"
    )


def step_rows(figures: Figures) -> Iterator[list[str]]:
    """A header, a row a step, a row of totals."""
    sides = [side for side in SIDES if side in figures]
    yield ["step", *(SIDES[side] for side in sides), "limit", "vision", "prefill", "decode", "ours ÷ limit"]
    for step, limit in enumerate(figures["limit"]):
        least = [f"{limit[term]:.3f}" for term in ("total", "vision", "prefill", "decode")]
        seconds = [f"{figures[side]['seconds'][step]:.2f}" for side in sides]
        yield [str(step + 1), *seconds, *least, f"{figures['times_limit'][step]:.2f}"]
    sums = [f"{sum(limit[term] for limit in figures['limit']):.2f}" for term in ("total", "vision", "prefill", "decode")]
    over = figures["ours"]["total"] / sum(limit["total"] for limit in figures["limit"])
    yield ["all", *(f"{figures[side]['total']:.2f}" for side in sides), *sums, f"{over:.2f}"]


def ratio_rows(figures: Figures) -> Iterator[tuple[str, str]]:
    for key, words in RATIOS.items():
        if key in figures:
            value = figures[key]
            yield f"{key}: {words}", str(value).lower() if isinstance(value, bool) else f"{value:.2f}"


def machine_rows(figures: Figures) -> Iterator[tuple[str, str]]:
    """The rates behind the limit and the memory each side took."""
    yield "matrix products, float32, best", f"{figures['flops'] / 1e9:.0f} GFLOP/s"
    for name, rate in figures["products"].items():
        yield f"  {name}", f"{rate / 1e9:.0f} GFLOP/s"
    yield "streaming reads, best", f"{figures['bandwidth'] / 1e9:.1f} GB/s"
    for name, rate in figures["reads"].items():
        yield f"  {name}", f"{rate / 1e9:.1f} GB/s"
    for side, name in SIDES.items():
        if side in figures and figures[side]["rss"]:
            yield f"peak memory of the process, {name}", f"{figures[side]['rss'] / 2**20:.0f} MiB"
    yield "keys and values after the last step", f"{figures['kv_bytes'] / 2**20:.0f} MiB"


def markdown(figures: Figures) -> str:
    rows = list(step_rows(figures))
    lines = [f"### {heading(figures)}", "", _row(rows[0]), _row(["--:"] * len(rows[0])), *(_row(row) for row in rows[1:]), ""]
    for pairs in (ratio_rows(figures), machine_rows(figures)):
        lines += ["| figure | value |", "|:--|--:|", *(_row(pair) for pair in pairs), ""]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.strip() for cell in cells)} |"


def plot(results: Sequence[Figures], file: Path) -> None:
    """Seconds over steps for every side and the limit, one panel a model."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5 * len(results), 4), layout="constrained")
    for panel, figures in zip(figure.subplots(1, len(results), squeeze=False)[0], results, strict=True):
        steps = range(1, figures["steps"] + 1)
        for side, name in SIDES.items():
            if side in figures:
                panel.plot(steps, figures[side]["seconds"], marker="o", markersize=3, label=name)
        panel.plot(steps, [limit["total"] for limit in figures["limit"]], "k--", label="the machine's limit")
        panel.set(title=f"{figures['model']}, {figures['parameters'] / 1e6:.0f} M", xlabel="step", ylabel="seconds", yscale="log")
        panel.grid(alpha=0.3, which="both")
        panel.legend()
    figure.savefig(file, dpi=120)


def replaced(page: str, measured: str) -> str:
    """The page with what stands between the two marks replaced."""
    before, begin, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not begin or not end:
        raise SystemExit(f"The page lacks the marks {MARKS[0]} and {MARKS[1]}.")
    return f"{before}{begin}\n\n{measured}\n{end}{after}"


def main(
    results: Annotated[list[Path], typer.Argument(help="What `python -m benchmarks.engine --json` printed, one file a model.")],
    into: Annotated[Path | None, typer.Option(help="A page whose measured part is replaced.")] = None,
    picture: Annotated[Path | None, typer.Option("--plot", help="Where a plot is written.")] = None,
) -> None:
    """Markdown and a plot of saved figures."""
    found = [json.loads(file.read_text(encoding="utf-8")) for file in results]
    measured = "\n".join(markdown(figures) for figures in found)
    if into:
        into.write_text(replaced(into.read_text(encoding="utf-8"), measured), encoding="utf-8")
    else:
        print(measured)
    if picture:
        plot(found, picture)


if __name__ == "__main__":
    typer.run(main)
