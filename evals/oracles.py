"""Scripted experts: they read a page's own DOM to know what to do, and say it as a model would.

An oracle is a Model, so the loop, the actions and the recording are the real ones; what it saw in the DOM is kept as labels for training.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from environments.base import ActionError
from evals.pages import REGION, SCALE, PageEnvironment
from model.base import Completion, GenerationConfig, Message
from tools import compact_actions
from tools.base import Thousandths
from tools.computer import Click
from tools.control import Done

_TARGET = """
(text) => {{
  const said = (pattern) => pattern.exec(text)[1], one = (selector) => document.querySelector(selector);
  const element = {expression};
  if (!element) return null;
  const b = element.getBoundingClientRect(), n = 12, w = b.width / n, h = b.height / n;
  const bare = Array.from({{length: n}}, (_, j) => Array.from({{length: n}}, (_, i) => {{
    const top = document.elementFromPoint(b.left + (i + 0.5) * w, b.top + (j + 0.5) * h);
    return top === element || element.contains(top);
  }}));
  let best = [0, 0, 0, 0], area = 0;
  for (let top = 0; top < n; top++) for (let left = 0; left < n; left++) {{
    let right = n;
    for (let bottom = top; bottom < n && right > left; bottom++) {{
      let i = left;
      while (i < right && bare[bottom][i]) i++;
      right = i;
      if ((right - left) * (bottom + 1 - top) > area) {{
        area = (right - left) * (bottom + 1 - top);
        best = [left, top, right, bottom + 1];
      }}
    }}
  }}
  return area ? [b.left + best[0] * w, b.top + best[1] * h, b.left + best[2] * w, b.top + best[3] * h] : null;
}}
"""
"""The largest rectangle of the element that nothing else covers."""

_WORDS = r"""
([width, height]) => {
  const words = [], range = document.createRange();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()) && words.length < 90; ) {
    const parent = node.parentElement;
    if (!parent || /SCRIPT|STYLE|OPTION/.test(parent.tagName)) continue;
    for (const match of node.data.matchAll(/\S+/g)) {
      range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
      const b = range.getClientRects()[0];
      if (!b || b.width < 2 || b.left < 0 || b.top < 0 || b.right > width || b.bottom > height) continue;
      const top = document.elementFromPoint((b.left + b.right) / 2, (b.top + b.bottom) / 2);
      if (!top || !(top === parent || parent.contains(top))) continue;
      const style = getComputedStyle(parent);
      if (style.visibility === 'hidden' || +style.opacity < 0.3) continue;
      const columns = [...match[0]].map((letter, i) => {
        range.setStart(node, match.index + i); range.setEnd(node, match.index + i + 1);
        const r = range.getBoundingClientRect();
        return (r.left + r.right) / 2;
      });
      words.push([match[0], [b.left, b.top, b.right, b.bottom], columns]);
    }
  }
  return words;
}
"""
_IS_BARE = """
([x, y]) => {
  const e = document.elementFromPoint(x, y);
  return !!e && !e.closest('button, a, input, select, textarea, label, .ui-dialog, [onclick], #sync-task-cover');
}
"""


_SIZE = round(REGION[0] * SCALE), round(REGION[1] * SCALE)


@dataclass(frozen=True, slots=True)
class Label:
    """What the DOM said at one step, in pixels of the screenshot.

    kind: a click on the target, a stray click (not to be learned), or the end. target: where the click may go. words: every visible
    word as [text, [left, top, right, bottom], [column of each letter's centre]].
    """

    kind: Literal["click", "stray", "end"]
    target: tuple[float, float, float, float] | None
    words: list[Any]


class Oracle:
    """Clicks the target of a page, and says that it is done if it is asked once more.

    stray: the probability that the first click goes to a bare place instead.
    """

    name = "oracle"

    def __init__(self, env: PageEnvironment, seed: str = "", stray: float = 0.0) -> None:
        self.env, self.actions, self.labels = env, compact_actions(), list[Label]()
        self._rng = random.Random(seed)
        self._stray, self._done = self._rng.random() < stray, False

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        words = [[text, _pixels(box), _pixels(columns)] for text, box, columns in self.env.browser.evaluate(_WORDS, list(REGION))]
        if self._done:
            self.labels.append(Label("end", None, words))
            return Completion(self.actions.render(Done()))
        bare, self._stray = self._bare_place() if self._stray else None, False
        target = None if bare else self._target()
        self.labels.append(Label("stray" if bare else "click", target, words))
        self._done = target is not None
        x, y = bare or _centre(target or (0, 0, 0, 0))
        return Completion(self.actions.render(Click(point=Thousandths.of((int(x), int(y)), _SIZE))))

    def _target(self) -> tuple[float, float, float, float]:
        box = self.env.browser.evaluate(_TARGET.format(expression=self.env.target or "null"), self.env.instruction)
        if box is None:
            raise ActionError("The page shows nothing to click.")
        left, top, right, bottom = _pixels(box)
        return left, top, right, bottom

    def _bare_place(self) -> tuple[float, float] | None:
        x, y = self._rng.uniform(2, REGION[0] - 10), self._rng.uniform(52, REGION[1] - 16)
        return (x * SCALE, y * SCALE) if self.env.browser.evaluate(_IS_BARE, [x, y]) else None


def _centre(box: Sequence[float]) -> tuple[float, float]:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2


def _pixels(numbers: Sequence[float]) -> list[float]:
    return [round(n * SCALE, 2) for n in numbers]
